// The small decisions: permissions, retries, units, networks, and how wrong data is refused.
// Must not need anything but core.

import { test } from 'tap'
import Type from 'typebox'
import { newId } from '../../src/core/clock.ts'
import { ERRORS, FileFlowError, fromErrorRecord, toErrorRecord } from '../../src/core/errors.ts'
import { isNetwork, networkMatcher, plainAddress } from '../../src/core/network.ts'
import { DEFAULT_PERMISSIONS, isAllowed, isWriting, PERMISSIONS, type PermissionEntry } from '../../src/core/permission.ts'
import { nextAttemptAt, restartDelay } from '../../src/core/retry.ts'
import { checker, oneOf } from '../../src/core/schema.ts'
import { stateFileChecker } from '../../src/core/state-file.ts'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/core/units.ts'
import { expiryOf, toPrincipal } from '../../src/core/user.ts'
import { ROOT, toVirtualPath } from '../../src/core/virtual-path.ts'

const path = (text: string) => toVirtualPath(ROOT, text)

test('the longest matching path decides alone, in any order of the table', (t) => {
  const table: PermissionEntry[] = [
    { path: path('/in/deep'), allow: [] },
    { path: path('/'), allow: ['list', 'download'] },
    { path: path('/in'), allow: ['upload'] },
  ]
  for (const rows of [table, [...table].reverse()]) {
    t.ok(isAllowed(rows, path('/x'), 'download'))
    t.ok(isAllowed(rows, path('/in/a'), 'upload'))
    t.notOk(isAllowed(rows, path('/in/a'), 'download'), 'nothing is inherited')
    t.notOk(isAllowed(rows, path('/in/deep/a'), 'upload'), 'an empty row forbids')
    t.ok(isAllowed(rows, path('/inn'), 'download'), 'a common beginning is no folder')
  }
  t.notOk(isAllowed([{ path: path('/a'), allow: ['list'] }], path('/b'), 'list'), 'no row means no')
  t.end()
})

test('without a table everything is allowed but chmod and symlink', (t) => {
  for (const verb of PERMISSIONS) t.equal(isAllowed(DEFAULT_PERMISSIONS, path('/x'), verb), verb !== 'chmod' && verb !== 'symlink', verb)
  t.same(
    PERMISSIONS.filter((verb) => !isWriting(verb)),
    ['list', 'download'],
  )
  t.end()
})

test('a failed delivery waits twice as long each time, within limits, and ends when it should', (t) => {
  const policy = { max_attempts: 5, first_delay: 1000, max_delay: 3000, give_up_after: 100_000 }
  const next = (spent: number, { since = 0, now = 0, random = 0.5, code = 'remote.lost' as const } = {}) =>
    nextAttemptAt(policy, code, spent, since, now, random)
  t.same(
    [1, 2, 3, 4].map((spent) => next(spent)),
    [1000, 2000, 3000, 3000],
  )
  t.equal(next(1, { random: 0 }), 800)
  t.equal(next(1, { random: 0.999999 }), 1200)
  t.equal(next(5), null, 'all attempts are spent')
  t.equal(next(1, { now: 99_500 }), null, 'too old')
  t.equal(nextAttemptAt(policy, 'remote.auth', 1, 0, 0, 0.5), null, 'permanent')
  t.equal(nextAttemptAt(policy, 'remote.unreachable', 1, 0, 0, 0.5), 1000, 'the trouble of a whole destination passes')
  t.ok(Number.isSafeInteger(nextAttemptAt({ ...policy, max_attempts: 1e9 }, 'remote.lost', 1e6, 0, 0, 0.5)), 'no overflow')
  t.same([0, 1, 2, 3, 100].map(restartDelay), [200, 200, 400, 800, 30_000])
  t.end()
})

