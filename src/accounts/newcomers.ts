// Against guessing at one account from many addresses: after too many wrong passwords, addresses that its owner never logged in from wait for a while.
// Must not know which accounts there are, so that waiting tells nobody; nor count against who is known.
import type { Clock } from '../core/clock.ts'

/** Wrong passwords for one name from places that are new to it, all together, before such places wait. */
const MOST_GUESSES = 20
const WINDOW_MS = 15 * 60_000
/** It neither grows nor starts anew while it lasts: nobody can shut newcomers out for good by going on. */
const WAIT_MS = 15 * 60_000
/** Names remembered at most; those that nobody guesses at are forgotten first. */
const MOST_NAMES = 10_000

interface Guesses {
  count: number
  since: number
  until: number
}

export interface Newcomers {
  /** How long a newcomer has to wait before a password of this name is looked at; 0 when it need not. ms */
  wait(name: string): number
  /** A password is about to be checked: counted before, so that many at once do not slip by. @returns true when it is the last one for a while */
  tries(name: string): boolean
  /** The password was right: it was no guess. */
  wasRight(name: string): void
}

export function createNewcomers(clock: Clock): Newcomers {
  const names = new Map<string, Guesses>()
  return {
    wait: (name) => Math.max(0, (names.get(name)?.until ?? 0) - clock.now()),
    tries(name) {
      const now = clock.now()
      const guesses = names.get(name) ?? { count: 0, since: now, until: 0 }
      if (now - guesses.since > WINDOW_MS) Object.assign(guesses, { count: 0, since: now })
      guesses.count++
      const last = guesses.count >= MOST_GUESSES
      if (last) Object.assign(guesses, { count: 0, since: now, until: now + WAIT_MS })
      names.delete(name)
      names.set(name, guesses)
      if (names.size > MOST_NAMES) names.delete(names.keys().next().value!)
      return last
    },
    wasRight(name) {
      const guesses = names.get(name)
      if (guesses && guesses.count > 0) guesses.count--
    },
  }
}
