// Ends the row of a session that is no longer live: its connection closed, or its worker is gone.
// Must not end its transfers: the worker tells of those, or recovery does.
import { errorFields } from '../core/log.ts'
import type { GatekeeperOptions } from './control-side.ts'

export function endSession(
  { store, clock, log, changed }: Pick<GatekeeperOptions, 'store' | 'clock' | 'log' | 'changed'>,
  id: string,
  reason: string,
  state: 'closed' | 'aborted',
): void {
  store.group
    .run(() => store.transfers.endSession(id, state, clock.now(), reason), false)
    .then(
      () => {
        changed('session.closed', id)
        log.info('session.closed', 'A session ended.', { session: id, reason })
      },
      (error: unknown) =>
        log.error('gatekeeper.failed', 'The end of a session could not be recorded.', { session: id, ...errorFields(error) }),
    )
}
