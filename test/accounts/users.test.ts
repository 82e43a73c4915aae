// Users and admins as verbs over a real store: what is refused, what is recorded, and what happens to live sessions at once.
// Must not go round the verbs.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createAdmins } from '../../src/accounts/admins.ts'
import { createAuthenticator, type Secret } from '../../src/accounts/authenticator.ts'
import { createLiveSessions, type SessionOwner } from '../../src/accounts/live-sessions.ts'
import { createLoginGuard } from '../../src/accounts/login-guard.ts'
import { hashPassword } from '../../src/accounts/passwords.ts'
import { parsePublicKey } from '../../src/accounts/public-keys.ts'
import { createRefusals } from '../../src/accounts/refusals.ts'
import { createUsers, isInsideFolder } from '../../src/accounts/users.ts'
import type { Peer } from '../../src/core/transfer.ts'
import type { Principal, UserSpec } from '../../src/core/user.ts'
import { prepareHome } from '../../src/files/homes.ts'
import { ADMIN, fakeClock, recordedLog, START, tempStore } from '../store/temp-store.ts'
import { sshKeyPair } from '../support/ssh-keys.ts'

const PEER: Peer = { protocol: 'sftp', address: '203.0.113.7', port: 40000, localAddress: '192.0.2.1', localPort: 22 }
const DEFENCE = { max_failures: 1000, window: 1000, ban: 1000, ban_growth: 2, ban_max: 10_000, allow: [], deny: [] }

/** A password hash that costs next to nothing to check. */
const CHEAP = '$argon2id$v=19$m=8,t=1,p=1$'

function setUp(t: Test, { storage = 'files', home = prepareHome } = {}) {
  const { dir, store, file } = tempStore(t)
  const clock = fakeClock()
  const live = createLiveSessions()
  const storageRoot = join(dir, storage)
  const users = createUsers({ store, live, clock, storageRoot, dataDir: dir, prepareHome: home })
  const told: string[] = []
  const owner: SessionOwner = {
    revoked: (id, reason) => told.push(`${id} ${reason.code}`),
    abandon: () => undefined,
    hanging: () => undefined,
    principalChanged: (id, principal) => told.push(`${id} principal ${principal.permissions.length}`),
  }
  const connect = (username: string, id = `s-${username}`): void =>
    live.add({
      id,
      principal: users.principalOf({ username }),
      peer: PEER,
      method: 'password',
      client: '',
      startedAt: START,
      owner,
      transfers: new Map(),
      doing: null,
      fate: { revoked: false },
    })
  const audited = () => store.audit.list({ limit: 100 }).map((row) => `${row.action} ${row.object}`)
  const authenticator = createAuthenticator(store, users.principalOf, clock)
  const guard = createLoginGuard(DEFENCE, clock)
  return { dir, store, file, clock, live, users, storageRoot, told, connect, audited, authenticator, guard }
}

test('a removed user is restored as it was, with its credentials, for half an hour and not over a new one of that name', async (t) => {
  const { users, clock, audited, store, connect, told } = setUp(t)
  const key = sshKeyPair('ed25519').public
  await users.create(ADMIN, { username: 'a', password: 'x', public_keys: [key], permissions: [{ path: '/', allow: ['list'] }] })
  store.accounts.users.addUsage('a', 700, 3)
  store.accounts.users.loggedIn('a', START, { address: '203.0.113.7', protocol: 'sftp' })
  const before = users.get('a')
  const hash = store.accounts.users.get('a')!.password_hash
  connect('a')
  await users.remove(ADMIN, 'a')
  t.same(told, ['s-a session.revoked'])
  t.throws(() => users.get('a'), { code: 'resource.not_found' })
  t.match(users.removed(), [{ kind: 'user', name: 'a', by: 'alice', removed_at: new Date(START).toISOString() }])
  t.notMatch(JSON.stringify(users.removed()), /argon2/)
  clock.advance(29 * 60_000)
  t.match(await users.restore(ADMIN, 'a'), { ...before, updated_at: String, sessions: Number })
  t.equal(store.accounts.users.get('a')!.password_hash, hash)
  t.same(users.removed(), [])
  t.equal(audited()[0], 'user.restore a')
  await t.rejects(users.restore(ADMIN, 'a'), { code: 'resource.not_found' }, 'once')

  await users.remove(ADMIN, 'a')
  await users.create(ADMIN, { username: 'a', password: 'another' })
  await t.rejects(users.restore(ADMIN, 'a'), { code: 'resource.exists' })
  t.same(users.get('a').public_keys, [])
  await users.remove(ADMIN, 'a')
  await users.restore(ADMIN, 'a')
  t.same(users.get('a').public_keys, [], 'the one that was removed last')
  await users.remove(ADMIN, 'a')
  clock.advance(30 * 60_000)
  t.same(users.removed(), [])
  await t.rejects(users.restore(ADMIN, 'a'), { code: 'resource.not_found' }, 'too late')
})

