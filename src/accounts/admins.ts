// Admins: who may use the API and in which role, as verbs; with their sessions (admin-sessions.ts) and tokens (tokens.ts) all of access.
// Must not leave the gateway without an enabled admin of full rights.
import { type Clock, newSecret } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { Actor, AdminView, Page, PageRequest, Role } from '../core/views.ts'
import type { AdminRow } from '../store/admins.ts'
import type { Store } from '../store/store.ts'
import { createAdminSessions } from './admin-sessions.ts'
import type { LoginGuard } from './login-guard.ts'
import { checkNewPassword, hashPassword } from './passwords.ts'
import type { Refusals } from './refusals.ts'
import { createTokens } from './tokens.ts'

const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())

export interface AdminPatch {
  readonly role?: Role
  readonly password?: string
  readonly enabled?: boolean
}

export function createAdmins(store: Store, guard: LoginGuard, refusals: Refusals, clock: Clock) {
  const { admins, adminSessions, recoveryCodes } = store.accounts

  const audit = (actor: Pick<Actor, 'name' | 'address'>, action: string, object: string, detail: Record<string, unknown> = {}): void =>
    store.audit.append({ at: clock.now(), actor: actor.name, address: actor.address, action, object, outcome: 'ok', detail })

  const view = (row: AdminRow): AdminView => ({
    username: row.username,
    role: row.role,
    enabled: row.enabled === 1,
    totp_enabled: row.totp_secret !== null,
    recovery_codes_left: recoveryCodes.count(row.username),
    created_at: iso(row.created_at)!,
    last_login: iso(row.last_login),
  })

  const find = (username: string): AdminRow => {
    const row = admins.get(username)
    if (!row) throw new FileFlowError('resource.not_found', `There is no admin ${username}.`)
    return row
  }
  const isLast = (row: AdminRow): boolean => row.role === 'admin' && row.enabled === 1 && admins.countFull() === 1
  const refuseLast = (row: AdminRow): void => {
    if (isLast(row)) throw new FileFlowError('state.conflict', 'This is the last admin with all rights.')
  }

  const create = async (
    actor: Actor,
    { username, password, role }: { username: string; password: string; role: Role },
  ): Promise<AdminView> => {
    const password_hash = await hashPassword(password)
    store.group.now(() => {
      if (admins.get(username)) throw new FileFlowError('resource.exists', `There is an admin ${username} already.`)
      admins.insert({ username, password_hash, role, created_at: clock.now() })
      audit(actor, 'admin.create', username, { role })
    })
    return view(find(username))
  }

  return {
    ...createAdminSessions(store, guard, refusals, clock),
    tokens: createTokens(store, refusals, clock),
    /** First start, where any length is taken: it is the operator's own choice. An admin named `admin`. @returns the password when it was made up here, to be shown once; null when there is an admin already or it was given. */
    async ensureFirst(given: string | undefined): Promise<string | null> {
      if (admins.list({ after: '', limit: 1 }).length > 0) return null
      const password = given ?? newSecret(15)
      await create({ name: 'gateway', address: '', role: 'admin' }, { username: 'admin', password, role: 'admin' })
      return given === undefined ? password : null
    },
    list({ limit = 50, cursor = '', q }: PageRequest): Page<AdminView> {
      const found = admins.list({ after: cursor, limit: limit + 1, q })
      return { items: found.slice(0, limit).map(view), next: found.length > limit ? found[limit - 1]!.username : null }
    },
    get: (username: string): AdminView => view(find(username)),
    async create(actor: Actor, admin: { username: string; password: string; role: Role }): Promise<AdminView> {
      checkNewPassword(admin.password)
      return create(actor, admin)
    },
    /** A new password or a disabling ends the admin's sessions; a new role acts on them at once. */
    async update(actor: Actor, username: string, patch: AdminPatch): Promise<AdminView> {
      find(username)
      if (patch.password !== undefined) checkNewPassword(patch.password)
      const hash = patch.password === undefined ? undefined : await hashPassword(patch.password)
      store.group.now(() => {
        const row = find(username)
        const role = patch.role ?? row.role
        const enabled = patch.enabled ?? row.enabled === 1
        if (role !== 'admin' || !enabled) refuseLast(row)
        if (hash !== undefined) {
          admins.setPassword(username, hash)
          audit(actor, 'admin.password', username)
        }
        if (role !== row.role || enabled !== (row.enabled === 1)) {
          admins.change(username, role, enabled)
          audit(actor, 'admin.update', username, { role, enabled })
        }
        if (hash !== undefined || !enabled) adminSessions.removeAll(username)
      })
      return view(find(username))
    },
    /** For an admin who lost phone and recovery codes: the password alone lets in again. */
    resetSecondFactor(actor: Actor, username: string): AdminView {
      store.group.now(() => {
        find(username)
        admins.setTotp(username, null, null)
        recoveryCodes.replace(username, [])
        adminSessions.removeAll(username)
        audit(actor, 'admin.reset_2fa', username)
      })
      return view(find(username))
    },
    async remove(actor: Actor, username: string): Promise<void> {
      store.group.now(() => {
        refuseLast(find(username))
        admins.remove(username)
        audit(actor, 'admin.remove', username)
      })
    },
  }
}
