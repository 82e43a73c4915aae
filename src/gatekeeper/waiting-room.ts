// Connections of one worker that were let in and are not logged in: each counts for its address until it logs in or goes.
// Must not decide who is let in.
import type { Arrivals } from '../accounts/arrivals.ts'
import type { Peer } from '../core/transfer.ts'

export type WaitingRoom = ReturnType<typeof createWaitingRoom>

export function createWaitingRoom(arrivals: Arrivals) {
  /** By where the connection comes from. */
  const waiting = new Map<string, { readonly address: string; inVain: (() => void) | null }>()
  const placeOf = (peer: Peer): string => `${peer.address}|${peer.port}|${peer.localPort}`
  const depart = (place: string): void => {
    const one = waiting.get(place)
    if (!one) return
    waiting.delete(place)
    arrivals.leave(one.address)
    one.inVain?.()
  }
  return {
    enter(peer: Peer): void {
      const place = placeOf(peer)
      depart(place)
      waiting.set(place, { address: peer.address, inVain: null })
      arrivals.enter(peer.address)
    },
    leave: (peer: Peer): void => depart(placeOf(peer)),
    /** It has logged in: what it tried before that was no failure. */
    enterSession(peer: Peer): void {
      const one = waiting.get(placeOf(peer))
      if (one) one.inVain = null
      depart(placeOf(peer))
    },
    /** @param then called if it goes without a login; the first one counts */
    tried(peer: Peer, then: () => void): void {
      const one = waiting.get(placeOf(peer))
      if (one) one.inVain ??= then
    },
    /** The worker is gone. */
    clear(): void {
      for (const place of [...waiting.keys()]) depart(place)
    },
  }
}
