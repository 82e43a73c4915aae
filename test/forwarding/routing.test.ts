// Queue, destinations and rules over a real store: what a file owes, what is kept secret, and what the verbs refuse.
// Must not send anything.
import { readFileSync } from 'node:fs'
import { type Test, test } from 'tap'
import type { DestinationSpec } from '../../src/core/destination.ts'
import type { RuleSpec } from '../../src/core/rule.ts'
import { ROOT, toVirtualPath } from '../../src/core/virtual-path.ts'
import { createDestinations } from '../../src/forwarding/destinations.ts'
import { createDeliveryQueue } from '../../src/forwarding/queue.ts'
import { createRules } from '../../src/forwarding/rules.ts'
import { createSimulator } from '../../src/forwarding/simulate.ts'
import { ADMIN, anUpload, aSession, fakeClock, SHA256, START, tempStore } from '../store/temp-store.ts'

const HQ: DestinationSpec = {
  name: 'hq',
  type: 'sftp',
  host: 'files.hq.example',
  username: 'gateway',
  password: 'hunter2',
  host_keys: 'insecure',
}
const RULE: RuleSpec = { name: 'r', source: { path: '/in/**' }, deliver: [{ to: 'hq', path: '/x/{path}' }] }

function setUp(t: Test) {
  const { store, file } = tempStore(t)
  const clock = fakeClock()
  const told: string[] = []
  const destinations = createDestinations({ store, clock, changed: (name) => told.push(name), usedBy: (name) => rules.usedBy(name) })
  const rules = createRules({ store, clock, exclude: ['*.tmp'], hasDestination: destinations.has })
  const queue = createDeliveryQueue(store, destinations.tempNameOf)
  const simulator = createSimulator({ store, clock, compiled: rules.compiled, partnerOf: () => 'P' })
  const onDisk = () => Buffer.concat([readFileSync(file), readFileSync(`${file}-wal`)])
  return { store, clock, told, destinations, rules, simulator, queue, onDisk }
}

const completed = (path: string) => ({
  transferId: 't1',
  user: 'u',
  partner: 'P',
  path: toVirtualPath(ROOT, path),
  size: 5,
  sha256: SHA256,
  at: START,
  counter: 1,
})

test('a file owes each rule’s destination one delivery, once, held until it is published', async (t) => {
  const { store, queue, rules, destinations } = setUp(t)
  await destinations.create(ADMIN, { ...HQ, temp_name: '{filename}.{delivery}.tmp' })
  await rules.create(ADMIN, RULE)
  await rules.create(ADMIN, { ...RULE, name: 'r2', deliver: [{ to: 'hq', path: '/y/{path}' }] })
  aSession(store)
  anUpload(store, 't1')
  const file = completed('/in/sub/a.txt')
  const owed = () => queue.enqueue(file, rules.matching(file))
  t.equal(owed(), 2)
  t.equal(owed(), 0, 'asked twice')
  const rows = store.deliveries.ofTransfer('t1').sort((a, b) => (a.rule < b.rule ? -1 : 1))
  t.match(rows, [
    { rule: 'r', remote_path: 'x/sub/a.txt', next_at: null, state: 'pending', on_conflict: 'overwrite', after: 'keep' },
    { rule: 'r2' },
  ])
  t.equal(rows[0]!.temp_name, `a.txt.${rows[0]!.id}.tmp`)
  t.same(store.deliveries.due('hq', START + 1e9, 10), [], 'held')
  queue.release('t1', START + 5)
  t.equal(store.deliveries.due('hq', START + 4, 10).length, 0)
  t.equal(store.deliveries.due('hq', START + 5, 10).length, 2)
})

test('a name that cannot be made is a dead delivery that can be seen, not a lost file', async (t) => {
  const { store, queue, rules, destinations } = setUp(t)
  await destinations.create(ADMIN, HQ)
  await rules.create(ADMIN, {
    ...RULE,
    deliver: [
      { to: 'hq', path: '/{stem}/x' },
      { to: 'hq', path: '/ok/{filename}' },
    ],
  })
  aSession(store)
  anUpload(store, 't1')
  const file = completed('/in/...')
  t.equal(queue.enqueue(file, rules.matching(file)), 1, 'only one can be sent')
  const rows = store.deliveries.ofTransfer('t1').sort((a, b) => (a.state < b.state ? -1 : 1))
  t.match(rows, [
    { state: 'dead', error_json: /template\.invalid/, next_at: null },
    { state: 'pending', remote_path: 'ok/...' },
  ])
})

