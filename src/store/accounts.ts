// Rows of users; with those of admins, their sessions and tokens (store/admins.ts) all that is an account.
// Must not hash, check or decide; accounts/ does.
import { createAdminRows } from './admins.ts'
import type { Sqlite } from './database.ts'
import { type NamePage, namePage } from './filter.ts'

export interface UserRow {
  username: string
  password_hash: string | null
  enabled: number
  spec_json: string
  used_bytes: number
  used_files: number
  last_login: number | null
  last_address: string | null
  last_protocol: string | null
  created_at: number
  updated_at: number
}

export interface Usage {
  bytes: number
  files: number
}

export function createAccountRows(db: Sqlite) {
  const users = {
    get: db.prepare('SELECT * FROM users WHERE username = ?'),
    list: db.prepare(
      "SELECT * FROM users WHERE username > @after AND (@q IS NULL OR username LIKE @q ESCAPE '\\') ORDER BY username LIMIT @limit",
    ),
    all: db.prepare('SELECT * FROM users ORDER BY username'),
    put: db.prepare(`INSERT INTO users (username, password_hash, enabled, spec_json, created_at, updated_at) VALUES (@username, @password_hash, @enabled, @spec_json, @now, @now)
      ON CONFLICT (username) DO UPDATE SET password_hash = @password_hash, enabled = @enabled, spec_json = @spec_json, updated_at = @now`),
    restore: db.prepare(
      `INSERT INTO users VALUES (@username, @password_hash, @enabled, @spec_json, @used_bytes, @used_files, @last_login, @last_address, @last_protocol, @created_at, @updated_at)`,
    ),
    enable: db.prepare('UPDATE users SET enabled = ?, updated_at = ? WHERE username = ?'),
    remove: db.prepare('DELETE FROM users WHERE username = ?'),
    login: db.prepare('UPDATE users SET last_login = ?, last_address = ?, last_protocol = ? WHERE username = ?'),
    rehash: db.prepare('UPDATE users SET password_hash = ? WHERE username = ? AND password_hash = ?'),
    usage: db.prepare('UPDATE users SET used_bytes = max(0, used_bytes + ?), used_files = max(0, used_files + ?) WHERE username = ?'),
  }
  /** Who wants to know how much a user's usage moves. */
  const watches = new Map<string, Set<Usage>>()
  return {
    users: {
      get: (username: string) => users.get.get(username) as UserRow | undefined,
      list: (page: NamePage) => users.list.all(namePage(page)) as UserRow[],
      all: () => users.all.all() as UserRow[],
      put: (row: Pick<UserRow, 'username' | 'password_hash' | 'enabled' | 'spec_json'>, now: number) => void users.put.run({ ...row, now }),
      /** A removed row as it was. */
      restore: (row: UserRow) => void users.restore.run(row),
      setEnabled: (username: string, enabled: boolean, now: number) => users.enable.run(enabled ? 1 : 0, now, username).changes === 1,
      remove: (username: string) => users.remove.run(username).changes === 1,
      loggedIn: (username: string, now: number, from: { address: string; protocol: string }) =>
        void users.login.run(now, from.address, from.protocol, username),
      rehash: (username: string, before: string, after: string) => void users.rehash.run(after, username, before),
      addUsage(username: string, bytes: number, files: number): void {
        for (const moved of watches.get(username) ?? []) {
          moved.bytes += Math.abs(bytes)
          moved.files += Math.abs(files)
        }
        users.usage.run(bytes, files, username)
      },
      /** Counts all changes from now on as if each were an addition, until the end. */
      watchUsage(username: string): { readonly moved: Readonly<Usage>; end(): void } {
        const moved: Usage = { bytes: 0, files: 0 }
        const all = watches.get(username) ?? new Set()
        watches.set(username, all.add(moved))
        return {
          moved,
          end() {
            all.delete(moved)
            if (all.size === 0) watches.delete(username)
          },
        }
      },
    },
    ...createAdminRows(db),
  }
}
