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

/** Wait before a crashed worker is started again: 0.2 s, doubling to 30 s; `crashes` counts those of the last five minutes. */
export function restartDelay(crashes: number): number {
  return Math.min(30_000, 200 * 2 ** Math.min(Math.max(0, crashes - 1), 20))
}
