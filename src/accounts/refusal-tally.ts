// How often who was refused: the first tries one by one, the rest as a number, so that no stranger makes the audit log grow.
// Must not write anything; refusals.ts does.
import type { Clock } from '../core/clock.ts'
import { householdOf } from '../core/network.ts'

/** What was refused: tries that differ in any of these are counted apart. */
export interface RefusedTry {
  /** As in the audit log: `login`, `admin.login` … */
  readonly action: string
  /** As in the audit log: the protocol, or `session`. */
  readonly object: string
  readonly reason: string
  /** Whether the try said who it was. */
  readonly named: boolean
}

/** Tries that have no row of their own. */
export interface TalliedTries extends RefusedTry {
  /** An IPv4 address, or a /64; null for all those that were too many to be told apart. */
  readonly from: string | null
  readonly more: number
  /** When the first and the last of them came; ms. */
  readonly since: number
  readonly last: number
}

interface Entry {
  readonly what: RefusedTry
  readonly from: string | null
  rows: number
  readonly until: number
  more: number
  since: number
  last: number
}

/** Senders told apart at a time. */
const MOST_SENDERS = 500
/** A count that does not end by itself is told of this often. */
const LONGEST_MS = 3600_000

export interface RefusalTally {
  /**
   * @param rows how many tries of this kind from there are worth a row of their own, before they are only counted
   * @param beyond how many rows those that cannot be told apart any more have together
   * @param until when the refusing ends, where that is known; the count is told of then, at the latest
   * @returns whether this one is worth a row
   */
  count(what: RefusedTry, address: string, rows: number, beyond: number, until: number | null): boolean
  /** Counts whose time is over; with `all`, every one. They stay until `forget`. `rest` are the others. */
  due(all: boolean): { readonly tries: readonly TalliedTries[]; readonly rest: readonly TalliedTries[]; forget(): void }
}

const tallied = ({ entry: { what, from, more, since, last } }: { entry: Entry }): TalliedTries[] =>
  more > 0 ? [{ ...what, from, more, since, last }] : []

export function createRefusalTally(clock: Clock): RefusalTally {
  const entries = new Map<string, Entry>()
  /** By kind: from whom {@link entries} has no room. */
  const others = new Map<string, Entry>()

  const entryOf = (what: RefusedTry, address: string, until: number | null, now: number): Entry => {
    const kind = `${what.action} ${what.object} ${what.reason} ${what.named}`
    const from = householdOf(address)
    const key = `${kind} ${from}`
    const there = entries.get(key) ?? (entries.size < MOST_SENDERS ? undefined : others.get(kind))
    if (there) return there
    const known = entries.size < MOST_SENDERS
    const end = Math.min(until ?? Number.POSITIVE_INFINITY, now + LONGEST_MS)
    const made: Entry = { what, from: known ? from : null, rows: 0, until: known ? end : now + LONGEST_MS, more: 0, since: now, last: now }
    if (known) entries.set(key, made)
    else others.set(kind, made)
    return made
  }

  return {
    count(what, address, rows, beyond, until) {
      const now = clock.now()
      const entry = entryOf(what, address, until, now)
      if (entry.rows < (entry.from === null ? beyond : rows)) {
        entry.rows++
        return true
      }
      if (entry.more === 0) entry.since = now
      entry.more++
      entry.last = now
      return false
    },
    due(all) {
      const now = clock.now()
      const present = [entries, others].flatMap((map) => [...map].map(([key, entry]) => ({ map, key, entry })))
      const isOver = ({ entry }: (typeof present)[number]): boolean => all || entry.until <= now
      const over = present.filter(isOver)
      return {
        tries: over.flatMap(tallied),
        rest: present.filter((one) => !isOver(one)).flatMap(tallied),
        forget() {
          for (const { map, key } of over) map.delete(key)
        },
      }
    },
  }
}