test('a user is made with home and folders, and is found in list, view and audit', async (t) => {
  const { users, storageRoot, audited } = setUp(t)
  const view = await users.create(ADMIN, {
    username: 'customer1',
    password: 'x',
    start_directory: '/in',
    directories: ['/in', '/out/deep'],
  })
  t.match(view, {
    username: 'customer1',
    enabled: true,
    has_password: true,
    home: 'customer1',
    protocols: ['sftp', 'ftp'],
    require_tls: true,
    sessions: 0,
  })
  t.notMatch(JSON.stringify(view), /argon2|"x"/)
  for (const path of ['in', 'out/deep']) t.ok(existsSync(join(storageRoot, 'customer1', path)), path)
  t.same(audited(), ['user.create customer1'])
  await t.rejects(users.create(ADMIN, { username: 'customer1' }), { code: 'resource.exists' })
  t.throws(() => users.get('nobody'), { code: 'resource.not_found' })
  await t.rejects(users.update(ADMIN, 'nobody', {}), { code: 'resource.not_found' })
  await users.create(ADMIN, { username: 'customer2' })
  t.match(users.list({ limit: 1 }), { items: [{ username: 'customer1' }], next: 'customer1' })
  t.match(users.list({ cursor: 'customer1', q: 'TOMER' }), { items: [{ username: 'customer2' }], next: null })
})

test('a patch changes what it names, and null takes a key back to its default', async (t) => {
  const { users, store, audited } = setUp(t)
  const { public: key } = sshKeyPair('ed25519')
  await users.create(ADMIN, { username: 'u', password: 'x', partner: 'P', public_keys: [key], quota: { files: 5 } })
  const hash = () => store.accounts.users.get('u')!.password_hash
  const before = hash()
  t.match(await users.update(ADMIN, 'u', { partner: 'Q', quota: null }), { partner: 'Q', quota: {}, public_keys: [key] })
  t.equal(hash(), before, 'the password stays')
  await users.update(ADMIN, 'u', { password: 'x' })
  t.equal(hash(), before, 'the same password again changes nothing')
  t.equal(audited().length, 2, 'and is no event')
  await users.update(ADMIN, 'u', { password: 'y' })
  t.not(hash(), before)
  t.match(await users.update(ADMIN, 'u', { password: null }), { has_password: false, public_keys: [key] })
  t.equal(hash(), null)
  t.equal(audited().length, 4, 'taking a password away leaves a trace')
  t.notMatch(JSON.stringify(store.audit.list({ limit: 50 })), /argon2|"y"/)
})

