// The composition root: configuration → the control plane and its services, in start order; every wire is visible here.
// Must not hold policy: what is decided here is only who knows whom.
import { mkdir } from 'node:fs/promises'
import { createAdmins } from './accounts/admins.ts'
import { createArrivals } from './accounts/arrivals.ts'
import { createAuthenticator } from './accounts/authenticator.ts'
import { createLiveSessions, progressOf } from './accounts/live-sessions.ts'
import { createLoginGuard } from './accounts/login-guard.ts'
import { createRefusals } from './accounts/refusals.ts'
import { createUsers, specOf } from './accounts/users.ts'
import { createEventHub } from './admin/event-hub.ts'
import { createHealth } from './admin/health.ts'
import { createMovements, tellsOfDeliveries } from './admin/movements.ts'
import { createNote } from './admin/noted.ts'
import { createOversight } from './admin/oversight.ts'
import { informScreens } from './admin/screens.ts'
import { createSessions } from './admin/sessions.ts'
import { settingsOf } from './admin/settings.ts'
import { createState } from './admin/state.ts'
import { createStats } from './admin/stats.ts'
import { createThroughput } from './admin/throughput.ts'
import type { LoadedConfig } from './config/load.ts'
import type { Config } from './config/schema.ts'
import { createControl } from './control.ts'
import { type Clock, systemClock } from './core/clock.ts'
import { FileFlowError } from './core/errors.ts'
import { createLogger, errorFields } from './core/log.ts'
import type { Principal } from './core/user.ts'
import { prepareHome } from './files/homes.ts'
import { dropPartialsOf } from './files/spool.ts'
import { Vaults, vaultsOf } from './files/vaults.ts'
import { createDeliveryVerbs } from './forwarding/delivery-verbs.ts'
import { createDestinations } from './forwarding/destinations.ts'
import { createDispatcher } from './forwarding/dispatcher.ts'
import { createDeliveryQueue } from './forwarding/queue.ts'
import { createRules } from './forwarding/rules.ts'
import { createSimulator } from './forwarding/simulate.ts'
import type { GatekeeperOptions } from './gatekeeper/control-side.ts'
import { createHangingUploads } from './gatekeeper/hanging-uploads.ts'
import { createJournals } from './intake/journal.ts'
import { createRecorder } from './intake/record-upload.ts'
import { createRecount } from './intake/recount.ts'
import type { RecoverOptions } from './intake/recover.ts'
import { relocate } from './intake/relocate.ts'
import { createFileSettler } from './intake/settle-file.ts'
import { createWatched, holds, overlap } from './intake/watched.ts'
import { keyReport } from './listeners/key-report.ts'
import type { LogOutput } from './logging/log-output.ts'
import { createServices } from './services.ts'
import { openStore } from './store/store.ts'
import { VERSION } from './version.ts'

export type App = Awaited<ReturnType<typeof createApp>>

export interface AppOptions {
  readonly config: Config
  /** Where the configuration came from, for the settings page. */
  readonly loaded?: LoadedConfig | undefined
  readonly output: LogOutput
  readonly clock?: Clock
}

/**
 * Everything but running threads and open ports; commands without a running gateway use it, too.
 * @throws FileFlowError `database.newer`, `config.invalid`
 */
