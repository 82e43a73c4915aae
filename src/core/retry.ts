// When a failed delivery is tried again, if ever. Pure: time and chance are arguments.
// Must not know the queue.
import { ERRORS, type ErrorCode } from './errors.ts'

export interface RetryPolicy {
  readonly max_attempts: number
  /** ms */
  readonly first_delay: number
  readonly max_delay: number
  readonly give_up_after: number
}

/**
 * The moment of the next attempt in ms, or null when the delivery is dead.
 * @param spent attempts that counted so far, the failed one included
 * @param since when the delivery began to be due, ms
 * @param random in [0, 1): spreads the waits by ±20 %
 */
export function nextAttemptAt(
  policy: RetryPolicy,
  code: ErrorCode,
  spent: number,
  since: number,
  now: number,
  random: number,
): number | null {
  if (ERRORS[code].retry === 'permanent') return null
  if (spent >= policy.max_attempts) return null
  const delay = Math.min(policy.max_delay, policy.first_delay * 2 ** Math.min(spent - 1, 40))
  const at = Math.round(now + delay * (0.8 + 0.4 * random))
  return at - since > policy.give_up_after ? null : at
}

/** What the whole destination does is looked at again within this time, however long it has lasted. */
const LONGEST_PROBE_WAIT_MS = 60_000
/** A delivery that fails with its whole destination waits no longer than this for its next turn. */
const LONGEST_SETBACK_MS = 300_000

/**
 * Wait before the next probe of a destination that fails as a whole, ms. What only an operator can cure (a password, a key) is asked
 * more and more rarely, up to `max_delay`: each wrong password may lock the account at the far side.
 */
export function probeDelay(policy: RetryPolicy, code: ErrorCode, failures: number, random: number): number {
  const longest = ERRORS[code].retry === 'permanent' ? policy.max_delay : Math.min(LONGEST_PROBE_WAIT_MS, policy.max_delay)
  return Math.round(Math.min(longest, policy.first_delay * 2 ** Math.min(failures - 1, 40)) * (0.8 + 0.4 * random))
}

/**
 * The next turn of a delivery that met its destination's trouble; that attempt does not count. Null when it is given up for its age.
 * A full disk may be full for this file only, so it goes to the end of the line; what nobody can reach needs no patience of its own.
 */
export function afterSetback(policy: RetryPolicy, code: ErrorCode, attempt: number, since: number, now: number): number | null {
  const at =
    code === 'remote.full' ? now + Math.min(LONGEST_SETBACK_MS, policy.max_delay, policy.first_delay * 2 ** Math.min(attempt - 1, 40)) : now
  return at - since > policy.give_up_after ? null : at
}

/** Wait before a crashed worker is started again: 0.2 s, doubling to 30 s; `crashes` counts those of the last five minutes. */
export function restartDelay(crashes: number): number {
  return Math.min(30_000, 200 * 2 ** Math.min(Math.max(0, crashes - 1), 20))
}
