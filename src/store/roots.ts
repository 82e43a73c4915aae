// Where the configured folders were in the last run, and the real paths in rows that move with them.
// Must not look at a disk; intake/relocate.ts does.
import type { Sqlite } from './database.ts'

/** Columns that hold real paths, as bytes. */
const PATHS = {
  transfers: ['staging', 'final', 'spool'],
  renames: ['final', 'source'],
  other_names: ['final'],
} as const

export function createRoots(db: Sqlite) {
  const all = db.prepare('SELECT name, path FROM roots')
  const put = db.prepare('INSERT OR REPLACE INTO roots VALUES (?, ?)')
  const moves = Object.entries(PATHS).flatMap(([table, columns]) =>
    columns.map((column) =>
      db.prepare(
        `UPDATE OR REPLACE ${table} SET ${column} = CAST(@to || substr(${column}, @length + 1) AS BLOB) WHERE ${column} >= @first AND ${column} < @end`,
      ),
    ),
  )
  return {
    known: () => new Map((all.all() as { name: string; path: Buffer }[]).map(({ name, path }) => [name, path.toString()])),
    put: (name: string, path: string) => void put.run(name, Buffer.from(path)),
    /** All that lies below `from` lies below `to` now. Joins the caller's transaction. @returns how many paths */
    move(from: string, to: string): number {
      const values = { to: Buffer.from(to), length: Buffer.byteLength(from), first: Buffer.from(`${from}/`), end: Buffer.from(`${from}0`) }
      return moves.reduce((count, one) => count + one.run(values).changes, 0)
    },
  }
}
