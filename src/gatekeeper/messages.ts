// The one narrow door between a listener worker and the control plane: every question and every notice, typed.
// Must not hold behaviour: worker-side.ts asks, control-side.ts answers.
import type { Reply } from '../core/channel.ts'
import type { ErrorCode, ErrorRecord } from '../core/errors.ts'
import type { LogLine } from '../core/log.ts'
import type { HangingUpload, Peer, TransferLedger } from '../core/transfer.ts'
import type { Principal } from '../core/user.ts'

export type Admission = { readonly allowed: true } | { readonly allowed: false; readonly code: ErrorCode; readonly message: string }

export type Credential =
  /** `keyProven`: after a key of the same user, on the same connection (`ssh_auth: key+password`). */
  | { readonly kind: 'password'; readonly password: string; readonly keyProven?: true }
  /** `proven: false` only asks whether the key would do (SSH's query); no login is counted. The worker has verified the signature when true. */
  | { readonly kind: 'publickey'; readonly algorithm: string; readonly blob: Uint8Array; readonly proven: boolean }
  /** SHA-256 of a TLS client certificate, hex with colons. The handshake proved that the client holds its key. */
  | { readonly kind: 'certificate'; readonly fingerprint: string }

/** How a session logged in that showed both (`ssh_auth: key+password`). */
export const KEY_AND_PASSWORD = 'publickey+password'

export interface LoginAttempt {
  readonly peer: Peer
  readonly username: string
  readonly credential: Credential
  /** The channel is encrypted (SSH, or FTP over TLS). */
  readonly secure: boolean
}

export interface OpenedSession {
  readonly id: string
  /** Read again from the row at this moment: a login that races a change loses. */
  readonly principal: Principal
  /** Where it came from, as its row says. */
  readonly peer: Peer
  /** Uploads that hang in the user's other sessions. */
  readonly hanging?: readonly HangingUpload[]
}

/** Every question a listener worker may ask. Refusals are thrown as FileFlowError. */
export interface Gatekeeper extends TransferLedger {
  /** Before any credential: bans, deny lists, session limits. */
  admit(peer: Peer): Promise<Admission>
  /** There were too many connections in the worker to take this one. */
  droppedUnheard(peer: Peer): void
  /** An admitted connection has ended; after a login or a refusal it changes nothing. */
  departed(peer: Peer): void
  /** Whether this user may try to log in here at all, before a password is taken (`auth.tls_required`). Unknown users get the default answer. */
  mayTry(peer: Peer, username: string, secure: boolean): Promise<Admission>
  /** The principal, or null: one answer for unknown user, wrong credential, disabled, expired, wrong protocol or address. */
  authenticate(attempt: LoginAttempt): Promise<Principal | null>
  /** @throws FileFlowError `auth.failed` when the account changed since; `limit.sessions` */
  openSession(username: string, peer: Peer, method: string, client: string): Promise<OpenedSession>
  closeSession(sessionId: string, reason: string): void
  /** The command in flight, or null, for live screens. At most twice a second a session. */
  activity(sessionId: string, doing: string | null): void
  /** The worker's journal has more. */
  journaled(): void
  /** Evidence after a `likely` verdict: the session lives on (release the deliveries), or died at once (suspect). @param owes deliveries may wait for it: it is told at once */
  confirmUpload(transferId: string, verdict: 'confirmed' | 'suspect', owes: boolean): void
}

// ── the wire: structured-clone messages ──

export type Asked =
  | { readonly type: 'call'; readonly id: number; readonly method: keyof Gatekeeper; readonly args: readonly unknown[] }
  | { readonly type: 'notice'; readonly method: keyof Gatekeeper; readonly args: readonly unknown[] }

export type ToControl =
  /** In the order in which they were asked. */
  | { readonly type: 'asked'; readonly asked: readonly Asked[] }
  | { readonly type: 'log'; readonly line: LogLine }
  | { readonly type: 'ready'; readonly port: number; readonly implicitPort?: number | null }
  | { readonly type: 'stopped' }

export type ToWorker =
  | { readonly type: 'replies'; readonly replies: readonly Reply[] }
  | { readonly type: 'revoked'; readonly sessionId: string; readonly reason: ErrorRecord }
  /** An upload that hangs: a newer session of the user goes on with it. */
  | { readonly type: 'abandon'; readonly sessionId: string; readonly transferId: string }
  /** All that hang in other sessions of the user of this one. */
  | { readonly type: 'hanging'; readonly sessionId: string; readonly uploads: readonly HangingUpload[] }
  | { readonly type: 'principal'; readonly sessionId: string; readonly principal: Principal }
  | { readonly type: 'reload'; readonly config: unknown; readonly credentials: unknown }
  /** Whose uploads rules may want. */
  | { readonly type: 'askers'; readonly users: 'all' | readonly string[] }
  /** No new sessions; those that move a file may finish until the deadline, the others end now. */
  | { readonly type: 'stop'; readonly deadlineMs: number }
