// The dispatcher: claims due deliveries fairly over destinations, hands them to the forwarder worker, settles what comes back.
// Must not move bytes, and believes nothing about a delivery but its row.
import { type Clock, chance } from '../core/clock.ts'
import { FileFlowError, toErrorRecord } from '../core/errors.ts'
import { errorFields, type Logger } from '../core/log.ts'
import { nextAttemptAt, type RetryPolicy } from '../core/retry.ts'
import { testPoint } from '../core/test-point.ts'
import type { Actor } from '../core/views.ts'
import type { DeliveryRow } from '../store/deliveries.ts'
import type { Store } from '../store/store.ts'
import { LostRace } from '../store/transfers.ts'
import type { FromForwarder, Outcome, ProbeReport, ToForwarder } from './connector.ts'
import type { Destinations } from './destinations.ts'

export interface DispatcherOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly destinations: Destinations
  readonly limits: () => { concurrency: number; per_destination: number; retry: RetryPolicy }
  /** A row changed: for screens. */
  readonly changed: (event: 'started' | 'delivered' | 'retrying' | 'dead' | 'cancelled' | 'pending', id: string) => void
  /** The last delivery of a file ended well: `after` and the spool are somebody else's. */
  readonly finished: (transferId: string) => void
}

const LONGEST_SLEEP_MS = 60_000
const MOST_AT_ONCE = 10_000
const CRASH_WAIT_MS = 2000
const RECORD_AGAIN_MS = 5000

export type Dispatcher = ReturnType<typeof createDispatcher>

