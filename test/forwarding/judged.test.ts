// What rules make of files over time: duplicates, shadow rules, and the recorded history under other rules.
// Must not send anything.
import { type Test, test } from 'tap'
import type { RuleSpec } from '../../src/core/rule.ts'
import { ROOT, toVirtualPath } from '../../src/core/virtual-path.ts'
import { createDestinations } from '../../src/forwarding/destinations.ts'
import { createDeliveryQueue } from '../../src/forwarding/queue.ts'
import { createRules } from '../../src/forwarding/rules.ts'
import { createSimulator } from '../../src/forwarding/simulate.ts'
import { ADMIN, aCommit, anUpload, aSession, fakeClock, SHA256, tempStore } from '../store/temp-store.ts'

const HOUR = 3600_000

async function setUp(t: Test, rule: Partial<RuleSpec> = {}) {
  const { store } = tempStore(t)
  const clock = fakeClock()
  const destinations = createDestinations({ store, clock, changed: () => {}, usedBy: () => [] })
  for (const name of ['one', 'two']) await destinations.create(ADMIN, { name, type: 'local', base_path: '/out' })
  const rules = createRules({ store, clock, exclude: [], hasDestination: destinations.has })
  await rules.create(ADMIN, { name: 'r', source: { path: '/in/**' }, deliver: [{ to: 'one' }], ...rule })
  const queue = createDeliveryQueue(store, destinations.tempNameOf)
  const simulator = createSimulator({ store, clock, compiled: rules.compiled, partnerOf: () => 'P' })
  aSession(store)
  /** A finished upload as the recorder makes it. @returns what it owes */
  function arrives(id: string, path: string, sha256 = SHA256): number {
    anUpload(store, id, { path })
    store.transfers.commit(aCommit(id, path, { sha256, at: clock.now() }))
    const virtual = toVirtualPath(ROOT, path)
    const file = { transferId: id, user: 'customer1', partner: 'P', path: virtual, size: 5, sha256, at: clock.now(), counter: 1 }
    const owed = queue.enqueue(file, rules.matching({ user: 'customer1', path: virtual }))
    store.transfers.publish(id, clock.now())
    return owed
  }
  const of = (id: string) => store.deliveries.ofTransfer(id)
  return { store, clock, rules, simulator, arrives, of }
}

test('the same content under the same name is sent once within the time that the rule says', async (t) => {
  const { store, clock, arrives, of } = await setUp(t, { dedupe: '24h' })
  t.equal(arrives('a1', '/in/x'), 1)
  clock.advance(HOUR)
  t.equal(arrives('a2', '/in/x'), 0)
  t.match(of('a2'), [{ state: 'cancelled', shadow: 0 }])
  t.match(JSON.parse(of('a2')[0]!.error_json!), { code: 'delivery.duplicate', message: new RegExp(of('a1')[0]!.id) })
  t.equal(arrives('a3', '/in/y'), 1, 'another name')
  t.equal(arrives('a4', '/in/x', 'cd'.repeat(32)), 1, 'another content')
  clock.advance(24 * HOUR)
  t.equal(arrives('a5', '/in/x'), 1, 'the time is over')
  store.deliveries.cancel(of('a5')[0]!.id, clock.now())
  t.equal(arrives('a6', '/in/x'), 1, 'what was given up was not sent')
  t.equal(store.deliveries.ends('a2').unfinished, 0, 'nothing is owed for the duplicate')
})

test('a content that comes back after another one is sent again: the far side ends with what came last', async (t) => {
  const { store, clock, arrives, of } = await setUp(t, { dedupe: '24h' })
  const other = 'cd'.repeat(32)
  t.same([arrives('a1', '/in/x'), arrives('a2', '/in/x', other)], [1, 1])
  t.equal(arrives('a3', '/in/x'), 1, 'the other content waits still')
  for (const id of ['a1', 'a2', 'a3']) {
    store.deliveries.release(id, clock.now())
    const { attempt } = store.deliveries.start(of(id)[0]!.id, clock.now(), '1.1')
    const receipt = { remote_path: '/out/x', size: 5, sha256: SHA256, verified: 'size', algorithm: null, method: null }
    store.deliveries.delivered(of(id)[0]!.id, attempt, clock.now(), { ...receipt, outcome: 'sent', server: null })
  }
  t.equal(arrives('a4', '/in/x'), 0, 'that is what lies there')
  t.same([arrives('a5', '/in/x', other), arrives('a6', '/in/x', other)], [1, 0])
})

test('without dedupe every upload is sent, and a time that is none is refused', async (t) => {
  const { rules, arrives } = await setUp(t)
  t.same([arrives('a1', '/in/x'), arrives('a2', '/in/x')], [1, 1])
  for (const dedupe of ['0h', '401d', '9999999999999d'])
    await t.rejects(rules.update(ADMIN, 'r', { dedupe }), { code: 'request.invalid', message: /dedupe/ })
})

