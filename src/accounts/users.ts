// Users as verbs: each checks the declaration, writes the row and its audit event, and has its effect on live sessions at once.
// Must not be gone round: an API route, a command or a job that changes an account does it here.
import { isAbsolute, join, relative, resolve } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { type ErrorRecord, FileFlowError } from '../core/errors.ts'
import { isNetwork } from '../core/network.ts'
import { DEFAULT_PERMISSIONS } from '../core/permission.ts'
import { createRemovals } from '../core/removals.ts'
import { changedKeys, type Plan, patched } from '../core/state-file.ts'
import { expiryOf, PROTOCOLS, type Principal, toPrincipal, type UserSpec } from '../core/user.ts'
import type { Actor, Page, PageRequest, Patch, UserView } from '../core/views.ts'
import { isWithin } from '../core/virtual-path.ts'
import type { UserRow } from '../store/accounts.ts'
import type { Store } from '../store/store.ts'
import type { LiveSessions } from './live-sessions.ts'
import { hashPassword, verifyPassword } from './passwords.ts'
import { parsePublicKey } from './public-keys.ts'

export interface UsersOptions {
  readonly store: Store
  readonly live: LiveSessions
  readonly clock: Clock
  readonly storageRoot: string
  readonly dataDir: string
  /** Makes the home and its declared directories (files/ does it). */
  readonly prepareHome: (principal: Principal, directories: readonly string[]) => Promise<void>
  /** Removes what an earlier account of that name did not finish: it may have been somebody else's. */
  readonly forgetPartials?: (principal: Principal) => Promise<void>
}

const REVOKED: ErrorRecord = { code: 'session.revoked', message: 'The account was changed or disabled.' }

export const specOf = (row: UserRow): UserSpec => ({
  username: row.username,
  enabled: row.enabled === 1,
  ...(JSON.parse(row.spec_json) as object),
})

export type Users = ReturnType<typeof createUsers>

