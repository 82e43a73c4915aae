// Rows of sessions, transfers and renames; every change of state is a guarded UPDATE.
// Must not decide what a state means; intake/ and gatekeeper/ do.
import { newId } from '../core/clock.ts'
import type { Direction, Origin, TransferState } from '../core/transfer.ts'
import type { Sqlite } from './database.ts'
import { filteredList, likePattern, searchInSteps } from './filter.ts'
import type { PathColumns } from './row-path.ts'

export interface SessionRow {
  id: string
  username: string
  protocol: Origin
  address: string
  port: number
  method: string
  client: string
  state: 'open' | 'closed' | 'aborted'
  started_at: number
  ended_at: number | null
  reason: string | null
}

export interface TransferRow {
  id: string
  session_id: string
  username: string
  partner: string
  protocol: Origin
  address: string
  direction: Direction
  path: string
  path_bytes: Buffer | null
  state: TransferState
  start_offset: number
  bytes: number
  sha256: string | null
  started_at: number
  committed_at: number | null
  commit_order: number | null
  ended_at: number | null
  staging: Buffer | null
  final: Buffer | null
  spool: Buffer | null
  evidence_json: string | null
  error_json: string | null
}

export interface RenameRow {
  id: string
  session_id: string
  transfer_id: string
  from_path: string
  to_path: string
  to_path_bytes: Buffer | null
  inode: string
  final: Buffer
  at: number
  /** The real path before; null in rows of an earlier version. */
  source: Buffer | null
  /** A second name: the first one stays. */
  keeps: 0 | 1
}

export interface TransferQuery {
  readonly user?: string | undefined
  readonly state?: string | undefined
  readonly direction?: string | undefined
  readonly protocol?: string | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly session?: string | undefined
  readonly q?: string | undefined
  readonly before?: string | undefined
  readonly limit: number
}

export interface CommitRow extends PathColumns {
  readonly id: string
  readonly bytes: number
  readonly sha256: string
  readonly staging: Uint8Array
  readonly final: Uint8Array
  readonly spool: Uint8Array | null
  readonly evidence: readonly string[]
  readonly at: number
}

/** An upload that comes with all that is known of it. */
export interface ArrivalRow extends CommitRow {
  readonly session_id: string
  readonly username: string
  readonly partner: string
  readonly protocol: Origin
  readonly address: string
  readonly start_offset: number
  readonly started_at: number
  /** When its name held the file; null: not yet. */
  readonly published_at: number | null
}

const FILTERS = ['user', 'state', 'direction', 'protocol', 'session', 'q'] as const
/** Any one of them is answered by its index alone, however few fit. */
const INDEXED: ReadonlySet<(typeof FILTERS)[number]> = new Set(['user', 'state', 'session'] as const)

/** A guarded UPDATE that hit nothing: someone else was first, or the row is not what the caller believes. */
export class LostRace extends Error {}

const must = (changes: number, what: string): void => {
  if (changes !== 1) throw new LostRace(what)
}

