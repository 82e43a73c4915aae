// What the figures say about a destination's health.
// Must not ask the gateway.
import type { DestinationHealth, DestinationView, StatsView } from '../../../src/core/views.ts'

export const healthOf = (stats: StatsView | undefined, name: string): DestinationHealth | undefined =>
  stats?.destinations.find((one) => one.name === name)

export type HealthState = 'ok' | 'failing' | 'unknown' | 'disabled'

export function stateOf({ enabled }: Pick<DestinationView, 'enabled'>, health: DestinationHealth | undefined): HealthState {
  if (!enabled) return 'disabled'
  if (health?.state === 'failing') return 'failing'
  return !health || health.last_delivered_at === null ? 'unknown' : 'ok'
}

export const TONE: Readonly<Record<HealthState, string>> = {
  ok: 'completed',
  failing: 'dead',
  unknown: 'unknown',
  disabled: 'disabled',
}