test('sizes and durations are read as people write them, and nothing else is', (t) => {
  t.same(['10GiB', '20 MB', '5', '1.5k', '0'].map(parseSize), [10 * 2 ** 30, 20e6, 5, 1536, 0])
  t.same(['5s', '30m', '400d', '90', '500ms', '1.5h', '2w'].map(parseDuration), [5e3, 18e5, 400 * 864e5, 9e4, 500, 54e5, 14 * 864e5])
  for (const bad of ['', '-1', 'ten', '1e9', '5 parsecs', '99999999999TiB', 'constructor', '1constructor', '١'])
    t.same([parseSize(bad), parseDuration(bad)], [undefined, undefined], bad)
  t.same([0, 1023, 1024, 1536, 20 * 2 ** 20].map(formatSize), ['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '20 MiB'])
  t.same([0, 90_500, 3_600_000, 90_061_000].map(formatDuration), ['0ms', '1m 30s', '1h', '1d 1h'])
  t.end()
})

test('networks hold the addresses they say, IPv4 in IPv6 form included', (t) => {
  const inside = networkMatcher(['203.0.113.0/24', '2001:db8::/32', '192.0.2.1', 'nonsense', 'fe80::1%eth0'])
  for (const yes of [
    '203.0.113.0',
    '203.0.113.255',
    '::ffff:203.0.113.7',
    '::FFFF:203.0.113.7',
    '192.0.2.1',
    '2001:db8::1',
    '2001:db8::1%eth0',
  ])
    t.ok(inside(yes), yes)
  for (const no of ['203.0.114.0', '192.0.2.2', '2001:db9::1', '', 'nonsense', '::1']) t.notOk(inside(no), no)
  t.notOk(networkMatcher([])('192.0.2.1'))
  t.ok(networkMatcher(['0.0.0.0/0'])('198.51.100.1'))
  t.same(['1.2.3.4', '1.2.3.4/0', '::/0', '::1/128'].map(isNetwork), [true, true, true, true])
  t.same(
    ['1.2.3.4/33', '::/129', '1.2.3', '1.2.3.4/', '1.2.3.4/8/8', '1.2.3.4/-1', 'fe80::1%eth0', ''].map(isNetwork),
    Array(8).fill(false),
  )
  t.equal(plainAddress('fe80::1%eth0'), 'fe80::1')
  t.end()
})

test('wrong data is refused with its key and what is allowed there', (t) => {
  const check = checker(
    Type.Object(
      {
        mode: oneOf(['a', 'b']),
        port: Type.Integer({ minimum: 1, maximum: 9 }),
        list: Type.Optional(Type.Array(Type.Object({ x: Type.String() }, { additionalProperties: false }))),
      },
      { additionalProperties: false },
    ),
  )
  const fault = (value: unknown) => check.faults(value).map(({ pointer, message }) => `${pointer} ${message}`)
  t.same(fault({ mode: 'a', port: 1 }), [])
  t.match(fault({ mode: 'c', port: 1 }), [/^\/mode allowed: a, b \(it is "c"\)/])
  t.match(fault({ mode: 'a', port: 10 }), [/^\/port a number from 1 to 9 \(it is 10\)/])
  t.match(fault({ mode: 'a' }), [/^\/port is missing/])
  t.match(fault({ mode: 'a', port: 1, prot: 2 }), [/^\/prot unknown key; known here: mode, port, list/])
  t.match(fault({ mode: 'a', port: 1, list: [{ x: 'y' }, { y: 'x' }] }), [
    /^\/list\/1\/x is missing/,
    /^\/list\/1\/y unknown key; known here: x/,
  ])
  t.throws(() => check.parse({ mode: 'a', port: 1, list: [{ x: 5 }] }, 'thing'), {
    code: 'request.invalid',
    message: /^thing: list\.0\.x:/,
  })
  t.ok(fault(null).length > 0 && fault([]).length > 0 && fault('text').length > 0)
  t.end()
})

test('where null may stand in the place of an object, wrong data is told what belongs there all the same', (t) => {
  const one = Type.Object({ mode: Type.Optional(oneOf(['a', 'b'])), x: Type.Optional(Type.String()) }, { additionalProperties: false })
  const other = Type.Object({ y: Type.String() }, { additionalProperties: false })
  const orNull = checker(Type.Union([one, Type.Null()]))
  const deep = checker(Type.Object({ in: Type.Union([Type.Array(Type.Union([one, other])), Type.Null()]) }))
  const first = (check: Pick<typeof orNull, 'faults'>, value: unknown) => check.faults(value).map((f) => `${f.pointer} ${f.message}`)[0]
  t.equal(first(orNull, { z: 1 }), '/z unknown key; known here: mode, x')
  t.equal(first(orNull, { mode: 'c' }), '/mode allowed: a, b (it is "c")')
  t.equal(first(orNull, { x: 5 }), '/x must be string (it is 5)')
  t.match(first(orNull, 5), / must be object \(it is 5\)/)
  t.equal(first(deep, { in: [{ z: 1 }] }), '/in/0/z unknown key; known here: mode, x, y')
  t.end()
})

test('a state file with a typing error names the place', (t) => {
  const [first] = stateFileChecker.faults({ users: [{ username: 'a', permisions: [] }] })
  t.match(first, { pointer: '/users/0/permisions', message: /unknown key/ })
  const [second] = stateFileChecker.faults({ users: [{ username: '../x' }] })
  t.match(second, { pointer: '/users/0/username', message: /letters, digits/ })
  t.end()
})

test('an account ends with its last day, and limits become numbers', (t) => {
  t.equal(expiryOf({ expires_at: '2027-12-31' }), Date.UTC(2027, 11, 31, 23, 59, 59, 999))
  t.equal(expiryOf({ expires_at: '2027-12-31T12:00:00Z' }), Date.UTC(2027, 11, 31, 12))
  t.equal(expiryOf({}), null)
  t.throws(() => expiryOf({ expires_at: '2027-13-31' }), { code: 'request.invalid' })
  const principal = toPrincipal({ username: 'u', quota: { bytes: '1KiB' }, limits: { upload_rate: '2 kB' } }, '/srv/u')
  t.match(principal, {
    quota: { bytes: 1024, files: null },
    limits: { uploadRate: 2000, downloadRate: null },
    requireTls: true,
    startDirectory: '/',
  })
  t.end()
})

test('an error keeps its code and words across a thread, and one that is not ours says nothing', (t) => {
  const back = fromErrorRecord(structuredClone(toErrorRecord(new FileFlowError('quota.exceeded', 'Full.', { detail: { left: 0 } }))))
  t.match(back, { code: 'quota.exceeded', message: 'Full.', detail: { left: 0 } })
  t.same(toErrorRecord(new Error('password is hunter2')), { code: 'internal', message: ERRORS.internal.text })
  t.end()
})

test('identifiers sort by birth and do not repeat', (t) => {
  const ids = Array.from({ length: 2000 }, (_, i) => newId(1_700_000_000_000 + i))
  t.same([...ids].sort(), ids)
  t.equal(new Set(Array.from({ length: 2000 }, () => newId(5))).size, 2000)
  t.match(ids[0], /^[0-9a-z]{20}$/)
  t.end()
})
