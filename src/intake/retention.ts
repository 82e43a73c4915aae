// Retention as the configuration says: transfers, receipts and the audit log are as old as they may be, and no older.
// Must not hold up the control thread: it works in small batches.
import type { Config } from '../config/schema.ts'
import type { Clock } from '../core/clock.ts'
import type { Store } from '../store/store.ts'

const TRANSFERS_AT_ONCE = 200
const AUDIT_AT_ONCE = 2000

export interface RetentionOptions {
  readonly store: Store
  readonly clock: Clock
  readonly keep: () => Config['retention']
}

export interface Removed {
  transfers: number
  sessions: number
  receipts: number
  audit: number
}

/** Removes all that is too old; each batch is its own transaction. `stop` ends it between two batches. */
export async function enforceRetention({ store, clock, keep }: RetentionOptions, stop: AbortSignal): Promise<Removed> {
  const removed: Removed = { transfers: 0, sessions: 0, receipts: 0, audit: 0 }
  const { transfers, receipts, audit } = keep()
  const now = clock.now()
  for (let more = true; more && !stop.aborted; await new Promise(setImmediate)) {
    const batch = store.group.now(() => store.prune(now - transfers, now - receipts, TRANSFERS_AT_ONCE))
    removed.transfers += batch.transfers
    removed.sessions += batch.sessions
    removed.receipts += batch.receipts
    more = Math.max(batch.transfers, batch.sessions, batch.receipts) === TRANSFERS_AT_ONCE
  }
  if (removed.transfers + removed.receipts > 0 && !stop.aborted) {
    const { audit: _, ...detail } = removed
    store.group.now(() =>
      store.audit.append({ at: now, actor: 'gateway', address: '', action: 'retention', object: 'transfers', outcome: 'ok', detail }),
    )
  }
  for (let more = true; more && !stop.aborted; await new Promise(setImmediate)) {
    const gone = store.group.now(() => store.audit.prune(now - audit, clock.now(), AUDIT_AT_ONCE))
    removed.audit += gone
    more = gone === AUDIT_AT_ONCE
  }
  return removed
}
