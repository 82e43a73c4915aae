// The dispatcher over a real store, with a forwarder that does just what it is told.
// Must not move bytes.
import { test } from 'tap'
import { SHARE } from '../../src/forwarding/connector.ts'
import { ADMIN, aDueDelivery, SHA256, until, untilFound } from '../store/temp-store.ts'
import { failure, SENT, setUpDispatcher as setUp } from './dispatcher-setup.ts'

test('a due delivery is handed over with all it needs, and settled with its receipt', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  await until(() => s.attempts().length === 1)
  t.match(s.attempts()[0], {
    destination: { name: 'hq', password: 'hunter2' },
    delivery: {
      id: 'd1',
      attempt: 1,
      size: 5,
      sha256: SHA256,
      remotePath: 'd1',
      tempName: '.d1.part',
      onConflict: 'overwrite',
      unclear: false,
    },
  })
  t.equal(Buffer.from(s.attempts()[0]!.delivery.spool).toString(), '/nowhere/d1')
  s.answer('d1', 1, SENT)
  await until(() => s.state('d1') === 'delivered')
  t.match(s.store.deliveries.receipt('d1'), { remote_path: '/base/x', verified: 'hash', sha256: SHA256, method: 'check-file' })
  t.match(s.store.deliveries.attempts('d1'), [{ number: 1, ok: 1 }])
  await until(() => s.finished.length === 1)
  t.same(s.finished, ['t-d1'])
  t.same(s.events, ['started d1', 'delivered d1'])
  t.match(s.store.audit.list({ limit: 1 }), [{ action: 'delivery.attempt', object: 'd1', outcome: 'ok' }])
  t.notMatch(JSON.stringify([s.lines, s.store.audit.list({ limit: 100 })]), /hunter2/)
})

test('a delivery is not started before its moment', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq', s.clock.now() + 5000)
  s.connect()
  await s.idle()
  t.equal(s.attempts().length, 0)
  s.clock.advance(5000)
  s.dispatcher.kick()
  await until(() => s.attempts().length === 1)
})

test('a backlog of one destination does not starve the others, and no limit is passed', async (t) => {
  const s = await setUp(t, ['a', 'b', 'c'], { concurrency: 5, per_destination: 2 })
  for (let i = 0; i < 20; i++) aDueDelivery(s.store, `a${i + 10}`, 'a')
  for (const id of ['b1', 'c1']) aDueDelivery(s.store, id, id[0]!)
  s.connect()
  await s.idle()
  t.same(
    s
      .attempts()
      .map(({ delivery }) => delivery.id)
      .sort(),
    ['a10', 'a11', 'b1', 'c1'],
  )
  for (let i = 0; i < 22; i++) {
    const next = s.running()[0]!
    s.answer(next.delivery.id, 1, SENT)
    await until(() => s.state(next.delivery.id) === 'delivered')
    await s.idle()
    t.ok(s.dispatcher.running() <= 5 && s.running().filter(({ destination }) => destination.name === 'a').length <= 2)
  }
  t.same(s.store.deliveries.counts(), { pending: 0, running: 0, retrying: 0, dead: 0, oldest: null })
  t.equal(s.attempts().length, 22, 'each exactly once')
})

test('the total limit holds over all destinations, but each has one place whatever the others do', async (t) => {
  const s = await setUp(t, ['a', 'b', 'c'], { concurrency: 2, per_destination: 2 })
  for (const name of ['a', 'b']) for (const n of [1, 2]) aDueDelivery(s.store, `${name}${n}`, name)
  s.connect()
  await s.idle()
  t.same(
    s
      .running()
      .map(({ destination }) => destination.name)
      .sort(),
    ['a', 'b'],
  )
  aDueDelivery(s.store, 'c1', 'c')
  aDueDelivery(s.store, 'c2', 'c')
  s.dispatcher.kick()
  await until(() => s.state('c1') === 'running')
  await s.idle()
  t.equal(s.state('c2'), 'pending')
})

test('two destinations that never answer hold nobody else up', async (t) => {
  const s = await setUp(t, ['stuck1', 'stuck2', 'quick'])
  for (const name of ['stuck1', 'stuck2']) for (let i = 0; i < 10; i++) aDueDelivery(s.store, `${name}-${i}`, name)
  s.connect()
  await s.idle()
  t.equal(s.attempts().length, 8, 'all places are taken')
  for (let i = 0; i < 20; i++) aDueDelivery(s.store, `q${i + 10}`, 'quick')
  s.dispatcher.kick()
  for (let i = 0; i < 20; i++) {
    const next = await untilFound(() => s.running().find(({ destination }) => destination.name === 'quick'))
    s.answer(next.delivery.id, 1, SENT)
    await until(() => s.state(next.delivery.id) === 'delivered')
  }
  t.equal(s.store.deliveries.health('quick').delivered, 20)
})