test('homes and mounts cannot reach the gateway’s own folders, nor the homes of others by mistake', async (t) => {
  const { users, dir, storageRoot } = setUp(t)
  const refused = (spec: Omit<UserSpec, 'username'>, message: RegExp) =>
    t.rejects(users.create(ADMIN, { username: 'u', ...spec }), { code: 'request.invalid', message }, JSON.stringify(spec))
  await refused({ home: '../keys' }, /data_dir/)
  await refused({ home: '../../other' }, /leaves storage_root|data_dir/)
  await refused({ home: '.' }, /storage_root itself/)
  await refused({ home: join(dir, 'keys') }, /data_dir/)
  await refused({ home: join(dir, '..keys') }, /data_dir/)
  await refused({ home: '/' }, /data_dir/)
  await refused({ mounts: [{ path: '/m', target: dir }] }, /data_dir/)
  await refused({ mounts: [{ path: '/', target: '/srv' }] }, /home itself/)
  await refused(
    {
      mounts: [
        { path: '/m', target: '/srv/a' },
        { path: '/m/n', target: '/srv/b' },
      ],
    },
    /in the way/,
  )
  await refused(
    {
      mounts: [
        { path: '/m', target: '/srv/a' },
        { path: '/m/', target: '/srv/b' },
      ],
    },
    /in the way/,
  )
  await refused({ allowed_ips: ['203.0.113.0/33'] }, /no address or network/)
  await refused({ allowed_ips: ['fe80::1%eth0'] }, /no address or network/)
  await refused({ public_keys: ['ssh-dss AAAA'] }, /public key/)
  await refused({ expires_at: '2027-02-31T99:00:00Z' }, /not a date/)
  t.equal((await users.create(ADMIN, { username: 'u', home: `${storageRoot}/anywhere/below` })).home, `${storageRoot}/anywhere/below`)
})

test('a storage root around the data directory does not open the data directory', async (t) => {
  const { users, dir } = setUp(t, { storage: '..' })
  await t.rejects(users.create(ADMIN, { username: 'u', home: join(dir, 'keys') }), { message: /data_dir/ })
  t.ok(isInsideFolder('/a/..b', '/a') && isInsideFolder('/a', '/a'))
  t.notOk(isInsideFolder('/ab', '/a') || isInsideFolder('/', '/a'))
})

test('disabling, removing and moving a user ends live sessions at once; other changes reach them', async (t) => {
  const { users, told, connect, live } = setUp(t)
  for (const username of ['a', 'b']) {
    await users.create(ADMIN, { username })
    connect(username)
  }
  const tell = async (work: () => Promise<unknown>): Promise<string[]> => {
    told.length = 0
    await work()
    return [...told]
  }
  t.same(await tell(() => users.setEnabled(ADMIN, 'a', false)), ['s-a session.revoked'])
  t.ok(live.get('s-a')?.fate.revoked)
  t.notOk(live.get('s-b')?.fate.revoked)
  t.same(await tell(() => users.setEnabled(ADMIN, 'a', true)), [])
  t.same(await tell(() => users.update(ADMIN, 'b', { permissions: [] })), ['s-b principal 0'])
  t.same(await tell(() => users.update(ADMIN, 'b', { home: 'elsewhere' })), ['s-b session.revoked'])
  t.same(await tell(() => users.update(ADMIN, 'b', { protocols: ['ftp'] })), ['s-b session.revoked'])
  t.same(await tell(() => users.update(ADMIN, 'b', { require_tls: false })), ['s-b principal 0'])
  t.same(await tell(() => users.update(ADMIN, 'b', { require_tls: true })), ['s-b session.revoked'], 'a bare session may be among them')
  t.same(await tell(() => users.update(ADMIN, 'b', { enabled: false })), ['s-b session.revoked'])
  t.same(await tell(() => users.remove(ADMIN, 'b')), ['s-b session.revoked'])
  t.throws(() => users.get('b'), { code: 'resource.not_found' })
})

test('a home that cannot be made does not keep a disabled user in', async (t) => {
  let broken = false
  const { users, told, connect } = setUp(t, {
    home: async () => {
      if (broken) throw new Error('volume gone')
    },
  })
  await users.create(ADMIN, { username: 'u' })
  connect('u')
  broken = true
  await users.update(ADMIN, 'u', { enabled: false })
  t.same(told, ['s-u session.revoked'])
  t.equal(users.get('u').enabled, false)
  await t.rejects(users.create(ADMIN, { username: 'v' }), { code: 'request.invalid', message: /user v: home/ })
  t.throws(() => users.get('v'), { code: 'resource.not_found' }, 'a user whose home cannot be made is not made')
})