test('secrets of a destination are nowhere in clear: not in the database, the views, the export or the audit', async (t) => {
  const { store, destinations, onDisk, told } = setUp(t)
  const view = await destinations.create(ADMIN, { ...HQ, private_key: 'PRIVATE-KEY-TEXT', passphrase: 'open-sesame' })
  await destinations.update(ADMIN, 'hq', { password: 'second-secret' })
  t.match(view, { has_password: true, has_private_key: true, port: 22, enabled: true })
  const shown = JSON.stringify([view, destinations.get('hq'), destinations.list({}), destinations.all(), store.audit.list({ limit: 100 })])
  for (const secret of ['hunter2', 'second-secret', 'PRIVATE-KEY-TEXT', 'open-sesame']) {
    t.notOk(shown.includes(secret), secret)
    t.notOk(onDisk().includes(secret), secret)
  }
  t.match(destinations.secretSpec('hq'), { password: 'second-secret', private_key: 'PRIVATE-KEY-TEXT', passphrase: 'open-sesame' })
  t.same(told, ['hq', 'hq'], 'the forwarder hears of each change')
})

test('a patch keeps the secrets it does not name, null removes one, and an export applied again changes nothing', async (t) => {
  const { destinations, store } = setUp(t)
  await destinations.create(ADMIN, HQ)
  await destinations.update(ADMIN, 'hq', { base_path: '/in' })
  t.match(destinations.secretSpec('hq'), { password: 'hunter2', base_path: '/in' })
  const [exported] = destinations.all()
  t.match(destinations.plan(ADMIN, exported!).change, { change: 'same', keys: [] })
  t.match(destinations.plan(ADMIN, { ...exported!, port: 2022 }).change, { change: 'update', keys: ['port'] })
  await destinations.update(ADMIN, 'hq', { password: null })
  t.equal(destinations.secretSpec('hq').password, undefined)
  t.equal(store.routing.destinations.get('hq')?.secrets, null)
  await destinations.setEnabled(ADMIN, 'hq', false)
  t.same(destinations.names(), [])
  t.match(destinations.get('hq'), { enabled: false })
})

test('a destination that could not work, or that is still needed, is refused', async (t) => {
  const { destinations, rules, store } = setUp(t)
  const refused = (spec: object, message: RegExp) =>
    t.rejects(destinations.create(ADMIN, { ...HQ, ...spec } as DestinationSpec), { code: 'request.invalid', message })
  await refused({ host_keys: undefined }, /host_keys is missing/)
  await refused({ host: undefined }, /host is missing/)
  await refused({ username: undefined }, /username is missing/)
  await refused({ type: 'local' }, /base_path is missing/)
  await refused({ type: 'ftps', private_key: 'x' }, /sftp only/)
  await t.rejects(destinations.create(ADMIN, { ...HQ, temp_name: '{nonsense}' }), {
    code: 'template.invalid',
    message: /^destination hq: temp_name: unknown word \{nonsense\}/,
  })
  await refused({ host_keys: ['insecure', `SHA256:${'A'.repeat(43)}`] }, /insecure.*alone/)
  await refused({ type: 'ftps', tls: { ca: '/etc/ssl/ca.pem' } }, /tls\.ca: PEM text/)
  await destinations.create(ADMIN, HQ)
  await t.rejects(destinations.create(ADMIN, HQ), { code: 'resource.exists' })
  await t.rejects(destinations.update(ADMIN, 'none', {}), { code: 'resource.not_found' })
  await rules.create(ADMIN, RULE)
  await t.rejects(destinations.remove(ADMIN, 'hq'), { code: 'resource.in_use', message: /Rules deliver to hq: r/ })
  const [withRule, withDestination] = [rules.planRemoval(ADMIN, 'r'), destinations.planRemoval(ADMIN, 'hq')]
  t.doesNotThrow(() => {
    store.group.now(() => {
      withRule.commit()
      withDestination.commit()
    })
  }, 'both may go in one transaction')
  t.notOk(destinations.has('hq'))
})

test('insecure may be spelled out as a word or as a list of it', async (t) => {
  const { destinations } = setUp(t)
  t.equal((await destinations.create(ADMIN, { ...HQ, host_keys: ['insecure'] })).host_keys, 'insecure')
  t.match(destinations.plan(ADMIN, { ...HQ, host_keys: ['insecure'] }).change, { change: 'same' })
})

