// What the figures say about a destination's health.
// Must not ask the gateway.
import type { ErrorRecord } from '../../../src/core/errors.ts'
import type { DestinationView, StatsView } from '../../../src/core/views.ts'

type Figures = StatsView['destinations'][number]

/** The figures with what the circuit breaker tells, where the gateway tells it. */
export type Health = Omit<Figures, 'last_error'> & {
  readonly state?: 'ok' | 'failing' | 'paused'
  readonly breaker?: {
    readonly state: 'closed' | 'open' | 'probing'
    readonly since: string | null
    readonly next_probe_at: string | null
  }
  readonly pending?: number
  readonly running?: number
  readonly dead?: number
  readonly oldest_pending_at?: string | null
  readonly last_error: (ErrorRecord & { readonly at?: string }) | null
}

export const healthOf = (stats: StatsView | undefined, name: string): Health | undefined =>
  stats?.destinations.find((one) => one.name === name)

export type HealthState = 'ok' | 'failing' | 'paused' | 'unknown' | 'disabled'

export function stateOf({ enabled }: Pick<DestinationView, 'enabled'>, health: Health | undefined): HealthState {
  if (!enabled) return 'disabled'
  if (!health) return 'unknown'
  if (health.state !== undefined && health.state !== 'ok') return health.state
  if (health.failing > 0) return 'failing'
  return health.last_delivered_at === null ? 'unknown' : 'ok'
}

export const TONE: Readonly<Record<HealthState, string>> = {
  ok: 'completed',
  failing: 'dead',
  paused: 'suspect',
  unknown: 'unknown',
  disabled: 'disabled',
}
