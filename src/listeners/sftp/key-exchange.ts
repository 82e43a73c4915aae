// What channels would send while keys are exchanged waits here, and whoever writes waits with it: ssh2 would take it all, say that it is sent, and keep it in memory.
// Must not hold back what the key exchange itself sends, nor short answers: they are bounded elsewhere.
import type { ServerChannel } from 'ssh2'
import type { PrivateChannel, Protocol } from './ssh2-private.ts'

export class KeyExchange {
  readonly #protocol: Protocol
  #waiting: (() => void)[] = []

  constructor(protocol: Protocol) {
    this.#protocol = protocol
  }

  /** From here on the channel's data waits while keys are exchanged. */
  hold(channel: ServerChannel): void {
    const each = channel as unknown as PrivateChannel
    const write = each._write
    each._write = (bytes, encoding, then) => {
      if (this.#protocol._kexinit === undefined) write.call(channel, bytes, encoding, then)
      else this.#waiting.push(() => each._write(bytes, encoding, then))
    }
  }

  /** New keys are in use. */
  ended(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const go of waiting) go()
  }
}