test('a destination that takes files fast gets more than it has places, and what was not begun is given back as if nothing had been', async (t) => {
  const s = await setUp(t, ['hq'], { concurrency: 2, per_destination: 2 })
  for (let i = 10; i < 40; i++) aDueDelivery(s.store, `d${i}`, 'hq')
  s.connect()
  await until(() => s.attempts().length === 2)
  s.answer('d10', 1, SENT, 20 * SHARE)
  // 2 places, 200 ms of work ahead at 20 ms each
  await until(() => s.attempts().length === 23)
  t.equal(s.sent.filter((m) => m.type === 'attempts').length, 2, 'in one message')
  await s.idle()
  t.equal(s.dispatcher.running(), 22)
  s.giveBack('d30', 'd31')
  await until(() => s.state('d30') !== 'running')
  t.match(s.store.deliveries.get('d30'), { attempt: 0, spent_before: 0, unclear: 0, crashes: 0, error_json: null })
  t.same(s.store.deliveries.attempts('d30'), [])
  await s.idle()
  t.equal(s.state('d30'), 'pending', 'and it waits for its turn: more is asked for only after the next has come through')
  for (const { delivery } of s.running()) s.answer(delivery.id, delivery.attempt, SENT)
  await until(() => s.running().length > 0)
})

test('after a failure nothing is handed over ahead of its turn until one has come through', async (t) => {
  const s = await setUp(t, ['hq'], { concurrency: 1, per_destination: 1 })
  for (let i = 10; i < 40; i++) aDueDelivery(s.store, `d${i}`, 'hq')
  s.connect()
  await until(() => s.attempts().length === 1)
  s.answer('d10', 1, SENT, 50 * SHARE)
  await until(() => s.attempts().length === 6)
  s.answer('d11', 1, failure('remote.lost'))
  s.giveBack('d12', 'd13', 'd14', 'd15')
  await until(() => s.attempts().length === 7)
  await s.idle()
  t.equal(s.dispatcher.running(), 1)
})

test('what waited in a forwarder that crashed is no suspect, and what cannot have begun is not looked for at the far side', async (t) => {
  const s = await setUp(t, ['hq'], { concurrency: 1, per_destination: 1 })
  for (let i = 10; i < 40; i++) aDueDelivery(s.store, `d${i}`, 'hq')
  s.connect()
  await until(() => s.attempts().length === 1)
  s.answer('d10', 1, SENT, 10 * SHARE)
  await until(() => s.attempts().length === 22)
  s.dispatcher.disconnect(true)
  await until(() => s.dispatcher.running() === 0 && s.store.deliveries.running().length === 0)
  const after = s
    .attempts()
    .slice(1)
    .map(({ delivery }) => s.store.deliveries.get(delivery.id)!)
  // one place, shared by small files
  t.same(
    after.map(({ crashes, unclear, attempt }) => [crashes, unclear, attempt]),
    [...Array(SHARE).fill([1, 1, 0]), ...Array(21 - SHARE).fill([0, 0, 0])],
  )
})

test('one cancelled while it waits in the forwarder never starts again by itself', async (t) => {
  const s = await setUp(t, ['hq'], { concurrency: 1, per_destination: 1 })
  for (let i = 10; i < 20; i++) aDueDelivery(s.store, `d${i}`, 'hq')
  s.connect()
  await until(() => s.attempts().length === 1)
  s.answer('d10', 1, SENT, 50 * SHARE)
  await until(() => s.state('d15') === 'running')
  s.verbs.cancel(ADMIN, 'd15')
  t.match(s.sent.at(-1), { type: 'cancel', deliveryId: 'd15' })
  s.giveBack('d15')
  await s.idle()
  t.equal(s.state('d15'), 'cancelled', 'what comes back late changes nothing')
})

test('waiting deliveries that cannot be started cost no work in the meantime', async (t) => {
  const s = await setUp(t, ['hq'], { concurrency: 1, per_destination: 1 })
  aDueDelivery(s.store, 'd1', 'hq')
  aDueDelivery(s.store, 'd2', 'hq')
  aDueDelivery(s.store, 'd3', 'removed')
  const timers: number[] = []
  const real = globalThis.setTimeout
  globalThis.setTimeout = ((work: () => void, ms: number) => {
    timers.push(ms)
    return real(work, ms)
  }) as typeof real
  t.teardown(() => {
    globalThis.setTimeout = real
  })
  s.connect()
  await s.idle()
  t.ok(timers.length > 0 && timers.every((ms) => ms >= 1000), `sleeps of ${timers.join(', ')} ms`)
})