export function createUsers({ store, live, clock, storageRoot, dataDir, prepareHome, forgetPartials }: UsersOptions) {
  const rows = store.accounts.users
  const removals = createRemovals<UserRow>('user', clock)

  const principalOf = (spec: UserSpec): Principal => toPrincipal(spec, resolve(storageRoot, spec.home ?? spec.username))

  const find = (username: string): UserRow => {
    const row = rows.get(username)
    if (!row) throw new FileFlowError('resource.not_found', `There is no user ${username}.`)
    return row
  }

  /** What the schema alone cannot say. */
  const check = (spec: UserSpec): Principal => {
    const fail = (message: string): never => {
      throw new FileFlowError('request.invalid', `user ${spec.username}: ${message}`)
    }
    const principal = principalOf(spec)
    const ownStorage = isInsideFolder(storageRoot, dataDir) && relative(storageRoot, dataDir) !== ''
    const real = [{ key: 'home', path: principal.home }, ...principal.mounts.map((m) => ({ key: `mount ${m.path}`, path: m.target }))]
    for (const { key, path } of real) {
      if (isInsideFolder(dataDir, path) || (isInsideFolder(path, dataDir) && !(ownStorage && isInsideFolder(path, storageRoot))))
        fail(`${key}: ${path} holds or is held by data_dir, where the gateway keeps its keys`)
    }
    if (!isAbsolute(spec.home ?? '') && !isInsideFolder(principal.home, storageRoot))
      fail('home: it leaves storage_root; give an absolute path if you mean that')
    if (spec.home !== undefined && !isAbsolute(spec.home) && principal.home === resolve(storageRoot))
      fail('home: it is storage_root itself, which holds the homes of others')
    for (const text of spec.allowed_ips ?? []) if (!isNetwork(text)) fail(`allowed_ips: ${JSON.stringify(text)} is no address or network`)
    for (const line of spec.public_keys ?? []) parsePublicKey(line)
    for (const mount of principal.mounts) {
      if (mount.path === '/') fail('mounts: / is the home itself')
      if (principal.mounts.some((m) => m !== mount && isWithin(m.path, mount.path)))
        fail(`mounts: ${mount.path} lies in the way of another one`)
    }
    expiryOf(spec)
    return principal
  }

  const view = (row: UserRow): UserView => {
    const spec = specOf(row)
    return {
      username: row.username,
      partner: spec.partner ?? '',
      enabled: row.enabled === 1,
      has_password: row.password_hash !== null,
      public_keys: spec.public_keys ?? [],
      key_fingerprints: (spec.public_keys ?? []).map((line) => parsePublicKey(line).fingerprint),
      certificates: spec.certificates ?? [],
      home: spec.home ?? row.username,
      start_directory: spec.start_directory ?? '/',
      directories: spec.directories ?? [],
      protocols: spec.protocols ?? [...PROTOCOLS],
      require_tls: spec.require_tls ?? true,
      ssh_auth: spec.ssh_auth ?? 'any',
      permissions: spec.permissions ?? DEFAULT_PERMISSIONS.map((p) => ({ path: p.path, allow: [...p.allow] })),
      mounts: spec.mounts ?? [],
      allowed_ips: spec.allowed_ips ?? [],
      quota: spec.quota ?? {},
      limits: spec.limits ?? {},
      expires_at: spec.expires_at ?? null,
      last_login: row.last_login === null ? null : new Date(row.last_login).toISOString(),
      last_login_from: row.last_address === null ? null : { address: row.last_address, protocol: row.last_protocol ?? '' },
      usage: { bytes: row.used_bytes, files: row.used_files },
      created_at: new Date(row.created_at).toISOString(),
      updated_at: new Date(row.updated_at).toISOString(),
      sessions: live.countOfUser(row.username),
    }
  }

  const audit = (actor: Actor, action: string, username: string, detail: Record<string, unknown> = {}): void =>
    store.audit.append({
      at: clock.now(),
      actor: actor.name,
      address: actor.address,
      action: `user.${action}`,
      object: username,
      outcome: 'ok',
      detail,
    })

  /** The hash to keep: a declared password that already fits changes nothing. */
  const hashFor = async (spec: UserSpec, before: string | null): Promise<string | null> => {
    if (spec.password === undefined) return spec.password_hash ?? before
    return before !== null && (await verifyPassword(spec.password, before)) ? before : hashPassword(spec.password)
  }

  const makeHome = (principal: Principal, directories: readonly string[]): Promise<void> =>
    prepareHome(principal, directories).catch((cause: unknown) => {
      const why = cause instanceof FileFlowError ? cause.message : 'it cannot be made'
      throw new FileFlowError('request.invalid', `user ${principal.username}: home or directories: ${why}`, { cause })
    })

  /** The whole declaration as it shall be; credentials that it does not name stay. */
  async function plan(actor: Actor, spec: UserSpec, dropPassword = false): Promise<Plan> {
    const principal = check(spec)
    const before = rows.get(spec.username)
    const hash = dropPassword ? null : await hashFor(spec, before?.password_hash ?? null)
    const { username, password: _, password_hash: __, enabled = true, ...rest } = spec
    const old = before ? specOf(before) : undefined
    const keys = old ? changedKeys({ ...old, enabled: old.enabled ?? true }, { username, enabled, ...rest }) : Object.keys(rest).sort()
    if (hash !== (before?.password_hash ?? null)) keys.push('password')
    const change = before === undefined ? 'create' : keys.length === 0 ? 'same' : 'update'
    const newHome = change === 'create' || keys.some((key) => ['home', 'directories', 'start_directory', 'mounts'].includes(key))
    return {
      change: { kind: 'user', name: username, change, keys },
      async prepare() {
        if (newHome && enabled) await makeHome(principal, rest.directories ?? [])
        if (change === 'create') await forgetPartials?.(principal)
      },
      commit() {
        // hashing takes its time: what was changed meanwhile (disabled, say) must not be undone
        if (!sameDeclaration(rows.get(username), before))
          throw new FileFlowError('state.conflict', `User ${username} was changed in the meantime. Try again.`)
        if (change === 'same') return
        rows.put({ username, password_hash: hash, enabled: enabled ? 1 : 0, spec_json: JSON.stringify(rest) }, clock.now())
        audit(actor, change, username, { keys })
      },
      async effect() {
        // sessions first: a home that cannot be made must not keep a disabled user in
        if (change === 'update') {
          const expires = expiryOf(spec)
          const moved = keys.some((key) => ['home', 'mounts', 'protocols', 'allowed_ips'].includes(key))
          const bared = keys.includes('require_tls') && principal.requireTls
          if (!enabled || moved || bared || (expires !== null && expires <= clock.now())) live.revokeUser(username, REVOKED)
          else live.updatePrincipal(principal)
        }
        if (enabled && !newHome) await makeHome(principal, rest.directories ?? [])
      },
    }
  }

  function planRemoval(actor: Actor, username: string): Plan {
    let row = find(username)
    return {
      change: { kind: 'user', name: username, change: 'remove', keys: [] },
      commit() {
        row = rows.get(username) ?? row
        rows.remove(username)
        audit(actor, 'remove', username)
      },
      async effect() {
        live.revokeUser(username, REVOKED)
        removals.keep(actor, username, row)
      },
    }
  }

  const carryOut = async (work: Plan): Promise<void> => {
    await work.prepare?.()
    store.group.now(() => work.commit())
    await work.effect()
  }

  return {
    plan,
    planRemoval,
    list({ limit = 50, cursor = '', q }: PageRequest): Page<UserView> {
      const found = rows.list({ after: cursor, limit: limit + 1, q })
      return { items: found.slice(0, limit).map(view), next: found.length > limit ? found[limit - 1]!.username : null }
    },
    get: (username: string): UserView => view(find(username)),
    /** Every declaration with its hash, for the state file. */
    all: (): UserSpec[] =>
      rows.all().map((row) => ({ ...specOf(row), ...(row.password_hash ? { password_hash: row.password_hash } : {}) })),
    async create(actor: Actor, spec: UserSpec): Promise<UserView> {
      if (rows.get(spec.username)) throw new FileFlowError('resource.exists', `There is a user ${spec.username} already.`)
      await carryOut(await plan(actor, spec))
      return view(find(spec.username))
    },
    async update(actor: Actor, username: string, patch: Patch<UserSpec>): Promise<UserView> {
      const next = patched(specOf(find(username)), patch)
      const dropped = patch.password === null || (patch.password_hash === null && patch.password === undefined)
      await carryOut(await plan(actor, { ...next, username }, dropped))
      return view(find(username))
    },
    async remove(actor: Actor, username: string): Promise<void> {
      await carryOut(planRemoval(actor, username))
    },
    /** Takes a removal back: the account as it was, with its credentials. @throws FileFlowError `resource.not_found`, `resource.exists` */
    async restore(actor: Actor, username: string): Promise<UserView> {
      const { row, at } = removals.get(username)
      const principal = check(specOf(row))
      if (row.enabled === 1) await makeHome(principal, specOf(row).directories ?? [])
      store.group.now(() => {
        if (rows.get(username)) throw new FileFlowError('resource.exists', `There is a user ${username} already.`)
        rows.restore({ ...row, updated_at: clock.now() })
        audit(actor, 'restore', username, { removed_at: new Date(at).toISOString() })
      })
      removals.forget(username)
      return view(find(username))
    },
    removed: removals.list,
    async setEnabled(actor: Actor, username: string, enabled: boolean): Promise<UserView> {
      find(username)
      store.group.now(() => {
        rows.setEnabled(username, enabled, clock.now())
        audit(actor, enabled ? 'enable' : 'disable', username)
      })
      if (!enabled) live.revokeUser(username, REVOKED)
      return view(find(username))
    },
    /** Ends the sessions of accounts whose last day is over. */
    endExpired(): void {
      for (const username of new Set([...live.all()].map((s) => s.principal.username))) {
        const row = rows.get(username)
        const expires = row ? expiryOf(specOf(row)) : 0
        if (expires !== null && expires <= clock.now()) live.revokeUser(username, REVOKED)
      }
    },
    /** At start: homes and declared directories that are gone are made again. @returns users whose home could not be made, with the reason. */
    async prepareHomes(): Promise<{ username: string; error: unknown }[]> {
      const failed: { username: string; error: unknown }[] = []
      for (const row of rows.all()) {
        try {
          const spec = specOf(row)
          await prepareHome(principalOf(spec), spec.directories ?? [])
        } catch (error) {
          failed.push({ username: row.username, error })
        }
      }
      return failed
    },
    principalOf,
    principals: (): Principal[] => rows.all().map((row) => principalOf(specOf(row))),
  }
}

/** Whether the row still declares what it did; logins and use of the quota do not count. */
function sameDeclaration(now: UserRow | undefined, before: UserRow | undefined): boolean {
  return (
    now?.spec_json === before?.spec_json &&
    now?.enabled === before?.enabled &&
    now?.password_hash === before?.password_hash &&
    now?.created_at === before?.created_at
  )
}

/** Whether `path` is `folder` or lies below it, as real paths. */
export function isInsideFolder(path: string, folder: string): boolean {
  const way = relative(join(folder), join(path))
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way)
}
