// Tests of destinations that are under way in the forwarder: each is answered, or ends with its time or with the forwarder.
// Must not start anything by itself.
import type { DestinationSpec } from '../core/destination.ts'
import { FileFlowError } from '../core/errors.ts'
import type { ProbeReport, ToForwarder } from './connector.ts'

/** At once. */
const MOST_PROBES = 8

export function createProbes() {
  const waiting = new Map<number, { resolve(report: ProbeReport): void; reject(error: Error): void }>()
  let next = 1
  return {
    /** @throws FileFlowError `limit.rate` when many are under way; rejects with `remote.timeout` when `signal` ends it, `service.unavailable` with {@link lost} */
    ask(destination: DestinationSpec, send: (message: ToForwarder) => void, signal: AbortSignal): Promise<ProbeReport> {
      if (waiting.size >= MOST_PROBES) throw new FileFlowError('limit.rate', 'Other destinations are being tested. Wait a moment.')
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(new FileFlowError('remote.timeout'))
        const id = next++
        // it counts until the forwarder has let go of it
        waiting.set(id, { resolve, reject })
        const giveUp = (): void => {
          if (waiting.has(id)) send({ type: 'unprobe', id })
          reject(new FileFlowError('remote.timeout'))
        }
        signal.addEventListener('abort', giveUp, { once: true })
        send({ type: 'probe', id, destination })
      })
    },
    answered(id: number, report: ProbeReport): void {
      waiting.get(id)?.resolve(report)
      waiting.delete(id)
    },
    /** The forwarder is gone. */
    lost(): void {
      for (const { reject } of waiting.values()) reject(new FileFlowError('service.unavailable', 'The forwarder stopped.'))
      waiting.clear()
    },
  }
}
