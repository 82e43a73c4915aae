// Connections of one worker that were let in and are not logged in: each counts for its address until it logs in or goes.
// Must not decide who is let in.
import type { Arrivals } from '../accounts/arrivals.ts'
import type { Peer } from '../core/transfer.ts'

export function createWaitingRoom(arrivals: Arrivals) {
  /** Addresses, by where the connection comes from. */
  const waiting = new Map<string, string>()
  const placeOf = (peer: Peer): string => `${peer.address}|${peer.port}|${peer.localPort}`
  const depart = (place: string): void => {
    const address = waiting.get(place)
    if (address === undefined) return
    waiting.delete(place)
    arrivals.leave(address)
  }
  return {
    enter(peer: Peer): void {
      const place = placeOf(peer)
      depart(place)
      waiting.set(place, peer.address)
      arrivals.enter(peer.address)
    },
    leave: (peer: Peer): void => depart(placeOf(peer)),
    /** The worker is gone. */
    clear(): void {
      for (const place of [...waiting.keys()]) depart(place)
    },
  }
}
