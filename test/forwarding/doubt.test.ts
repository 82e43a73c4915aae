// What a machine that went down may have taken with it: claims are not synced by themselves.
// Must not move bytes.
import { test } from 'tap'
import { ADMIN, aDueDelivery, until } from '../store/temp-store.ts'
import { SENT, setUpDispatcher as setUp } from './dispatcher-setup.ts'

test('after the machine went down, what may have been sent is looked for first', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.store.group.now(() => s.store.lastRun.begin('the boot before'))
  t.equal(s.dispatcher.recover(), 0)
  s.connect()
  await until(() => s.attempts().length === 1)
  t.match(s.attempts()[0], { delivery: { id: 'd1', attempt: 1, unclear: true } })
})

test('a process that was killed leaves no such doubt: its claims are there', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.dispatcher.recover()
  s.dispatcher.recover()
  s.connect()
  await until(() => s.attempts().length === 1)
  t.match(s.attempts()[0], { delivery: { id: 'd1', unclear: false } })
})

test('nor does a machine that is started again after an orderly end', async (t) => {
  const s = await setUp(t)
  const { lastRun } = s.store
  t.equal(lastRun.begin('one'), false, 'the very first run')
  t.equal(lastRun.begin('two'), true)
  lastRun.end()
  t.equal(lastRun.begin('three'), false)
  t.equal(lastRun.begin('three'), false, 'killed')
  lastRun.begin('')
  t.equal(lastRun.begin(''), true, 'where nobody knows, it is in doubt')
})

test('outcomes that are held back for company are all recorded, also when the forwarder goes', async (t) => {
  const s = await setUp(t)
  for (const id of ['d1', 'd2', 'd3', 'd4']) aDueDelivery(s.store, id, 'hq')
  s.connect()
  await until(() => s.attempts().length === 4)
  for (const id of ['d1', 'd2', 'd3']) s.answer(id, 1, SENT)
  s.dispatcher.disconnect()
  await until(() => ['d1', 'd2', 'd3'].every((id) => s.state(id) === 'delivered') && s.state('d4') === 'pending')
  t.match(s.store.deliveries.get('d4'), { unclear: 1, attempt: 0 })
})

test('a delivery that is cancelled in the moment it is claimed is not sent', async (t) => {
  const s = await setUp(t)
  aDueDelivery(s.store, 'd1', 'hq')
  s.connect()
  const { run } = s.store.group
  await new Promise<void>((go) => {
    Object.assign(s.store.group, {
      run: (work: () => unknown, durable: boolean) => {
        const claimed = run(work, durable)
        Object.assign(s.store.group, { run })
        // the claim is written, and nobody was told yet
        s.verbs.cancel(ADMIN, 'd1')
        go()
        return claimed
      },
    })
  })
  await s.idle()
  t.equal(s.state('d1'), 'cancelled')
  t.same(s.attempts(), [])
  t.equal(s.dispatcher.running(), 0)
})

test('a claim that the disk does not take is undone: it holds no place, nothing is sent, and it is tried again later, not in a circle', async (t) => {
  const s = await setUp(t, ['hq'], { concurrency: 1, per_destination: 1 })
  aDueDelivery(s.store, 'd1', 'hq')
  const { run } = s.store.group
  let tries = 0
  const full = (work: () => unknown, durable: boolean) =>
    run(() => {
      work()
      tries++
      throw new Error('database or disk is full')
    }, durable)
  Object.assign(s.store.group, { run: full })
  s.connect()
  await until(() => tries === 1)
  for (let i = 0; i < 5; i++) await s.idle()
  t.equal(tries, 1)
  t.equal(s.dispatcher.running(), 0)
  t.match(s.store.deliveries.get('d1'), { state: 'pending', attempt: 0 })
  t.same(s.store.deliveries.attempts('d1'), [])
  t.match(s.lines.at(-1), { level: 'error', event: 'dispatcher.failed' })
  Object.assign(s.store.group, { run })
  s.dispatcher.kick()
  await until(() => s.attempts().length === 1)
  t.match(s.attempts()[0], { delivery: { id: 'd1', attempt: 1 } })
})
