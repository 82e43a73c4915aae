// Reads a plain connection into buffers that are used again, once whoever they are handed over to has written them.
// Must not be needed: where this Node does not have what it takes, the caller listens for `data` as usual.
import type { Socket } from 'node:net'
import { readInto } from '../own-buffer.ts'

/** One buffer holds several reads, and a write to the disk takes several buffers. Most files end within the first. */
const FIRST_BYTES = 128 * 1024
/** From the second one on: a read then takes all that the kernel holds. */
const NEXT_BYTES = 512 * 1024
/** Kept of each for the next transfers of this thread. */
const MOST_SPARE = 10
/** Less room than that is not worth a read. */
const LEAST_ROOM = 16 * 1024

const spare: Readonly<Record<number, Buffer[]>> = { [FIRST_BYTES]: [], [NEXT_BYTES]: [] }

interface Filled {
  readonly buffer: Buffer
  /** Bytes of it that are handed over and not written yet. */
  left: number
  full: boolean
}

export class DirectRead {
  readonly #take: (chunk: Buffer) => boolean
  #current: Filled
  #fill = 0
  /** In the order in which they were filled; the last one is the current. */
  readonly #filled: Filled[]

  /** @param take gets what came, valid until it is given back by {@link done}; false pauses the socket */
  private constructor(take: (chunk: Buffer) => boolean) {
    this.#take = take
    this.#current = fresh(FIRST_BYTES)
    this.#filled = [this.#current]
  }

  /** @returns null when that cannot be done: then nothing has changed */
  static from(socket: Socket, take: (chunk: Buffer) => boolean): DirectRead | null {
    const reader = new DirectRead(take)
    const begun = readInto(socket, {
      buffer: reader.#current.buffer,
      came: (bytes) => reader.#came(bytes),
      next: () => reader.#room(),
    })
    if (!begun) {
      keep(reader.#current.buffer)
      return null
    }
    // only now nothing is read into it any more
    socket.once('close', () => {
      reader.#current.full = true
      reader.done(0)
    })
    return reader
  }

  #came(bytes: number): boolean {
    const { buffer } = this.#current
    const chunk = buffer.subarray(this.#fill, this.#fill + bytes)
    this.#fill += bytes
    this.#current.left += bytes
    if (buffer.length - this.#fill < LEAST_ROOM) {
      this.#current.full = true
      this.#current = fresh(NEXT_BYTES)
      this.#fill = 0
      this.#filled.push(this.#current)
    }
    return this.#take(chunk)
  }

  /** Where the next bytes go, also when the socket is paused: there is always such a place. */
  #room(): Buffer {
    return this.#current.buffer.subarray(this.#fill)
  }

  /** The oldest so many bytes are not needed any more. */
  done(bytes: number): void {
    let rest = bytes
    while (this.#filled.length > 0) {
      const first = this.#filled[0]!
      const part = Math.min(rest, first.left)
      first.left -= part
      rest -= part
      if (first.left > 0 || !first.full) return
      keep(first.buffer)
      this.#filled.shift()
    }
  }
}

/** Shared, so that the thread that hashes sees it without a copy. */
const fresh = (bytes: number): Filled => ({
  buffer: spare[bytes]!.pop() ?? Buffer.from(new SharedArrayBuffer(bytes)),
  left: 0,
  full: false,
})

function keep(buffer: Buffer): void {
  const same = spare[buffer.length]!
  if (same.length < MOST_SPARE) same.push(buffer)
}
