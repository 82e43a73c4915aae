// What an outcome of an attempt becomes: delivered with its receipt, given back unspent, retrying or dead; and what it says about the destination.
// Must not send anything or start anyone; it writes rows inside the caller's transaction.
import { type Clock, chance } from '../core/clock.ts'
import { DESTINATION_WIDE, ERRORS, type ErrorRecord } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { afterSetback, nextAttemptAt, type RetryPolicy } from '../core/retry.ts'
import type { DeliveryRow } from '../store/deliveries.ts'
import type { Store } from '../store/store.ts'
import type { Breakers } from './breakers.ts'
import type { Outcome } from './connector.ts'

const CRASH_WAIT_MS = 2000
/** A delivery that ran when the thread ended runs alone from then on; with so many ends it is the cause. */
const MOST_CRASHES = 3
/** As with the thread, but a whole process is killed for many reasons: only so many of its deaths in a row make a suspect, and so many the cause. */
const SUSPECT_DEATHS = 5
const MOST_DEATHS = 50

export interface Recorded {
  readonly event: 'delivered' | 'retrying' | 'dead' | 'pending'
  /** The destination's breaker opened or closed. */
  readonly breaker: boolean
  /** Others that are given up with it. */
  readonly expired: readonly string[]
}

export interface OutcomesOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly breakers: Breakers
  readonly policy: () => RetryPolicy
}

export function createOutcomes({ store, clock, log, breakers, policy }: OutcomesOptions) {
  const rows = store.deliveries
  const plainly = (event: Recorded['event'], breaker = false): Recorded => ({ event, breaker, expired: [] })

  /** Joins the caller's transaction. @throws LostRace when it was cancelled meanwhile */
  function record(row: DeliveryRow, outcome: Outcome): Recorded {
    const now = clock.now()
    if (outcome.ok) {
      const { remotePath, size, verified, algorithm, method, outcome: how, server } = outcome.receipt
      rows.delivered(row.id, row.attempt, now, {
        remote_path: remotePath,
        size,
        sha256: row.sha256,
        verified,
        algorithm,
        method,
        outcome: how,
        server,
      })
      audit(row, 'ok', { verified, outcome: how })
      const closed = breakers.succeeded(row.destination) === 'closed'
      if (closed) noteBreaker(row.destination, null)
      return plainly('delivered', closed)
    }
    const { error, unclear } = outcome
    if (error.code === 'service.draining') {
      // after a crash not at once: whatever caused it may cause it again
      rows.giveBack(row.id, row.attempt, unclear ? now + CRASH_WAIT_MS : now, unclear)
      if (unclear) audit(row, 'failed', { code: error.code, error: error.message })
      return plainly('pending')
    }
    if (error.code === 'delivery.crashes') {
      rows.crashed(row.id)
      if (row.crashes + 1 < MOST_CRASHES) {
        rows.giveBack(row.id, row.attempt, now + CRASH_WAIT_MS, true)
        audit(row, 'failed', { code: error.code, error: error.message, crashes: row.crashes + 1 })
        return plainly('pending')
      }
    }
    const effect = breakers.failed(row.destination, row.id, error, now)
    if (effect === 'opened') noteBreaker(row.destination, error)
    else if (effect === 'closed') noteBreaker(row.destination, null)
    if (effect === 'held' && DESTINATION_WIDE.has(error.code)) {
      // it only found out what was known: its attempts are for when the destination is back
      rows.giveBack(row.id, row.attempt, now, unclear)
      rows.reason(row.id, error)
      audit(row, 'failed', { code: error.code, error: error.message, counted: false })
      return { ...plainly('pending'), expired: giveUpOn(row.destination, error, now) }
    }
    const wide = ERRORS[error.code].retry === 'destination'
    const spent = row.attempt - row.spent_before
    // what waited before its first failure was nobody's failure
    const since = row.retry_from ?? now
    const retry = policy()
    const next = wide
      ? afterSetback(retry, error.code, row.attempt, since, now)
      : nextAttemptAt(retry, error.code, spent, since, now, chance())
    rows.failed(row.id, row.attempt, now, error, unclear, next, wide)
    audit(row, 'failed', { code: error.code, error: error.message, next_at: next })
    log.warn('delivery.failed', error.message, {
      delivery: row.id,
      transfer: row.transfer_id,
      destination: row.destination,
      attempt: row.attempt,
      code: error.code,
      next_at: next,
    })
    return plainly(next === null ? 'dead' : 'retrying', effect !== 'none')
  }

  /** It ran when the process ended. Joins the caller's transaction. @param died by itself, not with the machine */
  function left(row: DeliveryRow, died: boolean): void {
    const deaths = died ? row.deaths + 1 : 0
    rows.died(row.id, deaths, deaths >= SUSPECT_DEATHS)
    if (deaths < MOST_DEATHS) {
      rows.giveBack(row.id, row.attempt, clock.now(), true)
      return
    }
    const { text: message } = ERRORS['delivery.crashes']
    rows.failed(row.id, row.attempt, clock.now(), { code: 'delivery.crashes', message }, true, null)
    audit(row, 'failed', { code: 'delivery.crashes', error: message, deaths })
    log.error('delivery.failed', message, { delivery: row.id, transfer: row.transfer_id, destination: row.destination, deaths })
  }

  /** A destination that has been away for longer than deliveries may wait: those that are as old are dead. */
  function giveUpOn(destination: string, error: ErrorRecord, now: number): string[] {
    const cut = now - policy().give_up_after
    const since = breakers.openSince(destination)
    if (since === null || since > cut) return []
    const expired = rows.expire(destination, cut, error, now)
    if (expired.length > 0)
      note('delivery.expired', `${expired.length} deliveries`, 'failed', { destination, code: error.code, error: error.message })
    return expired
  }

  const note = (action: string, object: string, outcome: 'ok' | 'failed', detail: Record<string, unknown>): void =>
    store.audit.append({ at: clock.now(), actor: 'gateway', address: '', action, object, outcome, detail })

  /** @param error null when it works again */
  function noteBreaker(destination: string, error: ErrorRecord | null): void {
    if (error) {
      note('destination.failing', destination, 'failed', { code: error.code, error: error.message })
      log.error('destination.failing', `Nothing is sent to ${destination} but one probe at a time: ${error.message}`, {
        destination,
        code: error.code,
        ...error.detail,
      })
    } else {
      note('destination.recovered', destination, 'ok', {})
      log.info('destination.recovered', `${destination} takes files again.`, { destination })
    }
  }

  const audit = (row: DeliveryRow, outcome: 'ok' | 'failed', detail: Record<string, unknown>): void =>
    store.audit.append({
      at: clock.now(),
      actor: 'gateway',
      address: '',
      action: 'delivery.attempt',
      object: row.id,
      outcome,
      detail: { destination: row.destination, path: row.path, remote_path: row.remote_path, attempt: row.attempt, ...detail },
    })

  return { record, left }
}