test('a slow change does not undo a disabling that came in between', async (t) => {
  const { users } = setUp(t)
  await users.create(ADMIN, { username: 'u', password: 'x' })
  const slow = users.update(ADMIN, 'u', { password: 'y' })
  await users.setEnabled(ADMIN, 'u', false)
  await t.rejects(slow, { code: 'state.conflict' })
  t.equal(users.get('u').enabled, false)
  const [first, second] = await Promise.allSettled([
    users.create(ADMIN, { username: 'n', password: 'a' }),
    users.create(ADMIN, { username: 'n', password: 'b' }),
  ])
  t.same([first.status, second.status].sort(), ['fulfilled', 'rejected'], 'one of two creations wins')
})

test('accounts end with their last day, live sessions included', async (t) => {
  const { users, told, connect, clock } = setUp(t)
  await users.create(ADMIN, { username: 'u', expires_at: '2026-03-04' })
  connect('u')
  users.endExpired()
  t.same(told, [])
  clock.advance(24 * 3600_000)
  users.endExpired()
  t.same(told, ['s-u session.revoked'])
})

test('every condition of an account refuses, under one cost and in its own word for the log', async (t) => {
  const { users, authenticator, clock } = setUp(t)
  const pair = sshKeyPair('ed25519')
  const key: Secret = { kind: 'publickey', blob: parsePublicKey(pair.public).blob }
  const other: Secret = { kind: 'publickey', blob: parsePublicKey(sshKeyPair('ed25519').public).blob }
  const right: Secret = { kind: 'password', password: 'x' }
  const base = { password: 'x', public_keys: [pair.public] }
  const specs: UserSpec[] = [
    { username: 'fine', ...base, allowed_ips: ['203.0.113.0/24'], expires_at: '2026-03-04' },
    { username: 'off', ...base, enabled: false },
    { username: 'old', ...base, expires_at: '2026-03-03' },
    { username: 'ftponly', ...base, protocols: ['ftp'] },
    { username: 'elsewhere', ...base, allowed_ips: ['198.51.100.0/24'] },
    { username: 'bare', ...base, require_tls: false },
    { username: 'keyonly', public_keys: [pair.public] },
  ]
  for (const spec of specs) await users.create(ADMIN, spec)
  const ask = (username: string, secret: Secret = right, secure = true) => authenticator.check(username, secret, PEER, secure)
  t.match(await ask('fine'), { username: 'fine' } as Partial<Principal>)
  t.match(await ask('fine', key), { username: 'fine' } as Partial<Principal>)
  t.match(await ask('bare', right, false), { username: 'bare' } as Partial<Principal>)
  const table: [string, Secret, boolean, string][] = [
    ['nobody', right, true, 'unknown user'],
    ['nobody', key, true, 'unknown user'],
    ['fine', { kind: 'password', password: 'y' }, true, 'wrong password'],
    ['fine', { kind: 'password', password: '' }, true, 'wrong password'],
    ['keyonly', { kind: 'password', password: '' }, true, 'wrong password'],
    ['fine', other, true, 'unknown key'],
    ['fine', right, false, 'TLS required'],
    ['off', right, true, 'disabled'],
    ['off', key, true, 'disabled'],
    ['old', right, true, 'expired'],
    ['ftponly', right, true, 'protocol not allowed'],
    ['elsewhere', key, true, 'address not allowed'],
    ['fine\0', right, true, 'unknown user'],
    ['FINE', right, true, 'unknown user'],
  ]
  for (const [username, secret, secure, refusal] of table) t.equal(await ask(username, secret, secure), refusal, `${username} ${refusal}`)
  t.ok(authenticator.requiresTls('nobody') && authenticator.requiresTls('fine'))
  t.notOk(authenticator.requiresTls('bare'))
  clock.advance(24 * 3600_000)
  t.equal(authenticator.standing('fine', PEER), 'expired')
})

