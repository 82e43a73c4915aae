// What runs while a file or a listing moves: who can stop it, how far it is, and when it has stalled.
// Must not know which direction the bytes go.
import type { Socket } from 'node:net'
import { FileFlowError } from '../../core/errors.ts'
import { drop } from './tls.ts'

export class RunningTransfer {
  readonly verb: string
  readonly #controller = new AbortController()
  /** Bytes over the wire so far. */
  bytes = 0
  #letGo: () => void = () => undefined

  constructor(verb: string) {
    this.verb = verb
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Ends it with this reason; the first one counts. */
  abort(why: Error): void {
    if (!this.signal.aborted) this.#controller.abort(why)
  }

  /** The error that the transfer ends with: why it was stopped, if it was; else what went wrong. */
  reason(error: unknown): unknown {
    return this.signal.aborted ? this.signal.reason : error
  }

  /** From here on an abort destroys the data connection, which wakes whoever waits on it. */
  governs(socket: Socket): void {
    const stop = () => drop(socket)
    if (this.signal.aborted) stop()
    else this.signal.addEventListener('abort', stop, { once: true })
    this.#letGo = () => this.signal.removeEventListener('abort', stop)
    socket.once('close', this.#letGo)
  }

  /** From here on the data connection has its own end. */
  letGo(): void {
    this.#letGo()
  }

  /**
   * Aborts with `transfer.stalled` when the peer moves no byte for `ms` while it is its turn (not while our disk is slow). Socket timeouts are used because they
   * see partial progress of a large write.
   */
  watchStall(socket: Socket, ms: number, peersTurn: () => boolean): void {
    socket.setTimeout(ms)
    socket.on('timeout', () => {
      if (peersTurn()) this.abort(new FileFlowError('transfer.stalled'))
      else socket.setTimeout(ms)
    })
  }
}
