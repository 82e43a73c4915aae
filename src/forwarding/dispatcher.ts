// The dispatcher: claims due deliveries fairly over destinations, hands them to the forwarder worker, settles what comes back.
// Must not move bytes, and believes nothing about a delivery but its row.
import type { Clock } from '../core/clock.ts'
import type { DestinationSpec } from '../core/destination.ts'
import { ERRORS, type ErrorRecord, FileFlowError, toErrorRecord } from '../core/errors.ts'
import { errorFields, type Logger } from '../core/log.ts'
import type { RetryPolicy } from '../core/retry.ts'
import { testPoint } from '../core/test-point.ts'
import type { DeliveryRow } from '../store/deliveries.ts'
import type { Store } from '../store/store.ts'
import { type Breakers, createBreakers } from './breakers.ts'
import {
  type Delivery,
  type FromForwarder,
  type Outcome,
  type ProbeReport,
  placeOf,
  type Settled,
  SHARE,
  type ToForwarder,
} from './connector.ts'
import type { Destinations } from './destinations.ts'
import { createLeases } from './leases.ts'
import { createOutcomes } from './outcomes.ts'
import { createProbes } from './probes.ts'
import { createSettlement } from './settlement.ts'
import { createPaces, shareOut } from './shares.ts'

export interface DispatcherOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly destinations: Destinations
  readonly limits: () => { concurrency: number; per_destination: number; retry: RetryPolicy }
  /** A row changed: for screens. */
  readonly changed: (
    event: 'started' | 'delivered' | 'retrying' | 'dead' | 'cancelled' | 'pending',
    id: string,
    destination: string,
  ) => void
  /** Its breaker opened or closed. */
  readonly destinationChanged: (name: string) => void
  /** The last delivery of a file ended well: `after` and the spool are somebody else's. */
  readonly finished: (transferId: string) => void
}

const LONGEST_SLEEP_MS = 60_000
/** What has to run alone and found no quiet moment for so long gets one made: nothing is started for as long again, then the others have their turns. */
const PATIENCE_MS = 30_000
/** Besides as many as run at once: more than have outcomes that wait for a sync. */
const IN_DOUBT = 1000
const TURNS = 4
/** A suspect that has run alone for so long gets company again, unless it was there at more than one crash: a long file must not stop all others. */
const ALONE_MS = 30_000

export type Dispatcher = ReturnType<typeof createDispatcher>