test('a hash from an export lets the same password in', async (t) => {
  const { users, authenticator } = setUp(t)
  await users.create(ADMIN, { username: 'u', password_hash: await hashPassword('x') })
  t.match(await authenticator.check('u', { kind: 'password', password: 'x' }, PEER, true), { username: 'u' })
  t.match(users.all(), [{ username: 'u', password_hash: /^\$argon2id/ }])
  t.not(users.all()[0]!.password_hash, CHEAP)
})

test('the first admin is made once; the last one with all rights stays', async (t) => {
  const { store, guard, clock } = setUp(t)
  const admins = createAdmins(store, guard, createRefusals(store, clock, recordedLog().log), clock)
  const password = await admins.ensureFirst(undefined)
  t.match(password, /^.{20}$/)
  t.equal(await admins.ensureFirst(undefined), null)
  await t.rejects(admins.remove(ADMIN, 'admin'), { code: 'state.conflict' })
  await t.rejects(admins.create(ADMIN, { username: 'op', password: 'short', role: 'operator' }), { code: 'request.invalid' })
  await admins.create(ADMIN, { username: 'op', password: 'long enough', role: 'operator' })
  await t.rejects(admins.create(ADMIN, { username: 'op', password: 'long enough', role: 'operator' }), { code: 'resource.exists' })
  await t.rejects(admins.remove(ADMIN, 'admin'), { code: 'state.conflict' }, 'an operator is no substitute')
  await admins.create(ADMIN, { username: 'second', password: 'long enough', role: 'admin' })
  await admins.remove(ADMIN, 'admin')
  t.same(
    admins.list({}).items.map((a) => a.username),
    ['op', 'second'],
  )
})

test('browser sessions and tokens are kept as hashes only, and end when they should', async (t) => {
  const { store, guard, clock, file, dir } = setUp(t)
  const admins = createAdmins(store, guard, createRefusals(store, clock, recordedLog().log), clock)
  await admins.ensureFirst('first password')
  await t.rejects(admins.login('admin', 'wrong', '192.0.2.9'), { code: 'auth.failed' })
  await t.rejects(admins.login('\ud800', 'wrong', '192.0.2.9'), { code: 'auth.failed' })
  const { session, csrf } = await admins.login('admin', 'first password', '192.0.2.9')
  t.match(admins.bySession(session), { username: 'admin', role: 'admin', csrf })
  const { token } = admins.tokens.create(ADMIN, { name: 'ci', role: 'auditor' })
  t.match(admins.tokens.byToken(token, '192.0.2.9'), { name: 'ci', role: 'auditor' })
  t.equal(admins.tokens.byToken('ff_guess', '192.0.2.9'), null)
  const kept = Buffer.concat([readFileSync(file), readFileSync(`${file}-wal`)])
  for (const secret of [session, token, token.slice(3), 'first password']) t.notOk(kept.includes(secret))
  t.throws(() => admins.tokens.create(ADMIN, { name: 'ci', role: 'auditor' }), { code: 'resource.exists' })
  admins.tokens.remove(ADMIN, 'ci')
  t.equal(admins.tokens.byToken(token, '192.0.2.9'), null)

  await admins.update(ADMIN, 'admin', { password: 'second password' })
  t.equal(admins.bySession(session), null, 'a new password ends old sessions')
  const later = await admins.login('admin', 'second password', '192.0.2.9')
  clock.advance(11 * 3600_000)
  t.ok(admins.bySession(later.session), 'use keeps it alive')
  clock.advance(11 * 3600_000)
  t.ok(admins.bySession(later.session))
  clock.advance(12 * 3600_000)
  t.equal(admins.bySession(later.session), null)
  t.ok(store.audit.verify().ok)
  t.ok(existsSync(dir))
})

