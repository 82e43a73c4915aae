// Backpressure for code that writes without looking: while a client does not take what it is sent, nothing more is read from it.
// Must not know what flows over the socket.
import type { Socket } from 'node:net'

const MAX_UNSENT = 2 ** 20

/** Pauses reading whenever more than 1 MiB is unsent, and resumes once all of it is out. */
export function guardSocket(socket: Socket): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  let held = false
  const guarded = (chunk: unknown, encoding?: unknown, then?: unknown): boolean => {
    const taken = write(chunk, encoding, then)
    if (!held && socket.writableLength > MAX_UNSENT) {
      held = true
      socket.pause()
      socket.once('drain', () => {
        held = false
        socket.resume()
      })
    }
    return taken
  }
  socket.write = guarded as Socket['write']
}
