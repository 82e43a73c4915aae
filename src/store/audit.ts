// The audit log: append-only, each row bound to the one before it by a hash.
// Must not change a row, nor remove one but from the beginning, by retention, in the open.
import { createHash } from 'node:crypto'
import type { AuditView } from '../core/views.ts'
import type { AuditHead, Head } from './audit-head.ts'
import type { Sqlite } from './database.ts'
import { filteredList, likePattern, searchInSteps } from './filter.ts'

export interface AuditEvent {
  readonly at: number
  /** A partner's user as `user:NAME`, an admin by name, `gateway` for its own acts. */
  readonly actor: string
  readonly address: string
  /** `login`, `upload`, `delivery.attempt`, `user.disable` … */
  readonly action: string
  readonly object: string
  readonly outcome: 'ok' | 'refused' | 'failed'
  readonly detail?: Readonly<Record<string, unknown>>
}

interface AuditRow {
  seq: number
  at: number
  actor: string
  address: string
  action: string
  object: string
  outcome: AuditEvent['outcome']
  detail_json: string
  previous: string
  hash: string
}

export interface AuditFilter {
  readonly actor?: string | undefined
  readonly action?: string | undefined
  readonly outcome?: AuditEvent['outcome'] | undefined
  /** ms, both included. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly q?: string | undefined
  readonly before?: number | undefined
  readonly limit: number
}

export interface AuditVerdict {
  readonly ok: boolean
  /** Rows looked at. */
  readonly rows: number
  /** The first row that does not fit, or null. */
  readonly broken: number | null
  /** Rows before this one were removed by retention; 1 when none were. */
  readonly first: number
}

export interface AuditLog {
  append(event: AuditEvent): void
  /** Newest first. */
  list(filter: AuditFilter): AuditView[]
  /** As list, but what no index answers (text, times) is looked for in steps, so that nobody waits for it. */
  search(filter: AuditFilter): Promise<AuditView[]>
  /** Those after `seq`, oldest first. */
  after(seq: number, limit: number): AuditView[]
  /** Walks the whole chain at once. */
  verify(): AuditVerdict
  /** The same in steps between which the thread is free for others. */
  verifyInSteps(): Promise<AuditVerdict>
  /**
   * Removes at most `most` rows from before `before` (ms) at the beginning; the chain is anchored where they end, and a row says so.
   * @returns how many went
   */
  prune(before: number, now: number, most: number): number
  /**
   * Puts down where the log ends, once `settle` says that no power loss takes back what is written now. A head that was put down and
   * is not in the log any more stays: it is what `verify` goes by.
   */
  noteHead(settle: () => boolean): void
}

/** Rows checked before the thread is given back. */
const STEP_ROWS = 500
const PRUNE = 'audit.prune'

const hashOf = (row: Omit<AuditRow, 'hash'>): string =>
  createHash('sha256')
    .update(JSON.stringify([row.previous, row.seq, row.at, row.actor, row.address, row.action, row.object, row.outcome, row.detail_json]))
    .digest('hex')

const viewOf = (row: AuditRow): AuditView => ({
  seq: row.seq,
  at: new Date(row.at).toISOString(),
  actor: row.actor,
  address: row.address,
  action: row.action,
  object: row.object,
  outcome: row.outcome,
  detail: JSON.parse(row.detail_json) as Record<string, unknown>,
  hash: row.hash,
})

type Anchor = Head
const BEGINNING: Anchor = { seq: 0, hash: '' }

