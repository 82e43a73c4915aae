// Rows of admins, their second factors, known places, browser sessions and API tokens.
// Must not hash, check or decide; accounts/ does.
import type { Role } from '../core/views.ts'
import type { Sqlite } from './database.ts'
import { type NamePage, namePage } from './filter.ts'

export interface AdminRow {
  username: string
  password_hash: string
  role: Role
  enabled: number
  totp_secret: Buffer | null
  totp_pending: Buffer | null
  totp_step: number | null
  last_login: number | null
  created_at: number
}

export interface TokenRow {
  name: string
  hash: string
  role: Role
  created_at: number
  expires_at: number | null
  last_used_at: number | null
}

export interface AdminSessionRow {
  id_hash: string
  username: string
  csrf: string
  created_at: number
  expires_at: number
}

export function createAdminRows(db: Sqlite) {
  const admins = {
    get: db.prepare('SELECT * FROM admins WHERE username = ?'),
    list: db.prepare(
      "SELECT * FROM admins WHERE username > @after AND (@q IS NULL OR username LIKE @q ESCAPE '\\') ORDER BY username LIMIT @limit",
    ),
    count: db.prepare("SELECT count(*) AS n FROM admins WHERE role = 'admin' AND enabled = 1").pluck(),
    insert: db.prepare(
      'INSERT INTO admins (username, password_hash, role, created_at) VALUES (@username, @password_hash, @role, @created_at)',
    ),
    password: db.prepare('UPDATE admins SET password_hash = ? WHERE username = ?'),
    change: db.prepare('UPDATE admins SET role = ?, enabled = ? WHERE username = ?'),
    remove: db.prepare('DELETE FROM admins WHERE username = ?'),
    login: db.prepare('UPDATE admins SET last_login = ? WHERE username = ?'),
    pend: db.prepare('UPDATE admins SET totp_pending = ? WHERE username = ?'),
    totp: db.prepare('UPDATE admins SET totp_secret = ?, totp_pending = NULL, totp_step = ? WHERE username = ?'),
    // guarded: of two logins with one code only the first gets in
    step: db.prepare('UPDATE admins SET totp_step = @step WHERE username = @username AND (totp_step IS NULL OR totp_step < @step)'),
  }
  const codes = {
    insert: db.prepare('INSERT INTO admin_recovery_codes (username, hash) VALUES (?, ?)'),
    use: db.prepare('DELETE FROM admin_recovery_codes WHERE username = ? AND hash = ?'),
    clear: db.prepare('DELETE FROM admin_recovery_codes WHERE username = ?'),
    count: db.prepare('SELECT count(*) FROM admin_recovery_codes WHERE username = ?').pluck(),
  }
  const places = {
    has: db.prepare('SELECT 1 FROM admin_places WHERE username = ? AND place = ?').pluck(),
    put: db.prepare('INSERT INTO admin_places VALUES (?, ?, ?) ON CONFLICT (username, place) DO UPDATE SET last_at = excluded.last_at'),
    trim: db.prepare(
      'DELETE FROM admin_places WHERE username = @username AND place NOT IN (SELECT place FROM admin_places WHERE username = @username ORDER BY last_at DESC LIMIT @most)',
    ),
  }
  const sessions = {
    insert: db.prepare('INSERT INTO admin_sessions VALUES (@id_hash, @username, @csrf, @created_at, @expires_at)'),
    get: db.prepare(
      'SELECT s.*, a.role, a.totp_secret IS NOT NULL AS totp FROM admin_sessions s JOIN admins a USING (username) WHERE id_hash = ? AND a.enabled = 1',
    ),
    slide: db.prepare('UPDATE admin_sessions SET expires_at = ? WHERE id_hash = ?'),
    remove: db.prepare('DELETE FROM admin_sessions WHERE id_hash = ?'),
    removeAll: db.prepare('DELETE FROM admin_sessions WHERE username = ? AND id_hash <> ?'),
    expire: db.prepare('DELETE FROM admin_sessions WHERE expires_at < ?'),
  }
  const tokens = {
    list: db.prepare('SELECT * FROM tokens ORDER BY name'),
    get: db.prepare('SELECT * FROM tokens WHERE hash = ?'),
    byName: db.prepare('SELECT * FROM tokens WHERE name = ?'),
    insert: db.prepare(
      'INSERT INTO tokens (name, hash, role, created_at, expires_at) VALUES (@name, @hash, @role, @created_at, @expires_at)',
    ),
    used: db.prepare('UPDATE tokens SET last_used_at = ? WHERE name = ?'),
    remove: db.prepare('DELETE FROM tokens WHERE name = ?'),
  }
  return {
    admins: {
      get: (username: string) => admins.get.get(username) as AdminRow | undefined,
      list: (page: NamePage) => admins.list.all(namePage(page)) as AdminRow[],
      /** Enabled ones with all rights. */
      countFull: () => admins.count.get() as number,
      insert: (row: Pick<AdminRow, 'username' | 'password_hash' | 'role' | 'created_at'>) => void admins.insert.run(row),
      setPassword: (username: string, hash: string) => admins.password.run(hash, username).changes === 1,
      change: (username: string, role: Role, enabled: boolean) => void admins.change.run(role, enabled ? 1 : 0, username),
      remove: (username: string) => admins.remove.run(username).changes === 1,
      loggedIn: (username: string, now: number) => void admins.login.run(now, username),
      setPendingTotp: (username: string, sealed: Buffer) => void admins.pend.run(sealed, username),
      /** Null takes the second factor away. */
      setTotp: (username: string, sealed: Buffer | null, step: number | null) => void admins.totp.run(sealed, step, username),
      /** @returns false when a code of this step or a later one was taken before. */
      takeStep: (username: string, step: number) => admins.step.run({ username, step }).changes === 1,
    },
    recoveryCodes: {
      replace: (username: string, hashes: readonly string[]): void => {
        codes.clear.run(username)
        for (const hash of hashes) codes.insert.run(username, hash)
      },
      /** @returns whether there was such a code; there is none any more. */
      use: (username: string, hash: string) => codes.use.run(username, hash).changes === 1,
      count: (username: string) => codes.count.get(username) as number,
    },
    adminPlaces: {
      has: (username: string, place: string) => places.has.get(username, place) !== undefined,
      /** The latest `most` stay. */
      note: (username: string, place: string, now: number, most: number): void => {
        places.put.run(username, place, now)
        places.trim.run({ username, most })
      },
    },
    adminSessions: {
      insert: (row: AdminSessionRow) => void sessions.insert.run(row),
      get: (idHash: string) => sessions.get.get(idHash) as (AdminSessionRow & { role: Role; totp: number }) | undefined,
      slide: (idHash: string, expiresAt: number) => void sessions.slide.run(expiresAt, idHash),
      remove: (idHash: string) => void sessions.remove.run(idHash),
      removeAll: (username: string, except = '') => void sessions.removeAll.run(username, except),
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
