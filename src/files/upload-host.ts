// What an upload is given when it begins, and what it asks of its session while it runs.
// Must not hold behaviour: session-transfers.ts answers.
import type fs from 'node:fs'
import type { ErrorCode } from '../core/errors.ts'
import type { Verdict } from '../core/transfer.ts'
import type { VirtualPath } from '../core/virtual-path.ts'
import type { Hasher } from './hasher.ts'
import type { Place } from './jail.ts'
import type { RateLimiter } from './rate-limiter.ts'
import type { StagedUpload } from './upload.ts'
import type { Vault } from './vaults.ts'
import type { FileDigest } from './virtual-filesystem.ts'

/** What an upload asks of its session's filesystem and of the control plane. */
export interface UploadHost {
  readonly durable: boolean
  readonly limiter: RateLimiter
  readonly hasher: Hasher
  /** Throws when the session is over, or may not do that there (any more). */
  need(permission: 'upload' | 'overwrite' | 'download', path: VirtualPath): void
  mayOverwrite(path: VirtualPath): boolean
  /** The place to publish to, resolved anew: folders may have moved since. */
  place(path: VirtualPath): Place
  /** Runs it when not too many run already. */
  digest(work: () => Promise<FileDigest>): Promise<FileDigest>
  /** Bytes staged by the session's other uploads, where a quota counts them. */
  othersNow(upload: StagedUpload): number
  /** A quota's grant of so many bytes, with the user's own limit for a file beside it. */
  atMost(bytes: number): Pick<StagedFile, 'maxSize' | 'maxSizeCode'>
  /** Whether the user's partials are not too many yet. */
  mayKeep(vault: Vault): boolean
  commit(upload: {
    transferId: string
    path: VirtualPath
    staging: string
    final: Buffer
    spool: string
    replaced: number | null
    size: number
    sha256: string
    verdict: Verdict
  }): { deliveries: number } | Promise<{ deliveries: number }>
  /** The name holds the file: resolves when a power loss cannot undo that, where it matters. `folder` stays open until then. @param replaced length of what stood there, or null */
  published(transferId: string, folder: string, replaced: number | null): Promise<void> | undefined
  progress(transferId: string, bytes: number): void
  aborted(transferId: string, bytes: number, why: Error, partial: boolean): void
  /** Takes the upload out of the session's table. */
  gone(upload: StagedUpload): void
}

export interface StagedFile {
  readonly transferId: string
  /** When it resolves the row is there; it may have been refused. Told once, however often it is asked. */
  announce(): Promise<unknown>
  readonly path: VirtualPath
  readonly fd: number
  readonly size: number
  readonly vault: Vault
  readonly staging: string
  readonly partial: Buffer
  /** Of the file that had the name when this began; null for none. */
  readonly foundInode: number | null
  /** A partial of that name was there when this began. */
  readonly replacesPartial: boolean
  readonly mustBeNew: boolean
  /** It was renamed onto a name that something had: it replaces what stands there as a rename would, be it a link, and has its own mode. */
  readonly tookName: boolean
  /** What that was, and stands under the name until this is published. */
  readonly doomed: fs.Stats | null
  /** It began as a copy of what is published. */
  readonly isCopy: boolean
  readonly maxSize: number | null
  readonly maxSizeCode: ErrorCode
}
