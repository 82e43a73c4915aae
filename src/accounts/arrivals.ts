// Connections that are let in but not logged in yet: what strangers hold, counted over all threads.
// Must not know what they will turn out to be.
import { householdOf } from '../core/network.ts'

export interface Arrivals {
  enter(address: string): void
  leave(address: string): void
  count(): number
  /** From there: an IPv4 address, or all of the /64 of an IPv6 one. */
  countFrom(address: string): number
}

export function createArrivals(): Arrivals {
  const byAddress = new Map<string, number>()
  let total = 0
  return {
    enter(address) {
      const key = householdOf(address)
      byAddress.set(key, (byAddress.get(key) ?? 0) + 1)
      total++
    },
    leave(address) {
      const key = householdOf(address)
      const left = (byAddress.get(key) ?? 0) - 1
      if (left > 0) byAddress.set(key, left)
      else byAddress.delete(key)
      total = Math.max(0, total - 1)
    },
    count: () => total,
    countFrom: (address) => byAddress.get(householdOf(address)) ?? 0,
  }
}
