// How many deliveries of each destination may be handed to the forwarder: its share of the places, and how many wait there behind them.
// Must not know rows or messages.

/** So much work may wait in the forwarder behind a destination's places, in ms of what its deliveries took lately. */
const AHEAD_MS = 200
const MOST_AHEAD = 160
/** The weight of what was measured last. */
const WEIGHT = 0.2

/**
 * Shares `places` out, one round after the other; whoever wants any gets one, even when that makes more than there are.
 * @param wants how many each would use @param turn who comes first when the last round does not suffice for all
 */
export function shareOut(wants: ReadonlyMap<string, number>, places: number, turn: number): Map<string, number> {
  const names = [...wants.keys()].filter((name) => wants.get(name)! > 0)
  const shares = new Map(names.map((name) => [name, 1]))
  let left = places - names.length
  for (let round = 2; left > 0 && names.some((name) => wants.get(name)! >= round); round++) {
    for (let i = 0; i < names.length && left > 0; i++) {
      const name = names[(i + turn) % names.length]!
      if (wants.get(name)! < round) continue
      shares.set(name, round)
      left--
    }
  }
  return shares
}

/** How fast each destination takes files: the faster, the more wait for it in the forwarder, so that no place is empty while a claim is written. */
export function createPaces() {
  const paces = new Map<string, number>()
  return {
    took(destination: string, ms: number): void {
      const before = paces.get(destination)
      paces.set(destination, before === undefined ? ms : before + WEIGHT * (ms - before))
    },
    /** Nothing waits there any more, until one has come through. */
    forget: (destination: string): void => void paces.delete(destination),
    ahead(destination: string, places: number): number {
      const ms = paces.get(destination)
      return ms === undefined ? 0 : Math.min(MOST_AHEAD, Math.floor((places * AHEAD_MS) / Math.max(1, ms)))
    },
  }
}