export async function createApp({ config: initial, loaded: initiallyLoaded, output, clock = systemClock }: AppOptions) {
  let config = initial
  let loaded = initiallyLoaded ?? null
  await mkdir(config.data_dir, { recursive: true, mode: 0o700 })
  await mkdir(config.storage_root, { recursive: true, mode: 0o750 })
  const log = createLogger('gateway', (line) => output.write(line))
  const durable = config.uploads.durability === 'power'
  const store = openStore(config.data_dir, config.uploads.durability)
  const events = createEventHub((error) => log.error('events.failed', 'An event could not be told.', errorFields(error)))
  const live = createLiveSessions()
  const arrivals = createArrivals()

  // accounts
  const guard = createLoginGuard(config.defence, clock, (address) => events.emit('ban.changed', () => ({ name: address })))
  const refusals = createRefusals(store, clock, log)
  const admins = createAdmins(store, guard, refusals, clock)
  const users = createUsers({
    store,
    live,
    clock,
    storageRoot: config.storage_root,
    dataDir: config.data_dir,
    prepareHome: (principal, directories) => prepareHome(principal, directories, initial.storage_root),
    async forgetPartials({ username }) {
      for (const { root } of recovery().vaults) await dropPartialsOf(root, username)
    },
  })
  const authenticator = createAuthenticator(store, users.principalOf, clock)
  const principalOf = (username: string): Principal | null => {
    const row = store.accounts.users.get(username)
    return row ? users.principalOf(specOf(row)) : null
  }

  // forwarding
  const rules = createRules({
    store,
    clock,
    exclude: config.uploads.exclude,
    hasDestination: (name) => destinations.has(name),
    checkWatch(folder, to) {
      if (overlap(folder, config.data_dir))
        throw new FileFlowError('request.invalid', `source.watch: ${folder} and the gateway's own data_dir must not lie in each other`)
      for (const name of to) {
        const { type, base_path } = destinations.has(name) ? destinations.get(name) : {}
        if (type === 'local' && base_path && holds(folder, base_path))
          throw new FileFlowError(
            'request.invalid',
            `source.watch: destination ${name} lies in ${folder}: what is delivered would be taken in again`,
          )
      }
    },
    beforeChange: () => journals.pull(),
    changed() {
      services.rulesChanged()
      services.watch(watched.sync())
    },
  })
  const destinations = createDestinations({
    store,
    clock,
    changed: (name) => dispatcher.forget(name),
    usedBy: (name) => rules.usedBy(name),
  })
  const simulator = createSimulator({
    store,
    clock,
    partnerOf: (username) => principalOf(username)?.partner ?? '',
    compiled: rules.compiled,
  })
  const queue = createDeliveryQueue(store, (name) => destinations.tempNameOf(name))
  const settler = createFileSettler({ store, clock, log, principalOf })
  const movements = createMovements(store, (row) => progressOf(live, row.session_id, row.id, clock.now()))
  const deliveryChanged = tellsOfDeliveries(events, movements)
  const dispatcher = createDispatcher({
    store,
    clock,
    log: createLogger('forwarder', (line) => output.write(line)),
    destinations,
    limits: () => config.forwarding,
    changed: deliveryChanged,
    destinationChanged: (name) => events.emit('destination.changed', () => ({ name })),
    finished: (transferId) => settler.settle(transferId),
  })
  const deliveryVerbs = createDeliveryVerbs({
    store,
    clock,
    dispatcher,
    changed: deliveryChanged,
    finished: (transferId) => settler.settleLater(transferId),
  })

  // what moved
  const transferEvent = (type: string, id: string): void =>
    events.emit(
      type,
      () => {
        const row = store.transfers.get(id)
        return row ? movements.transferView(row) : { id }
      },
      () => store.transfers.get(id) ?? { id },
    )
  const recorder = createRecorder({
    store,
    clock,
    queue,
    rules,
    homeOf: (username) => principalOf(username)?.home ?? null,
    kick: () => dispatcher.kick(),
    changed: (event, id) => transferEvent(`transfer.${event}`, id),
    dropSpool: settler.drop,
  })

  const journals = createJournals({ store, recorder, log, dataDir: config.data_dir, durable, dropSpool: settler.drop })
  const relocated = relocate(store, log, config)
  journals.recover(relocated)

  const recount = createRecount({ store, clock, log, recorder, pull: journals.pull, principals: users.principals })

  const watched = createWatched({
    store,
    clock,
    log: createLogger('watcher', (line) => output.write(line)),
    rules,
    queue,
    settleMs: () => config.uploads.settle,
    kick: () => dispatcher.kick(),
    completed: (id) => transferEvent('transfer.completed', id),
  })

  const throughput = createThroughput(clock)
  const gatekeeper: Omit<GatekeeperOptions, 'log'> = {
    store,
    clock,
    authenticator,
    guard,
    refusals,
    live,
    arrivals,
    recorder,
    journals,
    hanging: createHangingUploads(live, clock),
    limits: () => config.limits,
    moved: throughput.moved,
    changed: (event, id) => (event.startsWith('session.') ? events.emit(event, () => sessions.event(id)) : transferEvent(event, id)),
  }
  const vaults = new Vaults(config.data_dir, config.storage_root)
  const recovery = (): RecoverOptions => ({
    store,
    clock,
    log,
    recorder,
    durable,
    moved: relocated.moved,
    vaults: vaultsOf(vaults, [{ home: config.storage_root, mounts: [] }, { home: config.data_dir, mounts: [] }, ...users.principals()]),
  })
  const services = createServices({
    config: () => config,
    output,
    clock,
    live,
    gatekeeper,
    dispatcher,
    watched,
    recovery,
    askers: rules.askers,
    changed: (view) => events.emit(`service.${view.state}`, () => view),
  })

  const health = createHealth(services, [
    { name: 'data_dir', path: initial.data_dir },
    { name: 'storage_root', path: initial.storage_root },
  ])

  const state = createState({ store, users, destinations, rules })
  const note = createNote(store, clock)

  const sessions = createSessions(live, clock, note)
  const stats = createStats({
    store,
    clock,
    live,
    destinations,
    breakers: { view: dispatcher.breaker },
    storageRoot: config.storage_root,
    throughput,
  })
  const screens = informScreens({ events, stats, output, log })

  const oversight = createOversight({
    store,
    guard,
    events,
    note,
    settings: () => settingsOf(config, loaded),
    keys: () => keyReport(config, clock.now()),
    makeBackup() {
      journals.pull()
      return store.backup(VERSION, clock.now())
    },
  })
  const control = createControl({
    store,
    clock,
    live,
    users,
    vaults,
    recount,
    destinations,
    rules,
    simulator,
    dispatcher,
    movements,
    deliveryVerbs,
    sessions,
    services,
    output,
    oversight,
    guard,
    stats,
    admins,
    state,
    events,
    note,
    health,
    pull: journals.pull,
  })

  return {
    control,
    store,
    users,
    admins,
    dispatcher,
    services,
    recovery,
    /** What the last run left is in order. */
    recovered: relocated.settled,
    events,
    log,
    clock,
    vaults: () => recovery().vaults,
    recountAll: recount.all,
    get config() {
      return config
    },
    /** An act of the gateway's own. */
    audit(action: string, object: string, detail: Record<string, unknown>): void {
      store.group.now(() => store.audit.append({ at: clock.now(), actor: 'gateway', address: '', action, object, outcome: 'ok', detail }))
    },
    /** New settings for whoever asks next; listeners are told by services.reload. */
    setConfig(next: Config, from?: LoadedConfig): void {
      config = next
      loaded = from ?? loaded
      guard.setPolicy(next.defence)
      rules.setExclude(next.uploads.exclude)
      dispatcher.kick()
    },
    setReload: oversight.setReload,
    /** How many more were refused, where that is over now. */
    settleRefusals: () => refusals.settle(false),
    async close(): Promise<void> {
      screens.close()
      refusals.settle(true)
      refusals.close()
      await settler.close()
      if (dispatcher.running() === 0) store.group.now(() => store.lastRun.end())
      store.close()
    },
  }
}
