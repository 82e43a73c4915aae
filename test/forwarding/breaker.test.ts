// Circuit breakers and quarantine, over a real store, with a forwarder that does just what it is told.
// Must not move bytes.
import { test } from 'tap'
import { newId } from '../../src/core/clock.ts'
import { createBreakers } from '../../src/forwarding/breakers.ts'
import { ADMIN, aDueDelivery, until } from '../store/temp-store.ts'
import { failure, SENT, setUpDispatcher } from './dispatcher-setup.ts'

const many = (count: number) => Array.from({ length: count }, (_, i) => `d${i + 10}`)

test('a destination that cannot be reached costs no delivery an attempt: one probe at a time, until one comes through', async (t) => {
  const s = await setUpDispatcher(t, ['hq', 'other'])
  for (const id of many(10)) aDueDelivery(s.store, id, 'hq')
  s.connect()
  await until(() => s.running().length === 4)
  for (const { delivery } of s.running()) s.answer(delivery.id, delivery.attempt, failure('remote.unreachable'))
  await until(() => s.dispatcher.running() === 0 && s.running().length === 0)
  await s.idle()
  t.equal(s.attempts().length, 4, 'nothing else is tried')
  t.match(s.dispatcher.breaker('hq'), { state: 'open', failures: 1, error: { code: 'remote.unreachable' } })
  t.equal(s.events.filter((event) => event === 'changed hq').length, 1, 'screens are told once')
  t.match(s.store.audit.list({ limit: 100, action: 'destination.failing' }).length, 1)

  aDueDelivery(s.store, 'o1', 'other')
  s.dispatcher.kick()
  await until(() => s.running().length === 1)
  s.answer('o1', 1, SENT)
  await until(() => s.state('o1') === 'delivered')

  for (let probe = 1; probe <= 6; probe++) {
    s.clock.advance(100_000)
    s.dispatcher.kick()
    await until(() => s.running().length === 1)
    await s.idle()
    t.equal(s.running().length, 1, 'one probe at a time')
    t.equal(s.dispatcher.breaker('hq').state, 'probing')
    const { delivery } = s.running()[0]!
    s.answer(delivery.id, delivery.attempt, failure('remote.unreachable'))
    await until(() => s.running().length === 0)
  }
  t.equal(s.dispatcher.breaker('hq').failures, 7)
  t.equal(
    s.store.audit.list({ limit: 100, action: 'delivery.attempt', outcome: 'failed' }).length,
    s.attempts().length - 1,
    'each that failed is in the audit trail',
  )
  for (const id of many(10)) {
    const row = s.store.deliveries.get(id)!
    t.match(row.state, /pending|retrying/, 'none is dead, though only three attempts are allowed')
    t.equal(row.attempt - row.spent_before, 0, 'and none has spent one')
  }
  s.clock.advance(100_000)
  s.dispatcher.kick()
  await until(() => s.running().length === 1)
  const { delivery } = s.running()[0]!
  s.answer(delivery.id, delivery.attempt, SENT)
  await until(() => s.running().length === 4)
  t.equal(s.dispatcher.breaker('hq').state, 'closed')
  t.equal(s.store.audit.list({ limit: 100, action: 'destination.recovered' }).length, 1)
})

test('a wrong password kills the delivery that met it and keeps the others for when it is corrected', async (t) => {
  const s = await setUpDispatcher(t)
  for (const id of many(6)) aDueDelivery(s.store, id, 'hq')
  s.connect()
  await until(() => s.running().length === 4)
  for (const { delivery } of s.running()) s.answer(delivery.id, 1, failure('remote.auth'))
  await until(() => s.running().length === 0)
  t.equal(s.store.deliveries.counts().dead, 1)
  await s.idle()
  t.equal(s.attempts().length, 4)
  await s.destinations.update(ADMIN, 'hq', { password: 'corrected' })
  await until(() => s.running().length === 1)
  t.equal(s.running()[0]!.destination.password, 'corrected', 'a change is tried at once')
  s.answer(s.running()[0]!.delivery.id, 1, SENT)
  await until(() => s.running().length === 4)
})

