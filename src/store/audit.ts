// The audit log: append-only, each row bound to the one before it by a hash.
// Must not change or remove a row.
import { createHash } from 'node:crypto'
import type { AuditView } from '../core/views.ts'
import type { Sqlite } from './database.ts'

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
  readonly actor?: string
  readonly action?: string
  readonly since?: number
  readonly q?: string
  readonly before?: number
  readonly limit: number
}

export interface AuditLog {
  append(event: AuditEvent): void
  list(filter: AuditFilter): AuditView[]
  /** Walks the whole chain. `broken` is the first row that does not fit. */
  verify(): { ok: boolean; rows: number; broken: number | null }
}

const hashOf = (row: Omit<AuditRow, 'hash'>): string =>
  createHash('sha256')
    .update(JSON.stringify([row.previous, row.seq, row.at, row.actor, row.address, row.action, row.object, row.outcome, row.detail_json]))
    .digest('hex')

export function createAuditLog(db: Sqlite): AuditLog {
  const last = db.prepare('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1')
  const insert = db.prepare(
    'INSERT INTO audit VALUES (@seq, @at, @actor, @address, @action, @object, @outcome, @detail_json, @previous, @hash)',
  )
  const all = db.prepare('SELECT * FROM audit ORDER BY seq')
  const list =
    db.prepare(`SELECT * FROM audit WHERE seq < @before AND (@actor IS NULL OR actor = @actor) AND (@action IS NULL OR action = @action)
    AND at >= @since AND (@q IS NULL OR object LIKE @q ESCAPE '\\' OR actor LIKE @q ESCAPE '\\') ORDER BY seq DESC LIMIT @limit`)
  return {
    append(event) {
      const tail = last.get() as { seq: number; hash: string } | undefined
      const row = {
        seq: (tail?.seq ?? 0) + 1,
        at: event.at,
        // what SQLite cannot store as it is would not fit its hash any more when it is read back
        actor: event.actor.toWellFormed(),
        address: event.address.toWellFormed(),
        action: event.action,
        object: event.object.toWellFormed(),
        outcome: event.outcome,
        detail_json: JSON.stringify(event.detail ?? {}),
        previous: tail?.hash ?? '',
      }
      insert.run({ ...row, hash: hashOf(row) })
    },
    list(filter) {
      const rows = list.all({
        before: filter.before ?? Number.MAX_SAFE_INTEGER,
        actor: filter.actor ?? null,
        action: filter.action ?? null,
        since: filter.since ?? 0,
        q: filter.q ? likePattern(filter.q) : null,
        limit: filter.limit,
      }) as AuditRow[]
      return rows.map((row) => ({
        seq: row.seq,
        at: new Date(row.at).toISOString(),
        actor: row.actor,
        address: row.address,
        action: row.action,
        object: row.object,
        outcome: row.outcome,
        detail: JSON.parse(row.detail_json) as Record<string, unknown>,
        hash: row.hash,
      }))
    },
    verify() {
      let previous = ''
      let seq = 0
      for (const row of all.iterate() as IterableIterator<AuditRow>) {
        seq++
        if (row.seq !== seq || row.previous !== previous || row.hash !== hashOf(row)) return { ok: false, rows: seq, broken: row.seq }
        previous = row.hash
      }
      return { ok: true, rows: seq, broken: null }
    },
  }
}

/** A LIKE pattern that finds `text` anywhere, its wildcards taken literally (escape character `\`). */
export const likePattern = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`
