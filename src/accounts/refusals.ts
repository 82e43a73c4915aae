// Refused logins in the audit log: each of the first ones from somewhere, then one row that says how many more there were.
// Must not decide who is refused; and a flood costs it a number, not a row.
import type { Clock } from '../core/clock.ts'
import { errorFields, type Logger } from '../core/log.ts'
import type { Store } from '../store/store.ts'
import { createRefusalTally } from './refusal-tally.ts'

/** The actor of a try that said no name. No account can be called that. */
export const NOBODY = '-'

/** Tries of one kind from one place that have rows of their own, where a ban does not end them: within an hour, or until they are summed up. */
export const FEW = 10

export interface Refusal {
  /** `login`, `admin.login`, `admin.confirm` */
  readonly action: string
  /** Who it said it was; {@link NOBODY}. */
  readonly actor: string
  readonly address: string
  /** The protocol, or `session`. */
  readonly object: string
  readonly detail: { readonly reason: string; readonly method?: string }
}

export interface Refusals {
  /**
   * Written down, or counted.
   * @param rows how many such tries from there have rows of their own
   * @param until when the refusing ends (ms), where that is known
   * @returns resolves when there is nothing left to write for it; rejects when it could not be written
   */
  add(refusal: Refusal, rows: number, until?: number | null): Promise<void>
  /** Counts whose time is over become rows; with `all`, every count. What cannot be written stays for the next time. */
  settle(all: boolean): void
}

export function createRefusals(store: Store, clock: Clock, log: Logger): Refusals {
  const { audit, group } = store
  const tally = createRefusalTally(clock)
  const done = Promise.resolve()
  const iso = (at: number): string => new Date(at).toISOString()
  return {
    add({ action, actor, address, object, detail }, rows, until = null) {
      const { reason } = detail
      if (!tally.count({ action, object, reason, named: actor !== NOBODY }, address, rows, until)) return done
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
    },
    settle(all) {
      const { tries, forget } = tally.due(all)
      try {
        if (tries.length > 0)
          group.here(() => {
            for (const { action, object, reason, from, more, since, last } of tries)
              audit.append({
                at: clock.now(),
                actor: NOBODY,
                address: from ?? '',
                action,
                object,
                outcome: 'refused',
                detail: { reason, more, since: iso(since), last: iso(last), ...(from === null ? { others: true } : {}) },
              })
          })
        forget()
      } catch (error) {
        log.error('audit.failed', 'The number of refused logins could not be recorded; it is tried again.', errorFields(error))
      }
    },
  }
}
