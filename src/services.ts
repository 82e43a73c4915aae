// The services of the gateway: which threads they are made of, and how their messages reach the control plane.
// Must not decide anything about files or accounts.

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { LiveSessions, SessionOwner } from './accounts/live-sessions.ts'
import type { Config } from './config/schema.ts'
import type { Reply } from './core/channel.ts'
import type { Clock } from './core/clock.ts'
import { ERRORS, FileFlowError, toErrorRecord } from './core/errors.ts'
import { createLogger, errorFields, type Logger, type LogLine } from './core/log.ts'
import type { ServiceName, ServiceView } from './core/views.ts'
import type { FromForwarder } from './forwarding/connector.ts'
import type { Dispatcher } from './forwarding/dispatcher.ts'
import { createGatekeeper, type GatekeeperOptions } from './gatekeeper/control-side.ts'
import { endSession } from './gatekeeper/end-session.ts'
import type { ToControl, ToWorker } from './gatekeeper/messages.ts'
import { createReceiver } from './gatekeeper/receive.ts'
import { type RecoverOptions, recoverSession } from './intake/recover.ts'
import { type Watched, watchSpool } from './intake/watched.ts'
import { ensureHostKeys, ensureTlsCertificate } from './listeners/credentials.ts'
import type { ListenerContext } from './listeners/listener.ts'
import { createService, type Service, type Thread } from './listeners/service.ts'
import type { ListenerWorkerData } from './listeners/worker.ts'
import type { LogOutput } from './logging/log-output.ts'
import { type FromWatcher, type ToWatcher, WATCH_CALLS, type WatcherData } from './watching/messages.ts'

export interface ServicesOptions {
  readonly config: () => Config
  readonly output: LogOutput
  readonly clock: Clock
  readonly live: LiveSessions
  /** Each service brings its own log. */
  readonly gatekeeper: Omit<GatekeeperOptions, 'log'>
  readonly dispatcher: Dispatcher
  readonly watched: Watched
  readonly recovery: () => RecoverOptions
  /** Whose uploads rules may want. */
  readonly askers: () => 'all' | readonly string[]
  readonly changed: (view: ServiceView) => void
}

/** Threads when the configuration says `auto`. */
const AUTO_THREADS = { ftp: Math.min(4, Math.ceil(availableParallelism() / 2)), sftp: Math.min(8, availableParallelism()) } as const
const DEFAULT_DRAIN_MS = 30_000
/** How often it is looked for uploads that hang. */
const HANGING_LOOK_MS = 1000

