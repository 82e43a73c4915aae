// What partners do with files beside transfers, in the audit log: what was changed, and what was refused.
// Must not believe a worker about sessions of another.
import type { SessionOwner } from '../accounts/live-sessions.ts'
import { toDisplay } from '../core/virtual-path.ts'
import type { AuditEvent } from '../store/audit.ts'
import type { GatekeeperOptions } from './control-side.ts'
import type { Gatekeeper } from './messages.ts'
import type { Note } from './notes.ts'

export function createOperations(
  { store, clock, live }: Pick<GatekeeperOptions, 'store' | 'clock' | 'live'>,
  owner: SessionOwner,
  note: Note,
): Pick<Gatekeeper, 'operation' | 'refused' | 'refusedMore'> {
  const { audit, accounts } = store
  const sessionOf = (id: string) => {
    const session = live.get(id)
    return session?.owner === owner ? session : undefined
  }
  const append = (
    session: NonNullable<ReturnType<typeof sessionOf>>,
    event: Pick<AuditEvent, 'action' | 'object' | 'outcome'>,
    detail: Record<string, unknown> = {},
  ): void =>
    audit.append({
      at: clock.now(),
      actor: `user:${session.principal.username}`,
      address: session.peer.address,
      ...event,
      detail: { session: session.id, ...detail },
    })
  return {
    operation({ sessionId, action, path, to, bytes, files }): void {
      const session = sessionOf(sessionId)
      if (!session) return
      note(() => {
        if (bytes !== undefined || files !== undefined) accounts.users.addUsage(session.principal.username, bytes ?? 0, files ?? 0)
        append(session, { action: `file.${action}`, object: toDisplay(path), outcome: 'ok' }, to ? { to: toDisplay(to) } : {})
      }, 'operation')
    },
    refused({ sessionId, action, path, to, code }): void {
      const session = sessionOf(sessionId)
      if (!session) return
      const name = action === 'upload' || action === 'download' ? action : `file.${action}`
      note(
        () =>
          append(session, { action: name, object: toDisplay(path), outcome: 'refused' }, { code, ...(to ? { to: toDisplay(to) } : {}) }),
        'refused',
      )
    },
    refusedMore(sessionId, more): void {
      const session = sessionOf(sessionId)
      if (!session) return
      note(() => append(session, { action: 'file.refused', object: session.peer.protocol, outcome: 'refused' }, { more }), 'refusedMore')
    },
  }
}
