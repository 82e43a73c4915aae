// Lists with optional filters: only the conditions that are asked for become SQL, so that each combination can use its index.
// Must not put anything from outside into the text of a statement; values are bound.
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
