// What a second factor promises an admin: the password alone lets nobody in, no code works twice, and there is a way back.
// Must not know how codes are kept.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateSync } from 'otplib'
import { type Test, test } from 'tap'
import { createAdmins } from '../../src/accounts/admins.ts'
import { createLoginGuard } from '../../src/accounts/login-guard.ts'
import { createRefusals } from '../../src/accounts/refusals.ts'
import { openStore } from '../../src/store/store.ts'
import { recordedLog } from '../store/temp-store.ts'

const HERE = '192.0.2.9'
const ADMIN = { name: 'console', address: 'local', role: 'admin' } as const
const PASSWORD = 'first password'

const POLICY = { max_failures: 100, window: 600_000, ban: 900_000, ban_growth: 2, ban_max: 86_400_000, allow: [], deny: [] }

async function make(t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'fileflow-2fa-'))
  const store = openStore(dir, 'process')
  t.teardown(() => {
    store.close()
    rmSync(dir, { recursive: true, force: true })
  })
  let now = Date.parse('2026-11-24T10:00:00Z')
  const clock = { now: () => now }
  const guard = createLoginGuard(POLICY, clock)
  const admins = createAdmins(store, guard, createRefusals(store, clock, recordedLog().log), clock)
  await admins.ensureFirst(PASSWORD)
  const codeOf = (secret: string, offset = 0) => generateSync({ secret, epoch: Math.floor(now / 1000) + offset })
  const advance = (ms: number) => {
    now += ms
  }
  const turnOn = async () => {
    const { session } = await admins.login('admin', PASSWORD, HERE)
    const { secret, uri } = await admins.beginTotp(session, PASSWORD, HERE)
    const { recovery_codes } = admins.confirmTotp(session, codeOf(secret), HERE)
    advance(60_000)
    return { session, secret, uri, recovery_codes }
  }
  return { dir, store, admins, guard, codeOf, advance, turnOn, clock }
}

test('with a second factor the password alone lets nobody in', async (t) => {
  const { admins, turnOn, codeOf, store } = await make(t)
  const { secret, uri } = await turnOn()
  t.match(uri, /^otpauth:\/\/totp\/FileFlow:admin\?secret=[A-Z2-7]{32}/)
  await t.rejects(admins.login('admin', PASSWORD, HERE), { code: 'auth.totp_required' })
  t.match(
    store.audit.list({ limit: 1 }),
    [{ action: 'admin.login', outcome: 'refused', detail: { reason: 'code missing' } }],
    'a password without its code is seen',
  )
  await t.rejects(admins.login('admin', PASSWORD, HERE, '000000'), { code: 'auth.failed' })
  await t.rejects(admins.login('admin', 'wrong', HERE, codeOf(secret)), { code: 'auth.failed' }, 'nor the code alone')
  const { session } = await admins.login('admin', PASSWORD, HERE, codeOf(secret))
  t.match(admins.bySession(session), { username: 'admin', totp_enabled: true })
  t.match(store.audit.list({ limit: 1 }), [{ action: 'admin.login', detail: { second_factor: 'totp' } }])
})

test('a code works once; the one before and after count for clocks that differ, older ones do not', async (t) => {
  const { admins, turnOn, codeOf, advance } = await make(t)
  const { secret } = await turnOn()
  const code = codeOf(secret, -30)
  await admins.login('admin', PASSWORD, HERE, `${code.slice(0, 3)} ${code.slice(3)}`)
  await t.rejects(admins.login('admin', PASSWORD, HERE, code), { code: 'auth.failed' })
  advance(120_000)
  await t.rejects(admins.login('admin', PASSWORD, HERE, codeOf(secret, -90)), { code: 'auth.failed' })
  const both = await Promise.allSettled([1, 2].map(() => admins.login('admin', PASSWORD, HERE, codeOf(secret))))
  t.same(both.map((r) => r.status).sort(), ['fulfilled', 'rejected'], 'of two logins at once with one code only one gets in')
})

