// Rows of deliveries, attempts and receipts: the journal of forwarding. Every change of state is a guarded UPDATE.
// Must not decide when to retry; core/retry does.
import { newId } from '../core/clock.ts'
import { ERRORS, type ErrorRecord } from '../core/errors.ts'
import { DELIVERY_STATES, type DeliveryState } from '../core/movement-views.ts'
import type { OnConflict } from '../core/rule.ts'
import type { Sqlite } from './database.ts'
import { filteredList, likePattern, searchInSteps } from './filter.ts'
import { LostRace } from './transfers.ts'

export interface DeliveryRow {
  id: string
  transfer_id: string
  rule: string
  destination: string
  username: string
  path: string
  remote_path: string
  temp_name: string
  on_conflict: OnConflict
  after: 'keep' | 'delete' | 'archive'
  size: number
  sha256: string
  state: DeliveryState
  attempt: number
  spent_before: number
  retry_from: number | null
  unclear: number
  next_at: number | null
  waits: 0 | 1
  crashes: number
  deaths: number
  shadow: 0 | 1
  dedupe: 0 | 1
  error_json: string | null
  created_at: number
  updated_at: number
}

export interface AttemptRow {
  delivery_id: string
  number: number
  started_at: number
  /** The process and the thread that had it: `PID.N`. */
  worker: string | null
  ended_at: number | null
  ok: number | null
  error_json: string | null
}

export interface ReceiptRow {
  delivery_id: string
  remote_path: string
  size: number
  sha256: string
  verified: string
  algorithm: string | null
  outcome: string
  server: string | null
  at: number
  method: string | null
}

export interface DeliveryQuery {
  readonly state?: string | undefined
  readonly rule?: string | undefined
  readonly destination?: string | undefined
  readonly q?: string | undefined
  readonly before?: string | undefined
  readonly limit: number
}

export interface QueueCounts {
  pending: number
  running: number
  retrying: number
  dead: number
  oldest: number | null
}

export interface BreakerRow {
  destination: string
  since: number
  failures: number
  next_probe_at: number
  error_json: string
}

type LastError = Pick<DeliveryRow, 'id' | 'error_json' | 'updated_at'>
const WAITING: ReadonlySet<DeliveryState> = new Set(['pending', 'running', 'retrying'])

const must = (changes: number, what: string): void => {
  if (changes !== 1) throw new LostRace(what)
}

const CANCELLED = JSON.stringify({ code: 'delivery.cancelled', message: ERRORS['delivery.cancelled'].text } satisfies ErrorRecord)

