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
import { LostRace } from '../store/transfers.ts'
import { type Breakers, createBreakers } from './breakers.ts'
import type { FromForwarder, Outcome, ProbeReport, ToForwarder } from './connector.ts'
import type { Destinations } from './destinations.ts'
import { createHeld } from './held.ts'
import { createOutcomes, type Recorded } from './outcomes.ts'

export interface DispatcherOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly destinations: Destinations
  readonly limits: () => { concurrency: number; per_destination: number; retry: RetryPolicy }
  /** A row changed: for screens. */
  readonly changed: (event: 'started' | 'delivered' | 'retrying' | 'dead' | 'cancelled' | 'pending', id: string) => void
  /** Its breaker opened or closed. */
  readonly destinationChanged: (name: string) => void
  /** The last delivery of a file ended well: `after` and the spool are somebody else's. */
  readonly finished: (transferId: string) => void
}

const LONGEST_SLEEP_MS = 60_000
const RECORD_AGAIN_MS = 5000
/** What has to run alone and found no quiet moment for so long gets one made: nothing is started for as long again, then the others have their turns. */
const PATIENCE_MS = 30_000
/** Outcomes share a transaction, as far as they come together. */
const HELD_MS = 5
const HELD = 32
/** Besides as many as run at once: more than have outcomes that wait for a sync. */
const IN_DOUBT = 1000
const TURNS = 4
/** A suspect that has run alone for so long gets company again, unless it was there at more than one crash: a long file must not stop all others. */
const ALONE_MS = 30_000
/** Tests of destinations at once. */
const MOST_PROBES = 8

export type Dispatcher = ReturnType<typeof createDispatcher>

