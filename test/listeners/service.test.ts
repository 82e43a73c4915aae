// Services over real threads: start, stop, crash and restart, each visible, none touching another.
// Must not wait for a fixed time: every state is told, and awaited.
import { Worker } from 'node:worker_threads'
import { type Test, test } from 'tap'
import { restartDelay } from '../../src/core/retry.ts'
import type { ServiceName, ServiceState, ServiceView } from '../../src/core/views.ts'
import { createService, type ServiceOptions, type Thread } from '../../src/listeners/service.ts'
import { fakeClock, recordedLog, until } from '../store/temp-store.ts'

/** Says what it is told to, and dies as it is told to. */
const SCRIPT = `
  const { parentPort, workerData } = require('node:worker_threads')
  if (workerData.fail) throw new Error('the port is taken')
  parentPort.on('message', (message) => {
    if (message.type === 'crash') throw new Error('a bad packet')
    if (message.type === 'exit') process.exit(0)
    if (message.type === 'echo') parentPort.postMessage({ type: 'echo', text: message.text })
    if (message.type === 'stop' && !workerData.stubborn) { parentPort.postMessage({ type: 'stopped' }); parentPort.close() }
  })
  if (!workerData.silent) parentPort.postMessage({ type: 'ready', port: workerData.port || 4321 })
`

interface Script {
  fail?: boolean
  silent?: boolean
  stubborn?: boolean
}

function scripted(
  t: Test,
  {
    count = 1,
    script = () => ({}),
    ...over
  }: Partial<Omit<ServiceOptions, 'count'>> & { count?: number; script?: (index: number, spawned: number) => Script } = {},
) {
  const clock = fakeClock()
  const { log, lines } = recordedLog()
  const views: ServiceView[] = []
  const threads: Thread[] = []
  const said: unknown[] = []
  const gone: { index: number; crashed: boolean }[] = []
  const ports: number[] = []
  const alive = new Set<Worker>()
  let spawned = 0
  let wake = (): void => {}
  const service = createService({
    name: 'ftp' as ServiceName,
    clock,
    log,
    count: () => count,
    async spawn(index, port) {
      ports.push(port)
      const worker = new Worker(SCRIPT, { eval: true, workerData: { port, ...script(index, spawned++) } })
      alive.add(worker)
      worker.once('exit', () => {
        alive.delete(worker)
        wake()
      })
      return worker
    },
    onReady: (thread) => threads.push(thread),
    onMessage(_thread, message) {
      said.push(message)
      wake()
    },
    onGone: (thread, crashed) => gone.push({ index: thread.index, crashed }),
    changed(view) {
      views.push(view)
      wake()
    },
    ...over,
  })
  t.teardown(() => service.stop(0))
  const happens = async (holds: () => boolean): Promise<void> => {
    while (!holds())
      await new Promise<void>((go) => {
        wake = go
      })
  }
  return {
    service,
    clock,
    lines,
    views,
    threads,
    said,
    gone,
    ports,
    alive,
    happens,
    spawned: () => spawned,
    becomes: (state: ServiceState) => happens(() => service.view().state === state),
    latest: (index: number) => threads.findLast((thread) => thread.index === index)!,
  }
}

test('a service starts and stops, and doing so twice changes nothing', async (t) => {
  const s = scripted(t, { count: 3 })
  t.match(s.service.view(), { state: 'stopped', restarts: 0, error: null, port: null })
  await s.service.stop(0)
  await Promise.all([s.service.start(), s.service.start()])
  await s.service.start()
  t.equal(s.spawned(), 3)
  t.match(s.service.view(), { state: 'running', port: 4321 })
  t.same(s.ports, [0, 4321, 4321], 'the others share the port of the first')
  s.service.broadcast({ type: 'echo', text: 'hello' })
  await s.happens(() => s.said.length === 3)
  await Promise.all([s.service.stop(0), s.service.stop(0)])
  t.equal(s.alive.size, 0)
  t.same(
    s.gone.map((g) => g.crashed),
    [false, false, false],
  )
  t.match(s.service.view(), { state: 'stopped', port: null })
  t.same(
    s.views.map((v) => v.state),
    ['starting', 'running', 'stopping', 'stopped'],
  )
  await s.service.start()
  t.equal(s.service.view().state, 'running', 'and again')
})

test('a thread that crashes is replaced, counted and named, and another service notices nothing', async (t) => {
  const s = scripted(t)
  const other = scripted(t)
  await Promise.all([s.service.start(), other.service.start()])
  const before = other.service.view()
  s.latest(0).post({ type: 'crash' })
  await s.becomes('failed')
  t.match(s.service.view(), { state: 'failed', error: 'a bad packet', restarts: 0 })
  t.same(s.gone, [{ index: 0, crashed: true }])
  await s.becomes('running')
  t.match(s.service.view(), { state: 'running', error: null, restarts: 1 })
  s.latest(0).post({ type: 'echo', text: 'back' })
  await s.happens(() => s.said.length === 1)
  t.same(other.service.view(), before)
  t.equal(other.spawned(), 1)
  t.ok(s.lines.some((line) => line.event === 'worker.crashed'))
})

