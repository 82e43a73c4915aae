// Whether the gateway is ready for partners, and if not, why.
// Must not repair anything.
import type { ServiceName, ServiceView } from '../core/views.ts'
import { volumeTroubles } from '../files/volume-health.ts'

interface Services {
  list(): readonly ServiceView[]
  /** It is to run. */
  wanted(name: ServiceName): boolean
}

/** @param places folders that must be usable, with their names in the configuration */
export const createHealth =
  (services: Services, places: Parameters<typeof volumeTroubles>[0]) => (): { ready: boolean; reasons: string[] } => {
    const reasons = services
      .list()
      .filter((s) => services.wanted(s.name) && s.state !== 'running')
      .map((s) => `${s.name} is ${s.state}${s.error ? `: ${s.error}` : ''}`)
    reasons.push(...volumeTroubles(places))
    return { ready: reasons.length === 0, reasons }
  }