export function createServices(options: ServicesOptions) {
  const { config, output, clock, live, dispatcher, watched, changed } = options
  const { journals } = options.gatekeeper
  const write = (line: LogLine): void => output.write(line)

  const credentialsFor = async (kind: 'ftp' | 'sftp', wanted: Config): Promise<ListenerContext['credentials']> => ({
    hostKeys: kind === 'sftp' ? await ensureHostKeys(wanted) : [],
    tls: kind === 'ftp' && wanted.ftp.tls.mode !== 'off' ? await ensureTlsCertificate(wanted, clock.now()) : null,
  })

  function listener(kind: 'ftp' | 'sftp'): Service {
    const log = createLogger(kind, write)
    const doors = new Map<Thread, { owner: SessionOwner; journal: string; receive(message: ToControl): void; forget(): void }>()
    /** Where the thread of each index writes its journal. */
    const places = new Map<number, string>()
    const send = (thread: Thread, message: ToWorker): void => thread.post(message)
    const doorOf = (thread: Thread) => {
      let door = doors.get(thread)
      if (!door) {
        const owner: SessionOwner = {
          revoked: (sessionId, reason) => send(thread, { type: 'revoked', sessionId, reason }),
          abandon: (sessionId, transferId) => send(thread, { type: 'abandon', sessionId, transferId }),
          hanging: (sessionId, uploads) => send(thread, { type: 'hanging', sessionId, uploads }),
          principalChanged: (sessionId, principal) => send(thread, { type: 'principal', sessionId, principal }),
        }
        const { gatekeeper, journal, forget } = createGatekeeper({ ...options.gatekeeper, log }, owner)
        const place = places.get(thread.index)!
        journals.begin(place, journal)
        door = { owner, journal: place, receive: createReceiver({ gatekeeper, log, post: (message) => send(thread, message) }), forget }
        doors.set(thread, door)
      }
      return door
    }
    return createService({
      name: kind,
      clock,
      log,
      count: () => (config().threads[kind] === 'auto' ? AUTO_THREADS[kind] : (config().threads[kind] as number)),
      async spawn(index, port, implicitPort) {
        const place = journals.place()
        places.set(index, place)
        const workerData: ListenerWorkerData = {
          kind,
          journal: place,
          askers: options.askers(),
          config: config(),
          credentials: await credentialsFor(kind, config()),
          port: port || config()[kind].port,
          implicitPort,
        }
        return new Worker(new URL('./listeners/worker.ts', import.meta.url), { workerData, name: `${kind}-${index}` })
      },
      onReady(thread) {
        doorOf(thread)
        // the rules may have changed while it started
        send(thread, { type: 'askers', users: options.askers() })
      },
      onMessage(thread, message: ToControl) {
        if (message.type === 'log') write(message.line)
        else doorOf(thread).receive(message)
      },
      onGone(thread, crashed) {
        const door = doors.get(thread)
        doors.delete(thread)
        if (!door) return
        journals.end(door.journal)
        door.forget()
        abandon(door.owner, kind, crashed, log)
      },
      changed,
    })
  }

  /** The thread that held these sessions is gone: what they left is finished or kept for resuming, then their rows end. */
  function abandon(owner: SessionOwner, kind: string, crashed: boolean, log: Logger): void {
    const lost = live.ownedBy(owner)
    if (lost.length === 0) return
    for (const session of lost) live.remove(session.id)
    const recovery = options.recovery()
    for (const session of lost) {
      recoverSession(recovery, session.id)
        .catch((error: unknown) =>
          log.error('recover.failed', 'What a lost session left could not be put in order.', {
            session: session.id,
            ...errorFields(error),
          }),
        )
        .then(() =>
          endSession(
            { ...options.gatekeeper, log },
            session.id,
            crashed ? `The ${kind} thread failed.` : `The ${kind} service stopped.`,
            'aborted',
          ),
        )
    }
  }

  const forwarderLog = createLogger('forwarder', write)
  const forwarder = createService({
    name: 'forwarder',
    clock,
    log: forwarderLog,
    count: () => 1,
    spawn: async () => new Worker(new URL('./forwarding/worker.ts', import.meta.url), { name: 'forwarder' }),
    onReady: (thread) => dispatcher.connect((message) => thread.post(message)),
    onStopping: () => dispatcher.pause(),
    onMessage(_thread, message: FromForwarder) {
      if (message.type === 'log') write(message.line)
      else dispatcher.receive(message)
    },
    onGone: (_thread, crashed) => dispatcher.disconnect(crashed),
    changed,
  })

  const watcherLog = createLogger('watcher', write)
  const watcher = createService({
    name: 'watcher',
    clock,
    log: watcherLog,
    count: () => 1,
    async spawn() {
      const workerData: WatcherData = {
        orders: watched.orders(),
        spoolFolder: watchSpool(config().data_dir),
        durable: config().uploads.durability === 'power',
      }
      return new Worker(new URL('./watching/worker.ts', import.meta.url), { workerData, name: 'watcher' })
    },
    // the rules may have changed while it started
    onReady: (thread) => thread.post({ type: 'orders', ...watched.orders() } satisfies ToWatcher),
    onMessage(thread, message: FromWatcher) {
      if (message.type === 'log') write(message.line)
      else if (message.type === 'call' && WATCH_CALLS.includes(message.method))
        answer(
          thread,
          message,
          () => (watched.door[message.method] as (...args: readonly unknown[]) => unknown)(...message.args),
          watcherLog,
        )
    },
    onGone: (_thread, crashed) => watched.ended(crashed ? 'The watcher thread failed.' : 'The watcher stopped.'),
    changed,
  })
  /** Runs by itself only while a rule watches a folder; who stops it by hand starts it by hand. */
  let watching = false
  let stoppedByHand = false
  let open = false
  let hangingLook: NodeJS.Timeout | undefined

  const services = { ftp: listener('ftp'), sftp: listener('sftp'), forwarder, watcher } as const
  const wanted = (name: ServiceName): boolean => name === 'forwarder' || (name === 'watcher' ? watching : config()[name].enabled)

  return {
    list: (): readonly ServiceView[] => Object.values(services).map((s) => s.view()),
    wanted,
    /** The rules are others now. */
    rulesChanged(): void {
      for (const kind of ['ftp', 'sftp'] as const) services[kind].broadcast({ type: 'askers', users: options.askers() } satisfies ToWorker)
    },
    /** The watched folders are others now; `any` when there is one. */
    watch(any: boolean): void {
      watching = any
      if (!open) return
      watcher.broadcast({ type: 'orders', ...watched.orders() } satisfies ToWatcher)
      if (any && !stoppedByHand && watcher.view().state === 'stopped')
        watcher.start().catch((error: unknown) => watcherLog.error('service.failed', 'The watcher cannot start.', errorFields(error)))
    },
    async act(name: ServiceName, verb: 'start' | 'stop' | 'restart'): Promise<ServiceView> {
      const service = services[name]
      if (name === 'watcher') stoppedByHand = verb === 'stop'
      if (verb !== 'start') await service.stop(DEFAULT_DRAIN_MS)
      if (verb !== 'stop') await service.start()
      return service.view()
    },
    /** Starts all that the configuration wants. @throws for the first that cannot, naming it */
    async start(): Promise<void> {
      watching = watched.sync()
      open = true
      hangingLook = setInterval(() => options.gatekeeper.hanging.look(), HANGING_LOOK_MS)
      const names = (['forwarder', 'ftp', 'sftp', 'watcher'] as const).filter(wanted)
      const results = await Promise.allSettled(names.map((name) => services[name].start()))
      const failed = results.findIndex((result) => result.status === 'rejected')
      if (failed !== -1) {
        const { reason } = results[failed] as PromiseRejectedResult
        throw new FileFlowError(
          'service.unavailable',
          `${names[failed]} cannot start: ${reason instanceof Error ? reason.message : reason}`,
          { cause: reason },
        )
      }
    },
    /** Listeners first, so that what they finish is still forwarded or queued. */
    async stop(drainMs: number): Promise<void> {
      open = false
      clearInterval(hangingLook)
      await Promise.all([services.ftp.stop(drainMs), services.sftp.stop(drainMs), watcher.stop(Math.min(drainMs, 10_000))])
      await services.forwarder.stop(Math.min(drainMs, 10_000))
    },
    /** Keys and certificates as this configuration names them. @throws FileFlowError `config.invalid` */
    credentials: async (wanted: Config) => ({ ftp: await credentialsFor('ftp', wanted), sftp: await credentialsFor('sftp', wanted) }),
    /** New settings and certificates for listeners that run. */
    reload(credentials: { readonly [K in 'ftp' | 'sftp']: ListenerContext['credentials'] }): void {
      for (const kind of ['ftp', 'sftp'] as const) {
        services[kind].broadcast({ type: 'reload', config: config(), credentials: credentials[kind] } satisfies ToWorker)
      }
      watcher.broadcast({ type: 'orders', ...watched.orders() } satisfies ToWatcher)
    },
    ports: () => ({ ftp: services.ftp.view().port, ftpImplicit: services.ftp.implicitPort(), sftp: services.sftp.view().port }),
  }
}

/** A thread's question, by its id. What is not ours to say stays in the log. */
function answer(thread: Thread, { id, method }: { readonly id: number; readonly method: string }, work: () => unknown, log: Logger): void {
  const reply = (result: Omit<Reply, 'type' | 'id'>): void => thread.post({ type: 'reply', id, ...result } satisfies Reply)
  Promise.resolve()
    .then(work)
    .then(
      (value) => reply({ ok: true, value }),
      (error: unknown) => {
        if (!(error instanceof FileFlowError))
          log.error('gatekeeper.failed', `A question could not be answered: ${method}.`, errorFields(error))
        reply({
          ok: false,
          error: error instanceof FileFlowError ? toErrorRecord(error) : { code: 'internal', message: ERRORS.internal.text },
        })
      },
    )
}
