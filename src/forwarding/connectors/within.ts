// A promise with a limit: time, and a signal.
// Must not decide what a limit means; callers stop the work and name the failure.
import { FileFlowError } from '../../core/errors.ts'

/** @throws FileFlowError `remote.unreachable` after `ms`; the signal's reason when it fires; else what `work` throws */
export function within<T>(work: Promise<T>, ms: number, signal: AbortSignal, stop: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
      settle()
    }
    const cut = (reason: unknown) =>
      finish(() => {
        reject(reason)
        stop()
      })
    const aborted = () => cut(signal.reason)
    const timer = setTimeout(() => cut(new FileFlowError('remote.unreachable', `No answer within ${Math.round(ms / 1000)} s.`)), ms)
    signal.addEventListener('abort', aborted, { once: true })
    work.then(
      (value) => finish(() => resolve(value)),
      (error) => finish(() => reject(error)),
    )
    if (signal.aborted) aborted()
  })
}

/** How long work that was told to stop may take to say so. */
const GRACE_MS = 1_000

/** The work, or the signal's reason a second after it fired: work that hangs (a mount, a lost packet) must not hold up a cancel. */
export function promptly<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const aborted = () => {
      timer = setTimeout(() => reject(signal.reason), GRACE_MS)
    }
    signal.addEventListener('abort', aborted, { once: true })
    if (signal.aborted) aborted()
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
    })
  })
}