test('each recovery code lets in once, whatever the phone says', async (t) => {
  const { admins, turnOn } = await make(t)
  const { recovery_codes } = await turnOn()
  t.equal(new Set(recovery_codes).size, 10)
  t.equal(admins.get('admin').recovery_codes_left, 10)
  await admins.login('admin', PASSWORD, HERE, recovery_codes[3]!.toLowerCase().replaceAll('-', ' '))
  await t.rejects(admins.login('admin', PASSWORD, HERE, recovery_codes[3]), { code: 'auth.failed' })
  t.equal(admins.get('admin').recovery_codes_left, 9)
})

test('codes cannot be guessed from many addresses', async (t) => {
  const { admins, turnOn, codeOf, advance } = await make(t)
  const { secret } = await turnOn()
  for (let i = 0; i < 10; i++) await t.rejects(admins.login('admin', PASSWORD, `192.0.2.${i}`, '123456'), { code: 'auth.failed' })
  await t.rejects(admins.login('admin', PASSWORD, '198.51.100.1', codeOf(secret)), { code: 'limit.rate' })
  advance(11 * 60_000)
  t.ok(await admins.login('admin', PASSWORD, '198.51.100.1', codeOf(secret)))
})

test('a password cannot be guessed from many addresses, and who knows the account is never shut out by those who try', async (t) => {
  const { admins, store, advance } = await make(t)
  const HOME = '198.51.100.7'
  const { session } = await admins.login('admin', PASSWORD, HOME)
  const slow = { code: 'limit.rate', detail: { retry_after: 900 } }
  for (const name of ['admin', 'nobody']) {
    const tries = Array.from({ length: 30 }, (_, n) => admins.login(name, `guess ${n}`, `192.0.2.${n}`).catch(({ code }) => code as string))
    const said = await Promise.all(tries)
    t.equal(said.filter((code) => code === 'auth.failed').length, 20, `${name}: twenty are looked at, however many come at once`)
    t.equal(said.filter((code) => code === 'limit.rate').length, 10)
    await t.rejects(admins.login(name, PASSWORD, '203.0.113.1'), slow, 'not even the right one is, from a new address')
  }
  t.match(
    store.audit.list({ limit: 100, action: 'admin.login' }).filter(({ detail }) => (detail as { slowed?: true }).slowed),
    [{ actor: 'nobody' }, { actor: 'admin', detail: { reason: 'wrong password' } }],
    'the log says when it began',
  )
  t.ok(admins.bySession(session), 'who is there stays')
  t.ok(await admins.login('admin', PASSWORD, HOME), 'and comes in again from where it was before')
  await t.rejects(admins.login('admin', 'mistyped', HOME), { code: 'auth.failed' })
  advance(14 * 60_000)
  await t.rejects(
    admins.login('admin', PASSWORD, '203.0.113.1'),
    { code: 'limit.rate', detail: { retry_after: 60 } },
    'going on does not make it last',
  )
  advance(60_000)
  t.ok(await admins.login('admin', PASSWORD, '203.0.113.1'))
})

test('a newcomer with a code of the phone need not wait, and addresses that are never banned do not either', async (t) => {
  const { admins, turnOn, codeOf, guard } = await make(t)
  const { secret } = await turnOn()
  const attack = () => Promise.allSettled(Array.from({ length: 21 }, (_, n) => admins.login('admin', 'guess', `192.0.2.${n + 10}`)))
  await attack()
  await t.rejects(admins.login('admin', PASSWORD, '203.0.113.1'), { code: 'limit.rate' })
  await t.rejects(admins.login('admin', PASSWORD, '203.0.113.1', '000000'), { code: 'limit.rate' })
  await t.rejects(admins.login('admin', 'guess', '203.0.113.1', codeOf(secret)), { code: 'auth.failed' }, 'the code alone opens nothing')
  t.ok(await admins.login('admin', PASSWORD, '203.0.113.1', codeOf(secret)))
  guard.setPolicy({ ...POLICY, allow: ['198.51.100.0/24'] })
  await t.rejects(admins.login('admin', PASSWORD, '198.51.100.9'), { code: 'auth.totp_required' })
})

