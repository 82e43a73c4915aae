// Rows of destinations and rules.
// Must not open sealed secrets or judge declarations.

import type { Sqlite } from './database.ts'
import { type NamePage, namePage } from './filter.ts'

export interface DestinationRow {
  name: string
  enabled: number
  spec_json: string
  secrets: Buffer | null
  created_at: number
  updated_at: number
}

export interface RuleRow {
  name: string
  position: number
  enabled: number
  spec_json: string
  created_at: number
  updated_at: number
}

export function createRoutingRows(db: Sqlite) {
  const destinations = {
    get: db.prepare('SELECT * FROM destinations WHERE name = ?'),
    list: db.prepare(
      "SELECT * FROM destinations WHERE name > @after AND (@q IS NULL OR name LIKE @q ESCAPE '\\') ORDER BY name LIMIT @limit",
    ),
    all: db.prepare('SELECT * FROM destinations ORDER BY name'),
    put: db.prepare(`INSERT INTO destinations VALUES (@name, @enabled, @spec_json, @secrets, @now, @now)
      ON CONFLICT (name) DO UPDATE SET enabled = @enabled, spec_json = @spec_json, secrets = @secrets, updated_at = @now`),
    restore: db.prepare('INSERT INTO destinations VALUES (@name, @enabled, @spec_json, @secrets, @created_at, @updated_at)'),
    remove: db.prepare('DELETE FROM destinations WHERE name = ?'),
  }
  const rules = {
    get: db.prepare('SELECT * FROM rules WHERE name = ?'),
    list: db.prepare(`SELECT * FROM rules WHERE (position, name) > (@position, @after) AND (@q IS NULL OR name LIKE @q ESCAPE '\\')
      ORDER BY position, name LIMIT @limit`),
    place: db.prepare('UPDATE rules SET position = ? WHERE name = ?'),
    all: db.prepare('SELECT * FROM rules ORDER BY position, name'),
    put: db.prepare(`INSERT INTO rules VALUES (@name, coalesce(@position, (SELECT coalesce(max(position), 0) + 1 FROM rules)), @enabled, @spec_json, @now, @now)
      ON CONFLICT (name) DO UPDATE SET position = coalesce(@position, position), enabled = @enabled, spec_json = @spec_json, updated_at = @now`),
    restore: db.prepare('INSERT INTO rules VALUES (@name, @position, @enabled, @spec_json, @created_at, @updated_at)'),
    remove: db.prepare('DELETE FROM rules WHERE name = ?'),
  }
  return {
    destinations: {
      get: (name: string) => destinations.get.get(name) as DestinationRow | undefined,
      list: (page: NamePage) => destinations.list.all(namePage(page)) as DestinationRow[],
      all: () => destinations.all.all() as DestinationRow[],
      put: (row: Pick<DestinationRow, 'name' | 'enabled' | 'spec_json' | 'secrets'>, now: number) =>
        void destinations.put.run({ ...row, now }),
      /** A removed row as it was, its secrets still sealed. */
      restore: (row: DestinationRow) => void destinations.restore.run(row),
      remove: (name: string) => destinations.remove.run(name).changes === 1,
    },
    rules: {
      get: (name: string) => rules.get.get(name) as RuleRow | undefined,
      /** In the order in which they are asked, after that place. */
      list: (page: NamePage & { position: number }) => rules.list.all({ ...namePage(page), position: page.position }) as RuleRow[],
      place: (name: string, position: number) => rules.place.run(position, name).changes === 1,
      all: () => rules.all.all() as RuleRow[],
      /** `position` null keeps the present one, or comes last. */
      put: (row: Pick<RuleRow, 'name' | 'enabled' | 'spec_json'> & { position: number | null }, now: number) =>
        void rules.put.run({ ...row, now }),
      /** A removed row as it was, in its place. */
      restore: (row: RuleRow) => void rules.restore.run(row),
      remove: (name: string) => rules.remove.run(name).changes === 1,
    },
  }
}