export function createDispatcher({ store, clock, log, destinations, limits, changed, destinationChanged, finished }: DispatcherOptions) {
  const rows = store.deliveries
  const breakers: Breakers = createBreakers({ rows: rows.breakers, policy: () => limits().retry })
  const outcomes = createOutcomes({ store, clock, log, breakers, policy: () => limits().retry })
  const leases = createLeases({ store, clock, breakers })
  /** Until when a suspected delivery has the forwarder to itself; null when none has. */
  let aloneUntil: number | null = null
  const specs = new Map<string, DestinationSpec>()
  const probes = createProbes()
  const paces = createPaces()
  let send: ((message: ToForwarder) => void) | null = null
  let timer: NodeJS.Timeout | undefined
  let kicked = false
  /** Rows are being claimed: what else may start is seen when they are. */
  let claiming = false
  let lookAgain = false
  let turn = 0

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

  const settlement = createSettlement({ store, clock, log, breakers, outcomes, changed, destinationChanged, finished, kick })

  const sleepUntil = (at: number | null): void => {
    clearTimeout(timer)
    if (!send) return
    timer = setTimeout(kick, Math.min(LONGEST_SLEEP_MS, Math.max(1, (at ?? Number.POSITIVE_INFINITY) - clock.now())))
    timer.unref()
  }

  function dispatch(): void {
    if (!send) return
    if (claiming) {
      lookAgain = true
      return
    }
    const now = clock.now()
    const names = destinations.names()
    let turnEnds: number | null = null
    if (aloneUntil === null || now >= aloneUntil) {
      const suspect = suspected(names, now)
      const waited = suspect ? Math.floor((now - suspect.next_at!) / PATIENCE_MS) : 0
      if (suspect) turnEnds = suspect.next_at! + (waited + 1) * PATIENCE_MS
      if (suspect && leases.size === 0) {
        // who was there twice is dead at the next crash, so nobody else may be there
        aloneUntil = suspect.crashes > 1 ? Number.POSITIVE_INFINITY : now + ALONE_MS
        claim([suspect])
      } else if (waited % TURNS !== 1) {
        const picked = pick(names, now)
        if (picked.length > 0) claim(picked)
      }
    }
    const next = [rows.nextDue(now), breakers.nextProbe(now), turnEnds, aloneUntil].filter((at) => at !== null && at > now)
    sleepUntil(next.length > 0 ? Math.min(...(next as number[])) : null)
  }

  /**
   * Each destination its share, so that a long backlog or a slow far side does not starve the others; and for one that takes files fast some more, which wait in
   * the forwarder. Those are claimed many at a time.
   */
  function pick(names: readonly string[], now: number): DeliveryRow[] {
    const { concurrency, per_destination } = limits()
    const due = new Map<string, DeliveryRow[]>()
    const wants = new Map<string, number>()
    for (const name of names) {
      const have = leases.countOf(name)
      const ahead = paces.ahead(name, per_destination)
      const enough = have >= per_destination && have - per_destination >= ahead / 2
      const free = enough ? 0 : breakers.allows(name, per_destination + ahead - have, now)
      const found = free > 0 ? rows.due(name, now, free) : []
      due.set(name, found)
      wants.set(name, Math.min(per_destination, have + found.length))
    }
    const shares = shareOut(wants, concurrency, turn++)
    return names.flatMap((name) => {
      const share = shares.get(name) ?? 0
      return due.get(name)!.slice(0, Math.max(0, share + paces.ahead(name, share) - leases.countOf(name)))
    })
  }

  /** The first of those that ran when the forwarder's thread ended, if its destination may be sent to. */
  const suspected = (names: readonly string[], now: number): DeliveryRow | undefined =>
    rows.suspected(now).find(({ destination }) => names.includes(destination) && breakers.allows(destination, 1, now) > 0)

  const claim = (picked: readonly DeliveryRow[]): void =>
    void start(picked).catch((error: unknown) => log.error('dispatcher.failed', 'What follows a claim failed.', errorFields(error)))

  async function start(picked: readonly DeliveryRow[]): Promise<void> {
    claiming = true
    let started: DeliveryRow[] = []
    let failed = false
    try {
      started = await leases.claim(picked)
    } catch (error) {
      failed = true
      log.error('dispatcher.failed', 'Due deliveries could not be claimed.', errorFields(error))
      sleepUntil(clock.now() + 1000)
    }
    claiming = false
    if (leases.size === 0) aloneUntil = null
    const earlier = new Map(picked.map((row) => [row.id, row]))
    const ready = new Map<string, Delivery[]>()
    for (const row of started) {
      // cancelled or given back in the meantime
      if (leases.get(row.id) !== row) continue
      changed('started', row.id, row.destination)
      testPoint('delivery.started')
      try {
        if (!send) throw new FileFlowError('service.draining')
        // it waited while a later version went out (a retry by hand, say); nobody can overtake one that was never touched
        const untouched = earlier.get(row.id)!.updated_at === row.created_at
        if (!untouched && rows.newerDelivered(row.id)) throw new FileFlowError('delivery.superseded')
        const delivery = deliveryOf(row)
        const others = ready.get(row.destination)
        if (others) others.push(delivery)
        else ready.set(row.destination, [delivery])
      } catch (error) {
        fail(row, error)
      }
    }
    for (const [name, deliveries] of ready) hand(name, deliveries)
    if (lookAgain || started.length < picked.length) {
      lookAgain = false
      if (!failed) kick()
    }
  }

  function fail(row: DeliveryRow, error: unknown): void {
    settle({ deliveryId: row.id, attempt: row.attempt, durationMs: 0, outcome: { ok: false, error: toErrorRecord(error), unclear: false } })
    if (!(error instanceof FileFlowError))
      log.error('delivery.failed', 'A delivery could not be handed to the forwarder.', { delivery: row.id, ...errorFields(error) })
  }

  /** Opened once, until somebody changes it. */
  function specOf(name: string): DestinationSpec {
    const spec = specs.get(name) ?? destinations.secretSpec(name)
    specs.set(name, spec)
    return spec
  }

  /** @throws FileFlowError `template.invalid`, `spool.missing` */
  function deliveryOf(row: DeliveryRow): Delivery {
    // its template could not be filled in: there is no name to send it under
    if (row.remote_path === '' || row.temp_name === '') throw new FileFlowError('template.invalid')
    const content = rows.content(row.transfer_id)
    if (!content?.spool) throw new FileFlowError('spool.missing')
    return {
      id: row.id,
      attempt: row.attempt,
      spool: content.spool,
      size: row.size,
      sha256: row.sha256,
      mtimeMs: content.at,
      remotePath: row.remote_path,
      tempName: row.temp_name,
      onConflict: row.on_conflict,
      unclear: row.unclear === 1,
    }
  }

  function hand(name: string, deliveries: readonly Delivery[]): void {
    try {
      const { concurrency, per_destination } = limits()
      send?.({ type: 'attempts', destination: specOf(name), deliveries, places: { concurrency, per_destination } })
    } catch (error) {
      for (const { id } of deliveries) fail(leases.get(id)!, error)
    }
  }

  const done = (row: DeliveryRow): void => {
    leases.end(row)
    if (leases.size === 0) aloneUntil = null
    kick()
  }

  function settle({ deliveryId, attempt, durationMs, outcome }: Settled): void {
    const row = leases.get(deliveryId)
    if (!row || row.attempt !== attempt) return
    const spec = specs.get(row.destination)
    // of those that share a connection each holds up the next one by its share only
    if (outcome.ok) paces.took(row.destination, spec ? durationMs * placeOf(spec, row) : durationMs)
    else paces.forget(row.destination)
    finish(row, outcome)
  }

  /** Handed over and never begun: as if it had not been claimed. */
  function takeBack(given: readonly DeliveryRow[]): void {
    if (given.length === 0) return
    for (const row of given) {
      paces.forget(row.destination)
      done(row)
    }
    settlement.giveBack(given)
  }

  function finish(row: DeliveryRow, outcome: Outcome): void {
    done(row)
    settlement.add(row, outcome, leases.size > 0)
  }

  /** What ran in a worker that is gone: the attempt did not count, but its end is unclear. One that crashed may do so again. */
  function giveBackRunning(crashed: boolean): void {
    const error: ErrorRecord = crashed
      ? { code: 'delivery.crashes', message: ERRORS['delivery.crashes'].text }
      : { code: 'service.draining', message: 'The forwarder stopped.' }
    const { per_destination } = limits()
    const begun = new Map<string, number>()
    const waited: DeliveryRow[] = []
    for (const row of leases.all()) {
      const before = begun.get(row.destination) ?? 0
      begun.set(row.destination, before + 1)
      // the forwarder begins them in the order in which they came: what is behind cannot have begun
      if (before < per_destination * SHARE) finish(row, { ok: false, error, unclear: true })
      else waited.push(row)
    }
    takeBack(waited)
    probes.lost()
  }

  return {
    kick,
    /** At start, before any worker: what a killed process left running, or delivered but not settled. @returns how many were running. */
    recover(): number {
      const left = rows.running()
      store.group.now(() => {
        const died = store.lastRun.died()
        for (const row of left) outcomes.left(row, died)
        if (store.lastRun.begin()) for (const name of destinations.names()) rows.doubt(name, limits().concurrency + IN_DOUBT)
      })
      for (const transferId of store.transfers.spooledForNothing()) finished(transferId)
      return left.length
    },
    connect(sender: (message: ToForwarder) => void): void {
      send = sender
      leases.anew()
      kick()
    },
    /** The worker takes no more work; what it still runs may settle. */
    pause(): void {
      send = null
      clearTimeout(timer)
      settlement.release()
    },
    /** @param crashed the worker ended by a fault of its own */
    disconnect(crashed = false): void {
      send = null
      clearTimeout(timer)
      settlement.release()
      giveBackRunning(crashed)
    },
    receive(message: FromForwarder): void {
      if (message.type === 'probed') probes.answered(message.id, message.report)
      if (message.type !== 'settled') return
      for (const one of message.settled) settle(one)
      takeBack(
        message.returned.flatMap(({ deliveryId, attempt }) => {
          const row = leases.get(deliveryId)
          return row?.attempt === attempt ? [row] : []
        }),
      )
    },
    /** It was changed or removed: old connections go, and it is tried anew. */
    forget(destination: string): void {
      specs.delete(destination)
      paces.forget(destination)
      send?.({ type: 'forget', destination })
      if (destinations.has(destination)) breakers.hurry(destination, clock.now())
      else breakers.forget(destination)
      kick()
    },
    /** Somebody wants it tried: what waits for its breaker need not wait for the next probe. */
    hurry(destination: string): void {
      breakers.hurry(destination, clock.now())
      kick()
    },
    breaker: breakers.view,
    /** It was cancelled by hand: the attempt is stopped, and its outcome no longer asked for. */
    drop(id: string): void {
      const row = leases.get(id)
      if (!row) return
      send?.({ type: 'cancel', deliveryId: id })
      done(row)
    },
    /** @throws FileFlowError `service.unavailable`, `limit.rate` when many are under way, `remote.timeout` when `signal` ends it */
    probe(name: string, signal: AbortSignal): Promise<ProbeReport> {
      const destination = destinations.secretSpec(name)
      const to = send
      if (!to) throw new FileFlowError('service.unavailable', 'The forwarder is not running.')
      return probes.ask(destination, to, signal)
    },
    running: (): number => leases.size,
  }
}