export function createDispatcher({ store, clock, log, destinations, limits, changed, finished }: DispatcherOptions) {
  const rows = store.deliveries
  const running = new Map<string, DeliveryRow>()
  const perDestination = new Map<string, number>()
  const probes = new Map<number, { resolve(report: ProbeReport): void; reject(error: Error): void }>()
  let nextProbe = 1
  let send: ((message: ToForwarder) => void) | null = null
  let timer: NodeJS.Timeout | undefined
  let kicked = false
  let turn = 0

  const countOf = (destination: string): number => perDestination.get(destination) ?? 0

  /** Looks for work soon; many calls in one tick are one look. */
  const kick = (): void => {
    if (kicked || !send) return
    kicked = true
    setImmediate(() => {
      kicked = false
      try {
        dispatch()
      } catch (error) {
        log.error('dispatcher.failed', 'Looking for due deliveries failed.', errorFields(error))
        sleepUntil(clock.now() + 1000)
      }
    })
  }

  const sleepUntil = (at: number | null): void => {
    clearTimeout(timer)
    if (!send) return
    timer = setTimeout(kick, Math.min(LONGEST_SLEEP_MS, Math.max(1, (at ?? Number.POSITIVE_INFINITY) - clock.now())))
    timer.unref()
  }

  /** One delivery a destination and round, so that a long backlog of one does not starve the others. */
  function dispatch(): void {
    if (!send) return
    const { concurrency, per_destination } = limits()
    const names = destinations.names()
    const now = clock.now()
    const due = new Map<string, DeliveryRow[]>()
    for (const name of names) {
      const free = Math.min(per_destination - countOf(name), concurrency - running.size)
      if (free > 0) due.set(name, rows.due(name, now, free))
    }
    turn++
    const order = names.map((_, i) => names[(i + turn) % names.length]!)
    const picked: DeliveryRow[] = []
    for (let more = true; more && running.size + picked.length < concurrency; ) {
      more = false
      for (const name of order) {
        const row = running.size + picked.length < concurrency ? due.get(name)?.shift() : undefined
        if (row) {
          picked.push(row)
          more = true
        }
      }
    }
    if (picked.length > 0) start(picked)
    sleepUntil(rows.nextDue(now))
  }

  function start(picked: readonly DeliveryRow[]): void {
    const at = clock.now()
    const started = store.group.now(() => picked.map((row) => rows.start(row.id, at)))
    for (const row of started) {
      running.set(row.id, row)
      perDestination.set(row.destination, countOf(row.destination) + 1)
      changed('started', row.id)
      testPoint('delivery.started')
      try {
        // it waited while a later version went out (a retry by hand, say)
        if (rows.newerDelivered(row.id)) throw new FileFlowError('delivery.superseded')
        hand(row)
      } catch (error) {
        settle(row.id, row.attempt, { ok: false, error: toErrorRecord(error), unclear: false })
        if (!(error instanceof FileFlowError))
          log.error('delivery.failed', 'A delivery could not be handed to the forwarder.', { delivery: row.id, ...errorFields(error) })
      }
    }
  }

  function hand(row: DeliveryRow): void {
    // its template could not be filled in: there is no name to send it under
    if (row.remote_path === '' || row.temp_name === '') throw new FileFlowError('template.invalid')
    const transfer = store.transfers.get(row.transfer_id)
    if (!transfer?.spool) throw new FileFlowError('spool.missing')
    const destination = destinations.secretSpec(row.destination)
    send?.({
      type: 'attempt',
      destination,
      delivery: {
        id: row.id,
        attempt: row.attempt,
        spool: transfer.spool,
        size: row.size,
        sha256: row.sha256,
        mtimeMs: transfer.ended_at ?? transfer.started_at,
        remotePath: row.remote_path,
        tempName: row.temp_name,
        onConflict: row.on_conflict,
        unclear: row.unclear === 1,
      },
    })
  }

  const done = (row: DeliveryRow): void => {
    running.delete(row.id)
    const left = countOf(row.destination) - 1
    if (left > 0) perDestination.set(row.destination, left)
    else perDestination.delete(row.destination)
    kick()
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

  function settle(id: string, attempt: number, outcome: Outcome): void {
    const row = running.get(id)
    if (!row || row.attempt !== attempt) return
    done(row)
    write(row, outcome)
  }

  function write(row: DeliveryRow, outcome: Outcome): void {
    store.group
      .run(() => record(row, outcome), true)
      .then(
        (event) => {
          testPoint('delivery.settled')
          changed(event, row.id)
          if (event === 'delivered') finished(row.transfer_id)
          // given back or to be tried again: its time may be now
          kick()
        },
        (error: unknown) => {
          if (error instanceof LostRace) return changed('cancelled', row.id)
          // a full disk, say: the row is `running` still, and nobody but this outcome can end that
          log.error('delivery.settle_failed', 'The outcome of a delivery could not be recorded; it is tried again.', {
            delivery: row.id,
            ...errorFields(error),
          })
          setTimeout(() => write(row, outcome), RECORD_AGAIN_MS).unref()
        },
      )
      .catch((error: unknown) =>
        log.error('delivery.failed', 'What follows a delivery failed.', { delivery: row.id, ...errorFields(error) }),
      )
  }

  function record(row: DeliveryRow, outcome: Outcome): 'delivered' | 'retrying' | 'dead' | 'pending' {
    const now = clock.now()
    if (outcome.ok) {
      const { remotePath, size, verified, algorithm, outcome: how, server } = outcome.receipt
      rows.delivered(row.id, row.attempt, now, {
        remote_path: remotePath,
        size,
        sha256: row.sha256,
        verified,
        algorithm,
        outcome: how,
        server,
      })
      audit(row, 'ok', { verified, outcome: how })
      return 'delivered'
    }
    if (outcome.error.code === 'service.draining') {
      // after a crash not at once: whatever caused it may cause it again
      rows.giveBack(row.id, row.attempt, outcome.unclear ? now + CRASH_WAIT_MS : now, outcome.unclear)
      if (outcome.unclear) audit(row, 'failed', { code: outcome.error.code, error: outcome.error.message })
      return 'pending'
    }
    const spent = row.attempt - row.spent_before
    // what waited before its first attempt was nobody's failure
    const since = spent <= 1 ? now : row.retry_from
    const next = nextAttemptAt(limits().retry, outcome.error.code, spent, since, now, chance())
    rows.failed(row.id, row.attempt, now, outcome.error, outcome.unclear, next)
    audit(row, 'failed', { code: outcome.error.code, error: outcome.error.message, next_at: next })
    log.warn('delivery.failed', outcome.error.message, {
      delivery: row.id,
      transfer: row.transfer_id,
      destination: row.destination,
      attempt: row.attempt,
      code: outcome.error.code,
      next_at: next,
    })
    return next === null ? 'dead' : 'retrying'
  }

  /** What ran in a worker that is gone: the attempt did not count, but its end is unclear. */
  function giveBackRunning(): void {
    for (const row of [...running.values()]) {
      done(row)
      write(row, { ok: false, error: { code: 'service.draining', message: 'The forwarder stopped.' }, unclear: true })
    }
    for (const { reject } of probes.values()) reject(new FileFlowError('service.unavailable', 'The forwarder stopped.'))
    probes.clear()
  }

  return {
    kick,
    /** At start, before any worker: what a killed process left running, or delivered but not settled. @returns how many were running. */
    recover(): number {
      const left = rows.running()
      store.group.now(() => {
        for (const row of left) rows.giveBack(row.id, row.attempt, clock.now(), true)
      })
      for (const transferId of store.transfers.spooledForNothing()) finished(transferId)
      return left.length
    },
    connect(sender: (message: ToForwarder) => void): void {
      send = sender
      kick()
    },
    /** The worker takes no more work; what it still runs may settle. */
    pause(): void {
      send = null
      clearTimeout(timer)
    },
    disconnect(): void {
      send = null
      clearTimeout(timer)
      giveBackRunning()
    },
    receive(message: FromForwarder): void {
      if (message.type === 'settled') settle(message.deliveryId, message.attempt, message.outcome)
      else if (message.type === 'probed') {
        probes.get(message.id)?.resolve(message.report)
        probes.delete(message.id)
      }
    },
    forget(destination: string): void {
      send?.({ type: 'forget', destination })
      kick()
    },
    retry(actor: Actor, id: string): void {
      store.group.now(() => {
        const row = rows.get(id)
        if (!row) throw new FileFlowError('resource.not_found', `There is no delivery ${id}.`)
        if (!store.transfers.get(row.transfer_id)?.spool)
          throw new FileFlowError(
            'state.conflict',
            'The content of this file is not kept any more: it was delivered, cancelled or never whole.',
          )
        const newer = rows.newerDelivered(id)
        if (newer)
          throw new FileFlowError(
            'state.conflict',
            `A later version was delivered under that name (${newer}): sending this one would undo it.`,
          )
        if (!rows.again(id, clock.now()))
          throw new FileFlowError(
            'state.conflict',
            `Only a dead, cancelled or waiting delivery can be retried; this one is ${rows.get(id)!.state}.`,
          )
        store.audit.append({
          at: clock.now(),
          actor: actor.name,
          address: actor.address,
          action: 'delivery.retry',
          object: id,
          outcome: 'ok',
        })
      })
      changed('pending', id)
      kick()
    },
    retryAllDead(actor: Actor, filter: { rule?: string; destination?: string }): number {
      const ids = store.group.now(() => {
        const found = rows.deadIds(filter, MOST_AT_ONCE).filter((id) => rows.newerDelivered(id) === undefined)
        for (const id of found) rows.again(id, clock.now())
        if (found.length > 0)
          store.audit.append({
            at: clock.now(),
            actor: actor.name,
            address: actor.address,
            action: 'delivery.retry',
            object: `${found.length} dead deliveries`,
            outcome: 'ok',
            detail: { ...filter },
          })
        return found
      })
      for (const id of ids) changed('pending', id)
      kick()
      return ids.length
    },
    cancel(actor: Actor, id: string): void {
      store.group.now(() => {
        if (!rows.get(id)) throw new FileFlowError('resource.not_found', `There is no delivery ${id}.`)
        if (!rows.cancel(id, clock.now())) throw new FileFlowError('state.conflict', `This delivery is ${rows.get(id)!.state} already.`)
        store.audit.append({
          at: clock.now(),
          actor: actor.name,
          address: actor.address,
          action: 'delivery.cancel',
          object: id,
          outcome: 'ok',
        })
      })
      const row = running.get(id)
      if (row) {
        send?.({ type: 'cancel', deliveryId: id })
        done(row)
      }
      changed('cancelled', id)
      finished(store.deliveries.get(id)!.transfer_id)
    },
    probe(name: string, signal: AbortSignal): Promise<ProbeReport> {
      const destination = destinations.secretSpec(name)
      const to = send
      if (!to) throw new FileFlowError('service.unavailable', 'The forwarder is not running.')
      return new Promise((resolve, reject) => {
        const id = nextProbe++
        const finish = (): void => void probes.delete(id)
        probes.set(id, { resolve, reject })
        const giveUp = (): void => {
          finish()
          reject(new FileFlowError('remote.timeout'))
        }
        if (signal.aborted) return giveUp()
        signal.addEventListener('abort', giveUp, { once: true })
        to({ type: 'probe', id, destination })
      })
    },
    running: (): number => running.size,
  }
}