export function createTransferRows(db: Sqlite) {
  const q = {
    openSession: db.prepare(
      "INSERT INTO sessions VALUES (@id, @username, @protocol, @address, @port, @method, @client, 'open', @started_at, NULL, NULL)",
    ),
    endSession: db.prepare("UPDATE sessions SET state = ?, ended_at = ?, reason = ? WHERE id = ? AND state = 'open'"),
    getSession: db.prepare('SELECT * FROM sessions WHERE id = ?'),
    openSessions: db.prepare("SELECT * FROM sessions WHERE state = 'open'"),
    begin:
      db.prepare(`INSERT INTO transfers (id, session_id, username, partner, protocol, address, direction, path, path_bytes, state, start_offset, started_at)
      SELECT @id, id, username, @partner, protocol, address, @direction, @path, @path_bytes, 'open', @start_offset, @started_at FROM sessions WHERE id = @session_id AND state = 'open'`),
    arrive: db
      .prepare(`INSERT INTO transfers (id, session_id, username, partner, protocol, address, direction, path, path_bytes, state, start_offset, bytes, sha256, started_at, committed_at,
      commit_order, ended_at, staging, final, spool, evidence_json)
      VALUES (@id, @session_id, @username, @partner, @protocol, @address, 'upload', @path, @path_bytes, @state, @start_offset, @bytes, @sha256, @started_at, @at,
      (SELECT coalesce(max(commit_order), 0) + 1 FROM transfers WHERE commit_order IS NOT NULL), @published_at, @staging, @final, @spool, @evidence) RETURNING commit_order`)
      .pluck(),
    adoptSession: db.prepare(
      "INSERT OR IGNORE INTO sessions VALUES (@id, @username, @protocol, @address, 0, '', '', 'aborted', @started_at, @started_at, @reason)",
    ),
    commit:
      db.prepare(`UPDATE transfers SET state = 'committing', path = @path, path_bytes = @path_bytes, bytes = @bytes, sha256 = @sha256, staging = @staging, final = @final, spool = @spool, evidence_json = @evidence,
      committed_at = @at, commit_order = (SELECT coalesce(max(commit_order), 0) + 1 FROM transfers WHERE commit_order IS NOT NULL) WHERE id = @id AND state = 'open'`),
    renameOpen: db.prepare(
      "UPDATE transfers SET path = @path, path_bytes = @path_bytes WHERE id = @id AND direction = 'upload' AND state = 'open'",
    ),
    publish: db.prepare("UPDATE transfers SET state = 'completed', ended_at = ?, staging = NULL WHERE id = ? AND state = 'committing'"),
    trust: db.prepare("UPDATE transfers SET state = 'completed' WHERE id = ? AND state = 'suspect'"),
    suspect: db.prepare("UPDATE transfers SET state = 'suspect' WHERE id = ? AND state = 'completed'"),
    complete: db.prepare("UPDATE transfers SET state = 'completed', ended_at = ?, bytes = ?, sha256 = ? WHERE id = ? AND state = 'open'"),
    abort: db.prepare(
      "UPDATE transfers SET state = 'aborted', ended_at = ?, bytes = ?, error_json = ?, staging = NULL WHERE id = ? AND state IN ('open', 'committing')",
    ),
    get: db.prepare('SELECT * FROM transfers WHERE id = ?'),
    unfinished: db.prepare(
      'SELECT * FROM transfers WHERE state = ? AND (commit_order IS NULL OR commit_order > ?) ORDER BY commit_order, id LIMIT 1000',
    ),
    laterAt: db.prepare("SELECT 1 FROM transfers WHERE final = ? AND commit_order > ? AND state <> 'aborted' LIMIT 1").pluck(),
    uploadsSince: db.prepare(
      "SELECT * FROM transfers WHERE id >= @since AND id < @before AND direction = 'upload' AND commit_order IS NOT NULL AND state IN ('completed', 'suspect') ORDER BY id DESC LIMIT @limit",
    ),
    lastAt: db.prepare(
      "SELECT * FROM transfers WHERE final = ? AND commit_order IS NOT NULL AND protocol <> 'watch' AND state IN ('completed', 'committing', 'suspect') ORDER BY commit_order DESC LIMIT 1",
    ),
    byOtherName: db.prepare(
      'SELECT t.*, o.since FROM other_names o JOIN transfers t ON t.id = o.transfer_id WHERE o.final = @final AND o.inode = @inode',
    ),
    addOtherName: db.prepare(
      'INSERT OR REPLACE INTO other_names SELECT @final, @inode, max(commit_order), @id FROM transfers WHERE commit_order IS NOT NULL',
    ),
    isSpooled: db.prepare('SELECT 1 FROM transfers WHERE spool = ? LIMIT 1').pluck(),
    spooled: db.prepare('SELECT id, spool FROM transfers WHERE spool IS NOT NULL'),
    setSpool: db.prepare('UPDATE transfers SET spool = ? WHERE id = ?'),
    list: filteredList<TransferRow>(
      db,
      'SELECT * FROM transfers',
      {
        before: 'id < @before',
        from: 'id >= @from',
        since: 'id >= @since',
        until: 'id < @until',
        session: 'session_id = @session',
        user: 'username = @user',
        state: 'state = @state',
        direction: 'direction = @direction',
        protocol: 'protocol = @protocol',
        q: "path LIKE @q ESCAPE '\\'",
      },
      'ORDER BY id DESC',
    ),
    floor: db.prepare('SELECT id FROM transfers WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?').pluck(),
    ofSession: db.prepare("SELECT * FROM transfers WHERE session_id = ? AND state IN ('open', 'committing')"),
    today: db.prepare(
      "SELECT count(*) AS n, coalesce(sum(CASE direction WHEN 'upload' THEN bytes END), 0) AS bytes_in, coalesce(sum(CASE direction WHEN 'download' THEN bytes END), 0) AS bytes_out FROM transfers WHERE id >= ? AND state = 'completed'",
    ),
    countOpen: db.prepare("SELECT count(*) FROM transfers WHERE state IN ('open', 'committing')").pluck(),
    addRename: db.prepare(
      'INSERT INTO renames VALUES (@id, @session_id, @transfer_id, @from_path, @to_path, @to_path_bytes, @inode, @final, @at, @source, @keeps)',
    ),
    moved: db.prepare(
      'UPDATE transfers SET path = ?, path_bytes = ?, final = ?, commit_order = (SELECT max(commit_order) + 1 FROM transfers WHERE commit_order IS NOT NULL) WHERE id = ?',
    ),
    takeRename: db.prepare('DELETE FROM renames WHERE id = ? RETURNING *'),
    renames: db.prepare('SELECT * FROM renames WHERE @session IS NULL OR session_id = @session ORDER BY id'),
    settled: db
      .prepare(
        "SELECT id FROM transfers t WHERE spool IS NOT NULL AND state NOT IN ('open', 'committing') AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.transfer_id = t.id AND d.state NOT IN ('delivered', 'cancelled'))",
      )
      .pluck(),
  }
  return {
    openSession: (row: Omit<SessionRow, 'state' | 'ended_at' | 'reason'>) => void q.openSession.run(row),
    endSession: (id: string, state: 'closed' | 'aborted', at: number, reason: string) =>
      q.endSession.run(state, at, reason, id).changes === 1,
    getSession: (id: string) => q.getSession.get(id) as SessionRow | undefined,
    openSessions: () => q.openSessions.all() as SessionRow[],
    begin(
      row: PathColumns & {
        id: string
        session_id: string
        partner: string
        direction: Direction
        start_offset: number
        started_at: number
      },
    ) {
      must(q.begin.run(row).changes, `session ${row.session_id} is not open`)
    },
    /** Committing, or completed at once. @returns its place in the order of commits */
    arrive(row: ArrivalRow): number {
      const done = row.published_at !== null
      return q.arrive.get({
        ...row,
        state: done ? 'completed' : 'committing',
        staging: done ? null : row.staging,
        evidence: JSON.stringify(row.evidence),
      }) as number
    },
    /** For a transfer whose session's row a power loss took. */
    adoptSession: (row: Pick<SessionRow, 'id' | 'username' | 'protocol' | 'address' | 'started_at' | 'reason'>) =>
      void q.adoptSession.run(row),
    commit(row: CommitRow) {
      must(q.commit.run({ ...row, evidence: JSON.stringify(row.evidence) }).changes, `transfer ${row.id} is not open`)
    },
    /** @returns false for one that has ended, or is being committed: that says its name itself */
    renameOpen: (row: PathColumns & { readonly id: string }) => q.renameOpen.run(row).changes === 1,
    publish: (id: string, at: number) => must(q.publish.run(at, id).changes, `transfer ${id} is not committing`),
    /** The partner itself speaks for a suspect upload. */
    trust: (id: string) => void q.trust.run(id),
    suspect: (id: string) => q.suspect.run(id).changes === 1,
    complete: (id: string, at: number, bytes: number, sha256: string | null) => q.complete.run(at, bytes, sha256, id).changes === 1,
    abort: (id: string, at: number, bytes: number, error: unknown) => q.abort.run(at, bytes, JSON.stringify(error), id).changes === 1,
    get: (id: string) => q.get.get(id) as TransferRow | undefined,
    /** In commit order, a thousand at a time. */
    unfinished: (state: 'open' | 'committing', afterOrder = -1) => q.unfinished.all(state, afterOrder) as TransferRow[],
    hasLaterAt: (final: Uint8Array, order: number) => q.laterAt.get(final, order) === 1,
    /** What came last to this real path by a protocol. */
    lastAt: (final: Uint8Array) => q.lastAt.get(final) as TransferRow | undefined,
    /** What has this real path for another name of its file. */
    byOtherName: (final: Uint8Array, inode: string) => q.byOtherName.get({ final, inode }) as (TransferRow & { since: number }) | undefined,
    addOtherName: (final: Uint8Array, inode: string, id: string) => void q.addOtherName.run({ final, inode, id }),
    /** Whole uploads begun since then (ms), newest first, older than `before`. */
    uploadsSince: (since: number, before: string | undefined, limit: number) =>
      q.uploadsSince.all({ since: newId(Math.max(0, since)).slice(0, 10), before: before ?? '~', limit }) as TransferRow[],
    /** Whether some transfer's content is at this real path. */
    isSpooled: (path: Uint8Array) => q.isSpooled.get(path) === 1,
    /** All that have content somewhere. */
    spooled: () => q.spooled.all() as { id: string; spool: Buffer }[],
    setSpool: (id: string, spool: Uint8Array | null) => void q.setSpool.run(spool, id),
    list(query: TransferQuery): TransferRow[] | Promise<TransferRow[]> {
      // ids begin with their time
      const since = query.since === undefined ? undefined : newId(query.since).slice(0, 10)
      const until = query.until === undefined ? undefined : newId(query.until).slice(0, 10)
      const wanted = { ...query, since, until, q: query.q ? likePattern(query.q) : undefined }
      const filters = FILTERS.filter((key) => wanted[key] !== undefined)
      if (filters.length === 0 || (filters.length === 1 && INDEXED.has(filters[0]!))) return q.list(wanted)
      return searchInSteps<TransferRow, string>(
        query.limit,
        until !== undefined && (query.before === undefined || until < query.before) ? until : query.before,
        (before, from, limit) => q.list({ ...wanted, before, from, limit }),
        (before, rows) => {
          const floor = (q.floor.get(before ?? '~', rows) as string | undefined) ?? null
          return floor !== null && since !== undefined && floor < since ? null : floor
        },
      )
    },
    runningOf: (sessionId: string) => q.ofSession.all(sessionId) as TransferRow[],
    since: (id: string) => q.today.get(id) as { n: number; bytes_in: number; bytes_out: number },
    countOpen: () => q.countOpen.get() as number,
    addRename: (row: RenameRow) => void q.addRename.run(row),
    /** From now on the name is its, whatever was committed to it before. */
    moved: (id: string, path: string, pathBytes: Uint8Array | null, final: Uint8Array) => void q.moved.run(path, pathBytes, final, id),
    takeRename: (id: string) => q.takeRename.get(id) as RenameRow | undefined,
    /** Those under way: of one session, or (null) all. */
    renames: (session: string | null) => q.renames.all({ session }) as RenameRow[],
    /** Transfers whose content is still kept though no delivery needs it. */
    spooledForNothing: () => q.settled.all() as string[],
  }
}