test('a rule whose remote name would leave the base path is refused when it is saved', async (t) => {
  const { destinations, rules } = setUp(t)
  await destinations.create(ADMIN, HQ)
  for (const path of ['/../{path}', '..', '/in/../../{filename}', '/{user}/..']) {
    await t.rejects(rules.create(ADMIN, { ...RULE, deliver: [{ to: 'hq', path }] }), {
      code: 'template.invalid',
      message: /^rule r: .*leaves the base path/,
    })
  }
  await t.rejects(rules.create(ADMIN, { ...RULE, deliver: [{ to: 'hq', path: '/{bogus}' }] }), {
    code: 'template.invalid',
    message: /^rule r: unknown word \{bogus\}/,
  })
  await rules.create(ADMIN, { ...RULE, deliver: [{ to: 'hq', path: '/..{filename}' }] })
})

test('a destination with waiting deliveries stays', async (t) => {
  const { destinations, rules, queue, store } = setUp(t)
  await destinations.create(ADMIN, HQ)
  await rules.create(ADMIN, RULE)
  aSession(store)
  anUpload(store, 't1')
  queue.enqueue(completed('/in/a'), rules.matching({ user: 'u', path: toVirtualPath(ROOT, '/in/a') }))
  await rules.remove(ADMIN, 'r')
  await t.rejects(destinations.remove(ADMIN, 'hq'), { code: 'resource.in_use', message: /1 deliveries still wait/ })
})

test('rules are asked and listed in the order that was given, page by page', async (t) => {
  const { destinations, rules, store } = setUp(t)
  await destinations.create(ADMIN, HQ)
  for (const name of ['a', 'b', 'c']) await rules.create(ADMIN, { ...RULE, name })
  await rules.order(ADMIN, ['c', 'a', 'b'])
  t.same(
    rules.matching({ user: 'u', path: toVirtualPath(ROOT, '/in/x') }).map(({ rule }) => rule.name),
    ['c', 'a', 'b'],
  )
  const first = rules.list({ limit: 2 })
  t.same(
    first.items.map(({ name }) => name),
    ['c', 'a'],
  )
  t.same(
    rules.list({ limit: 2, cursor: first.next! }).items.map(({ name }) => name),
    ['b'],
  )
  for (const names of [
    ['c', 'a'],
    ['c', 'a', 'a'],
    ['c', 'a', 'nobody'],
  ]) {
    await t.rejects(rules.order(ADMIN, names), { code: 'request.invalid' }, 'half an order changes nothing')
  }
  t.match(store.audit.list({ limit: 1 })[0], { action: 'rule.order' })
})

test('a removed destination comes back with its sealed secrets, a removed rule in its place and not without its destination', async (t) => {
  const { destinations, rules, told, store, onDisk } = setUp(t)
  await destinations.create(ADMIN, HQ)
  for (const name of ['first', 'second', 'third']) await rules.create(ADMIN, { ...RULE, name })
  await rules.setEnabled(ADMIN, 'second', false)
  const before = rules.get('second')
  await rules.remove(ADMIN, 'second')
  await rules.restore(ADMIN, 'second')
  t.match(rules.get('second'), { ...before, updated_at: String })
  t.same(
    rules.list({}).items.map(({ name }) => name),
    ['first', 'second', 'third'],
  )
  for (const name of ['first', 'second', 'third']) await rules.remove(ADMIN, name)
  told.length = 0
  await destinations.remove(ADMIN, 'hq')
  await t.rejects(rules.restore(ADMIN, 'first'), { code: 'request.invalid', message: /there is no destination hq/ })
  t.match(await destinations.restore(ADMIN, 'hq'), { name: 'hq', has_password: true })
  t.same(told, ['hq', 'hq'], 'the forwarder hears of both')
  t.equal(destinations.secretSpec('hq').password, 'hunter2')
  t.notMatch(onDisk().toString('latin1'), /hunter2/)
  await rules.restore(ADMIN, 'first')
  t.equal(rules.matching(completed('/in/a')).length, 1, 'it acts at once')
  t.same(
    store.audit.list({ limit: 3 }).map((row) => `${row.action} ${row.object}`),
    ['rule.restore first', 'destination.restore hq', 'destination.remove hq'],
  )
})

