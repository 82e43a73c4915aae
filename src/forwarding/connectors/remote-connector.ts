// A connector out of one protocol's way to open a session: pooling, a second try on a stale connection, cancelling, cleaning up.
// Must not know any protocol.
import type { DestinationSpec } from '../../core/destination.ts'
import { FileFlowError } from '../../core/errors.ts'
import { type Connector, type Delivery, placeOf, type Receipt, SHARE } from '../connector.ts'
import { type DeliverOptions, deliver, type Progress } from './deliver.ts'
import { AttemptError } from './errors.ts'
import { SessionPool } from './pool.ts'
import { probeDestination } from './probe.ts'
import type { OpenSession } from './remote-session.ts'
import { promptly } from './within.ts'

/** Where the destination does not say. */
export const MAX_CONNECTIONS = 4
const IDLE_MS = 30_000
/** For removing a temporary file over a new connection: the attempt's answer waits for it. */
const CLEAN_UP_MS = 5_000

const nothing = () => undefined

export function createRemoteConnector(destination: DestinationSpec, open: OpenSession): Connector {
  const options: DeliverOptions = { basePath: destination.base_path ?? null, level: destination.verify ?? 'auto' }
  const openQuietly = (signal: AbortSignal) => open({ signal, connected: nothing, fingerprint: nothing })
  const pool = new SessionPool(openQuietly, { most: destination.max_connections ?? MAX_CONNECTIONS, idleMs: IDLE_MS, share: SHARE })

  async function attempt(delivery: Delivery, signal: AbortSignal, progress: Progress): Promise<Receipt> {
    const small = placeOf(destination, delivery) < 1
    for (;;) {
      const lease = await pool.lease(signal, small)
      const { session } = lease
      let over = false
      const stop = () => lease.breakOff()
      // a small one is soon done, and others use its connection
      if (!small) signal.addEventListener('abort', stop, { once: true })
      try {
        return await promptly(
          deliver(session, delivery, options, progress).finally(() => {
            over = true
          }),
          signal,
        )
      } catch (error) {
        if (!over) lease.breakOff()
        // A far side that hung up on an idle connection says nothing about this file, nor does the end of another one: once more over a new connection.
        const theirs = lease.cut || (lease.reused && !session.usable && !progress.begun)
        if (theirs && !signal.aborted) continue
        if (progress.temp !== null && session.usable && !signal.aborted) {
          await session.remove(progress.temp).then(() => {
            progress.temp = null
          }, nothing)
        }
        throw error
      } finally {
        signal.removeEventListener('abort', stop)
        lease.release()
      }
    }
  }

  /** What a broken-off upload left, over a new connection. When that fails too, the next attempt writes over it. */
  async function cleanUp(temp: string): Promise<void> {
    try {
      const session = await openQuietly(AbortSignal.timeout(CLEAN_UP_MS))
      const timer = setTimeout(() => session.destroy(), CLEAN_UP_MS)
      await promptly(session.remove(temp), AbortSignal.timeout(CLEAN_UP_MS)).finally(() => clearTimeout(timer))
      await session.end()
    } catch {
      // The attempt's own error is what is reported; the name is deterministic and used again.
    }
  }

  return {
    async put(delivery, signal) {
      const progress: Progress = { unclear: delivery.unclear, temp: null, begun: false }
      try {
        return await attempt(delivery, signal, progress)
      } catch (error) {
        const why = signal.aborted ? reasonOf(signal) : asFileFlowError(error)
        if (progress.temp !== null && !isSilence(why)) await cleanUp(progress.temp)
        throw new AttemptError(why, progress.unclear)
      }
    },
    probe: (signal) => probeDestination(destination, open, signal),
    close: () => pool.close(),
  }
}

/** The far side does not answer, or hardly: no use in calling again just to clean up, and the next attempt goes on with what is there. */
const isSilence = ({ code }: FileFlowError): boolean => ['remote.lost', 'remote.timeout', 'remote.unreachable'].includes(code)

const reasonOf = (signal: AbortSignal): FileFlowError =>
  signal.reason instanceof FileFlowError ? signal.reason : new FileFlowError('delivery.cancelled')

const asFileFlowError = (error: unknown): FileFlowError =>
  error instanceof FileFlowError ? error : new FileFlowError('internal', undefined, { cause: error })
