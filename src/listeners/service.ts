// A service: a pool of worker threads that start, stop, crash and restart on their own; idempotent, counted, visible.
// Must not know what the workers do; the messages are handed on.
import type { Worker } from 'node:worker_threads'
import type { Clock } from '../core/clock.ts'
import { collectSeldomAfter } from '../core/collector.ts'
import { FileFlowError } from '../core/errors.ts'
import { errorFields, type Logger } from '../core/log.ts'
import { restartDelay } from '../core/retry.ts'
import type { ServiceName, ServiceState, ServiceView } from '../core/views.ts'

/** One thread of the pool, as the composition root sees it. */
export interface Thread {
  readonly index: number
  post(message: unknown): void
}

export interface ServiceOptions {
  readonly name: ServiceName
  readonly clock: Clock
  readonly log: Logger
  readonly count: () => number
  /** Makes the thread; the ports are those that the first of the pool got (0, null: not known yet). */
  readonly spawn: (index: number, port: number, implicitPort: number | null) => Promise<Worker>
  /** Ready: the thread may be given work. */
  readonly onReady: (thread: Thread) => void
  /** All threads are about to be told to stop: no more work for them. */
  readonly onStopping?: () => void
  readonly onMessage: (thread: Thread, message: never) => void
  /** The thread is gone; `crashed` when nobody asked for it. */
  readonly onGone: (thread: Thread, crashed: boolean) => void
  readonly changed: (view: ServiceView) => void
}

const START_MS = 30_000
const CRASH_WINDOW_MS = 300_000
/** Beyond the drain deadline a thread is ended by force. */
const FORCE_AFTER_MS = 10_000

interface Running {
  readonly thread: Thread
  readonly worker: Worker
  readonly gone: Promise<void>
  ready: boolean
  stopping: boolean
}

export type Service = ReturnType<typeof createService>

