// The forwarder worker's loop: attempts and probes as the dispatcher asks for them, each answered exactly once.
// Must not know the queue: how many may be at work, and what comes after a failure, is decided by the dispatcher.
import { isDeepStrictEqual } from 'node:util'
import { monotonic } from '../core/clock.ts'
import type { DestinationSpec } from '../core/destination.ts'
import { DESTINATION_WIDE, ERRORS, type ErrorCode, FileFlowError, toErrorRecord } from '../core/errors.ts'
import { createLogger, errorFields } from '../core/log.ts'
import { testPoint } from '../core/test-point.ts'
import {
  type Connector,
  type Delivery,
  type FromForwarder,
  type Outcome,
  type Places,
  type ProbeReport,
  placeOf,
  type Settled,
  type ToForwarder,
} from './connector.ts'
import { createConnector } from './connectors/create-connector.ts'
import { AttemptError } from './connectors/errors.ts'
import { MAX_CONNECTIONS } from './connectors/remote-connector.ts'
import { createTurns } from './turns.ts'

/** What a MessagePort and a worker's parentPort have in common, as far as it is used here. */
export interface MessagePortLike {
  postMessage(message: FromForwarder): void
  on(event: 'message', listener: (message: ToForwarder) => void): unknown
}

interface Known {
  readonly destination: DestinationSpec
  readonly connector: Connector
}

interface Handed {
  readonly delivery: Delivery
  readonly destination: DestinationSpec
  /** Since when it waits, monotonic ms. */
  readonly since: number
}

/** An attempt may take half an hour, and more for what is large: a far side that takes less than 5 kB a second keeps a place that others wait for. */
const LONGEST_ATTEMPT_MS = 30 * 60_000
const SLOWEST_BYTES_A_MS = 5
/** setTimeout knows no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Milliseconds that one attempt to send so many bytes may take. */
export const longestAttempt = (size: number): number =>
  Math.min(LONGEST_TIMER_MS, LONGEST_ATTEMPT_MS + Math.ceil(size / SLOWEST_BYTES_A_MS))

/** What has waited so long for its turn is behind something slow: it goes back to those that wait, so that nothing is called running for hours that never began. */
const LONGEST_WAIT_MS = 5000

/** After one of these it is the dispatcher's to say whether the destination is asked again, and when. */
const isTheirs = (code: ErrorCode): boolean =>
  DESTINATION_WIDE.has(code) || (code.startsWith('remote.') && ERRORS[code].retry !== 'permanent')

