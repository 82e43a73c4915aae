// The interface of a connector: the code that speaks to one kind of destination. One conformance suite tests them all.
// Must not know the queue, rules or the database.
import type { DestinationSpec } from '../core/destination.ts'
import type { ErrorRecord } from '../core/errors.ts'
import type { LogLine } from '../core/log.ts'
import type { OnConflict } from '../core/rule.ts'

/** One try of one delivery: all that a connector needs. */
export interface Delivery {
  readonly id: string
  readonly attempt: number
  /** Real path of the spooled content, as bytes. Never modified once linked. */
  readonly spool: Uint8Array
  readonly size: number
  /** Lower-case hex. */
  readonly sha256: string
  /** When the content was completed, ms; a connector may set it at the far side. */
  readonly mtimeMs: number
  /** Relative to the destination's base path, without a leading slash, checked by core/template. */
  readonly remotePath: string
  /** The deterministic name that is used until the content is whole and verified; beside the final one. */
  readonly tempName: string
  readonly onConflict: OnConflict
  /** An earlier attempt ended without a clear answer: look first whether the file is there already. */
  readonly unclear: boolean
}

/** The level that was really reached: what the far side proved. */
export type Verified = 'size' | 'hash' | 'readback'

export interface Receipt {
  /** Absolute at the far side, as it ended up (a `rename` conflict gives another name). */
  readonly remotePath: string
  readonly size: number
  readonly verified: Verified
  /** `sha256`, `md5` … when a hash was compared. */
  readonly algorithm: string | null
  /** How that hash was had: `check-file`, `sha256sum`, `HASH`, `XMD5` …, `read-back`. */
  readonly method: string | null
  readonly outcome: 'sent' | 'found' | 'skipped'
  /** Server software as it names itself, if it does; for the record. */
  readonly server: string | null
}

export interface ProbeStep {
  readonly step: 'resolve' | 'connect' | 'login' | 'write' | 'verify' | 'remove'
  readonly ok: boolean
  readonly ms: number
  readonly detail: string
}

export interface ProbeReport {
  readonly ok: boolean
  readonly steps: readonly ProbeStep[]
  /** The fingerprint the far side showed (SSH host key or certificate), for confirmation. */
  readonly fingerprint: string | null
}

export interface Connector {
  /** @throws FileFlowError of the `remote.*`, `spool.*` or `delivery.cancelled` family; its retry class decides what is next. */
  put(delivery: Delivery, signal: AbortSignal): Promise<Receipt>
  /** Connects, logs in, writes, verifies and removes a small file; never throws for what the far side does. */
  probe(signal: AbortSignal): Promise<ProbeReport>
  /** Ends idle connections; running ones finish first. */
  close(): Promise<void>
}

// ── the wire between dispatcher (control plane) and forwarder worker ──

/** Files up to this are read and sent in one piece. */
export const SMALL = 64 * 1024
/** So many small files share one connection, where the protocol lets them: what they ask leaves together, and most of what one costs is packets and wake-ups. */
export const SHARE = 16

/** How much of a connection a delivery takes: small files over SFTP, whose requests do not wait for each other, share one. */
export const placeOf = ({ type }: DestinationSpec, { size }: Pick<Delivery, 'size'>): number =>
  type === 'sftp' && size <= SMALL ? 1 / SHARE : 1

/** How many places there are: in all, and for one destination. Each destination with something to do has one in any case; small files may share one. */
export interface Places {
  readonly concurrency: number
  readonly per_destination: number
}

export type ToForwarder =
  /** More than may be at work at once wait in the forwarder, in this order: the next one begins without a question. */
  | {
      readonly type: 'attempts'
      readonly deliveries: readonly Delivery[]
      readonly destination: DestinationSpec
      readonly places: Places
    }
  | { readonly type: 'cancel'; readonly deliveryId: string }
  | { readonly type: 'probe'; readonly id: number; readonly destination: DestinationSpec }
  /** Nobody waits for it any more; it is answered all the same. */
  | { readonly type: 'unprobe'; readonly id: number }
  | { readonly type: 'forget'; readonly destination: string }
  | { readonly type: 'stop'; readonly deadlineMs: number }

export type Outcome =
  | { readonly ok: true; readonly receipt: Receipt }
  | { readonly ok: false; readonly error: ErrorRecord /** The far side may have the file all the same. */; readonly unclear: boolean }

export interface Settled {
  readonly deliveryId: string
  readonly attempt: number
  /** Since it began. */
  readonly durationMs: number
  readonly outcome: Outcome
}

export type FromForwarder =
  | { readonly type: 'ready' }
  /** What ended in one turn of the event loop; then what was handed over and will not be begun. */
  | {
      readonly type: 'settled'
      readonly settled: readonly Settled[]
      readonly returned: readonly { readonly deliveryId: string; readonly attempt: number }[]
    }
  | { readonly type: 'probed'; readonly id: number; readonly report: ProbeReport }
  | { readonly type: 'log'; readonly line: LogLine }
  | { readonly type: 'stopped' }