test('a failed delivery is tried again until its attempts are spent, then it is dead', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  for (const attempt of [1, 2, 3]) {
    await until(() => s.attempts().length === attempt)
    s.answer('d1', attempt, failure('remote.lost', attempt === 1))
    await until(() => s.state('d1') === (attempt === 3 ? 'dead' : 'retrying'))
    s.clock.advance(10_000)
    s.dispatcher.kick()
  }
  t.same(
    s.attempts().map(({ delivery }) => delivery.unclear),
    [false, true, true],
    'once unclear, every repeat looks first',
  )
  t.match(s.store.deliveries.get('d1'), { state: 'dead', error_json: /remote\.lost/ })
  t.same(s.finished, [], 'its content is kept for a retry by hand')
  s.verbs.retry(ADMIN, 'd1')
  await until(() => s.attempts().length === 4)
  t.equal(s.attempts()[3]!.delivery.attempt, 4, 'numbers go on')
  s.answer('d1', 4, failure('remote.lost'))
  await until(() => s.state('d1') === 'retrying')
  t.pass('and the limit begins anew')
})

test('what trying again cannot cure is dead at once', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  await until(() => s.attempts().length === 1)
  s.answer('d1', 1, failure('remote.auth'))
  await until(() => s.state('d1') === 'dead')
  t.match(s.events, ['started d1', 'dead d1'])
})

test('a delivery cancelled while it runs is stopped, and its late success changes nothing', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  await until(() => s.attempts().length === 1)
  s.verbs.cancel(ADMIN, 'd1')
  t.match(s.sent.at(-1), { type: 'cancel', deliveryId: 'd1' })
  s.answer('d1', 1, SENT)
  await s.idle()
  t.equal(s.state('d1'), 'cancelled')
  t.equal(s.store.deliveries.receipt('d1'), undefined)
  t.match(s.store.deliveries.attempts('d1'), [{ number: 1, ok: 0, error_json: /delivery\.cancelled/ }], 'the attempt has an end')
  t.equal(s.dispatcher.running(), 0)
  t.throws(() => s.verbs.cancel(ADMIN, 'd1'), { code: 'state.conflict' })
  t.throws(() => s.verbs.cancel(ADMIN, 'none'), { code: 'resource.not_found' })
  s.verbs.retry(ADMIN, 'd1')
  await until(() => s.attempts().length === 2)
  t.match(s.attempts()[1]!.delivery, { attempt: 2, unclear: true }, 'the far side may have it: the repeat looks first')
})

test('an answer that comes while the cancelling is written loses visibly', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  await until(() => s.attempts().length === 1)
  s.store.deliveries.cancel('d1', s.clock.now())
  s.answer('d1', 1, SENT)
  await until(() => s.events.includes('cancelled d1'))
  t.equal(s.state('d1'), 'cancelled')
})

test('what ran in a forwarder that is gone is given back, unspent and unclear, and its late answer ignored', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  await until(() => s.attempts().length === 1)
  s.dispatcher.disconnect()
  await until(() => s.state('d1') === 'pending')
  t.match(s.store.deliveries.get('d1'), { attempt: 0, unclear: 1 })
  s.answer('d1', 1, SENT)
  await s.idle()
  t.equal(s.state('d1'), 'pending')
  s.clock.advance(60_000)
  s.connect()
  await until(() => s.attempts().length === 2)
  t.match(s.attempts()[1]!.delivery, { attempt: 1, unclear: true })
})

test('a forwarder that drains gives back what it did not begin', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  await until(() => s.attempts().length === 1)
  s.dispatcher.pause()
  s.answer('d1', 1, failure('service.draining'))
  await until(() => s.state('d1') === 'pending')
  t.match(s.store.deliveries.get('d1'), { attempt: 0, unclear: 0 })
  await s.idle()
  t.equal(s.attempts().length, 1, 'nothing is handed to a forwarder that drains')
})

test('deliveries to a disabled destination wait, and go on when it is enabled', async (t) => {
  const s = await setUp(t)
  await s.destinations.setEnabled(ADMIN, 'hq', false)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  await s.idle()
  t.equal(s.attempts().length, 0)
  t.equal(s.state('d1'), 'pending')
  await s.destinations.setEnabled(ADMIN, 'hq', true)
  await until(() => s.attempts().length === 1)
  t.ok(
    s.sent.some((m) => m.type === 'forget' && m.destination === 'hq'),
    'and old connections are forgotten',
  )
})

test('a file whose kept content is gone dies with that reason, and a retry says so', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.store.transfers.setSpool('t-d1', null)
  // no spool path on the row: nothing to hand over
  s.connect()
  await until(() => s.state('d1') === 'dead')
  t.match(s.store.deliveries.get('d1')?.error_json, /spool\.missing/)
  t.throws(() => s.verbs.retry(ADMIN, 'd1'), { code: 'state.conflict', message: /not kept any more/ })
  t.throws(() => s.verbs.retry(ADMIN, 'none'), { code: 'resource.not_found' })
})

