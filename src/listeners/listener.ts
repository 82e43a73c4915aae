// What every listener is to the worker that runs it, and what it is given.
// Must not reach beyond this: a listener has no other way out than its sockets, the virtual filesystem and the gatekeeper.
import type { Config } from '../config/schema.ts'
import type { ErrorRecord } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Principal } from '../core/user.ts'
import type { VirtualFilesystem } from '../files/virtual-filesystem.ts'
import type { Gatekeeper, OpenedSession } from '../gatekeeper/messages.ts'

export interface ListenerContext {
  readonly config: Config
  readonly gatekeeper: Gatekeeper
  readonly log: Logger
  /** PEM texts, read by the control plane: workers do not open key files. */
  readonly credentials: { readonly hostKeys: readonly string[]; readonly tls: { readonly cert: string; readonly key: string } | null }
  /** The port to bind; 0 picks a free one. `reusePort` is set, so that several workers share it. */
  readonly port: number
  /** FTP: the implicit TLS port that the first worker bound, when it was a free one. */
  readonly implicitPort?: number | null
  /** The files of a session, bound to its principal. */
  openFilesystem(session: OpenedSession): VirtualFilesystem
}

export interface Listener {
  /** Binds. @returns the port. */
  start(): Promise<number>
  /** FTP: the bound port of implicit TLS, if there is one. */
  implicitPort?(): number | null
  /** No new sessions; sessions that move a file may finish until `deadlineMs` from now, the others are told (421, SSH disconnect) at once. Resolves when all are gone. */
  stop(deadlineMs: number): Promise<void>
  /** New settings and certificates for new connections. */
  reload(config: Config, credentials: ListenerContext['credentials']): void
  /** End this session now and tell the client why. */
  revoke(sessionId: string, reason: ErrorRecord): void
  principalChanged(sessionId: string, principal: Principal): void
}

export type CreateListener = (context: ListenerContext) => Listener