test('a retry by hand does not wait for the next probe', async (t) => {
  const s = await setUpDispatcher(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  await until(() => s.running().length === 1)
  s.answer('d1', 1, failure('remote.unreachable'))
  await until(() => s.state('d1') === 'retrying')
  await s.idle()
  t.equal(s.attempts().length, 1)
  s.verbs.retry(ADMIN, 'd1')
  await until(() => s.attempts().length === 2)
})

test('lines that break for one delivery after the other open the breaker, and a refusal of one file shows that the far side is there', async (t) => {
  const s = await setUpDispatcher(t, ['hq'], { concurrency: 1, per_destination: 1 })
  for (const id of many(12)) aDueDelivery(s.store, id, 'hq')
  s.connect()
  for (let i = 0; i < 8; i++) {
    await until(() => s.running().length === 1)
    const { delivery } = s.running()[0]!
    s.answer(delivery.id, delivery.attempt, failure('remote.lost'))
    await until(() => s.running()[0]?.delivery.id !== delivery.id)
  }
  t.match(s.dispatcher.breaker('hq'), { state: 'open', error: { code: 'remote.lost' } })
  s.clock.advance(5000)
  s.dispatcher.kick()
  await until(() => s.running().length === 1)
  s.answer(s.running()[0]!.delivery.id, s.running()[0]!.delivery.attempt, failure('remote.denied'))
  await until(() => s.dispatcher.breaker('hq').state === 'closed')
})

test('what waits longer than give_up_after for a destination that is away is dead', async (t) => {
  const s = await setUpDispatcher(t)
  for (let i = 0; i < 7; i++) aDueDelivery(s.store, newId(s.clock.now()), 'hq')
  s.connect()
  await until(() => s.running().length === 4)
  for (const { delivery } of s.running()) s.answer(delivery.id, 1, failure('remote.unreachable'))
  await until(() => s.running().length === 0)
  s.clock.advance(s.retry.give_up_after + 1000)
  s.dispatcher.kick()
  await until(() => s.running().length === 1)
  s.answer(s.running()[0]!.delivery.id, s.running()[0]!.delivery.attempt, failure('remote.unreachable'))
  await until(() => s.store.deliveries.counts().dead === 7)
  t.match(s.store.audit.list({ limit: 100, action: 'delivery.expired' })[0], { object: '7 deliveries', outcome: 'failed' })
})

test('a full disk at the far end holds the destination back, and the file that did not fit goes to the end of the line', async (t) => {
  const s = await setUpDispatcher(t, ['hq'], { concurrency: 1, per_destination: 1 })
  for (const id of ['big', 'small']) aDueDelivery(s.store, id, 'hq')
  s.connect()
  await until(() => s.running().length === 1)
  s.answer('big', 1, failure('remote.full'))
  await until(() => s.state('big') === 'retrying')
  await s.idle()
  t.equal(s.attempts().length, 1)
  s.clock.advance(1300)
  s.dispatcher.kick()
  await until(() => s.running()[0]?.delivery.id === 'small')
  s.answer('small', 1, SENT)
  await until(() => s.state('small') === 'delivered')
  t.equal(s.dispatcher.breaker('hq').state, 'closed')
})

test('an open breaker outlasts a restart', async (t) => {
  const s = await setUpDispatcher(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  await until(() => s.running().length === 1)
  s.answer('d1', 1, failure('remote.unreachable'))
  await until(() => s.state('d1') === 'retrying')
  const again = createBreakers({ rows: s.store.deliveries.breakers, policy: () => s.retry })
  t.same(again.view('hq'), s.dispatcher.breaker('hq'))
  t.equal(again.allows('hq', 4, s.clock.now()), 0)
  t.equal(again.allows('hq', 4, s.clock.now() + 10_000), 1)
  await s.store.group.run(() => again.forget('hq'), true)
  t.same(createBreakers({ rows: s.store.deliveries.breakers, policy: () => s.retry }).view('hq').state, 'closed')
})

test('a delivery that ends the forwarder each time it runs is found out, alone, and takes no other with it', async (t) => {
  const s = await setUpDispatcher(t, ['hq', 'other'])
  const ids = ['d10', 'd11', 'poison', 'd13']
  for (const id of ids) aDueDelivery(s.store, id, id === 'd13' ? 'other' : 'hq')
  const restarted = (): void => {
    s.clock.advance(2000)
    s.connect()
  }
  s.connect()
  await until(() => s.running().length === 4)
  s.dispatcher.disconnect(true)
  await until(() => ids.every((id) => s.state(id) === 'pending'))
  restarted()
  let crashes = 1
  while (s.state('poison') !== 'dead') {
    await until(() => s.running().length > 0 || s.state('poison') === 'dead')
    await s.idle()
    t.equal(s.running().length, 1, 'whatever ran when it ended runs alone')
    const { delivery } = s.running()[0]!
    if (delivery.id === 'poison') {
      crashes++
      s.dispatcher.disconnect(true)
      await until(() => s.state('poison') !== 'running')
      if (s.state('poison') === 'pending') restarted()
    } else {
      s.answer(delivery.id, delivery.attempt, SENT)
      await until(() => s.state(delivery.id) === 'delivered')
    }
  }
  t.equal(crashes, 3)
  t.match(s.store.deliveries.get('poison')?.error_json, /delivery\.crashes/)
  restarted()
  for (const id of ids.filter((one) => one !== 'poison')) {
    if (s.state(id) !== 'delivered') {
      await until(() => s.running().length === 1)
      s.answer(s.running()[0]!.delivery.id, s.running()[0]!.delivery.attempt, SENT)
    }
    await until(() => s.state(id) === 'delivered')
  }
  t.same(s.store.deliveries.counts(), { pending: 0, running: 0, retrying: 0, dead: 1, oldest: null })
})

/** The process ends while these run, and the next one begins. */
function dies(s: Awaited<ReturnType<typeof setUpDispatcher>>, times: number, ...ids: string[]): void {
  for (let n = 0; n < times; n++) {
    for (const id of ids) s.store.deliveries.start(id, s.clock.now(), '1.1')
    s.dispatcher.recover()
  }
}

test('what ran at five deaths of the whole process in a row runs alone from then on', async (t) => {
  const s = await setUpDispatcher(t, ['hq', 'other'])
  for (const id of ['d10', 'd11']) aDueDelivery(s.store, id, 'hq')
  aDueDelivery(s.store, 'later', 'other')
  s.dispatcher.recover()
  dies(s, 4, 'd10', 'd11')
  t.match(s.store.deliveries.get('d10'), { state: 'pending', attempt: 0, unclear: 1, crashes: 0 })
  dies(s, 1, 'd10', 'd11')
  s.connect()
  for (const id of ['d10', 'd11']) {
    await until(() => s.running().length > 0)
    await s.idle()
    t.match(s.running(), [{ delivery: { id, attempt: 1, unclear: true } }], 'and nothing else')
    s.answer(id, 1, SENT)
    await until(() => s.state(id) === 'delivered')
  }
  await until(() => s.state('later') === 'running')
})

test('a delivery that ends the whole process fifty times in a row is dead; attempts that come to an end and reboots begin the count anew', async (t) => {
  const s = await setUpDispatcher(t)
  for (const id of ['poison', 'tried', 'rebooted']) aDueDelivery(s.store, id, 'hq')
  s.dispatcher.recover()
  dies(s, 49, 'poison')
  t.match(s.store.deliveries.get('poison'), { state: 'pending', attempt: 0, spent_before: 0 })
  dies(s, 1, 'poison')
  t.match(s.store.deliveries.get('poison'), { state: 'dead', unclear: 1, error_json: /delivery\.crashes/ })
  t.match(s.store.deliveries.attempts('poison'), [{ number: 1, ok: 0, error_json: /delivery\.crashes/ }])
  t.match(s.store.audit.list({ limit: 1, action: 'delivery.attempt' }), [{ object: 'poison', outcome: 'failed', detail: { deaths: 50 } }])
  t.same(s.finished, [], 'its content is kept for a retry by hand')
  s.verbs.retry(ADMIN, 'poison')
  dies(s, 49, 'poison')
  t.equal(s.state('poison'), 'retrying', 'which begins anew, too')
  s.verbs.cancel(ADMIN, 'poison')

  dies(s, 49, 'rebooted')
  s.store.deliveries.start('rebooted', s.clock.now(), '1.1')
  s.store.group.now(() => s.store.lastRun.begin('the boot before'))
  s.dispatcher.recover()
  dies(s, 49, 'rebooted')
  t.equal(s.state('rebooted'), 'pending')
  s.verbs.cancel(ADMIN, 'rebooted')

  dies(s, 49, 'tried')
  s.connect()
  await until(() => s.running().length === 1)
  s.answer('tried', 1, failure('remote.lost'))
  await until(() => s.state('tried') === 'retrying')
  s.dispatcher.pause()
  s.clock.advance(10_000)
  dies(s, 49, 'tried')
  t.equal(s.state('tried'), 'retrying')
})

test('a suspected delivery that takes long, or waits behind one, does not hold up all others', async (t) => {
  const s = await setUpDispatcher(t, ['hq', 'other'])
  const ids = (): string[] => s.running().map(({ delivery }) => delivery.id)
  for (const id of ['long', 'too']) aDueDelivery(s.store, id, 'hq')
  s.connect()
  await until(() => s.running().length === 2)
  s.dispatcher.disconnect(true)
  await until(() => ['long', 'too'].every((id) => s.state(id) === 'pending'))
  s.clock.advance(2000)
  s.connect()
  await until(() => s.running().length === 1)
  const [first] = ids()
  t.match(
    s.store.deliveries.attempts(first!),
    [{ number: 1, worker: `${process.pid}.2`, ended_at: null }],
    'leased to the thread that has it now',
  )
  aDueDelivery(s.store, 'next', 'other')
  s.dispatcher.kick()
  await s.idle()
  t.same(ids(), [first], 'at first it has the forwarder to itself')
  let started: string[] = []
  for (let waits = 0; waits < 6 && !started.includes('next'); waits++) {
    s.clock.advance(30_000)
    s.dispatcher.kick()
    await s.idle()
    started = ids()
  }
  t.same(started.sort(), [first, 'next'].sort(), 'the other suspect still waits for a quiet moment')
  for (const { delivery } of s.running()) s.answer(delivery.id, delivery.attempt, SENT)
  await until(() => s.running().length === 1)
  t.notOk(ids().includes(first!), 'and gets it')
})
