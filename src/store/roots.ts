// Where the configured folders were in the last run, and the real paths in rows that move with them.
// Must not look at a disk; intake/relocate.ts does.
import type { Sqlite } from './database.ts'

/** Paths of partners' files, and of what lies in vaults. */
export type PathKind = 'file' | 'vault'

/** All that lay below `from` lies below `to` now. */
export interface Move {
  readonly from: string
  readonly to: string
}

/** Columns that hold real paths, as bytes. */
const PATHS = [
  ['transfers', 'staging', 'vault'],
  ['transfers', 'final', 'file'],
  ['transfers', 'spool', 'vault'],
  ['renames', 'final', 'file'],
  ['renames', 'source', 'file'],
  ['other_names', 'final', 'file'],
] as const

export function createRoots(db: Sqlite) {
  const all = db.prepare('SELECT name, path FROM roots')
  const put = db.prepare('INSERT OR REPLACE INTO roots VALUES (?, ?)')

  /** The first move that fits a path takes it, and no other after that: one folder may go where another one was. */
  const moveColumn = (table: string, column: string, moves: readonly Move[]): number => {
    const within = (i: number): string => `${column} >= @first${i} AND ${column} < @end${i}`
    const cases = moves.map((_, i) => `WHEN ${within(i)} THEN CAST(@to${i} || substr(${column}, @length${i} + 1) AS BLOB)`)
    const values = moves.map(({ from, to }, i) => ({
      [`to${i}`]: Buffer.from(to),
      [`length${i}`]: Buffer.byteLength(from),
      [`first${i}`]: Buffer.from(`${from}/`),
      [`end${i}`]: Buffer.from(`${from}0`),
    }))
    return db
      .prepare(
        `UPDATE OR REPLACE ${table} SET ${column} = CASE ${cases.join(' ')} END WHERE ${moves.map((_, i) => `(${within(i)})`).join(' OR ')}`,
      )
      .run(Object.assign({}, ...values)).changes
  }

  return {
    known: () => new Map((all.all() as { name: string; path: Buffer }[]).map(({ name, path }) => [name, path.toString()])),
    put: (name: string, path: string) => void put.run(name, Buffer.from(path)),
    /** Joins the caller's transaction. @returns how many paths */
    move(moves: Readonly<Record<PathKind, readonly Move[]>>): number {
      return PATHS.reduce(
        (count, [table, column, kind]) => (moves[kind].length === 0 ? count : count + moveColumn(table, column, moves[kind])),
        0,
      )
    },
  }
}