test('all dead deliveries can be tried again at once, but suspect files only one by one', async (t) => {
  const s = await setUp(t)
  for (const id of ['d1', 'd2', 'd3']) {
    aDueDelivery(s.store, id, 'hq')
    s.store.deliveries.start(id, s.clock.now(), '1.1')
    s.store.deliveries.failed(id, 1, s.clock.now(), { code: id === 'd3' ? 'upload.suspect' : 'remote.auth', message: '' }, false, null)
  }
  t.equal(await s.verbs.retryAll(ADMIN, { destination: 'other' }), 0)
  t.equal(await s.verbs.retryAll(ADMIN, {}), 2)
  t.same(['d1', 'd2', 'd3'].map(s.state), ['pending', 'pending', 'dead'])
  s.verbs.retry(ADMIN, 'd3')
  t.equal(s.state('d3'), 'pending')
})

test('how many an act on many is about is counted by its filters, without shadows, up to 10,000', async (t) => {
  const s = await setUp(t)
  const dead = (id: string, destination: string, code: 'upload.suspect' | 'remote.auth' = 'remote.auth') => {
    aDueDelivery(s.store, id, destination)
    s.store.deliveries.start(id, s.clock.now(), '1.1')
    s.store.deliveries.failed(id, 1, s.clock.now(), { code, message: '' }, false, null)
  }
  s.store.group.now(() => {
    for (const id of ['d1', 'd2', 'd3']) dead(id, 'hq', id === 'd3' ? 'upload.suspect' : 'remote.auth')
    for (let n = 0; n < 10_001; n++) dead(`x${n}`, 'away')
  })
  t.same(await s.verbs.count({ state: 'dead', destination: 'hq' }), { count: 3, more: false, suspect: 1 })
  t.same(await s.verbs.count({ state: 'dead', destination: 'hq', rule: 'another' }), { count: 0, more: false, suspect: 0 })
  t.same(await s.verbs.count({ state: 'pending' }), { count: 0, more: false, suspect: 0 })
  t.match(await s.verbs.count({ state: 'dead', rule: 'r' }), { count: 10_000, more: true })
  t.match(await s.verbs.count({ state: 'dead', destination: 'away' }), { count: 10_000, more: true })
})

test('an outcome that cannot be recorded is recorded later', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  await until(() => s.attempts().length === 1)
  const real = s.store.deliveries.delivered
  let failures = 0
  Object.assign(s.store.deliveries, {
    delivered: () => {
      failures++
      Object.assign(s.store.deliveries, { delivered: real })
      throw new Error('database or disk is full')
    },
  })
  const timer = globalThis.setTimeout
  globalThis.setTimeout = ((work: () => void) => timer(work, 1)) as typeof timer
  t.teardown(() => {
    globalThis.setTimeout = timer
  })
  s.answer('d1', 1, SENT)
  await until(() => s.state('d1') === 'delivered')
  t.equal(failures, 1)
  t.ok(s.lines.some((line) => line.event === 'delivery.settle_failed'))
})

test('a probe is answered, or ends with its time or with the forwarder', async (t) => {
  const s = await setUp(t)
  const never = new AbortController().signal
  await t.rejects(async () => s.dispatcher.probe('hq', never), { code: 'service.unavailable' })
  s.connect()
  const first = s.dispatcher.probe('hq', never)
  const asked = s.sent.find((m) => m.type === 'probe')!
  t.match(asked, { destination: { password: 'hunter2' } })
  s.dispatcher.receive({ type: 'probed', id: asked.id, report: { ok: true, steps: [], fingerprint: null } })
  t.match(await first, { ok: true })
  await t.rejects(s.dispatcher.probe('hq', AbortSignal.abort()), { code: 'remote.timeout' })
  const timed = new AbortController()
  const second = s.dispatcher.probe('hq', timed.signal)
  timed.abort()
  await t.rejects(second, { code: 'remote.timeout' })
  t.equal(s.sent.at(-1)?.type, 'unprobe', 'the far side is left alone, too')
  const many = Array.from({ length: 7 }, () => s.dispatcher.probe('hq', never).catch((error: { code: string }) => error.code))
  t.throws(() => s.dispatcher.probe('hq', never), { code: 'limit.rate' }, 'so many at once, those that end included')
  for (const m of s.sent)
    if (m.type === 'probe') s.dispatcher.receive({ type: 'probed', id: m.id, report: { ok: false, steps: [], fingerprint: null } })
  t.equal((await Promise.all(many)).length, 7)
  const third = s.dispatcher.probe('hq', never)
  s.dispatcher.disconnect()
  await t.rejects(third, { code: 'service.unavailable' })
})
