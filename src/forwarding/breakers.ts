// Circuit breakers: a destination that fails as a whole gets one probe at a time, until one comes through. Kept in rows, so that a restart asks no more than before.
// Must not send or choose deliveries, nor judge one: it says how many may run and what an outcome says about the far side.
import { chance } from '../core/clock.ts'
import { DESTINATION_WIDE, ERRORS, type ErrorCode, type ErrorRecord } from '../core/errors.ts'
import { probeDelay, type RetryPolicy } from '../core/retry.ts'
import type { BreakerView } from '../core/views.ts'
import type { BreakerRow } from '../store/deliveries.ts'

/** So many attempts of different deliveries that end in lost connections, one after the other, are the far side's trouble, too. */
const LONGEST_STREAK = 8

export interface BreakersOptions {
  readonly rows: { all(): BreakerRow[]; put(row: BreakerRow): void; remove(destination: string): void }
  readonly policy: () => RetryPolicy
}

/** What an outcome means: `opened` and `closed` are changes, `held` a failed probe (or one that was under way when it opened). */
export type Effect = 'none' | 'opened' | 'held' | 'closed'

export type Breakers = ReturnType<typeof createBreakers>

export function createBreakers({ rows, policy }: BreakersOptions) {
  const open = new Map<string, BreakerRow>(rows.all().map((row) => [row.destination, row]))
  const probing = new Map<string, string>()
  /** Failures that are not recorded yet: what they mean is decided with their rows. */
  const undecided = new Map<string, number>()
  const streaks = new Map<string, Set<string>>()

  const put = (row: BreakerRow): void => {
    open.set(row.destination, row)
    rows.put(row)
  }
  const codeOf = (row: BreakerRow): ErrorCode => (JSON.parse(row.error_json) as ErrorRecord).code
  const close = (destination: string): void => {
    open.delete(destination)
    rows.remove(destination)
  }

  /** @returns whether this failure is the whole destination's */
  function isWide(destination: string, delivery: string, code: ErrorCode): boolean {
    if (DESTINATION_WIDE.has(code)) return true
    if (!code.startsWith('remote.') || ERRORS[code].retry !== 'transient') return false
    const streak = streaks.get(destination) ?? new Set()
    streaks.set(destination, streak.add(delivery))
    return streak.size >= LONGEST_STREAK
  }

  return {
    /** How many of `free` places may be used now. */
    allows(destination: string, free: number, now: number): number {
      if (undecided.has(destination)) return 0
      const row = open.get(destination)
      if (!row) return free
      return probing.has(destination) || row.next_probe_at > now ? 0 : Math.min(1, free)
    },
    started(destination: string, delivery: string): void {
      if (open.has(destination)) probing.set(destination, delivery)
    },
    /** The delivery runs no more: if it was the probe, another may be. */
    ended(destination: string, delivery: string): void {
      if (probing.get(destination) === delivery) probing.delete(destination)
    },
    /** A failure is about to be recorded: nothing is started until {@link decided}. */
    undecided: (destination: string): void => void undecided.set(destination, (undecided.get(destination) ?? 0) + 1),
    decided(destination: string): void {
      const left = (undecided.get(destination) ?? 0) - 1
      if (left > 0) undecided.set(destination, left)
      else undecided.delete(destination)
    },
    /** Joins the caller's transaction. */
    failed(destination: string, delivery: string, error: ErrorRecord, now: number): Effect {
      const before = open.get(destination)
      const wide = isWide(destination, delivery, error.code)
      // nothing was learned about the far side
      if (!error.code.startsWith('remote.')) return 'none'
      // a line that breaks keeps a breaker open that broken lines opened, and no other: the far side was there
      const keeps = wide || (before && ERRORS[error.code].retry === 'transient' && ERRORS[codeOf(before)].retry === 'transient')
      if (!keeps) {
        if (ERRORS[error.code].retry === 'permanent') streaks.delete(destination)
        if (!before) return 'none'
        close(destination)
        return 'closed'
      }
      // those that were under way when it opened tell nothing new
      if (before && before.next_probe_at > now) return 'held'
      const failures = (before?.failures ?? 0) + 1
      put({
        destination,
        since: before?.since ?? now,
        failures,
        next_probe_at: now + probeDelay(policy(), error.code, failures, chance()),
        error_json: JSON.stringify(error),
      })
      return before ? 'held' : 'opened'
    },
    /** Joins the caller's transaction. */
    succeeded(destination: string): Effect {
      streaks.delete(destination)
      if (!open.has(destination)) return 'none'
      close(destination)
      return 'closed'
    },
    /** Somebody changed it, or wants it tried: the next probe is due. */
    hurry(destination: string, now: number): void {
      streaks.delete(destination)
      const row = open.get(destination)
      if (row && row.next_probe_at > now) put({ ...row, next_probe_at: now })
    },
    /** There is no such destination any more. */
    forget(destination: string): void {
      streaks.delete(destination)
      if (open.has(destination)) close(destination)
    },
    /** The next moment at which a probe is due, after `now`. */
    nextProbe(now: number): number | null {
      let next: number | null = null
      for (const { next_probe_at } of open.values())
        if (next_probe_at > now && (next === null || next_probe_at < next)) next = next_probe_at
      return next
    },
    openSince: (destination: string): number | null => open.get(destination)?.since ?? null,
    view(destination: string): BreakerView {
      const row = open.get(destination)
      if (!row) return { state: 'closed', since: null, next_probe_at: null, failures: 0, error: null }
      return {
        state: probing.has(destination) ? 'probing' : 'open',
        since: new Date(row.since).toISOString(),
        next_probe_at: new Date(row.next_probe_at).toISOString(),
        failures: row.failures,
        error: JSON.parse(row.error_json) as ErrorRecord,
      }
    },
  }
}
