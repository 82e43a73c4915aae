// Passwords, public keys and the guard against guessing.
// Must not look at the clock on the wall.
import crypto, { generateKeyPairSync } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { test } from 'tap'
import { createLoginGuard, type DefencePolicy } from '../../src/accounts/login-guard.ts'
import { hashPassword, verifyPassword } from '../../src/accounts/passwords.ts'
import { holdsKey, parsePublicKey } from '../../src/accounts/public-keys.ts'
import { fakeClock } from '../store/temp-store.ts'
import { type KeyType, sshKeyPair } from '../support/ssh-keys.ts'

test('a password is kept as argon2id with 19 MiB and two passes, each time with another salt', async (t) => {
  const hash = await hashPassword('correct horse')
  t.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  t.not(await hashPassword('correct horse'), hash)
  t.ok(await verifyPassword('correct horse', hash))
  t.notOk(await verifyPassword('correct horsf', hash))
  t.notOk(await verifyPassword('', hash))
  t.ok(await verifyPassword('pässwörd 😀', await hashPassword('pässwörd 😀')))
})

test('a hash that makes no sense or asks for too much fits no password', async (t) => {
  const good = await hashPassword('x')
  for (const bad of [
    '',
    'x',
    good.replace('argon2id', 'argon2i'),
    good.replace('m=19456', 'm=9999999'),
    good.replace('p=1', 'p=0'),
    good.replace('t=2', 't=0'),
  ])
    t.notOk(await verifyPassword('x', bad), bad)
})

/** Counts the real argon2 calls while `work` runs. */
async function derivations(work: () => Promise<unknown>): Promise<{ memory: number; passes: number }[]> {
  const real = crypto.argon2
  const seen: { memory: number; passes: number }[] = []
  crypto.argon2 = ((algorithm: 'argon2id', parameters: crypto.Argon2Parameters, callback: never) => {
    seen.push({ memory: parameters.memory, passes: parameters.passes })
    return real(algorithm, parameters, callback)
  }) as typeof real
  syncBuiltinESMExports()
  try {
    await work()
  } finally {
    crypto.argon2 = real
    syncBuiltinESMExports()
  }
  return seen
}

test('an unknown user costs the same work as a known one', async (t) => {
  const hash = await hashPassword('x')
  const known = await derivations(() => verifyPassword('wrong', hash))
  const unknown = await derivations(() => verifyPassword('wrong', null))
  t.same(known, [{ memory: 19456, passes: 2 }])
  t.same(unknown, known)
  t.same(await derivations(() => verifyPassword('wrong', 'damaged')), known)
})

test('a flood of logins waits in a line that has an end', async (t) => {
  const results = await Promise.allSettled(
    Array.from({ length: 300 }, () =>
      verifyPassword('x', '$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'),
    ),
  )
  const refused = results.filter((r) => r.status === 'rejected')
  t.equal(refused.length, 300 - 256 - 2)
  t.match(refused[0]!.reason, { code: 'limit.rate' })
  t.ok(await verifyPassword('y', await hashPassword('y')), 'and goes on afterwards')
})

const line = (type: KeyType, bits?: number): string => sshKeyPair(type, bits, 'me@here').public

test('keys of today are taken, with their fingerprint', (t) => {
  for (const [kind, text] of [
    ['ssh-ed25519', line('ed25519')],
    ['ecdsa-sha2-nistp256', line('ecdsa', 256)],
    ['ecdsa-sha2-nistp384', line('ecdsa', 384)],
    ['ecdsa-sha2-nistp521', line('ecdsa', 521)],
    ['ssh-rsa', line('rsa', 2048)],
  ] as const) {
    const key = parsePublicKey(text)
    t.match(key, { type: kind, comment: 'me@here', fingerprint: /^SHA256:[A-Za-z0-9+/]{43}$/ })
    t.ok(holdsKey([line('ed25519'), `  ${text}\n`], key.blob))
    t.notOk(holdsKey([line('ed25519')], key.blob))
  }
  t.notOk(holdsKey([], Buffer.alloc(0)))
  t.end()
})

