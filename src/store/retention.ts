// Old rows go: transfers with all that hangs on them, sessions without transfers, receipts; a batch at a time.
// Must not remove what is still owed: deliveries that are not at their end, content that is still spooled.
import { newId } from '../core/clock.ts'
import type { Sqlite } from './database.ts'

export interface Pruned {
  readonly transfers: number
  readonly sessions: number
  readonly receipts: number
}

/** Ids begin with their time. */
const bound = (at: number): string => newId(at).slice(0, 10)

export function createRetention(db: Sqlite) {
  const old = db
    .prepare(`SELECT id FROM transfers AS t WHERE id < @bound AND state NOT IN ('open', 'committing') AND spool IS NULL
    AND NOT EXISTS (SELECT 1 FROM deliveries d LEFT JOIN receipts r ON r.delivery_id = d.id WHERE d.transfer_id = t.id
      AND (d.state NOT IN ('delivered', 'cancelled') OR d.updated_at >= @before OR r.at >= @receipts))
    AND NOT EXISTS (SELECT 1 FROM renames n WHERE n.transfer_id = t.id) ORDER BY id LIMIT @most`)
    .pluck()
  const dropDeliveries = db.prepare('DELETE FROM deliveries WHERE transfer_id = ?')
  const drop = db.prepare('DELETE FROM transfers WHERE id = ?')
  const sessions = db.prepare(`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions AS s WHERE id < ? AND state <> 'open'
    AND NOT EXISTS (SELECT 1 FROM transfers t WHERE t.session_id = s.id) LIMIT ?)`)
  const receipts = db.prepare(
    'DELETE FROM receipts WHERE delivery_id IN (SELECT delivery_id FROM receipts WHERE delivery_id < ? AND at < ? LIMIT ?)',
  )
  /**
   * One batch, in the caller's transaction: at most `most` rows of each kind from before `transfersBefore` or `receiptsBefore` (ms).
   * A transfer stays as long as a receipt of it has to.
   */
  return (transfersBefore: number, receiptsBefore: number, most: number): Pruned => {
    const ids = old.all({ bound: bound(transfersBefore), before: transfersBefore, receipts: receiptsBefore, most }) as string[]
    for (const id of ids) {
      dropDeliveries.run(id)
      drop.run(id)
    }
    return {
      transfers: ids.length,
      sessions: sessions.run(bound(transfersBefore), most).changes,
      receipts: receipts.run(bound(receiptsBefore), receiptsBefore, most).changes,
    }
  }
}
