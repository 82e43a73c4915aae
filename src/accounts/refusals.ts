// Refused logins in the audit log: each of the first ones from somewhere, then one row that says how many more there were.
// Must not decide who is refused; and a flood costs it a number, not a row.
import type { Clock } from '../core/clock.ts'
import { errorFields, type Logger } from '../core/log.ts'
import type { Store } from '../store/store.ts'
import { createRefusalTally, type TalliedTries } from './refusal-tally.ts'

/** The actor of a try that said no name. No account can be called that. */
export const NOBODY = '-'

/** Rows that tries of one kind have within an hour, or until they are summed up: from one place, and of all places beyond those that are told apart. */
export interface Room {
  readonly each: number
  readonly beyond: number
}

/** Who is not even asked for a credential. */
export const ONE: Room = { each: 1, beyond: 0 }
/** Refused without a guess. */
export const FEW: Room = { each: 10, beyond: 0 }
/** Guesses: a ban ends them, but not from addresses that are never banned, nor from very many. */
export const GUESSES: Room = { each: 100, beyond: 1000 }

/** What a kill takes of the counts. */
const KEEP_MS = 5000

export interface Refusal {
  /** `login`, `admin.login`, `admin.confirm`, `token.use` */
  readonly action: string
  /** Who it said it was; {@link NOBODY}. */
  readonly actor: string
  readonly address: string
  /** The protocol, `session` or `token`. */
  readonly object: string
  readonly detail: { readonly reason: string; readonly method?: string; readonly banned?: true; readonly slowed?: true }
}

export interface Refusals {
  /**
   * Written down, or counted.
   * @param until when the refusing ends (ms), where that is known
   * @returns resolves when there is nothing left to write for it; rejects when it could not be written
   */
  add(refusal: Refusal, room: Room, until?: number | null): Promise<void>
  /** The same where nobody waits for it. */
  note(refusal: Refusal, room: Room, until?: number | null): void
  /** Counts whose time is over become rows; with `all`, every count. What cannot be written stays for the next time. */
  settle(all: boolean): void
  /** Puts the counts where the next start finds them, should this run be killed. Done by itself within seconds. */
  keep(): void
  close(): void
}

/** Counts that a killed run left become rows at once. */
export function createRefusals(store: Store, clock: Clock, log: Logger): Refusals {
  const { audit, group, refusalCounts } = store
  const tally = createRefusalTally(clock)
  const done = Promise.resolve()
  const iso = (at: number): string => new Date(at).toISOString()
  let timer: NodeJS.Timeout | undefined

  const sumUp = ({ action, object, reason, from, more, since, last }: TalliedTries): void =>
    audit.append({
      at: clock.now(),
      actor: NOBODY,
      address: from ?? '',
      action,
      object,
      outcome: 'refused',
      detail: { reason, more, since: iso(since), last: iso(last), ...(from === null ? { others: true } : {}) },
    })
  const trying = (work: () => void): void => {
    try {
      work()
    } catch (error) {
      log.error('audit.failed', 'The number of refused logins could not be recorded; it is tried again.', errorFields(error))
    }
  }
  const keep = (): void => {
    clearTimeout(timer)
    timer = undefined
    trying(() => group.here(() => refusalCounts.put(tally.due(true).tries)))
  }

  trying(() => {
    const left = refusalCounts.get()
    if (left === null) return
    group.here(() => {
      for (const tries of JSON.parse(left) as TalliedTries[]) sumUp(tries)
      refusalCounts.put([])
    })
  })

  const add: Refusals['add'] = ({ action, actor, address, object, detail }, { each, beyond }, until = null) => {
    const { reason } = detail
    if (!tally.count({ action, object, reason, named: actor !== NOBODY }, address, each, beyond, until)) {
      timer ??= setTimeout(keep, KEEP_MS).unref()
      return done
    }
    const at = clock.now()
    return group.run(
      () =>
        audit.append({
          at,
          actor,
          address,
          action,
          object,
          outcome: 'refused',
          detail: { ...detail, ...(until === null ? {} : { until: iso(until) }) },
        }),
      false,
    )
  }

  return {
    add,
    note(refusal, room, until) {
      add(refusal, room, until).catch((error: unknown) =>
        log.error('audit.failed', 'A refused login could not be recorded.', errorFields(error)),
      )
    },
    settle(all) {
      const { tries, rest, forget } = tally.due(all)
      trying(() => {
        if (tries.length > 0)
          group.here(() => {
            for (const one of tries) sumUp(one)
            refusalCounts.put(rest)
          })
        forget()
      })
    },
    keep,
    close: () => clearTimeout(timer),
  }
}
