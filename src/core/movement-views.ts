// What the control plane shows of what moves: sessions, transfers with their timeline, deliveries with their attempts and receipts.
// Must not hold secrets, real paths of the gateway's own folders, or behaviour.
import type { ErrorRecord } from './errors.ts'
import type { Direction, Origin, TransferState } from './transfer.ts'
import type { Protocol } from './user.ts'

export interface SessionView {
  readonly id: string
  readonly username: string
  readonly partner: string
  readonly protocol: Protocol
  readonly address: string
  readonly method: string
  readonly client: string
  readonly started_at: string
  /** The command in flight (FTP); null while it waits for one. */
  readonly doing: string | null
  readonly transfers: readonly (Pick<TransferView, 'id' | 'direction' | 'path' | 'bytes' | 'total'> & { readonly rate: number })[]
}

export const DELIVERY_STATES = ['pending', 'running', 'retrying', 'delivered', 'dead', 'cancelled'] as const
export type DeliveryState = (typeof DELIVERY_STATES)[number]

export interface ReceiptView {
  readonly remote_path: string
  readonly size: number
  readonly sha256: string
  readonly verified: string
  readonly algorithm: string | null
  /** How the far side was asked for that hash: `check-file`, `sha256sum`, `HASH`, `XMD5` …, `read-back`; absent where there is none, or none on record. */
  readonly method?: string
  readonly outcome: string
  readonly server: string | null
  readonly at: string
}

export interface AttemptView {
  readonly number: number
  readonly started_at: string
  /** Process and thread it was leased to. */
  readonly worker: string | null
  readonly ended_at: string | null
  readonly ok: boolean | null
  readonly error: ErrorRecord | null
}

export interface DeliveryView {
  readonly id: string
  readonly transfer: string
  readonly rule: string
  readonly destination: string
  readonly user: string
  readonly path: string
  readonly remote_path: string
  readonly size: number
  readonly state: DeliveryState
  /** Recorded by a shadow rule, never sent. */
  readonly shadow: boolean
  readonly attempts: number
  readonly next_at: string | null
  readonly error: ErrorRecord | null
  readonly created_at: string
  readonly updated_at: string
  readonly receipt: ReceiptView | null
}

export interface TransferView {
  readonly id: string
  readonly session: string
  readonly user: string
  readonly protocol: Origin
  readonly address: string
  readonly direction: Direction
  readonly path: string
  readonly state: TransferState
  readonly bytes: number
  /** Of one that runs: bytes in the end where the client announced them, and bytes a second; else null. */
  readonly total: number | null
  readonly rate: number | null
  readonly sha256: string | null
  readonly started_at: string
  readonly ended_at: string | null
  readonly error: ErrorRecord | null
  readonly evidence: readonly string[]
  /** What became of the file, in short. */
  readonly deliveries: readonly {
    readonly id: string
    readonly destination: string
    readonly state: DeliveryState
    readonly shadow: boolean
  }[]
}

export interface TimelineEvent {
  readonly at: string
  /** `session.opened`, `transfer.started`, `transfer.completed`, `rule.matched`, `delivery.attempt`, `delivery.delivered` … */
  readonly event: string
  readonly text: string
  readonly ok: boolean
}

/** The connection that carried a transfer. */
export interface SessionRecord {
  readonly id: string
  readonly method: string
  readonly client: string
  readonly started_at: string
  readonly ended_at: string | null
  readonly reason: string | null
}

export interface TransferDetail extends TransferView {
  readonly partner: string
  /** Where it went on after an earlier part, in bytes. */
  readonly start_offset: number
  /** When it was whole on disk and its deliveries recorded. */
  readonly committed_at: string | null
  readonly connection: SessionRecord | null
  readonly deliveries: readonly (DeliveryView & { readonly tries: readonly AttemptView[] })[]
  readonly timeline: readonly TimelineEvent[]
}
