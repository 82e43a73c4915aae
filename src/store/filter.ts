// Lists with optional filters: only the conditions that are asked for become SQL, so that each combination can use its index.
// Must not put anything from outside into the text of a statement; values are bound.
import { monotonic } from '../core/clock.ts'
import type { Sqlite, Statement } from './database.ts'

export type FilterValues = Readonly<Record<string, string | number | undefined>>

/**
 * A list whose statement is made for each combination of filters once.
 * @param conditions SQL for each filter that may be given; it names its value as `@key`
 */
export function filteredList<Row>(db: Sqlite, select: string, conditions: Readonly<Record<string, string>>, order: string) {
  const statements = new Map<string, Statement>()
  return (values: FilterValues & { readonly limit: number }): Row[] => {
    const given = Object.keys(conditions).filter((key) => values[key] !== undefined)
    const name = given.join()
    let statement = statements.get(name)
    if (!statement) {
      const where = given.length === 0 ? '' : `WHERE ${given.map((key) => conditions[key]).join(' AND ')}`
      statement = db.prepare(`${select} ${where} ${order} LIMIT @limit`)
      statements.set(name, statement)
    }
    return statement.all(Object.fromEntries([...given, 'limit'].map((key) => [key, values[key]]))) as Row[]
  }
}

/** Rows looked at in one step: the first time, at least and at most. */
const STEP_ROWS = { first: 1000, least: 200, most: 10_000 } as const
/** ms; what a step may take of the control thread. Rows that are not in memory take a hundred times as long as those that are. */
const STEP_MS = 10

/**
 * A search over a table of any size, newest first, in steps between which the thread is free for others: for filters that no index answers alone.
 * @param list rows below `before` and from `from` on, newest first
 * @param floorOf the key `rows` rows below `before` (undefined: the beginning); null when fewer are left
 */
export async function searchInSteps<Row, Key>(
  limit: number,
  before: Key | undefined,
  list: (before: Key | undefined, from: Key | undefined, limit: number) => Row[],
  floorOf: (before: Key | undefined, rows: number) => Key | null,
): Promise<Row[]> {
  const found: Row[] = []
  let top = before
  let rows: number = STEP_ROWS.first
  for (;;) {
    const began = monotonic()
    const floor = floorOf(top, rows)
    found.push(...list(top, floor ?? undefined, limit - found.length))
    if (floor === null || found.length >= limit) return found
    top = floor
    const took = monotonic() - began
    rows = Math.max(STEP_ROWS.least, Math.min(STEP_ROWS.most, took > STEP_MS ? Math.floor(rows / 2) : took < STEP_MS / 4 ? rows * 2 : rows))
    await new Promise(setImmediate)
  }
}

/** A LIKE pattern that finds `text` anywhere, its wildcards taken literally (escape character `\`). */
export const likePattern = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`

/** Keyset paging by name. */
export interface NamePage {
  readonly after: string
  readonly limit: number
  readonly q?: string | undefined
}

export const namePage = (page: NamePage) => ({ after: page.after, limit: page.limit, q: page.q ? likePattern(page.q) : null })
