// The forwarder worker's loop: attempts and probes as the dispatcher asks for them, each answered exactly once.
// Must not know the queue: how many run at once and what comes after a failure is decided by the dispatcher.
import { isDeepStrictEqual } from 'node:util'
import { monotonic } from '../core/clock.ts'
import type { DestinationSpec } from '../core/destination.ts'
import { FileFlowError, toErrorRecord } from '../core/errors.ts'
import { createLogger, errorFields } from '../core/log.ts'
import { testPoint } from '../core/test-point.ts'
import type { Connector, Delivery, FromForwarder, Outcome, ProbeReport, ToForwarder } from './connector.ts'
import { createConnector } from './connectors/create-connector.ts'
import { AttemptError } from './connectors/errors.ts'

/** What a MessagePort and a worker's parentPort have in common, as far as it is used here. */
export interface MessagePortLike {
  postMessage(message: FromForwarder): void
  on(event: 'message', listener: (message: ToForwarder) => void): unknown
}

interface Known {
  readonly destination: DestinationSpec
  readonly connector: Connector
}

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

  async function attempt(delivery: Delivery, destination: DestinationSpec): Promise<void> {
    const since = monotonic()
    const abort = new AbortController()
    const settle = (outcome: Outcome) => {
      if (attempts.get(delivery.id) === abort) attempts.delete(delivery.id)
      const durationMs = Math.round(monotonic() - since)
      port.postMessage({ type: 'settled', deliveryId: delivery.id, attempt: delivery.attempt, durationMs, outcome })
    }
    try {
      if (stopping) throw new FileFlowError('service.draining')
      attempts.set(delivery.id, abort)
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
    for (const abort of probes.values()) abort.abort(new FileFlowError('service.draining'))
    const deadline = setTimeout(() => {
      for (const abort of attempts.values()) abort.abort(new FileFlowError('service.draining'))
    }, deadlineMs)
    while (running.size > 0) await Promise.all(running)
    clearTimeout(deadline)
    await Promise.all([...known.values()].map(({ connector }) => connector.close()))
    port.postMessage({ type: 'stopped' })
  }

  const handlers: { readonly [T in ToForwarder['type']]: (message: Extract<ToForwarder, { type: T }>) => void } = {
    attempt: ({ delivery, destination }) => track(attempt(delivery, destination)),
    cancel: ({ deliveryId }) => attempts.get(deliveryId)?.abort(new FileFlowError('delivery.cancelled')),
    probe: ({ id, destination }) => track(probe(id, destination)),
    unprobe: ({ id }) => probes.get(id)?.abort(new FileFlowError('delivery.cancelled')),
    forget: ({ destination }) => forget(destination),
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