test('it takes the password to turn it on or off, and a code of the new secret', async (t) => {
  const { admins, store, codeOf, dir } = await make(t)
  const { session } = await admins.login('admin', PASSWORD, HERE)
  await t.rejects(admins.beginTotp(session, 'wrong', HERE), { code: 'permission.denied' })
  t.throws(() => admins.confirmTotp(session, '123456', HERE), { code: 'state.conflict' })
  const { secret } = await admins.beginTotp(session, PASSWORD, HERE)
  t.throws(() => admins.confirmTotp(session, codeOf(secret, 600), HERE), { code: 'request.invalid' })
  t.ok(await admins.login('admin', PASSWORD, HERE), 'not on until it was confirmed')
  const { recovery_codes } = admins.confirmTotp(session, codeOf(secret), HERE)
  t.ok(admins.bySession(session), 'this session stays')
  const kept = Buffer.concat([readFileSync(join(dir, 'fileflow.db')), readFileSync(join(dir, 'fileflow.db-wal'))])
  for (const text of [secret, recovery_codes[0]!, recovery_codes[0]!.replaceAll('-', '')]) t.notOk(kept.includes(text), 'nothing in clear')
  await t.rejects(admins.removeTotp(session, 'wrong', HERE), { code: 'permission.denied' })
  await admins.removeTotp(session, PASSWORD, HERE)
  t.ok(await admins.login('admin', PASSWORD, HERE))
  t.notMatch(JSON.stringify(store.audit.list({ limit: 100 })), new RegExp(`${secret}|${recovery_codes[0]}`))
})

test('an admin who lost everything is let in by password after reset-2fa', async (t) => {
  const { admins, turnOn } = await make(t)
  const { session } = await turnOn()
  t.match(admins.resetSecondFactor(ADMIN, 'admin'), { totp_enabled: false, recovery_codes_left: 0 })
  t.equal(admins.bySession(session), null)
  t.ok(await admins.login('admin', PASSWORD, HERE))
})

test('a changed password needs the present one and ends the other sessions', async (t) => {
  const { admins } = await make(t)
  const other = await admins.login('admin', PASSWORD, HERE)
  const { session } = await admins.login('admin', PASSWORD, HERE)
  await t.rejects(admins.changePassword(session, 'wrong', 'second password', HERE), { code: 'permission.denied' })
  await t.rejects(admins.changePassword(session, PASSWORD, 'short', HERE), { code: 'request.invalid' })
  await admins.changePassword(session, PASSWORD, 'second password', HERE)
  t.ok(admins.bySession(session))
  t.equal(admins.bySession(other.session), null)
  await t.rejects(admins.login('admin', PASSWORD, HERE), { code: 'auth.failed' })
  t.ok(await admins.login('admin', 'second password', HERE))
})

test('role and standing of an admin act at once; the last one with all rights stays', async (t) => {
  const { admins } = await make(t)
  for (const patch of [{ role: 'auditor' }, { enabled: false }] as const)
    await t.rejects(admins.update(ADMIN, 'admin', patch), { code: 'state.conflict' })
  await admins.create(ADMIN, { username: 'olga', password: 'olga password', role: 'admin' })
  const { session } = await admins.login('olga', 'olga password', HERE)
  await admins.update(ADMIN, 'olga', { role: 'auditor' })
  t.equal(admins.bySession(session)?.role, 'auditor')
  await admins.update(ADMIN, 'olga', { enabled: false })
  t.equal(admins.bySession(session), null)
  await t.rejects(admins.login('olga', 'olga password', HERE), { code: 'auth.failed' })
  await t.rejects(admins.remove(ADMIN, 'admin'), { code: 'state.conflict' }, 'a disabled one does not count')
})

test('a token ends when it was said to', async (t) => {
  const { admins, clock, advance } = await make(t)
  const { token, expires_at } = admins.tokens.create(ADMIN, { name: 'ci', role: 'auditor', expiresAt: clock.now() + 3600_000 })
  t.equal(expires_at, new Date(clock.now() + 3600_000).toISOString())
  t.ok(admins.tokens.byToken(token, HERE))
  advance(3600_000)
  t.equal(admins.tokens.byToken(token, HERE), null)
  t.throws(() => admins.tokens.create(ADMIN, { name: 'old', role: 'auditor', expiresAt: clock.now() }), { code: 'request.invalid' })
})
