// Figures for Prometheus (`fileflow_*`): counted since the start, or read from the live tables when asked.
// Must not name partners, files or addresses: labels are few and known beforehand.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { LoginGuard } from '../accounts/login-guard.ts'
import type { DeliveryView, SessionView, TransferView } from '../core/movement-views.ts'
import type { ServiceView, StatsView } from '../core/views.ts'
import type { EventHub } from './event-hub.ts'

export interface MetricsOptions {
  readonly version: string
  readonly events: EventHub
  readonly guard: LoginGuard
  readonly stats: () => Promise<StatsView>
  readonly services: () => readonly ServiceView[]
  readonly sessions: () => Iterable<Pick<SessionView, 'protocol'>>
  readonly ready: () => boolean
}

/** @returns the way to ask: the text form of Prometheus */
export function createMetrics(options: MetricsOptions): () => Promise<string> {
  const registry = new Registry()
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name: `fileflow_${name}`, help, labelNames: [...labelNames], registers: [registry] })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name: `fileflow_${name}`, help, labelNames: [...labelNames], registers: [registry] })

  const transfers = counter('transfers_total', 'Transfers that ended.', ['direction', 'protocol', 'state'])
  const bytes = counter('transfer_bytes_total', 'Bytes of transfers that ended.', ['direction', 'protocol'])
  const opened = counter('sessions_total', 'Sessions that were opened.', ['protocol'])
  const attempts = counter('deliveries_total', 'Ends of delivery attempts: delivered, retrying, dead, cancelled.', [
    'destination',
    'outcome',
  ])
  options.events.watch((type, data) => {
    if (type === 'transfer.ended') {
      const { direction, protocol, state, bytes: moved } = data() as Partial<TransferView>
      if (!direction || !protocol || !state) return
      transfers.inc({ direction, protocol, state })
      bytes.inc({ direction, protocol }, moved ?? 0)
    } else if (type === 'session.opened') {
      const { protocol } = data() as Partial<SessionView>
      if (protocol) opened.inc({ protocol })
    } else if (OUTCOMES.has(type)) {
      attempts.inc({ destination: (data() as Pick<DeliveryView, 'destination'>).destination, outcome: type.slice('delivery.'.length) })
    }
  })

  const info = gauge('info', 'Always 1; the version is a label.', ['version'])
  const ready = gauge('ready', '1 when the gateway is ready, as /readyz says.')
  const up = gauge('service_up', '1 when the service runs.', ['service'])
  const restarts = gauge('service_restarts', 'Restarts of the service since the start.', ['service'])
  const sessions = gauge('sessions', 'Live sessions.', ['protocol'])
  const running = gauge('transfers_open', 'Transfers under way.')
  const queue = gauge('deliveries', 'Deliveries by state.', ['state'])
  const oldest = gauge('deliveries_oldest_pending_seconds', 'Age of the oldest delivery that waits; 0 when none does.')
  const free = gauge('disk_free_bytes', 'Free space where partner files are.')
  const size = gauge('disk_size_bytes', 'Size of the volume where partner files are.')
  const failures = gauge('login_failures', 'Failed logins since the start.')
  const banned = gauge('bans', 'Addresses banned now.')
  const bans = gauge('bans_made', 'Bans since the start.')
  let watchesProcess = false

  return async () => {
    if (!watchesProcess) collectDefaultMetrics({ register: registry, prefix: 'fileflow_' })
    watchesProcess = true
    const figures = await options.stats()
    info.set({ version: options.version }, 1)
    ready.set(options.ready() ? 1 : 0)
    for (const { name, state, restarts: count } of options.services()) {
      up.set({ service: name }, state === 'running' ? 1 : 0)
      restarts.set({ service: name }, count)
    }
    sessions.reset()
    for (const protocol of ['ftp', 'sftp']) sessions.set({ protocol }, 0)
    for (const { protocol } of options.sessions()) sessions.inc({ protocol })
    running.set(figures.transfers.open)
    const { oldest_pending_ms, ...states } = figures.queue
    for (const state of ['pending', 'running', 'retrying', 'dead'] as const) queue.set({ state }, states[state])
    oldest.set((oldest_pending_ms ?? 0) / 1000)
    free.set(figures.disk.free)
    size.set(figures.disk.total)
    const counts = options.guard.counts()
    failures.set(counts.failures)
    bans.set(counts.bans)
    banned.set(options.guard.bans().length)
    return registry.metrics()
  }
}

const OUTCOMES = new Set(['delivery.delivered', 'delivery.retrying', 'delivery.dead', 'delivery.cancelled'])