test('keys that are weak, odd or not what they say are refused with the reason', (t) => {
  const refuse = (text: string, message: RegExp) =>
    t.throws(() => parsePublicKey(text), { code: 'request.invalid', message }, text.slice(0, 40))
  const ed25519 = line('ed25519')
  const body = ed25519.split(' ')[1]!
  refuse(line('rsa', 1024), /2048 bits/)
  refuse(`ssh-dss ${body}`, /begins with "ssh-dss"/)
  refuse(`command="rm -rf /" ${ed25519}`, /options/)
  refuse(`ssh-rsa ${body}`, /says ssh-rsa but holds ssh-ed25519|cannot be read/)
  refuse('ssh-ed25519', /not base64/)
  refuse('ssh-ed25519 !!!!', /not base64/)
  refuse(`ssh-ed25519 ${body.slice(0, 20)}`, /not base64/)
  refuse(`ssh-ed25519 ${Buffer.alloc(64).toString('base64')}`, /cannot be read|holds/)
  refuse('', /begins with ""/)
  refuse(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, /begins with/)
  t.end()
})

const POLICY: DefencePolicy = { max_failures: 3, window: 1000, ban: 10_000, ban_growth: 2, ban_max: 30_000, allow: [], deny: [] }

function guarded(over: Partial<DefencePolicy> = {}) {
  const clock = fakeClock()
  const guard = createLoginGuard({ ...POLICY, ...over }, clock)
  const fail = (address: string, times = 1): boolean => Array.from({ length: times }, () => guard.failed(address)).includes(true)
  return { clock, guard, fail }
}

test('an address that fails too often is banned, each time longer, up to a limit', (t) => {
  const { clock, guard, fail } = guarded()
  for (const ban of [10_000, 20_000, 30_000, 30_000]) {
    t.notOk(fail('203.0.113.7', 2))
    t.equal(guard.refusal('203.0.113.7'), null)
    t.ok(fail('203.0.113.7'))
    t.same(guard.refusal('203.0.113.7'), { reason: 'banned', until: clock.now() + ban })
    t.match(guard.bans(), [{ address: '203.0.113.7', since: clock.now(), until: clock.now() + ban, failures: 3 }])
    t.equal(guard.refusal('203.0.113.8'), null, 'its neighbour is not')
    clock.advance(ban)
    t.equal(guard.refusal('203.0.113.7'), null)
  }
  t.end()
})

test('failures that are far apart, or followed by a success, bring no ban', (t) => {
  const { clock, guard, fail } = guarded()
  for (let i = 0; i < 10; i++) {
    t.notOk(fail('203.0.113.7'))
    clock.advance(600)
    if (i % 2) clock.advance(600)
  }
  fail('203.0.113.8', 2)
  guard.succeeded('203.0.113.8')
  t.notOk(fail('203.0.113.8', 2))
  t.end()
})

test('allowed addresses are never banned, denied ones never come in, live', (t) => {
  const { guard, fail } = guarded({ allow: ['192.0.2.0/24'], deny: ['198.51.100.0/24'] })
  t.notOk(fail('192.0.2.9', 50))
  t.same(guard.refusal('198.51.100.1'), { reason: 'denied', until: null })
  fail('203.0.113.7', 3)
  guard.setPolicy({ ...POLICY, allow: ['203.0.113.7'], deny: ['192.0.2.9'] })
  t.equal(guard.refusal('203.0.113.7'), null)
  t.equal(guard.refusal('192.0.2.9')?.reason, 'denied')
  t.equal(guard.refusal('198.51.100.1'), null)
  t.end()
})

test('one IPv6 household counts as one address, and IPv4 is IPv4 in either form', (t) => {
  const { guard } = guarded()
  guard.failed('2001:db8:0:1::1')
  guard.failed('2001:0db8:0000:0001:ffff::2')
  guard.failed('2001:DB8:0:1:a:b:c:d')
  t.ok(guard.refusal('2001:db8:0:1::99'))
  t.equal(guard.refusal('2001:db8:0:2::1'), null)
  for (const address of ['203.0.113.7', '::ffff:203.0.113.7', '203.0.113.7']) guard.failed(address)
  t.ok(guard.refusal('203.0.113.7'))
  t.end()
})

test('strangers from everywhere cannot make it remember without end', (t) => {
  const { guard, fail } = guarded({ max_failures: 1 })
  for (let i = 0; i < 100_010; i++) fail(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  t.equal(guard.bans().length, 100_000)
  t.equal(guard.refusal('10.0.0.0'), null, 'the oldest are forgotten')
  t.end()
})