export function createDeliveryRows(db: Sqlite) {
  const q = {
    insert:
      db.prepare(`INSERT INTO deliveries (id, transfer_id, rule, destination, username, path, remote_path, temp_name, on_conflict, after, size, sha256, state, shadow, dedupe, error_json, created_at, updated_at)
      VALUES (@id, @transfer_id, @rule, @destination, @username, @path, @remote_path, @temp_name, @on_conflict, @after, @size, @sha256, @state, @shadow, @dedupe, @error, @at, @at)
      ON CONFLICT (transfer_id, rule, destination, remote_path) DO NOTHING`),
    twin: db
      .prepare(`SELECT id FROM deliveries AS d WHERE dedupe = 1 AND rule = @rule AND sha256 = @sha256 AND username = @username AND path = @path
      AND destination = @destination AND transfer_id <> @transfer_id AND created_at >= @since AND state NOT IN ('dead', 'cancelled')
      AND NOT EXISTS (SELECT 1 FROM deliveries AS l INDEXED BY deliveries_arrived WHERE l.destination = d.destination
        AND l.remote_path = d.remote_path AND l.state = 'delivered' AND l.rowid > d.rowid AND l.sha256 <> d.sha256)
      AND NOT EXISTS (SELECT 1 FROM deliveries AS l INDEXED BY deliveries_in_line WHERE l.destination = d.destination
        AND l.remote_path = d.remote_path AND l.state IN ('pending', 'retrying', 'running') AND l.rowid > d.rowid AND l.sha256 <> d.sha256)
      ORDER BY rowid DESC LIMIT 1`)
      .pluck(),
    // `+state`: on a database without statistics SQLite would go through all that is pending, for each finished file
    release: db.prepare("UPDATE deliveries SET next_at = @at WHERE transfer_id = @transfer AND +state = 'pending' AND next_at IS NULL"),
    hold: db.prepare(
      "UPDATE deliveries SET next_at = @at WHERE transfer_id = @transfer AND +state = 'pending' AND next_at IS NOT NULL AND attempt = 0",
    ),
    withdraw: db.prepare("DELETE FROM deliveries WHERE transfer_id = ? AND path = ? AND +state = 'pending' AND next_at IS NULL"),
    withdrawAll: db.prepare("DELETE FROM deliveries WHERE transfer_id = ? AND +state = 'pending' AND attempt = 0"),
    suspect: db.prepare(
      "UPDATE deliveries SET state = 'dead', next_at = NULL, error_json = ?, updated_at = ? WHERE transfer_id = ? AND +state = 'pending' AND attempt = 0",
    ),
    refuse: db.prepare("UPDATE deliveries SET state = 'dead', error_json = ?, updated_at = ? WHERE id = ? AND state = 'pending'"),
    dueAt: db.prepare(
      'SELECT * FROM deliveries WHERE destination = ? AND next_at <= ? AND waits = 0 AND crashes = 0 ORDER BY next_at, id LIMIT ?',
    ),
    suspected: db.prepare('SELECT * FROM deliveries WHERE next_at <= ? AND waits = 0 AND crashes > 0 ORDER BY next_at LIMIT 100'),
    nextDue: db.prepare('SELECT min(next_at) FROM deliveries WHERE next_at > ? AND waits = 0').pluck(),
    start: db.prepare(
      "UPDATE deliveries SET state = 'running', attempt = attempt + 1, next_at = NULL, updated_at = @at WHERE id = @id AND state IN ('pending', 'retrying') AND next_at IS NOT NULL RETURNING *",
    ),
    attempt: db.prepare('INSERT INTO attempts (delivery_id, number, started_at, worker) VALUES (?, ?, ?, ?)'),
    attemptEnd: db.prepare('UPDATE attempts SET ended_at = ?, ok = ?, error_json = ? WHERE delivery_id = ? AND number = ?'),
    attemptCancel: db.prepare('UPDATE attempts SET ended_at = ?, ok = 0, error_json = ? WHERE delivery_id = ? AND ended_at IS NULL'),
    attemptDrop: db.prepare('DELETE FROM attempts WHERE delivery_id = ? AND number = ?'),
    delivered: db.prepare(
      "UPDATE deliveries SET state = 'delivered', unclear = 0, error_json = NULL, updated_at = @at WHERE id = @id AND state = 'running' AND attempt = @attempt",
    ),
    receipt: db.prepare(
      'INSERT OR REPLACE INTO receipts VALUES (@delivery_id, @remote_path, @size, @sha256, @verified, @algorithm, @outcome, @server, @at, @method)',
    ),
    retrying: db.prepare(
      "UPDATE deliveries SET state = 'retrying', retry_from = coalesce(retry_from, @at), spent_before = spent_before + @free, deaths = 0, next_at = @next_at, unclear = max(unclear, @unclear), error_json = @error, updated_at = @at WHERE id = @id AND state = 'running' AND attempt = @attempt",
    ),
    dead: db.prepare(
      "UPDATE deliveries SET state = 'dead', unclear = max(unclear, @unclear), error_json = @error, updated_at = @at WHERE id = @id AND state = 'running' AND attempt = @attempt",
    ),
    giveBack: db.prepare(
      "UPDATE deliveries SET state = CASE WHEN attempt > 1 THEN 'retrying' ELSE 'pending' END, attempt = attempt - 1, next_at = @at, unclear = max(unclear, @unclear), updated_at = @at WHERE id = @id AND state = 'running' AND attempt = @attempt",
    ),
    crashed: db.prepare('UPDATE deliveries SET crashes = crashes + 1 WHERE id = ?'),
    died: db.prepare('UPDATE deliveries SET deaths = ?, crashes = max(crashes, ?) WHERE id = ?'),
    reason: db.prepare('UPDATE deliveries SET error_json = ?, deaths = 0 WHERE id = ?'),
    overdue: db
      .prepare(
        'SELECT id FROM deliveries WHERE destination = @destination AND state = @state AND id < @before AND next_at IS NOT NULL AND coalesce(retry_from, created_at) < @cut ORDER BY id LIMIT 500',
      )
      .pluck(),
    expire: db.prepare(
      "UPDATE deliveries SET state = 'dead', next_at = NULL, error_json = @error, updated_at = @at WHERE id = @id AND state IN ('pending', 'retrying')",
    ),
    doubt: db.prepare(
      'UPDATE deliveries SET unclear = 1 WHERE id IN (SELECT id FROM deliveries WHERE destination = ? AND next_at IS NOT NULL AND waits = 0 AND crashes = 0 ORDER BY next_at, id LIMIT ?)',
    ),
    running: db.prepare("SELECT * FROM deliveries WHERE state = 'running'"),
    again: db.prepare(
      "UPDATE deliveries SET state = 'pending', next_at = @at, retry_from = NULL, spent_before = attempt, crashes = 0, deaths = 0, updated_at = @at WHERE id = @id AND shadow = 0 AND state IN ('dead', 'cancelled', 'retrying')",
    ),
    newerDelivered: db
      .prepare(`SELECT newer.id FROM deliveries AS d CROSS JOIN deliveries AS newer INDEXED BY deliveries_arrived ON newer.destination = d.destination AND newer.remote_path = d.remote_path
      WHERE d.id = ? AND d.on_conflict = 'overwrite' AND newer.rowid > d.rowid AND newer.state = 'delivered' LIMIT 1`)
      .pluck(),
    cancel: db.prepare(
      "UPDATE deliveries SET unclear = CASE state WHEN 'running' THEN 1 ELSE unclear END, state = 'cancelled', next_at = NULL, updated_at = ? WHERE id = ? AND state IN ('pending', 'retrying', 'running', 'dead')",
    ),
    get: db.prepare('SELECT * FROM deliveries WHERE id = ?'),
    content: db.prepare('SELECT spool, coalesce(ended_at, started_at) AS at FROM transfers WHERE id = ?'),
    ofTransfer: db.prepare('SELECT * FROM deliveries WHERE transfer_id = ? ORDER BY id'),
    ends: db.prepare(
      `SELECT count(*) FILTER (WHERE state NOT IN ('delivered', 'cancelled')) AS unfinished, count(*) FILTER (WHERE state <> 'delivered' AND shadow = 0) AS undelivered,
              max(after = 'delete') AS "delete", max(after = 'archive') AS archive FROM deliveries WHERE transfer_id = ?`,
    ),
    looked: filteredList<{ id: string; rule: string; shadow: 0 | 1; suspect: 0 | 1 }>(
      db,
      "SELECT id, rule, shadow, coalesce(json_extract(error_json, '$.code'), '') = 'upload.suspect' AS suspect FROM deliveries",
      { after: 'id > @after', state: 'state = @state', destination: 'destination = @destination' },
      'ORDER BY id',
    ),
    list: filteredList<DeliveryRow>(
      db,
      'SELECT * FROM deliveries',
      {
        before: 'id < @before',
        from: 'id >= @from',
        state: 'state = @state',
        rule: 'rule = @rule',
        destination: 'destination = @destination',
        q: "path LIKE @q ESCAPE '\\'",
      },
      'ORDER BY id DESC',
    ),
    floor: db.prepare('SELECT id FROM deliveries WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?').pluck(),
    attempts: db.prepare('SELECT * FROM attempts WHERE delivery_id = ? ORDER BY number'),
    receiptOf: db.prepare('SELECT * FROM receipts WHERE delivery_id = ?'),
    counts: db.prepare('SELECT state, sum(n) AS n FROM delivery_counts GROUP BY state'),
    oldest: db.prepare("SELECT created_at FROM deliveries WHERE state = 'pending' ORDER BY id LIMIT 1").pluck(),
    ofDestination: db.prepare('SELECT state, n FROM delivery_counts WHERE destination = ?'),
    oldestOf: db.prepare("SELECT created_at FROM deliveries WHERE destination = ? AND state = 'pending' ORDER BY id LIMIT 1").pluck(),
    lastDelivered: db
      .prepare("SELECT updated_at FROM deliveries WHERE destination = ? AND state = 'delivered' ORDER BY id DESC LIMIT 1")
      .pluck(),
    breakers: db.prepare('SELECT * FROM breakers'),
    putBreaker: db.prepare('INSERT OR REPLACE INTO breakers VALUES (@destination, @since, @failures, @next_probe_at, @error_json)'),
    removeBreaker: db.prepare('DELETE FROM breakers WHERE destination = ?'),
    lastError: db.prepare('SELECT id, error_json, updated_at FROM deliveries WHERE destination = ? AND state = ? ORDER BY id DESC LIMIT 1'),
  }
  return {
    /** Held (`next_at` NULL) until {@link release}. @returns whether it is new. */
    insert: (
      row: Pick<
        DeliveryRow,
        | 'id'
        | 'transfer_id'
        | 'rule'
        | 'destination'
        | 'username'
        | 'path'
        | 'remote_path'
        | 'temp_name'
        | 'on_conflict'
        | 'after'
        | 'size'
        | 'sha256'
        | 'shadow'
        | 'dedupe'
      > & { at: number /** It is recorded and not sent: why. */; error: ErrorRecord | null },
    ) =>
      q.insert.run({
        ...row,
        state: row.shadow === 1 || row.error ? 'cancelled' : 'pending',
        error: row.error ? JSON.stringify(row.error) : null,
      }).changes === 1,
    /** An earlier delivery of the same content under the same name that was or will be sent, and that no other content follows there. */
    twin: (row: Pick<DeliveryRow, 'rule' | 'destination' | 'username' | 'path' | 'sha256' | 'transfer_id'> & { since: number }) =>
      q.twin.get(row) as string | undefined,
    release: (transfer: string, at: number) => q.release.run({ transfer, at }).changes,
    /** Dead before its first attempt. */
    refuse: (id: string, error: ErrorRecord, at: number) => void q.refuse.run(JSON.stringify(error), at, id),
    /** Moves the first attempt of what was just released. */
    reschedule: (transfer: string, at: number) => q.hold.run({ transfer, at }).changes,
    withdraw: (transfer: string, path: string) => q.withdraw.run(transfer, path).changes,
    withdrawAll: (transfer: string) => q.withdrawAll.run(transfer).changes,
    suspect: (transfer: string, error: ErrorRecord, at: number) => q.suspect.run(JSON.stringify(error), at, transfer).changes,
    due: (destination: string, now: number, limit: number) => q.dueAt.all(destination, now, limit) as DeliveryRow[],
    /** Those that ran when the forwarder's thread ended. */
    suspected: (now: number) => q.suspected.all(now) as DeliveryRow[],
    /** When the next one becomes due; those that are due already wait for something else than time. */
    nextDue: (now: number) => q.nextDue.get(now) as number | null,
    start(id: string, at: number, worker: string): DeliveryRow {
      const row = q.start.get({ id, at }) as DeliveryRow | undefined
      if (!row) throw new LostRace(`delivery ${id} is not waiting`)
      q.attempt.run(id, row.attempt, at, worker)
      return row
    },
    delivered(id: string, attempt: number, at: number, receipt: Omit<ReceiptRow, 'delivery_id' | 'at'>) {
      must(q.delivered.run({ id, attempt, at }).changes, `delivery ${id} is not running attempt ${attempt}`)
      q.attemptEnd.run(at, 1, null, id, attempt)
      q.receipt.run({ ...receipt, delivery_id: id, at })
    },
    /** @param free the attempt does not count against the limit: the whole destination was in trouble */
    failed(id: string, attempt: number, at: number, error: ErrorRecord, unclear: boolean, nextAt: number | null, free = false) {
      const row = { id, attempt, at, error: JSON.stringify(error), unclear: unclear ? 1 : 0 }
      const { changes } = nextAt === null ? q.dead.run(row) : q.retrying.run({ ...row, next_at: nextAt, free: free ? 1 : 0 })
      must(changes, `delivery ${id} is not running attempt ${attempt}`)
      q.attemptEnd.run(at, 0, JSON.stringify(error), id, attempt)
    },
    /** The attempt did not count (shutdown, worker crash). */
    giveBack(id: string, attempt: number, at: number, unclear: boolean) {
      must(q.giveBack.run({ id, attempt, at, unclear: unclear ? 1 : 0 }).changes, `delivery ${id} is not running attempt ${attempt}`)
      q.attemptDrop.run(id, attempt)
    },
    /** Why it waits still, though its attempt came to an end that did not count. */
    reason: (id: string, error: ErrorRecord) => void q.reason.run(JSON.stringify(error), id),
    crashed: (id: string) => void q.crashed.run(id),
    /** @param deaths of the whole process, in a row. @param suspect it runs alone from now on */
    died: (id: string, deaths: number, suspect: boolean) => void q.died.run(deaths, suspect ? 1 : 0, id),
    /** Gives up what has waited since before `cut`, at most 500 at a time. @returns their ids */
    expire(destination: string, cut: number, error: ErrorRecord, at: number): string[] {
      // ids begin with their time: what is younger is not even looked at
      const ids = (['pending', 'retrying'] as const).flatMap(
        (state) => q.overdue.all({ destination, state, cut, before: newId(cut).slice(0, 10) }) as string[],
      )
      for (const id of ids) q.expire.run({ id, at, error: JSON.stringify(error) })
      return ids
    },
    /** The next `count` of a destination may have been sent already: they are looked for first. */
    doubt: (destination: string, count: number) => void q.doubt.run(destination, count),
    running: () => q.running.all() as DeliveryRow[],
    /** By hand: numbers go on, but the limits on attempts and age begin anew. */
    again: (id: string, at: number) => q.again.run({ id, at }).changes === 1,
    /** A later version that is at the far side under that name already: this one would undo it. */
    newerDelivered: (id: string) => q.newerDelivered.get(id) as string | undefined,
    /** One that runs may have reached the far side all the same: a retry looks first. */
    cancel(id: string, at: number) {
      q.attemptCancel.run(at, CANCELLED, id)
      return q.cancel.run(at, id).changes === 1
    },
    get: (id: string) => q.get.get(id) as DeliveryRow | undefined,
    /** What a delivery of this transfer sends: where it lies, and since when it is whole, ms. */
    content: (transfer: string) => q.content.get(transfer) as { spool: Buffer | null; at: number } | undefined,
    ofTransfer: (transfer: string) => q.ofTransfer.all(transfer) as DeliveryRow[],
    /**
     * How far a transfer's deliveries are, in one look: how many still need the spooled content (dead ones may be retried), how many were not delivered, and whether
     * a rule wants the partner's file deleted or archived (0, 1; null without deliveries).
     */
    ends: (transfer: string) =>
      q.ends.get(transfer) as { unfinished: number; undelivered: number; delete: number | null; archive: number | null },
    /** What of one state an act on many is about, in order; its rule is not a filter, as no index bounds that. */
    looked: (filter: { state: DeliveryState; destination?: string | undefined; after: string }, limit: number) =>
      q.looked({ ...filter, limit }),
    /** Newest first; what no index answers alone is looked for in steps, so that nobody waits for it. */
    async list(query: DeliveryQuery): Promise<DeliveryRow[]> {
      const wanted = { ...query, q: query.q ? likePattern(query.q) : undefined }
      const { state, rule, destination } = query
      const byIndex = !query.q && (rule === undefined || (state === undefined && destination === undefined))
      if (byIndex && (state !== undefined || destination === undefined)) return q.list(wanted)
      // the index of destinations goes by state
      if (byIndex)
        return DELIVERY_STATES.flatMap((one) => q.list({ ...wanted, state: one }))
          .sort((a, b) => (a.id < b.id ? 1 : -1))
          .slice(0, query.limit)
      return searchInSteps<DeliveryRow, string>(
        query.limit,
        query.before,
        (before, from, limit) => q.list({ ...wanted, before, from, limit }),
        (before, rows) => (q.floor.get(before ?? '~', rows) as string | undefined) ?? null,
      )
    },
    attempts: (id: string) => q.attempts.all(id) as AttemptRow[],
    receipt: (id: string) => q.receiptOf.get(id) as ReceiptRow | undefined,
    counts(): QueueCounts {
      const counts = { pending: 0, running: 0, retrying: 0, dead: 0 }
      for (const row of q.counts.all() as { state: keyof typeof counts; n: number }[]) if (row.state in counts) counts[row.state] = row.n
      return { ...counts, oldest: (q.oldest.get() as number | undefined) ?? null }
    },
    health(destination: string) {
      const by: Partial<Record<DeliveryState, number>> = {}
      for (const row of q.ofDestination.all(destination) as { state: DeliveryState; n: number }[]) by[row.state] = row.n
      const errors = ['retrying', 'dead'].map((state) => q.lastError.get(destination, state) as LastError | undefined)
      const [last] = errors.filter((row) => row?.error_json != null).sort((a, b) => (a!.id < b!.id ? 1 : -1))
      return {
        ...{ pending: 0, running: 0, retrying: 0, delivered: 0, dead: 0 },
        ...by,
        oldest_pending_at: (q.oldestOf.get(destination) as number | undefined) ?? null,
        last_error: last ? { ...(JSON.parse(last.error_json!) as ErrorRecord), at: last.updated_at } : null,
        last_delivered_at: q.lastDelivered.get(destination) as number | undefined,
      }
    },
    countWaitingFor(destination: string): number {
      const rows = q.ofDestination.all(destination) as { state: DeliveryState; n: number }[]
      return rows.reduce((sum, { state, n }) => sum + (WAITING.has(state) ? n : 0), 0)
    },
    breakers: {
      all: () => q.breakers.all() as BreakerRow[],
      put: (row: BreakerRow) => void q.putBreaker.run(row),
      remove: (destination: string) => void q.removeBreaker.run(destination),
    },
  }
}