test('an admin login from a banned address, or one of too many, leaves one row and then a number', async (t) => {
  const { store, clock } = setUp(t)
  const guard = createLoginGuard({ ...DEFENCE, max_failures: 1, ban: 60_000 }, clock)
  const refusals = createRefusals(store, clock, recordedLog().log)
  const admins = createAdmins(store, guard, refusals, clock)
  await admins.ensureFirst('first password')
  await t.rejects(admins.login('admin', 'wrong', '192.0.2.9'), { code: 'auth.failed' })
  for (let i = 0; i < 5; i++) await t.rejects(admins.login(`admin${i}`, 'first password', '192.0.2.9'), { code: 'auth.banned' })
  for (let i = 0; i < 4; i++) await admins.tooFast('192.0.2.10')
  const refused = () => store.audit.list({ limit: 50, action: 'admin.login', outcome: 'refused' })
  clock.advance(60_000)
  refusals.settle(false)
  t.match(refused().reverse(), [
    { actor: 'admin', address: '192.0.2.9', detail: { reason: 'wrong password', banned: true } },
    { actor: 'admin0', address: '192.0.2.9', object: 'session', detail: { reason: 'banned', until: String } },
    { actor: '-', address: '192.0.2.10', detail: { reason: 'too many requests' } },
    { actor: '-', address: '192.0.2.9', object: 'session', detail: { reason: 'banned', more: 4 } },
  ])
  refusals.settle(true)
  t.match(refused()[0], { actor: '-', address: '192.0.2.10', detail: { reason: 'too many requests', more: 3 } })
  t.equal(refused().length, 5)
})

test('wrong tokens are in the audit log, an expired one by its name; nobody can shut a right one out', async (t) => {
  const { store, clock } = setUp(t)
  const guard = createLoginGuard({ ...DEFENCE, max_failures: 3, ban: 60_000 }, clock)
  const refusals = createRefusals(store, clock, recordedLog().log)
  const { tokens } = createAdmins(store, guard, refusals, clock)
  const { token } = tokens.create(ADMIN, { name: 'ci', role: 'auditor', expiresAt: clock.now() + 1000 })
  for (let i = 0; i < 30; i++) t.equal(tokens.byToken('ff_an_old_one', '192.0.2.9'), null)
  for (let i = 0; i < 3; i++) guard.failed('192.0.2.9')
  t.ok(guard.refusal('192.0.2.9'), 'banned for what others did there')
  t.match(tokens.byToken(token, '192.0.2.9'), { name: 'ci' })
  clock.advance(1000)
  for (let i = 0; i < 5; i++) t.equal(tokens.byToken(token, '192.0.2.9'), null)
  t.equal(tokens.byToken('ff_guess_1', '192.0.2.9'), null)
  t.equal(tokens.byToken('ff_guess_2', '192.0.2.9'), null)
  store.group.flush()
  refusals.settle(true)
  const rows = store.audit.list({ limit: 50, action: 'token.use', outcome: 'refused' })
  t.equal(rows.filter(({ actor }) => actor === 'token:ci').length, 5)
  t.match(rows[0], { actor: '-', address: '192.0.2.9', object: 'token', detail: { reason: 'unknown token', more: 22 } })
  for (const { detail } of rows) t.notMatch(JSON.stringify(detail), /ff_|guess/)
})

test('a page that is left open does not keep its login alive for ever', async (t) => {
  const { store, guard, clock } = setUp(t)
  const admins = createAdmins(store, guard, createRefusals(store, clock, recordedLog().log), clock)
  await admins.ensureFirst('first password')
  const { session } = await admins.login('admin', 'first password', '192.0.2.9')
  for (let hour = 1; hour < 12; hour++) {
    clock.advance(3600_000)
    t.ok(admins.bySession(session, false), 'it may still watch')
  }
  clock.advance(3600_000)
  t.equal(admins.bySession(session, false), null)
})

test('a login that races a change of the password or the removal of its admin loses', async (t) => {
  const { store, guard, clock } = setUp(t)
  const admins = createAdmins(store, guard, createRefusals(store, clock, recordedLog().log), clock)
  await admins.ensureFirst('first password')
  await admins.create(ADMIN, { username: 'gone', password: 'first password', role: 'admin' })
  const other = await hashPassword('second password')
  const logins = Promise.allSettled([admins.login('admin', 'first password', ''), admins.login('gone', 'first password', '')])
  store.accounts.admins.setPassword('admin', other)
  await admins.remove(ADMIN, 'gone')
  for (const result of await logins) t.match(result, { status: 'rejected', reason: { code: 'auth.failed' } })
})
