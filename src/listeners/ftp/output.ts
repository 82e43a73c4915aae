// The way of replies to the client: in order, and never more than a bounded amount unsent.
// Must not know commands or codes.
import type { Socket } from 'node:net'
import { nameToBytes } from '../../core/virtual-path.ts'

/** Unsent reply bytes above which a session stops taking commands until the client reads. */
const MOST_UNSENT = 64 * 1024

export class Output {
  #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** The same replies over TLS from here on (AUTH). */
  moveTo(socket: Socket): void {
    this.#socket = socket
  }

  get congested(): boolean {
    return this.#socket.writableLength > MOST_UNSENT
  }

  /** Resolves when the client may be asked for more; a reply to a connection that is gone is dropped. */
  async write(bytes: Buffer): Promise<void> {
    if (!this.#socket.writable) return
    this.#socket.write(bytes)
    if (this.congested) await this.drained()
  }

  /** A line of a longer reply, as it is. */
  line(text: string): Promise<void> {
    return this.write(nameToBytes(`${text}\r\n`))
  }

  /** Everything is in the kernel's hands, or the connection is gone. */
  async drained(): Promise<void> {
    const socket = this.#socket
    while (socket.writable && socket.writableLength > 0) {
      await new Promise<void>((resolve) => {
        const done = () => {
          socket.off('drain', done)
          socket.off('close', done)
          resolve()
        }
        socket.on('drain', done)
        socket.on('close', done)
        // Below the high-water mark no `drain` comes; an empty write is over when those before it are.
        if (!socket.writableNeedDrain) socket.write(Buffer.alloc(0), done)
      })
    }
  }
}