test('a thread that ends by itself is a crash, too', async (t) => {
  const s = scripted(t)
  await s.service.start()
  s.latest(0).post({ type: 'exit' })
  await s.becomes('failed')
  t.match(s.service.view().error, /ended unexpectedly/)
  await s.becomes('running')
})

test('all threads of a pool that crash at once come back', async (t) => {
  const s = scripted(t, { count: 3 })
  await s.service.start()
  s.service.broadcast({ type: 'crash' })
  await s.happens(() => s.gone.length === 3)
  await s.becomes('running')
  t.equal(s.alive.size, 3)
  t.equal(s.service.view().restarts, 3)
  t.same(
    [0, 1, 2].map((index) => s.threads.filter((thread) => thread.index === index).length),
    [2, 2, 2],
  )
})

test('after a crash of several threads a service is running again only when the last of them is ready', async (t) => {
  const s = scripted(t, { count: 2, script: (index, spawned) => ({ silent: index === 1 && spawned >= 2 }) })
  await s.service.start()
  s.service.broadcast({ type: 'crash' })
  await until(() => s.threads.length === 3 && s.spawned() === 4)
  // when it answers, whatever follows from its being ready has happened
  s.latest(0).post({ type: 'echo', text: 'hello' })
  await s.happens(() => s.said.length === 1)
  t.equal(s.service.view().state, 'starting')
})

test('the wait before a restart grows with the crashes of the last five minutes', (t) => {
  t.same([1, 2, 3, 4, 5, 9, 50].map(restartDelay), [200, 400, 800, 1600, 3200, 30_000, 30_000])
  t.end()
})

test('a start that fails is reported, and the service stays failed until it is started again', async (t) => {
  let fail = true
  const s = scripted(t, { count: 2, script: (index) => ({ fail: fail && index === 1 }) })
  await t.rejects(s.service.start(), /the port is taken/)
  t.match(s.service.view(), { state: 'failed', error: 'the port is taken' })
  t.equal(s.alive.size, 0, 'no half pool is left behind')
  fail = false
  await s.service.start()
  t.match(s.service.view(), { state: 'running', error: null })
  t.equal(s.alive.size, 2)
})

test('starting a failed service by hand makes the missing threads only', async (t) => {
  const s = scripted(t, { count: 2 })
  await s.service.start()
  s.latest(1).post({ type: 'crash' })
  await s.becomes('failed')
  await s.service.start()
  t.equal(s.service.view().state, 'running')
  t.equal(s.alive.size, 2)
  t.same(
    s.threads.map((thread) => thread.index),
    [0, 1, 1],
  )
  await s.service.stop(0)
  t.equal(s.alive.size, 0, 'and all of them end')
})

test('a service that is stopped while it waits to restart stays stopped', async (t) => {
  const s = scripted(t)
  await s.service.start()
  s.latest(0).post({ type: 'crash' })
  await s.becomes('failed')
  await s.service.stop(0)
  t.match(s.service.view(), { state: 'stopped', error: null })
  t.equal(s.spawned(), 1)
})

test('a service that is stopped while a thread is being made again stays stopped', async (t) => {
  const s = scripted(t, { script: (_, spawned) => ({ silent: spawned === 1 }) })
  await s.service.start()
  s.latest(0).post({ type: 'crash' })
  await s.happens(() => s.alive.size === 1 && s.spawned() === 2)
  await s.service.stop(0)
  await until(() => s.alive.size === 0)
  t.equal(s.service.view().state, 'stopped')
  t.notOk(
    s.views.slice(s.views.findIndex((v) => v.state === 'stopped')).some((v) => v.state !== 'stopped'),
    'and nothing follows',
  )
})

test('a thread that does not end in time is ended', async (t) => {
  const s = scripted(t, { script: () => ({ stubborn: true }) })
  await s.service.start()
  await s.service.stop(0)
  t.equal(s.alive.size, 0)
  t.ok(s.lines.some((line) => line.event === 'service.forced'))
})

test('what goes wrong with a message or an end is logged, and the service goes on', async (t) => {
  const s = scripted(t, {
    onMessage: () => {
      throw new Error('cannot be handled')
    },
    onGone: () => {
      throw new Error('cannot be tidied')
    },
  })
  await s.service.start()
  s.latest(0).post({ type: 'echo', text: 'x' })
  s.latest(0).post({ type: 'crash' })
  await s.becomes('failed')
  await s.becomes('running')
  t.equal(s.lines.filter((line) => line.event === 'service.callback_failed').length, 2)
})
