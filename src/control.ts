// All that admins can do, put together from the parts that do it: for the API, and for the commands that have no gateway to ask.
// Must not hold policy; each verb is its part's.
import type { createAdmins } from './accounts/admins.ts'
import type { LiveSessions } from './accounts/live-sessions.ts'
import type { LoginGuard } from './accounts/login-guard.ts'
import { inspectPublicKey } from './accounts/public-keys.ts'
import type { Users } from './accounts/users.ts'
import { announced } from './admin/announced.ts'
import type { ControlPlane } from './admin/control-plane.ts'
import type { EventHub } from './admin/event-hub.ts'
import { createMetrics } from './admin/metrics.ts'
import type { createMovements } from './admin/movements.ts'
import { createDestinationTest, type Note } from './admin/noted.ts'
import type { createOversight } from './admin/oversight.ts'
import type { createSessions } from './admin/sessions.ts'
import type { createState } from './admin/state.ts'
import type { createStats } from './admin/stats.ts'
import { createUserFiles } from './admin/user-files.ts'
import type { Clock } from './core/clock.ts'
import type { Vaults } from './files/vaults.ts'
import { fetchHostKeys } from './forwarding/connectors/host-key.ts'
import type { createDeliveryVerbs } from './forwarding/delivery-verbs.ts'
import type { Destinations } from './forwarding/destinations.ts'
import type { Dispatcher } from './forwarding/dispatcher.ts'
import type { Rules } from './forwarding/rules.ts'
import type { createSimulator } from './forwarding/simulate.ts'
import type { createRecount } from './intake/recount.ts'
import type { LogOutput } from './logging/log-output.ts'
import type { Store } from './store/store.ts'
import { VERSION } from './version.ts'

export interface ControlParts {
  readonly store: Store
  readonly clock: Clock
  readonly live: LiveSessions
  readonly users: Users
  readonly vaults: Vaults
  readonly recount: Pick<ReturnType<typeof createRecount>, 'user'>
  readonly destinations: Destinations
  readonly rules: Rules
  readonly simulator: ReturnType<typeof createSimulator>
  readonly dispatcher: Dispatcher
  readonly movements: ReturnType<typeof createMovements>
  readonly deliveryVerbs: ReturnType<typeof createDeliveryVerbs>
  readonly sessions: ReturnType<typeof createSessions>
  readonly services: Services
  readonly output: LogOutput
  readonly oversight: ReturnType<typeof createOversight>
  readonly guard: LoginGuard
  readonly stats: ReturnType<typeof createStats>
  readonly admins: ReturnType<typeof createAdmins>
  readonly state: ReturnType<typeof createState>
  readonly events: EventHub
  readonly note: Note
  readonly health: ControlPlane['health']['ready']
  /** Reads what workers wrote down. */
  pull(): void
}

type Act = ControlPlane['services']['act']
interface Services {
  readonly list: ControlPlane['services']['list']
  act(name: Parameters<Act>[1], verb: Parameters<Act>[2]): ReturnType<Act>
}

export function createControl({
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
  pull,
}: ControlParts): ControlPlane {
  const pulled =
    <A extends unknown[], R>(look: (...args: A) => R) =>
    (...args: A): R => {
      pull()
      // and what was noticed (a rename, say) and waits for its turn
      store.group.flush()
      return look(...args)
    }
  const changed = (kind: string) => (name: string) => events.emit(`${kind}.changed`, () => ({ name }))

  return {
    version: VERSION,
    users: {
      ...announced(users, (spec) => spec.username, changed('user')),
      deleteFiles: createUserFiles({ store, clock, live, users, vaults }),
      recount: recount.user,
    },
    destinations: {
      ...announced(destinations, (spec) => spec.name, changed('destination')),
      test: createDestinationTest((name, signal) => dispatcher.probe(name, signal), note),
      hostKeys(actor, host, port, signal) {
        note(actor, 'destination.host_key', `${host}:${port}`)
        return fetchHostKeys(host, port, signal)
      },
    },
    rules: { ...announced(rules, (spec) => spec.name, changed('rule')), simulate: simulator.path, simulateHistory: simulator.history },
    // what a partner was answered for is seen, too
    transfers: { list: pulled(movements.transfers), get: pulled(movements.transfer), why: pulled(simulator.transfer) },
    deliveries: {
      list: pulled(movements.deliveries),
      get: movements.delivery,
      receipt: movements.receipt,
      receiptKey: movements.receiptKey,
      retry(actor, id) {
        deliveryVerbs.retry(actor, id)
        return movements.deliveryView(id)
      },
      cancel(actor, id) {
        deliveryVerbs.cancel(actor, id)
        return movements.deliveryView(id)
      },
      count: deliveryVerbs.count,
      retryAll: deliveryVerbs.retryAll,
      cancelAll: deliveryVerbs.cancelAll,
    },
    sessions,
    services: {
      list: services.list,
      async act(actor, name, verb) {
        note(actor, `service.${verb}`, name)
        return services.act(name, verb)
      },
    },
    logs: { recent: output.recent, download: output.download },
    audit: oversight.audit,
    metrics: createMetrics({
      version: VERSION,
      events,
      guard,
      stats,
      services: services.list,
      sessions: () => [...live.all()].map((session) => session.peer),
      ready: () => health().ready,
    }),
    stats,
    admins,
    tokens: admins.tokens,
    bans: oversight.bans,
    settings: oversight.settings,
    backup: oversight.backup,
    inspectPublicKey,
    state: {
      export(actor) {
        note(actor, 'state.export', 'state')
        return state.export()
      },
      exportSealed(actor, passphrase) {
        note(actor, 'state.export', 'state', { secrets: true })
        return state.exportSealed(passphrase)
      },
      async apply(actor, file, options) {
        const changes = await state.apply(actor, file, options)
        for (const { kind, name, change } of options.dryRun ? [] : changes) if (change !== 'same') changed(kind)(name)
        return changes
      },
    },
    events,
    health: { ready: health },
  }
}