test('rules act at once when they are made, changed, disabled and removed', async (t) => {
  const { destinations, rules, store } = setUp(t)
  await destinations.create(ADMIN, HQ)
  const takes = (path: string, user = 'u') => rules.matching({ user, path: toVirtualPath(ROOT, path) }).map(({ rule }) => rule.name)
  await t.rejects(rules.create(ADMIN, { ...RULE, deliver: [{ to: 'nowhere' }] }), { message: /no destination nowhere/ })
  t.match(await rules.create(ADMIN, RULE), { name: 'r', enabled: true })
  await t.rejects(rules.create(ADMIN, RULE), { code: 'resource.exists' })
  await rules.create(ADMIN, { ...RULE, name: 'a-later-one' })
  t.same(takes('/in/a'), ['r', 'a-later-one'], 'in the order in which they were made')
  t.same(takes('/in/a.tmp'), [], 'uploads.exclude holds for all')
  await rules.update(ADMIN, 'r', { source: { path: '/out/*' } })
  t.same([takes('/in/a'), takes('/out/a')], [['a-later-one'], ['r']])
  await rules.setEnabled(ADMIN, 'r', false)
  t.same(takes('/out/a'), [])
  t.match(rules.get('r'), { enabled: false })
  await rules.update(ADMIN, 'r', { enabled: null })
  t.same(takes('/out/a'), ['r'])
  await t.rejects(rules.update(ADMIN, 'r', { deliver: [{ to: 'hq', path: '/{what}' }] }), { code: 'template.invalid' })
  t.same(takes('/out/a'), ['r'], 'a refused change changes nothing')
  t.same(rules.usedBy('hq'), ['r', 'a-later-one'])
  await rules.remove(ADMIN, 'r')
  t.same(takes('/out/a'), [])
  await t.rejects(rules.remove(ADMIN, 'r'), { code: 'resource.not_found' })
  t.same(
    store.audit
      .list({ limit: 20, q: 'r' })
      .filter((row) => row.object === 'r')
      .map((row) => row.action)
      .reverse(),
    ['rule.create', 'rule.update', 'rule.update', 'rule.update', 'rule.remove'],
  )
})

test('an exclude that is no pattern is refused and leaves the rules as they were', async (t) => {
  const { destinations, rules } = setUp(t)
  await destinations.create(ADMIN, HQ)
  await rules.create(ADMIN, RULE)
  t.throws(() => rules.setExclude(['[']), { code: 'request.invalid' })
  await rules.create(ADMIN, { ...RULE, name: 'r2' })
  rules.setExclude(['*.bak'])
  const takes = (path: string) => rules.matching({ user: 'u', path: toVirtualPath(ROOT, path) }).length
  t.same([takes('/in/a.tmp'), takes('/in/a.bak')], [2, 0])
})

test('a simulation says which rules match an upload or a dropped file, the names that result, and why the others do not', async (t) => {
  const { destinations, rules, simulator } = setUp(t)
  await destinations.create(ADMIN, HQ)
  await rules.create(ADMIN, { ...RULE, deliver: [{ to: 'hq', path: '/{partner}/{user}/{path}' }] })
  await rules.create(ADMIN, { ...RULE, name: 'other', source: { users: ['v'], path: '/**' } })
  t.match(simulator.path({ user: 'u', path: '/in/../in/a.txt' }), {
    path: '/in/a.txt',
    rules: [
      { rule: 'r', matched: true, reason: null, deliveries: [{ destination: 'hq', remote_path: 'P/u/a.txt' }] },
      { rule: 'other', matched: false, reason: /user u is not among v/, deliveries: [] },
    ],
  })
  t.match(simulator.path({ user: 'u', path: '/in/a', rules: [{ ...RULE, name: 'draft', enabled: false }] }).rules, [
    { rule: 'draft', matched: false, reason: /disabled/ },
  ])
  const watching = { name: 'w', source: { watch: '/srv/out/', path: '*.csv' }, deliver: [{ to: 'hq' }] }
  const [u, w] = ['watch:/srv//out', 'watch:/srv/other'].map((user) => simulator.path({ user, path: 'a.csv', rules: [watching] }))
  t.match(u, { user: 'watch:/srv/out', rules: [{ rule: 'w', matched: true, deliveries: [{ remote_path: 'a.csv' }] }] })
  t.match(w, { rules: [{ rule: 'w', matched: false, reason: /not about the watched folder \/srv\/other/ }] })
})
