// A data connection to come: what PASV and PORT leave behind, and how a transfer gets its socket out of it.
// Must not move file bytes.
import type { Socket } from 'node:net'
import type { SecureContext, TLSSocket } from 'node:tls'
import { FileFlowError } from '../../core/errors.ts'
import { drop, secureServerSide, WatchedTls } from './tls.ts'

/** How long a transfer waits at most for its data connection and, apart, for the handshake on it. */
export const CONNECT_MS = 30_000

export interface DataChannel {
  /** The plain connection, paused. One channel gives one connection. @throws FileFlowError `data.no_connection`, or the reason of `signal` */
  connect(signal: AbortSignal, withinMs: number): Promise<Socket>
  close(): void
}

/**
 * Resolves with what `start` hands over, unless the time is up or the transfer was aborted first; then `undo` runs.
 * @throws FileFlowError `data.no_connection`, or the reason of `signal`
 */
export function within<T>(
  signal: AbortSignal,
  ms: number,
  start: (resolve: (value: T) => void, reject: (why: Error) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    let undo = (): void => undefined
    const settle = (act: () => void, failed: boolean) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
      if (failed) undo()
      act()
    }
    const fail = (why: Error) => settle(() => reject(why), true)
    const aborted = () => fail(signal.reason)
    const timer = setTimeout(() => fail(new FileFlowError('data.no_connection')), ms)
    signal.addEventListener('abort', aborted, { once: true })
    undo = start((value) => settle(() => resolve(value), false), fail)
  })
}

/**
 * The TLS side of a data connection, after its handshake. `watch` for receiving: tells an announced end from a cut one.
 * Called after 150 only: clients such as lftp, rclone and Python's ftplib begin the handshake once they have read it.
 */
export function handshake(raw: Socket, context: SecureContext, watch: boolean, signal: AbortSignal, withinMs: number): Promise<TLSSocket> {
  const socket = watch ? new WatchedTls(raw, context) : secureServerSide(raw, context)
  socket.on('error', () => socket.destroy())
  return within(signal, withinMs, (resolve, reject) => {
    const lost = () => reject(new FileFlowError('data.no_connection', 'The TLS handshake of the data connection failed.'))
    socket.once('close', lost)
    socket.once('secure', () => {
      socket.off('close', lost)
      resolve(socket)
    })
    return () => {
      socket.off('close', lost)
      drop(socket)
    }
  })
}