/** @param heads where the log ended before; without it, what is cut off the end cannot be missed */
export function createAuditLog(db: Sqlite, heads?: AuditHead): AuditLog {
  const last = db.prepare('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1')
  const insert = db.prepare(
    'INSERT INTO audit VALUES (@seq, @at, @actor, @address, @action, @object, @outcome, @detail_json, @previous, @hash)',
  )
  const after = db.prepare('SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?')
  const list = filteredList<AuditRow>(
    db,
    'SELECT * FROM audit',
    {
      before: 'seq < @before',
      from: 'seq >= @from',
      actor: 'actor = @actor',
      action: 'action = @action',
      outcome: 'outcome = @outcome',
      since: 'at >= @since',
      until: 'at <= @until',
      q: "(object LIKE @q ESCAPE '\\' OR actor LIKE @q ESCAPE '\\' OR address LIKE @q ESCAPE '\\' OR action LIKE @q ESCAPE '\\')",
    },
    'ORDER BY seq DESC',
  )
  const getAnchor = db.prepare('SELECT seq, hash FROM audit_anchor')
  const setAnchor = db.prepare('INSERT OR REPLACE INTO audit_anchor VALUES (1, @seq, @hash)')
  const firstYoung = db.prepare('SELECT seq FROM audit WHERE seq <= ? AND at >= ? ORDER BY seq LIMIT 1').pluck()
  const hashAt = db.prepare('SELECT hash FROM audit WHERE seq = ?').pluck()
  const dropTo = db.prepare('DELETE FROM audit WHERE seq <= ?')
  const lastPrune = db
    .prepare(`SELECT detail_json FROM audit WHERE action = '${PRUNE}' AND actor = 'gateway' ORDER BY seq DESC LIMIT 1`)
    .pluck()

  const anchor = (): Anchor => (getAnchor.get() as Anchor | undefined) ?? BEGINNING
  const append = (event: AuditEvent): void => {
    const tail = (last.get() as Anchor | undefined) ?? anchor()
    const row = {
      seq: tail.seq + 1,
      at: event.at,
      // what SQLite cannot store as it is would not fit its hash any more when it is read back
      actor: event.actor.toWellFormed(),
      address: event.address.toWellFormed(),
      action: event.action,
      object: event.object.toWellFormed(),
      outcome: event.outcome,
      detail_json: JSON.stringify(event.detail ?? {}),
      previous: tail.hash,
    }
    insert.run({ ...row, hash: hashOf(row) })
  }
  /** An anchor that nobody recorded in the chain was put there by hand. */
  const anchorIsTold = ({ seq, hash }: Anchor): boolean => {
    if (seq === 0) return true
    const told = lastPrune.get() as string | undefined
    if (told === undefined) return false
    const detail = JSON.parse(told) as { through?: unknown; hash?: unknown }
    return detail.through === seq && detail.hash === hash
  }

  const wanted = (filter: AuditFilter) => ({ ...filter, q: filter.q ? likePattern(filter.q) : undefined })

  function* walk(): Generator<void, AuditVerdict> {
    const start = anchor()
    const first = start.seq + 1
    let { seq, hash: previous } = start
    const head = heads?.read() ?? null
    const verdict = (broken: number | null): AuditVerdict => ({ ok: broken === null, rows: seq - start.seq, broken, first })
    if (head === 'unreadable') return verdict(first)
    if (!anchorIsTold(start)) return verdict(first)
    for (;;) {
      const rows = after.all(seq, STEP_ROWS) as AuditRow[]
      for (const row of rows) {
        seq++
        // what retention took while this walk was under way is no break
        if (row.seq !== seq && anchor().seq !== start.seq) return yield* walk()
        if (row.seq !== seq || row.previous !== previous || row.hash !== hashOf(row)) return verdict(row.seq)
        // the whole rest was written anew, with hashes that fit
        if (row.seq === head?.seq && row.hash !== head.hash) return verdict(row.seq)
        previous = row.hash
      }
      if (rows.length < STEP_ROWS) return verdict(head !== null && head.seq > seq ? seq + 1 : null)
      yield
    }
  }

  /** Whether the log still has that row, or lost it to retention. */
  const holds = (head: Head): boolean => head.seq <= anchor().seq || hashAt.get(head.seq) === head.hash

  return {
    append,
    noteHead(settle) {
      if (!heads) return
      const end = last.get() as Head | undefined
      const before = heads.read()
      const grown = before === null || (before !== 'unreadable' && before.seq !== end?.seq && holds(before))
      if (end !== undefined && grown && settle()) heads.write(end)
    },
    list: (filter) => list(wanted(filter)).map(viewOf),
    async search(filter) {
      const indexed = filter.actor === undefined || filter.action === undefined
      if (!filter.q && indexed && filter.outcome === undefined && filter.since === undefined && filter.until === undefined)
        return list(wanted(filter)).map(viewOf)
      const newest = ((last.get() as Anchor | undefined)?.seq ?? 0) + 1
      const rows = await searchInSteps<AuditRow, number>(
        filter.limit,
        filter.before ?? newest,
        (before, from, limit) => list({ ...wanted(filter), before, from, limit }),
        (before, count) => (before! - count > 1 ? before! - count : null),
      )
      return rows.map(viewOf)
    },
    after: (seq, limit) => (after.all(seq, limit) as AuditRow[]).map(viewOf),
    verify() {
      const steps = walk()
      for (;;) {
        const step = steps.next()
        if (step.done) return step.value
      }
    },
    async verifyInSteps() {
      const steps = walk()
      for (;;) {
        const step = steps.next()
        if (step.done) return step.value
        await new Promise(setImmediate)
      }
    },
    prune(before, now, most) {
      const start = anchor()
      const furthest = Math.min(start.seq + most, (last.get() as Anchor | undefined)?.seq ?? start.seq)
      const young = firstYoung.get(furthest, before) as number | undefined
      const through = young === undefined ? furthest : young - 1
      if (through <= start.seq) return 0
      const hash = hashAt.get(through) as string
      const removed = dropTo.run(through).changes
      setAnchor.run({ seq: through, hash })
      append({
        at: now,
        actor: 'gateway',
        address: '',
        action: PRUNE,
        object: 'audit',
        outcome: 'ok',
        detail: { through, hash, rows: removed },
      })
      return removed
    },
  }
}
