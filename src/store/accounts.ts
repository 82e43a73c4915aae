// Rows of users, admins, their browser sessions and API tokens.
// Must not hash, check or decide; accounts/ does.
import type { Role } from '../core/views.ts'
import { likePattern } from './audit.ts'
import type { Sqlite } from './database.ts'

export interface UserRow {
  username: string
  password_hash: string | null
  enabled: number
  spec_json: string
  used_bytes: number
  used_files: number
  last_login: number | null
  created_at: number
  updated_at: number
}

export interface AdminRow {
  username: string
  password_hash: string
  role: Role
  last_login: number | null
  created_at: number
}

export interface TokenRow {
  name: string
  hash: string
  role: Role
  created_at: number
  last_used_at: number | null
}

export interface AdminSessionRow {
  id_hash: string
  username: string
  csrf: string
  created_at: number
  expires_at: number
}

/** Keyset paging by name. */
export interface NamePage {
  readonly after: string
  readonly limit: number
  readonly q?: string | undefined
}

export const namePage = (page: NamePage) => ({ after: page.after, limit: page.limit, q: page.q ? likePattern(page.q) : null })

export function createAccountRows(db: Sqlite) {
  const users = {
    get: db.prepare('SELECT * FROM users WHERE username = ?'),
    list: db.prepare(
      "SELECT * FROM users WHERE username > @after AND (@q IS NULL OR username LIKE @q ESCAPE '\\') ORDER BY username LIMIT @limit",
    ),
    all: db.prepare('SELECT * FROM users ORDER BY username'),
    put: db.prepare(`INSERT INTO users (username, password_hash, enabled, spec_json, created_at, updated_at) VALUES (@username, @password_hash, @enabled, @spec_json, @now, @now)
      ON CONFLICT (username) DO UPDATE SET password_hash = @password_hash, enabled = @enabled, spec_json = @spec_json, updated_at = @now`),
    enable: db.prepare('UPDATE users SET enabled = ?, updated_at = ? WHERE username = ?'),
    remove: db.prepare('DELETE FROM users WHERE username = ?'),
    login: db.prepare('UPDATE users SET last_login = ? WHERE username = ?'),
    rehash: db.prepare('UPDATE users SET password_hash = ? WHERE username = ? AND password_hash = ?'),
    usage: db.prepare('UPDATE users SET used_bytes = max(0, used_bytes + ?), used_files = max(0, used_files + ?) WHERE username = ?'),
  }
  const admins = {
    get: db.prepare('SELECT * FROM admins WHERE username = ?'),
    list: db.prepare(
      "SELECT * FROM admins WHERE username > @after AND (@q IS NULL OR username LIKE @q ESCAPE '\\') ORDER BY username LIMIT @limit",
    ),
    count: db.prepare("SELECT count(*) AS n FROM admins WHERE role = 'admin'").pluck(),
    insert: db.prepare(
      'INSERT INTO admins (username, password_hash, role, created_at) VALUES (@username, @password_hash, @role, @created_at)',
    ),
    password: db.prepare('UPDATE admins SET password_hash = ? WHERE username = ?'),
    remove: db.prepare('DELETE FROM admins WHERE username = ?'),
    login: db.prepare('UPDATE admins SET last_login = ? WHERE username = ?'),
  }
  const sessions = {
    insert: db.prepare('INSERT INTO admin_sessions VALUES (@id_hash, @username, @csrf, @created_at, @expires_at)'),
    get: db.prepare('SELECT s.*, a.role FROM admin_sessions s JOIN admins a USING (username) WHERE id_hash = ?'),
    slide: db.prepare('UPDATE admin_sessions SET expires_at = ? WHERE id_hash = ?'),
    remove: db.prepare('DELETE FROM admin_sessions WHERE id_hash = ?'),
    removeAll: db.prepare('DELETE FROM admin_sessions WHERE username = ?'),
    expire: db.prepare('DELETE FROM admin_sessions WHERE expires_at < ?'),
  }
  const tokens = {
    list: db.prepare('SELECT * FROM tokens ORDER BY name'),
    get: db.prepare('SELECT * FROM tokens WHERE hash = ?'),
    byName: db.prepare('SELECT * FROM tokens WHERE name = ?'),
    insert: db.prepare('INSERT INTO tokens (name, hash, role, created_at) VALUES (@name, @hash, @role, @created_at)'),
    used: db.prepare('UPDATE tokens SET last_used_at = ? WHERE name = ?'),
    remove: db.prepare('DELETE FROM tokens WHERE name = ?'),
  }
  return {
    users: {
      get: (username: string) => users.get.get(username) as UserRow | undefined,
      list: (page: NamePage) => users.list.all(namePage(page)) as UserRow[],
      all: () => users.all.all() as UserRow[],
      put: (row: Pick<UserRow, 'username' | 'password_hash' | 'enabled' | 'spec_json'>, now: number) => void users.put.run({ ...row, now }),
      setEnabled: (username: string, enabled: boolean, now: number) => users.enable.run(enabled ? 1 : 0, now, username).changes === 1,
      remove: (username: string) => users.remove.run(username).changes === 1,
      loggedIn: (username: string, now: number) => void users.login.run(now, username),
      rehash: (username: string, before: string, after: string) => void users.rehash.run(after, username, before),
      addUsage: (username: string, bytes: number, files: number) => void users.usage.run(bytes, files, username),
    },
    admins: {
      get: (username: string) => admins.get.get(username) as AdminRow | undefined,
      list: (page: NamePage) => admins.list.all(namePage(page)) as AdminRow[],
      countFull: () => admins.count.get() as number,
      insert: (row: Omit<AdminRow, 'last_login'>) => void admins.insert.run(row),
      setPassword: (username: string, hash: string) => admins.password.run(hash, username).changes === 1,
      remove: (username: string) => admins.remove.run(username).changes === 1,
      loggedIn: (username: string, now: number) => void admins.login.run(now, username),
    },
    adminSessions: {
      insert: (row: AdminSessionRow) => void sessions.insert.run(row),
      get: (idHash: string) => sessions.get.get(idHash) as (AdminSessionRow & { role: Role }) | undefined,
      slide: (idHash: string, expiresAt: number) => void sessions.slide.run(expiresAt, idHash),
      remove: (idHash: string) => void sessions.remove.run(idHash),
      removeAll: (username: string) => void sessions.removeAll.run(username),
      expire: (now: number) => void sessions.expire.run(now),
    },
    tokens: {
      list: () => tokens.list.all() as TokenRow[],
      byHash: (hash: string) => tokens.get.get(hash) as TokenRow | undefined,
      byName: (name: string) => tokens.byName.get(name) as TokenRow | undefined,
      insert: (row: Omit<TokenRow, 'last_used_at'>) => void tokens.insert.run(row),
      used: (name: string, now: number) => void tokens.used.run(now, name),
      remove: (name: string) => tokens.remove.run(name).changes === 1,
    },
  }
}