export function createService(options: ServiceOptions) {
  const { name, clock, log } = options
  let state: ServiceState = 'stopped'
  let since = clock.now()
  let restarts = 0
  let error: string | null = null
  let port = 0
  let implicitPort: number | null = null
  let crashes: number[] = []
  /** Threads that shall run; grows stale with each stop, and so does whatever was begun before. */
  let size = 0
  let generation = 0
  const running = new Map<number, Running>()
  const timers = new Set<NodeJS.Timeout>()
  /** Starts and stops follow each other, never overlap. */
  let turn: Promise<unknown> = Promise.resolve()

  const view = (): ServiceView => ({
    name,
    state,
    since: new Date(since).toISOString(),
    restarts,
    error,
    port: port === 0 || state === 'stopped' ? null : port,
  })

  /** A thread that is being started again does not serve yet. */
  const isWhole = (): boolean => [...running.values()].filter(({ ready }) => ready).length >= size

  const become = (next: ServiceState, why: string | null = null): void => {
    if (state === next && error === why) return
    state = next
    error = why
    since = clock.now()
    options.changed(view())
    log.info(`service.${next}`, `${name} is ${next}.`, why ? { error: why } : {})
  }

  /** What the composition root does with a thread must not take the control plane down. */
  const guarded = (what: string, work: () => void): void => {
    try {
      work()
    } catch (cause) {
      log.error('service.callback_failed', `${what} of ${name} failed.`, errorFields(cause))
    }
  }

  const launch = (index: number): Promise<void> => collectSeldomAfter(() => begin(index))

  async function begin(index: number): Promise<void> {
    const born = generation
    const worker = await options.spawn(index, port, implicitPort)
    if (born !== generation) {
      await worker.terminate()
      throw new FileFlowError('service.unavailable', `${name} was stopped meanwhile.`)
    }
    const thread: Thread = { index, post: (message) => worker.postMessage(message) }
    let failure: unknown
    const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    const mine: Running = { thread, worker, gone, ready: false, stopping: false }
    running.set(index, mine)
    worker.on('error', (cause) => {
      failure = cause
      log.error('worker.crashed', `A thread of ${name} failed.`, { thread: index, ...errorFields(cause) })
    })
    const ready = new Promise<void>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new FileFlowError('service.unavailable', `${name} did not get ready within ${START_MS / 1000} s.`)),
        START_MS,
      )
      worker.on('message', (message: { type: string; port?: number; implicitPort?: number | null }) => {
        if (message.type === 'ready') {
          clearTimeout(late)
          if (message.port) port = message.port
          implicitPort = message.implicitPort ?? implicitPort
          resolve()
          return
        }
        if (message.type === 'stopped') {
          // all it had to say has been heard; a stray handle must not keep the thread
          worker.terminate().catch((cause: unknown) => log.error('service.forced', 'A thread could not be ended.', errorFields(cause)))
          return
        }
        guarded('A message', () => options.onMessage(thread, message as never))
      })
      gone.then(() => {
        clearTimeout(late)
        reject(failure instanceof Error ? failure : new FileFlowError('service.unavailable', `A thread of ${name} ended.`))
      })
    })
    try {
      await ready
    } catch (cause) {
      if (running.get(index) === mine) running.delete(index)
      mine.stopping = true
      await worker.terminate()
      throw cause
    }
    mine.ready = true
    if (!mine.stopping) guarded('The beginning', () => options.onReady(thread))
    gone.then(() => {
      running.delete(index)
      guarded('The end', () => options.onGone(thread, !mine.stopping))
      if (!mine.stopping) crashed(index, failure)
    })
  }

  function crashed(index: number, cause: unknown): void {
    const now = clock.now()
    crashes = [...crashes.filter((at) => now - at < CRASH_WINDOW_MS), now]
    const wait = restartDelay(crashes.length)
    const why = cause instanceof Error ? cause.message : 'a thread ended unexpectedly'
    become('failed', why)
    const born = generation
    const timer = setTimeout(() => {
      timers.delete(timer)
      become('starting', why)
      restarts++
      launch(index).then(
        () => born === generation && isWhole() && become('running'),
        (again: unknown) => born === generation && crashed(index, again),
      )
    }, wait)
    timers.add(timer)
  }

  /** Ends what waits for its time or is being made; threads that run are untouched. */
  function supersede(): void {
    generation++
    for (const timer of timers) clearTimeout(timer)
    timers.clear()
  }

  async function start(): Promise<void> {
    if (state === 'running' || state === 'starting') return
    supersede()
    size = options.count()
    become('starting')
    try {
      // the first thread finds the port that the others share; threads that a crash of another one left running stay
      if (!running.has(0)) await launch(0)
      await Promise.all(Array.from({ length: size - 1 }, (_, i) => (running.has(i + 1) ? undefined : launch(i + 1))))
      if (isWhole()) become('running')
    } catch (cause) {
      await end(0)
      become('failed', cause instanceof Error ? cause.message : String(cause))
      throw cause
    }
  }

  async function end(drainMs: number): Promise<void> {
    supersede()
    options.onStopping?.()
    await Promise.all(
      [...running.values()].map(async (one) => {
        one.stopping = true
        one.worker.postMessage({ type: 'stop', deadlineMs: drainMs })
        const force = setTimeout(() => {
          log.warn('service.forced', `A thread of ${name} did not end in time.`, { thread: one.thread.index })
          one.worker.terminate().catch((cause: unknown) => log.error('service.forced', 'A thread could not be ended.', errorFields(cause)))
        }, drainMs + FORCE_AFTER_MS)
        await one.gone
        clearTimeout(force)
      }),
    )
  }

  async function stop(drainMs: number): Promise<void> {
    if (state === 'stopped') return
    become('stopping')
    await end(drainMs)
    become('stopped')
  }

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work, work)
    turn = result.catch(() => {})
    return result
  }

  return {
    name,
    /** @throws when it cannot start; it is `failed` then, and stays so until started again */
    start: () => inTurn(start),
    /** @param drainMs how long transfers in flight may go on */
    stop: (drainMs: number) => inTurn(() => stop(drainMs)),
    view,
    /** The port of implicit TLS, once bound. */
    implicitPort: () => (view().port === null ? null : implicitPort),
    broadcast(message: unknown): void {
      for (const { thread } of running.values()) thread.post(message)
    },
  }
}