test('a shadow rule records what it would send, sends nothing, and keeps no file from what the live rules want', async (t) => {
  const { store, clock, rules, arrives, of } = await setUp(t, { after: 'delete' })
  await rules.create(ADMIN, { name: 's', source: { path: '/in/**' }, deliver: [{ to: 'two', path: '/new/{path}' }], mode: 'shadow' })
  t.equal(arrives('a1', '/in/x'), 1)
  const [live, shadow] = of('a1').sort((a, b) => a.shadow - b.shadow)
  t.match(
    [live, shadow],
    [
      { rule: 'r', state: 'pending', after: 'delete' },
      { rule: 's', state: 'cancelled', remote_path: 'new/x', after: 'keep', next_at: null },
    ],
  )
  t.equal(store.deliveries.again(shadow!.id, clock.now()), false, 'it can never be sent')
  store.deliveries.release('a1', clock.now())
  store.deliveries.start(live!.id, clock.now(), '1.1')
  store.deliveries.delivered(live!.id, 1, clock.now(), {
    remote_path: '/out/x',
    size: 5,
    sha256: SHA256,
    verified: 'hash',
    algorithm: 'sha256',
    method: null,
    outcome: 'sent',
    server: null,
  })
  t.equal(store.deliveries.ends('a1').undelivered, 0, 'all that was to be sent is delivered')
})

test('a draft is compared with the live rules over what really came: newly sent, no longer sent, named differently', async (t) => {
  const { clock, simulator, arrives } = await setUp(t)
  arrives('0old', '/in/long-ago')
  clock.advance(40 * 24 * HOUR)
  const ids = ['in/a.xml', 'in/b.txt', 'other/c.xml'].map((path, i) => {
    const id = `${(clock.now() / 1000).toString(32)}${i}`.padEnd(20, '0')
    arrives(id, `/${path}`)
    return id
  })
  const plain = await simulator.history({ days: 400 })
  t.match(plain, { counts: { looked_at: 4, matched: 3, added: 0, removed: 0, renamed: 0 }, truncated: false })
  const draft: RuleSpec[] = [
    { name: 'xml', source: { path: '/**' }, exclude: ['*.txt', 'long-ago'], deliver: [{ to: 'one', path: '/xml/{filename}' }] },
    { name: 'quiet', source: { path: '/**' }, deliver: [{ to: 'two' }], mode: 'shadow' },
  ]
  const compared = await simulator.history({ days: 400, rules: draft })
  t.match(compared.counts, { looked_at: 4, matched: 2, added: 1, removed: 2, renamed: 1 })
  t.match(compared.added, [{ transfer: ids[2], rule: 'xml', destination: 'one', remote_path: 'xml/c.xml', instead_of: null }])
  t.match(compared.renamed, [{ path: '/in/a.xml', rule: 'xml', remote_path: 'xml/a.xml', instead_of: 'a.xml' }])
  t.same(compared.removed.map(({ path }) => path).sort(), ['/in/b.txt', '/in/long-ago'])
  await t.rejects(simulator.history({ days: 1, rules: [{ ...draft[0]!, deliver: [{ to: 'one', path: '/{nonsense}' }] }] }), {
    code: 'template.invalid',
  })
})

test('one recorded transfer is explained by the rules as they are now', async (t) => {
  const { rules, simulator, arrives } = await setUp(t)
  arrives('a1', '/in/x')
  await rules.update(ADMIN, 'r', { deliver: [{ to: 'one', path: '/{partner}/{counter:3}/{path}' }] })
  t.match(simulator.transfer('a1').rules, [
    { rule: 'r', matched: true, deliveries: [{ destination: 'one', remote_path: 'Customer One/001/x' }] },
  ])
  await rules.update(ADMIN, 'r', { exclude: ['x'] })
  t.match(simulator.transfer('a1').rules, [{ rule: 'r', matched: false, reason: /excluded by x/ }])
  t.throws(() => simulator.transfer('none'), { code: 'resource.not_found' })
})

test('a draft of very many rules over history lets others have their turns', async (t) => {
  const { simulator, arrives } = await setUp(t)
  for (let n = 0; n < 100; n++) arrives(`a${n}`, `/in/${'x'.repeat(100)}${n}`)
  const rules = Array.from({ length: 1000 }, (_, n) => ({
    name: `r${n}`,
    source: { path: `/in/**${n}.pdf` },
    deliver: [{ to: 'one' }],
  }))
  let turns = 0
  let over = false
  const turn = (): void => {
    turns++
    if (!over) setImmediate(turn)
  }
  turn()
  t.equal((await simulator.history({ days: 1, rules })).counts.looked_at, 100)
  over = true
  t.ok(turns > 3, `${turns} turns`)
})
