// The live sessions as the API shows and ends them.
// Must not decide who may be connected.
import { type LiveSessions, rateNow } from '../accounts/live-sessions.ts'
import type { Clock } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { SessionView } from '../core/movement-views.ts'
import type { Actor, Page, PageRequest } from '../core/views.ts'

/** @param note writes the audit row of an act */
export function createSessions(
  live: LiveSessions,
  clock: Clock,
  note: (actor: Actor, action: string, object: string, detail: Record<string, unknown>) => void,
) {
  const view = (id: string): SessionView => {
    const session = live.get(id)
    if (!session) throw new FileFlowError('resource.not_found', `There is no live session ${id}.`)
    return {
      id,
      username: session.principal.username,
      partner: session.principal.partner,
      protocol: session.peer.protocol,
      address: session.peer.address,
      method: session.method,
      client: session.client,
      started_at: new Date(session.startedAt).toISOString(),
      doing: session.doing,
      transfers: [...session.transfers.values()].map((transfer) => ({
        id: transfer.id,
        direction: transfer.direction,
        path: transfer.path,
        bytes: transfer.bytes,
        total: transfer.total,
        rate: rateNow(transfer, clock.now()),
      })),
    }
  }
  return {
    get: view,
    /** For screens, also when it is over. */
    event: (id: string): unknown => (live.get(id) ? view(id) : { id }),
    list({ limit = 50, cursor = '', q = '' }: PageRequest): Page<SessionView> {
      const wanted = q.toLowerCase()
      const all = [...live.all()]
        .filter((s) => s.id > cursor && (s.principal.username.toLowerCase().includes(wanted) || s.peer.address.includes(wanted)))
        .sort((a, b) => (a.id < b.id ? -1 : 1))
      const items = all.slice(0, limit).map((s) => view(s.id))
      return { items, next: all.length > limit ? items.at(-1)!.id : null }
    },
    end(actor: Actor, id: string): void {
      const { username } = view(id)
      note(actor, 'session.end', id, { user: username })
      live.revoke(id, { code: 'session.revoked', message: 'An administrator ended this session.' })
    },
  }
}
