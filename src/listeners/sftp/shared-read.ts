// All connections of a thread are read into the same memory: what comes is decrypted, to other memory, before the next read.
// Must not lend it to who may keep a part of it: ssh2 does before the keys are there.
import type { Socket } from 'node:net'
import { readInto } from '../own-buffer.ts'

const shared = Buffer.allocUnsafeSlow(128 * 1024)

/** The socket, not read yet, will still emit `data`. @param lent whether its listeners need the bytes no longer than until they return; else they get their own */
export function readShared(socket: Socket, lent: () => boolean): void {
  readInto(socket, {
    buffer: shared,
    came(bytes) {
      const chunk = shared.subarray(0, bytes)
      socket.emit('data', lent() ? chunk : Buffer.from(chunk))
      return true
    },
  })
}