export function createDispatcher({ store, clock, log, destinations, limits, changed, destinationChanged, finished }: DispatcherOptions) {
  const rows = store.deliveries
  const breakers: Breakers = createBreakers({ rows: rows.breakers, policy: () => limits().retry })
  const outcomes = createOutcomes({ store, clock, log, breakers, policy: () => limits().retry })
  const running = new Map<string, DeliveryRow>()
  /** Until when a suspected delivery has the forwarder to itself; null when none has. */
  let aloneUntil: number | null = null
  const perDestination = new Map<string, number>()
  const specs = new Map<string, DestinationSpec>()
  const held = createHeld(HELD_MS, HELD)
  const probes = new Map<number, { resolve(report: ProbeReport): void; reject(error: Error): void }>()
  let nextProbe = 1
  let send: ((message: ToForwarder) => void) | null = null
  let timer: NodeJS.Timeout | undefined
  let kicked = false
  /** Rows are on their way to `running`: what else may start is seen when they are. */
  let claiming = false
  let lookAgain = false
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
      if (suspect && running.size === 0) {
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

  /** One delivery a destination and round, so that a long backlog of one does not starve the others. */
  function pick(names: readonly string[], now: number): DeliveryRow[] {
    const { concurrency, per_destination } = limits()
    const due = new Map<string, DeliveryRow[]>()
    for (const name of names) {
      const free = breakers.allows(name, Math.min(per_destination - countOf(name), concurrency - running.size), now)
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
    return picked
  }

  /** The first of those that ran when the forwarder's thread ended, if its destination may be sent to. */
  const suspected = (names: readonly string[], now: number): DeliveryRow | undefined =>
    rows.suspected(now).find(({ destination }) => names.includes(destination) && breakers.allows(destination, 1, now) > 0)

  const claim = (picked: readonly DeliveryRow[]): void =>
    void start(picked).catch((error: unknown) => log.error('dispatcher.failed', 'What follows a claim failed.', errorFields(error)))

  /**
   * A claim outlives this process, but is not synced by itself: whatever is recorded next syncs it, too. When the machine goes down in between, it and a few
   * before it wait again as if they had never run; recover() has those looked for at the far side before they are sent.
   */
  async function start(picked: readonly DeliveryRow[]): Promise<void> {
    claiming = true
    const at = clock.now()
    const begun: DeliveryRow[] = []
    const claims = picked.map(({ id }) =>
      store.group.run(() => {
        const row = rows.start(id, at)
        begun.push(row)
        // from here on it can be cancelled and given back like any other
        begin(row)
        return row
      }, false),
    )
    const results = await Promise.allSettled(claims)
    claiming = false
    const started = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    // undone with its transaction
    for (const row of begun) if (!started.includes(row) && running.get(row.id) === row) done(row)
    if (running.size === 0) aloneUntil = null
    const failed = results.find((result) => result.status === 'rejected' && !(result.reason instanceof LostRace))
    if (failed?.status === 'rejected') {
      log.error('dispatcher.failed', 'Due deliveries could not be claimed.', errorFields(failed.reason))
      sleepUntil(clock.now() + 1000)
    }
    for (const row of started) {
      // cancelled or given back in the meantime
      if (running.get(row.id) !== row) continue
      changed('started', row.id)
      testPoint('delivery.started')
      try {
        if (!send) throw new FileFlowError('service.draining')
        // it waited while a later version went out (a retry by hand, say)
        if (rows.newerDelivered(row.id)) throw new FileFlowError('delivery.superseded')
        hand(row)
      } catch (error) {
        settle(row.id, row.attempt, { ok: false, error: toErrorRecord(error), unclear: false })
        if (!(error instanceof FileFlowError))
          log.error('delivery.failed', 'A delivery could not be handed to the forwarder.', { delivery: row.id, ...errorFields(error) })
      }
    }
    if (lookAgain || started.length < picked.length) {
      lookAgain = false
      if (!failed) kick()
    }
  }

  function begin(row: DeliveryRow): void {
    running.set(row.id, row)
    perDestination.set(row.destination, countOf(row.destination) + 1)
    breakers.started(row.destination, row.id)
  }

  /** Opened once, until somebody changes it. */
  function specOf(name: string): DestinationSpec {
    const spec = specs.get(name) ?? destinations.secretSpec(name)
    specs.set(name, spec)
    return spec
  }

  function hand(row: DeliveryRow): void {
    // its template could not be filled in: there is no name to send it under
    if (row.remote_path === '' || row.temp_name === '') throw new FileFlowError('template.invalid')
    const transfer = store.transfers.get(row.transfer_id)
    if (!transfer?.spool) throw new FileFlowError('spool.missing')
    send?.({
      type: 'attempt',
      destination: specOf(row.destination),
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
    breakers.ended(row.destination, row.id)
    if (running.size === 0) aloneUntil = null
    kick()
  }

  function settle(id: string, attempt: number, outcome: Outcome): void {
    const row = running.get(id)
    if (!row || row.attempt !== attempt) return
    finish(row, outcome)
  }

  function finish(row: DeliveryRow, outcome: Outcome): void {
    if (!outcome.ok) breakers.undecided(row.destination)
    done(row)
    // a process that ends before it is written finds the file at the far side: an outcome can wait for others, while there are any
    held.add(() => write(row, outcome), !outcome.ok || running.size === 0)
  }

  function write(row: DeliveryRow, outcome: Outcome): void {
    let told: Recorded | undefined
    store.group
      .run(
        () => {
          told = outcomes.record(row, outcome)
          // a success that a power cut takes back is found at the far side; only what is done to the partner's file cannot wait for the next sync
        },
        !outcome.ok || row.after !== 'keep',
      )
      .then(
        () => {
          testPoint('delivery.settled')
          if (!outcome.ok) breakers.decided(row.destination)
          changed(told!.event, row.id)
          for (const id of told!.expired) changed('dead', id)
          if (told!.breaker) destinationChanged(row.destination)
          if (told!.event === 'delivered') finished(row.transfer_id)
          // given back or to be tried again: its time may be now
          kick()
        },
        (error: unknown) => {
          if (error instanceof LostRace) {
            if (!outcome.ok) breakers.decided(row.destination)
            kick()
            return changed('cancelled', row.id)
          }
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

  /** What ran in a worker that is gone: the attempt did not count, but its end is unclear. One that crashed may do so again. */
  function giveBackRunning(crashed: boolean): void {
    const error: ErrorRecord = crashed
      ? { code: 'delivery.crashes', message: ERRORS['delivery.crashes'].text }
      : { code: 'service.draining', message: 'The forwarder stopped.' }
    for (const row of [...running.values()]) {
      finish(row, { ok: false, error, unclear: true })
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
        if (store.lastRun.begin()) for (const name of destinations.names()) rows.doubt(name, limits().concurrency + IN_DOUBT)
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
      held.release()
    },
    /** @param crashed the worker ended by a fault of its own */
    disconnect(crashed = false): void {
      send = null
      clearTimeout(timer)
      held.release()
      giveBackRunning(crashed)
    },
    receive(message: FromForwarder): void {
      if (message.type === 'settled') settle(message.deliveryId, message.attempt, message.outcome)
      else if (message.type === 'probed') {
        probes.get(message.id)?.resolve(message.report)
        probes.delete(message.id)
      }
    },
    /** It was changed or removed: old connections go, and it is tried anew. */
    forget(destination: string): void {
      specs.delete(destination)
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
      const row = running.get(id)
      if (!row) return
      send?.({ type: 'cancel', deliveryId: id })
      done(row)
    },
    /** @throws FileFlowError `service.unavailable`, `limit.rate` when many are under way, `remote.timeout` when `signal` ends it */
    probe(name: string, signal: AbortSignal): Promise<ProbeReport> {
      const destination = destinations.secretSpec(name)
      const to = send
      if (!to) throw new FileFlowError('service.unavailable', 'The forwarder is not running.')
      if (probes.size >= MOST_PROBES) throw new FileFlowError('limit.rate', 'Other destinations are being tested. Wait a moment.')
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(new FileFlowError('remote.timeout'))
        const id = nextProbe++
        // it counts until the forwarder has let go of it
        probes.set(id, { resolve, reject })
        const giveUp = (): void => {
          if (probes.has(id)) to({ type: 'unprobe', id })
          reject(new FileFlowError('remote.timeout'))
        }
        signal.addEventListener('abort', giveUp, { once: true })
        to({ type: 'probe', id, destination })
      })
    },
    running: (): number => running.size,
  }
}
