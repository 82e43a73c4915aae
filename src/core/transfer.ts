// Sessions and transfers: their states and the facts that are recorded of them.
// Must not decide anything; policy is in permission, rule and retry.
import type { ErrorCode, ErrorRecord } from './errors.ts'
import { PROTOCOLS, type Protocol } from './user.ts'
import type { VirtualPath } from './virtual-path.ts'

export const UPLOAD_STATES = ['open', 'committing', 'completed', 'aborted', 'suspect'] as const
export type TransferState = (typeof UPLOAD_STATES)[number]
export type Direction = 'upload' | 'download'
/** How a file came or went: a protocol, or a watched folder. */
export const ORIGINS = [...PROTOCOLS, 'watch'] as const
export type Origin = (typeof ORIGINS)[number]

/** The other end of a connection. */
export interface Peer {
  readonly protocol: Protocol
  readonly address: string
  readonly port: number
  readonly localAddress: string
  readonly localPort: number
}

/** What speaks for an upload being whole. `certain`: the protocol itself said so; `likely`: nothing spoke against it yet. */
export interface Verdict {
  readonly confidence: 'certain' | 'likely'
  /** Short words for the timeline: `sftp close`, `tls close_notify`, `allo size`, `control alive`. */
  readonly evidence: readonly string[]
}

export interface FinishedContent {
  readonly size: number
  /** Lower-case hex. */
  readonly sha256: string
}

export type TransferEnd =
  | { readonly state: 'completed'; readonly bytes: number; readonly sha256?: string }
  | {
      readonly state: 'aborted'
      readonly bytes: number
      readonly error: ErrorRecord /** A partial was kept for resuming. */
      readonly partial: boolean
    }

export interface NewTransfer {
  /** Made by who asks (`newId`), who may so go on before the answer is there. */
  readonly id: string
  readonly sessionId: string
  readonly direction: Direction
  readonly path: VirtualPath
  /** Whoever asks waits for the grant; otherwise the answer may take some milliseconds longer. */
  readonly waits: boolean
  /** What else of the user's lies on the disk without counting for the quota yet: kept partials, and other uploads of this session. */
  readonly heldBytes: number
  /** Length of the published file that it would replace, which frees that for the quota; null or absent for a new name. */
  readonly replaces?: number | null
  /** Bytes that are there already (a resumed upload, a download from an offset). */
  readonly offset: number
  /** Bytes there will be in the end, where that is known: a download's length, FTP's ALLO, scp's header. For screens: nothing is decided by it. */
  readonly expected?: number | undefined
  /** When it began, where it is told of later; ms. */
  readonly startedAt?: number
}

/** An announced size, as it came from a client by way of a worker; null when it is none. */
export const sizeOrNull = (size: unknown): number | null => (Number.isSafeInteger(size) && (size as number) >= 0 ? (size as number) : null)

/** An upload that runs without a byte coming in: its client is slow, or gone and come back by another session. */
export interface HangingUpload {
  readonly transferId: string
  readonly path: VirtualPath
}

export interface TransferGrant {
  /** Most bytes the file may have in the end (quota and max_file_size); null is without limit. */
  readonly maxSize: number | null
  /** Which limit `maxSize` is. */
  readonly maxSizeCode: 'quota.exceeded' | 'file.too_large'
}

/** A staged upload whose bytes are whole and, under `durability: power`, synced. Paths are real, as bytes. */
export interface StagedUpload extends FinishedContent {
  readonly transferId: string
  readonly path: VirtualPath
  readonly staging: Uint8Array
  readonly final: Uint8Array
  readonly spool: Uint8Array
  /** Bytes of the published file that this one replaces; null when the name was free. */
  readonly replaced: number | null
  readonly verdict: Verdict
}

/** A finished file that comes to a new name: rules are asked about the new one. */
export interface RenamedFile {
  readonly sessionId: string
  readonly from: VirtualPath
  readonly to: VirtualPath
  /** The real path of `from`: other users may see it under other names. */
  readonly source: Uint8Array
  readonly size: number
  readonly inode: string
  /** The vault's folder for spooled content. */
  readonly spoolFolder: Uint8Array
  readonly final: Uint8Array
  /** What a second name adds for the quota, where the first one stays; absent when the file only moves. */
  readonly adds?: { readonly bytes: number; readonly files: number }
}

/** What a committed file owes: the worker makes the spool link when it owes anything, then publishes. */
export interface Obligations {
  readonly deliveries: number
}

export interface RenameObligations extends Obligations {
  readonly renameId: string
  /** Where the content has to be linked when anything is owed. */
  readonly spool: Uint8Array | null
}

export interface Operation {
  readonly sessionId: string
  readonly action: 'delete' | 'rename' | 'mkdir' | 'rmdir' | 'setattr' | 'symlink' | 'link'
  readonly path: VirtualPath
  readonly to?: VirtualPath
  /** Bytes and files this frees (negative) for the quota. */
  readonly bytes?: number
  readonly files?: number
}

/** What a partner was refused. `stat` is all that only looks. */
export type RefusedAction = Operation['action'] | Direction | 'list' | 'stat' | 'digest'

export interface RefusedOperation {
  readonly sessionId: string
  readonly action: RefusedAction
  readonly path: VirtualPath
  readonly to?: VirtualPath
  readonly code: ErrorCode
}

/** What the files of a session tell the control plane, and ask of it. The gatekeeper is one. */
export interface TransferLedger {
  /** When it resolves the row exists. What is asked after it finds the transfer there, or is refused. */
  beginTransfer(transfer: NewTransfer): Promise<TransferGrant>
  /** One durable transaction: transfer `committing`, its deliveries, the audit event. Then the worker publishes. */
  commitUpload(upload: StagedUpload): Promise<Obligations>
  /** The final name holds the file: `committing` → `completed`, deliveries may start. @param replaced length of what stood there at that moment, null for nothing */
  published(transferId: string, replaced: number | null): void
  /** Uploads that have not ended go by another name: when this resolves, their rows say so. */
  uploadsRenamed(transferIds: readonly string[], to: VirtualPath): Promise<void>
  endTransfer(transferId: string, end: TransferEnd): void
  /** Ends an upload to that name which hangs in another session of the user; its bytes are kept as a partial when this resolves. One that moves again goes on. */
  endHanging(sessionId: string, path: VirtualPath): Promise<void>
  /** Whether an upload that moves is on its way into that folder or below it, in any session with the same home. */
  isUploadedInto(sessionId: string, folder: VirtualPath): Promise<boolean>
  /** What counts for the user's quota now. */
  usage(sessionId: string): Promise<{ readonly bytes: number; readonly files: number }>
  /** Bytes so far, of running transfers, for live screens. At most once a second a session. */
  progress(transferId: string, bytes: number): void
  /** A finished file is about to get a new name; durable before it resolves. */
  commitRename(file: RenamedFile): Promise<RenameObligations>
  /** The same for files of one folder that is about to get a new name, in one transaction; null for what no transfer speaks of. */
  commitRenames(sessionId: string, files: readonly RenamedFile[]): Promise<readonly (RenameObligations | null)[]>
  /** The rename happened (or did not): the deliveries may start, or are taken back. */
  renamed(renameId: string, done: boolean): void
  /** A change that is no transfer, for the audit trail. */
  operation(operation: Operation): void
  /** An operation that was refused, for the audit trail. At most a few dozen a session. */
  refused(operation: RefusedOperation): void
  /** How many more were; once, when the session ends. */
  refusedMore(sessionId: string, count: number): void
}
