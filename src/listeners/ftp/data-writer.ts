// Outgoing data: buffers to a socket, one after the other, each known to be out before the next is asked for.
// Must not read files.
import type { Socket } from 'node:net'
import { FileFlowError } from '../../core/errors.ts'

/** How long a client may take to read the rest and close after we have sent all. */
const LINGER_MS = 10_000

export class DataWriter {
  readonly #socket: Socket
  #writing = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => socket.destroy())
    // What a client sends on a download is thrown away; unread, it would turn our close into a reset.
    socket.resume()
  }

  /** The peer has yet to take what we sent. */
  get busy(): boolean {
    return this.#writing
  }

  /** Resolves when the buffer may be used again. @throws FileFlowError `transfer.aborted` when the client closed */
  write(buffer: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#writing = true
      this.#socket.write(buffer, (error) => {
        this.#writing = false
        if (error) reject(new FileFlowError('transfer.aborted', 'The client closed the data connection.', { cause: error }))
        else resolve()
      })
    })
  }

  /** Sends the end; resolves when the kernel has all of it. The socket goes once the client has read it, or after a while. @throws as {@link write} */
  async finish(): Promise<void> {
    const socket = this.#socket
    this.#writing = true
    await new Promise<void>((resolve, reject) => {
      const lost = () => reject(new FileFlowError('transfer.aborted', 'The client closed the data connection.'))
      socket.once('close', lost)
      socket.end(() => {
        socket.off('close', lost)
        resolve()
      })
      if (socket.destroyed) lost()
    })
    this.#writing = false
    socket.setTimeout(0)
    const linger = setTimeout(() => socket.destroy(), LINGER_MS)
    linger.unref()
    socket.once('close', () => clearTimeout(linger))
  }
}
