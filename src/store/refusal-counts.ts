// What was counted of refused logins and is not in the audit log yet, for the next start after a kill.
// Must not know what a count means; accounts/refusals does.
import type { Sqlite } from './database.ts'

export function createRefusalCounts(db: Sqlite) {
  const get = db.prepare('SELECT tries_json FROM refusal_counts').pluck()
  const put = db.prepare('INSERT OR REPLACE INTO refusal_counts VALUES (1, ?)')
  const drop = db.prepare('DELETE FROM refusal_counts')
  return {
    /** As JSON; null when there are none. */
    get: () => (get.get() as string | undefined) ?? null,
    /** Takes the place of what was there. */
    put: (tries: readonly unknown[]) => void (tries.length === 0 ? drop.run() : put.run(JSON.stringify(tries))),
  }
}
