// Incoming data: batches of bytes from a socket through a bounded queue, with real backpressure, and how the stream ended.
// Must not judge whether a file is whole.
import type { Socket } from 'node:net'
import { FileFlowError } from '../../core/errors.ts'
import { DirectRead } from './direct-read.ts'
import { drop } from './tls.ts'

/** Bytes waiting for the disk above which the socket is paused; reading goes on at half of it. */
const MOST_QUEUED = 4 * 1024 * 1024
/** Most buffers in one write (IOV_MAX is 1024): few of what may be queued, so that the socket is read while one is written. */
const MOST_BATCHED = 8
/** A limited transfer moves this many times a second, so that it flows evenly. */
const STEPS_A_SECOND = 8
const LEAST_STEP = 4096
/** How long a client may go on sending what nobody wants. */
const FAREWELL_MS = 2000

/** Bytes to move at once under a rate (bytes a second; null: none), at most `most`. */
export const stepOf = (rate: number | null, most: number): number =>
  rate === null ? most : Math.min(most, Math.max(LEAST_STEP, Math.floor(rate / STEPS_A_SECOND)))

export class DataReader {
  readonly #socket: Socket
  readonly #direct: DirectRead | null
  /** The socket is paused until there is room. */
  #waits = false
  #queue: Buffer[] = []
  #queued = 0
  #over: 'no' | 'end' | 'cut' = 'no'
  #cause: Error | undefined
  #dismissed = false
  #wake: (() => void) | null = null
  readonly #rate: () => number | null

  /** @param rate the limit of the transfer in bytes a second, asked for again with each batch; null: none */
  constructor(socket: Socket, rate: () => number | null) {
    this.#socket = socket
    this.#rate = rate
    this.#direct = DirectRead.from(socket, (chunk) => this.#came(chunk))
    if (!this.#direct)
      socket.on('data', (chunk: Buffer) => {
        if (!this.#came(chunk)) socket.pause()
      })
    const ended = () => {
      // Python's ftplib waits for our close_notify before it reads the reply.
      socket.end()
      this.#finish('end')
    }
    socket.on('end', ended)
    socket.on('error', (error) => {
      this.#cause ??= error
      this.#finish('cut')
    })
    socket.on('close', () => this.#finish('cut'))
    // an empty file over TLS may be over before anyone could listen
    if (socket.readableEnded) ended()
    else if (socket.destroyed) this.#finish('cut')
    else socket.resume()
  }

  /** @returns whether more may come */
  #came(chunk: Buffer): boolean {
    if (this.#dismissed) {
      this.#direct?.done(chunk.length)
      return true
    }
    this.#queue.push(chunk)
    this.#queued += chunk.length
    this.#waits = this.#queued > this.#most
    this.#signal()
    return !this.#waits
  }

  /** What a limit lets through in a second is enough to hold. */
  get #most(): number {
    const rate = this.#rate()
    return rate === null ? MOST_QUEUED : Math.min(MOST_QUEUED, Math.max(LEAST_STEP, rate))
  }

  /** Nothing waits for us: it is the peer's turn to send. */
  get empty(): boolean {
    return this.#queued === 0
  }

  /** The next batch; null at a plain end. @throws FileFlowError `upload.incomplete` when the connection was cut and all that came was taken */
  async next(): Promise<Buffer[] | null> {
    while (this.#queue.length === 0 && this.#over === 'no') {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#queue.length === 0) {
      if (this.#over === 'end') return null
      throw new FileFlowError('upload.incomplete', 'The data connection was cut.', { cause: this.#cause })
    }
    const rate = this.#rate()
    if (rate !== null) return this.#step(stepOf(rate, MOST_QUEUED))
    return this.#queue.length > MOST_BATCHED ? this.#queue.splice(0, MOST_BATCHED) : this.#queue.splice(0)
  }

  /** At most so many bytes; a buffer that is larger is taken in parts. */
  #step(bytes: number): Buffer[] {
    const taken: Buffer[] = []
    let room = bytes
    while (room > 0 && this.#queue.length > 0 && taken.length < MOST_BATCHED) {
      const first = this.#queue[0]!
      taken.push(first.subarray(0, room))
      if (first.length > room) this.#queue[0] = first.subarray(room)
      else this.#queue.shift()
      room -= Math.min(room, first.length)
    }
    return taken
  }

  /**
   * Nothing more is wanted: what still comes is thrown away for a moment, so that the client hears why before its data connection goes. A reset reaches it first
   * otherwise, and some (lftp over TLS) take everything for broken then, and begin again half a minute later.
   */
  dismiss(): void {
    const socket = this.#socket
    this.#dismissed = true
    this.#queue = []
    this.#direct?.done(this.#queued)
    this.#queued = 0
    socket.setTimeout(0)
    socket.resume()
    const farewell = setTimeout(() => drop(socket), FAREWELL_MS)
    socket.once('close', () => clearTimeout(farewell))
  }

  /** These bytes are written: there is room again. */
  done(bytes: number): void {
    if (this.#dismissed) return
    this.#queued -= bytes
    this.#direct?.done(bytes)
    if (this.#over !== 'no' || !this.#waits || this.#queued >= this.#most / 2) return
    this.#waits = false
    this.#socket.resume()
  }

  #finish(how: 'end' | 'cut'): void {
    if (this.#over === 'no') this.#over = how
    this.#signal()
  }

  #signal(): void {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }
}