/** Answers until a `stop` message; after `stopped` nothing more is posted. */
export function runForwarder(port: MessagePortLike): void {
  const log = createLogger('forwarder', (line) => port.postMessage({ type: 'log', line }))
  const known = new Map<string, Known>()
  const attempts = new Map<string, AbortController>()
  const probes = new Map<number, AbortController>()
  const running = new Set<Promise<void>>()
  let stopping = false

  function connectorOf(destination: DestinationSpec): Connector {
    const had = known.get(destination.name)
    if (had && isDeepStrictEqual(had.destination, destination)) return had.connector
    forget(destination.name)
    const connector = createConnector(destination)
    known.set(destination.name, { destination, connector })
    return connector
  }

  /** Running attempts finish over their old connections. */
  function forget(name: string): void {
    const had = known.get(name)
    if (!had) return
    known.delete(name)
    track(had.connector.close())
  }

  function track(work: Promise<void>): void {
    const tracked: Promise<void> = work
      .catch((error: unknown) => log.error('forwarder.failed', 'a task of the forwarder failed', errorFields(error)))
      .finally(() => running.delete(tracked))
    running.add(tracked)
  }

  /** What one turn of the event loop has to say is one message. */
  let settled: Settled[] = []
  let returned: { deliveryId: string; attempt: number }[] = []
  let telling = false
  function tellSoon(): void {
    if (telling) return
    telling = true
    setImmediate(tell)
  }
  function tell(): void {
    telling = false
    if (settled.length === 0 && returned.length === 0) return
    port.postMessage({ type: 'settled', settled, returned })
    settled = []
    returned = []
  }

  const turns = createTurns<Handed>(
    (handed) => track(attempt(handed)),
    ({ delivery, destination }) => placeOf(destination, delivery),
  )
  const giveBack = (fits: (handed: Handed, name: string) => boolean): void => {
    for (const { delivery } of turns.withdraw(fits)) returned.push({ deliveryId: delivery.id, attempt: delivery.attempt })
    if (returned.length > 0) tellSoon()
  }
  let watch: NodeJS.Timeout | undefined
  /** Runs only while something waits. */
  function watchWaiting(): void {
    watch ??= setTimeout(() => {
      watch = undefined
      const now = monotonic()
      giveBack(({ since }) => now - since >= LONGEST_WAIT_MS)
      if (turns.waiting() > 0) watchWaiting()
    }, LONGEST_WAIT_MS / 2)
  }

  function take(deliveries: readonly Delivery[], destination: DestinationSpec, places: Places): void {
    if (stopping) {
      for (const { id, attempt } of deliveries) returned.push({ deliveryId: id, attempt })
      tellSoon()
      return
    }
    const since = monotonic()
    const handed = deliveries.map((delivery) => ({ delivery, destination, since }))
    turns.add(destination.name, handed, destination.max_connections ?? MAX_CONNECTIONS, places)
    if (turns.waiting() > 0) watchWaiting()
  }

  async function attempt(handed: Handed): Promise<void> {
    const { delivery, destination } = handed
    const since = monotonic()
    const abort = new AbortController()
    attempts.set(delivery.id, abort)
    const late = setTimeout(
      () => abort.abort(new FileFlowError('remote.timeout', 'The destination took the file too slowly: the attempt was broken off.')),
      longestAttempt(delivery.size),
    )
    const settle = (outcome: Outcome) => {
      clearTimeout(late)
      if (attempts.get(delivery.id) === abort) attempts.delete(delivery.id)
      settled.push({ deliveryId: delivery.id, attempt: delivery.attempt, durationMs: Math.round(monotonic() - since), outcome })
      tellSoon()
      if (!outcome.ok && isTheirs(outcome.error.code)) giveBack((_, name) => name === destination.name)
      turns.ended(destination.name, handed)
    }
    try {
      const receipt = await connectorOf(destination).put(delivery, abort.signal)
      testPoint('delivery.sent')
      settle({ ok: true, receipt })
    } catch (error) {
      if (!(error instanceof FileFlowError) || error.code === 'internal') {
        log.error('attempt.failed', 'an attempt failed for an unknown reason', { delivery: delivery.id, ...errorFields(error) })
      }
      // Nothing was asked of the far side when the error is not the attempt's own: what was unclear before is unclear still.
      settle({ ok: false, error: toErrorRecord(error), unclear: error instanceof AttemptError ? error.unclear : delivery.unclear })
    }
  }

  async function probe(id: number, destination: DestinationSpec): Promise<void> {
    const abort = new AbortController()
    probes.set(id, abort)
    try {
      // A connector of its own: what is tested may not be saved yet.
      const connector = createConnector(destination)
      const report = await connector.probe(abort.signal)
      port.postMessage({ type: 'probed', id, report })
      await connector.close()
    } catch (error) {
      port.postMessage({ type: 'probed', id, report: failedProbe(error) })
    } finally {
      probes.delete(id)
    }
  }

  async function stop(deadlineMs: number): Promise<void> {
    if (stopping) return
    stopping = true
    giveBack(() => true)
    for (const abort of probes.values()) abort.abort(new FileFlowError('service.draining'))
    const deadline = setTimeout(() => {
      for (const abort of attempts.values()) abort.abort(new FileFlowError('service.draining'))
    }, deadlineMs)
    while (running.size > 0) await Promise.all(running)
    clearTimeout(deadline)
    clearTimeout(watch)
    await Promise.all([...known.values()].map(({ connector }) => connector.close()))
    tell()
    port.postMessage({ type: 'stopped' })
  }

  const handlers: { readonly [T in ToForwarder['type']]: (message: Extract<ToForwarder, { type: T }>) => void } = {
    attempts: ({ deliveries, destination, places }) => take(deliveries, destination, places),
    cancel({ deliveryId }) {
      // one that has not begun is nobody's business any more
      turns.withdraw(({ delivery }) => delivery.id === deliveryId)
      attempts.get(deliveryId)?.abort(new FileFlowError('delivery.cancelled'))
    },
    probe: ({ id, destination }) => track(probe(id, destination)),
    unprobe: ({ id }) => probes.get(id)?.abort(new FileFlowError('delivery.cancelled')),
    forget({ destination }) {
      giveBack((_, name) => name === destination)
      forget(destination)
    },
    stop: ({ deadlineMs }) => void stop(deadlineMs),
  }
  port.on('message', (message) => {
    try {
      ;(handlers[message.type] as (message: ToForwarder) => void)(message)
    } catch (error) {
      log.error('forwarder.failed', 'a message to the forwarder could not be handled', errorFields(error))
    }
  })
  port.postMessage({ type: 'ready' })
}

function failedProbe(error: unknown): ProbeReport {
  const { code, message } = toErrorRecord(error)
  return { ok: false, steps: [{ step: 'resolve', ok: false, ms: 0, detail: `${code}: ${message}` }], fingerprint: null }
}
