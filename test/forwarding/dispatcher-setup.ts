// A dispatcher over a real store, and a forwarder that does just what it is told.
// Must not move bytes.
import type { Test } from 'tap'
import type { DestinationSpec } from '../../src/core/destination.ts'
import type { ErrorCode } from '../../src/core/errors.ts'
import type { Delivery, FromForwarder, Outcome, ToForwarder } from '../../src/forwarding/connector.ts'
import { createDeliveryVerbs } from '../../src/forwarding/delivery-verbs.ts'
import { createDestinations } from '../../src/forwarding/destinations.ts'
import { createDispatcher } from '../../src/forwarding/dispatcher.ts'
import { ADMIN, fakeClock, recordedLog, tempStore } from '../store/temp-store.ts'

interface Attempt {
  readonly delivery: Delivery
  readonly destination: DestinationSpec
}

export const SENT: Outcome = {
  ok: true,
  receipt: { remotePath: '/base/x', size: 5, verified: 'hash', algorithm: 'sha256', method: 'check-file', outcome: 'sent', server: 'far' },
}
export const failure = (code: ErrorCode, unclear = false): Outcome => ({ ok: false, error: { code, message: `it was ${code}` }, unclear })

/** Two limits and a patience that tests can reckon with: three attempts, 1 s doubling to 4 s. */
export async function setUpDispatcher(t: Test, names: string[] = ['hq'], limits = { concurrency: 8, per_destination: 4 }) {
  const { store } = tempStore(t)
  const clock = fakeClock()
  const { log, lines } = recordedLog()
  const retry = { max_attempts: 3, first_delay: 1000, max_delay: 4000, give_up_after: 1e9 }
  const events: string[] = []
  const finished: string[] = []
  const destinations = createDestinations({ store, clock, changed: (name) => dispatcher.forget(name), usedBy: () => [] })
  const dispatcher = createDispatcher({
    store,
    clock,
    log,
    destinations,
    limits: () => ({ ...limits, retry }),
    changed: (event, id) => events.push(`${event} ${id}`),
    destinationChanged: (name) => events.push(`changed ${name}`),
    finished: (id) => finished.push(id),
  })
  const verbs = createDeliveryVerbs({
    store,
    clock,
    dispatcher,
    changed: (event, id) => events.push(`${event} ${id}`),
    finished: (id) => finished.push(id),
  })
  for (const name of names)
    await destinations.create(ADMIN, { name, type: 'sftp', host: 'far', username: 'u', password: 'hunter2', host_keys: 'insecure' })
  const sent: ToForwarder[] = []
  /** Every message crosses as it would to a thread. */
  const connect = (): void => dispatcher.connect((message) => sent.push(structuredClone(message)))
  t.teardown(() => dispatcher.disconnect())
  const attempts = (): Attempt[] =>
    sent.flatMap((m) => (m.type === 'attempts' ? m.deliveries.map((delivery) => ({ delivery, destination: m.destination })) : []))
  /** The last thing asked of each delivery that runs. */
  const running = (): Attempt[] =>
    [...new Map(attempts().map((m) => [m.delivery.id, m])).values()].filter(
      ({ delivery }) => store.deliveries.get(delivery.id)?.state === 'running',
    )
  const hear = (message: FromForwarder): void => dispatcher.receive(structuredClone(message))
  /** @param durationMs by default so long that no others are handed over ahead of their turn */
  const answer = (id: string, attempt: number, outcome: Outcome, durationMs = 60_000): void =>
    hear({ type: 'settled', settled: [{ deliveryId: id, attempt, durationMs, outcome }], returned: [] })
  const giveBack = (...ids: string[]): void =>
    hear({ type: 'settled', settled: [], returned: ids.map((deliveryId) => ({ deliveryId, attempt: 1 })) })
  const state = (id: string) => store.deliveries.get(id)?.state
  const idle = async (): Promise<void> => {
    // a look for work runs in the turn after the kick; two turns later whatever was due has been handed over
    for (let i = 0; i < 3; i++) await new Promise<void>((go) => setImmediate(go))
  }
  return {
    store,
    clock,
    retry,
    lines,
    limits,
    events,
    finished,
    destinations,
    dispatcher,
    verbs,
    sent,
    connect,
    attempts,
    running,
    answer,
    giveBack,
    state,
    idle,
  }
}
