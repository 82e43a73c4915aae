// Admins, their browser sessions and API tokens: who may use the API, and in which role.
// Must not keep a cookie or token in clear: only their hashes are stored.
import { createHash } from 'node:crypto'
import { type Clock, newSecret } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { Actor, AdminView, Page, PageRequest, Role } from '../core/views.ts'
import type { AdminRow, TokenRow } from '../store/accounts.ts'
import type { Store } from '../store/store.ts'
import type { LoginGuard } from './login-guard.ts'
import { hashPassword, verifyPassword } from './passwords.ts'

const SESSION_MS = 12 * 3600_000
/** The end of a session moves at most this often: not a write for every request. */
const SLIDE_MS = 60_000
const TOKEN_USE_MS = 60_000
const LEAST_PASSWORD = 8

const digest = (secret: string): string => createHash('sha256').update(secret).digest('hex')
const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())

const adminView = (row: AdminRow): AdminView => ({
  username: row.username,
  role: row.role,
  created_at: iso(row.created_at)!,
  last_login: iso(row.last_login),
})
const tokenView = (row: TokenRow) => ({
  name: row.name,
  role: row.role,
  created_at: iso(row.created_at)!,
  last_used_at: iso(row.last_used_at),
})

export function createAdmins(store: Store, guard: LoginGuard, clock: Clock) {
  const { admins, adminSessions, tokens } = store.accounts

  const audit = (
    actor: Pick<Actor, 'name' | 'address'>,
    action: string,
    object: string,
    outcome: 'ok' | 'refused' = 'ok',
    detail: Record<string, unknown> = {},
  ): void => store.audit.append({ at: clock.now(), actor: actor.name, address: actor.address, action, object, outcome, detail })

  const checkPassword = (password: string): void => {
    if (password.length < LEAST_PASSWORD)
      throw new FileFlowError('request.invalid', `The password needs at least ${LEAST_PASSWORD} characters.`)
  }

  const create = async (
    actor: Actor,
    { username, password, role }: { username: string; password: string; role: Role },
  ): Promise<AdminView> => {
    const password_hash = await hashPassword(password)
    store.group.now(() => {
      if (admins.get(username)) throw new FileFlowError('resource.exists', `There is an admin ${username} already.`)
      admins.insert({ username, password_hash, role, created_at: clock.now() })
      audit(actor, 'admin.create', username, 'ok', { role })
    })
    return adminView(admins.get(username)!)
  }

  return {
    /** First start, where any length is taken: it is the operator's own choice. An admin named `admin`. @returns the password when it was made up here, to be shown once; null when there is an admin already or it was given. */
    async ensureFirst(given: string | undefined): Promise<string | null> {
      if (admins.list({ after: '', limit: 1 }).length > 0) return null
      const password = given ?? newSecret(15)
      await create({ name: 'gateway', address: '', role: 'admin' }, { username: 'admin', password, role: 'admin' })
      return given === undefined ? password : null
    },
    list({ limit = 50, cursor = '', q }: PageRequest): Page<AdminView> {
      const found = admins.list({ after: cursor, limit: limit + 1, q })
      return { items: found.slice(0, limit).map(adminView), next: found.length > limit ? found[limit - 1]!.username : null }
    },
    async create(actor: Actor, admin: { username: string; password: string; role: Role }): Promise<AdminView> {
      checkPassword(admin.password)
      return create(actor, admin)
    },
    async setPassword(actor: Actor, username: string, password: string): Promise<void> {
      checkPassword(password)
      const hash = await hashPassword(password)
      store.group.now(() => {
        if (!admins.setPassword(username, hash)) throw new FileFlowError('resource.not_found', `There is no admin ${username}.`)
        adminSessions.removeAll(username)
        audit(actor, 'admin.password', username)
      })
    },
    async remove(actor: Actor, username: string): Promise<void> {
      store.group.now(() => {
        const row = admins.get(username)
        if (!row) throw new FileFlowError('resource.not_found', `There is no admin ${username}.`)
        if (row.role === 'admin' && admins.countFull() === 1)
          throw new FileFlowError('state.conflict', 'This is the last admin with all rights.')
        admins.remove(username)
        audit(actor, 'admin.remove', username)
      })
    },
    async login(username: string, password: string, address: string) {
      if (guard.refusal(address)) {
        store.group.now(() => audit({ name: username.slice(0, 64), address }, 'admin.login', 'session', 'refused', { reason: 'banned' }))
        throw new FileFlowError('auth.banned')
      }
      const row = admins.get(username)
      const fits = await verifyPassword(password, row?.password_hash ?? null)
      if (!row || !fits) {
        const banned = guard.failed(address)
        store.group.now(() =>
          audit({ name: username.slice(0, 64), address }, 'admin.login', 'session', 'refused', banned ? { banned } : {}),
        )
        throw new FileFlowError('auth.failed')
      }
      guard.succeeded(address)
      const session = newSecret(32)
      const csrf = newSecret(24)
      const now = clock.now()
      const expiresAt = now + SESSION_MS
      store.group.now(() => {
        // the account may have been changed while the password was checked: the change wins
        if (admins.get(username)?.password_hash !== row.password_hash) throw new FileFlowError('auth.failed')
        adminSessions.expire(now)
        adminSessions.insert({ id_hash: digest(session), username, csrf, created_at: now, expires_at: expiresAt })
        admins.loggedIn(username, now)
        audit({ name: username, address }, 'admin.login', 'session')
      })
      return { username, role: row.role, session, csrf, expiresAt }
    },
    logout(session: string): void {
      store.group.now(() => {
        const row = adminSessions.get(digest(session))
        if (!row) return
        adminSessions.remove(row.id_hash)
        audit({ name: row.username, address: '' }, 'admin.logout', 'session')
      })
    },
    bySession(session: string) {
      const row = adminSessions.get(digest(session))
      const now = clock.now()
      if (!row || row.expires_at <= now) return null
      if (row.expires_at - now < SESSION_MS - SLIDE_MS) adminSessions.slide(row.id_hash, now + SESSION_MS)
      return { username: row.username, role: row.role, csrf: row.csrf }
    },
    tokens: {
      list: () => tokens.list().map(tokenView),
      create(actor: Actor, { name, role }: { name: string; role: Role }) {
        const token = `ff_${newSecret(32)}`
        store.group.now(() => {
          if (tokens.byName(name)) throw new FileFlowError('resource.exists', `There is a token ${name} already.`)
          tokens.insert({ name, hash: digest(token), role, created_at: clock.now() })
          audit(actor, 'token.create', name, 'ok', { role })
        })
        return { name, role, token }
      },
      remove(actor: Actor, name: string): void {
        store.group.now(() => {
          if (!tokens.remove(name)) throw new FileFlowError('resource.not_found', `There is no token ${name}.`)
          audit(actor, 'token.remove', name)
        })
      },
      byToken(token: string) {
        const row = token.startsWith('ff_') ? tokens.byHash(digest(token)) : undefined
        if (!row) return null
        const now = clock.now()
        if (row.last_used_at === null || now - row.last_used_at > TOKEN_USE_MS) tokens.used(row.name, now)
        return { name: row.name, role: row.role }
      },
    },
  }
}
