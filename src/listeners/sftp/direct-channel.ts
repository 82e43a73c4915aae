// Bytes of one ssh2 channel, in and out, past the Node streams that a channel is made of: for small packets those cost more than encryption does.
// Must not do what ssh2 does for a channel (windows, packets, its end); only the queues before that are ours.
import type { ServerChannel } from 'ssh2'
import type { PrivateChannel } from './ssh2-private.ts'

interface Waiting {
  readonly bytes: Buffer
  readonly taken: () => void
}

export class DirectChannel {
  readonly #channel: ServerChannel
  readonly #private: PrivateChannel
  /** Where what is pushed went before: for the end of input alone. */
  readonly #end: () => void
  #paused = false
  #inputOver = false
  /** Replies behind the one that waits for the client's window. */
  readonly #queue: Waiting[] = []
  #writing: Waiting | null = null
  #unsent = 0
  #ending = false
  #going = false

  /** @param data is given what comes, whether {@link pause}d or not: what comes then is bounded by the channel's window */
  constructor(channel: ServerChannel, data: (bytes: Buffer) => void) {
    this.#channel = channel
    this.#private = channel as unknown as PrivateChannel
    const push = this.#private.push
    this.#end = () => push.call(channel, null)
    // so that `end` is emitted when it comes
    channel.resume()
    this.#private.push = (bytes) => {
      if (bytes === null) {
        this.#inputOver = true
        if (!this.#paused) this.#end()
        return false
      }
      data(bytes)
      return !this.#paused
    }
  }

  /** Bytes that the client has not taken. */
  get unsent(): number {
    return this.#unsent
  }

  /** The client may send no more than the window it has, and is not told of its end. */
  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#inputOver) this.#end()
    else this.#private._read(0)
  }

  /** Neither side has ended it. */
  get writable(): boolean {
    return !this.#ending && this.#channel.writable
  }

  /** @param taken called once the bytes are not looked at any more; never, when the channel ends before */
  write(bytes: Buffer, taken: () => void): void {
    if (!this.writable) return
    this.#unsent += bytes.length
    this.#queue.push({ bytes, taken })
    this.#go()
  }

  /** Ends the channel behind all that was written. */
  end(exitCode: number): void {
    this.#channel.exit(exitCode)
    this.#ending = true
    this.#go()
  }

  #go(): void {
    if (this.#going) return
    this.#going = true
    while (this.#writing === null && this.#queue.length > 0 && this.#private.outgoing.state === 'open') {
      const next = this.#queue.shift()!
      this.#writing = next
      this.#private._write(next.bytes, null, () => this.#taken(next))
    }
    this.#going = false
    if (this.#ending && this.#writing === null) this.#channel.end()
  }

  /** At once, unless the client's window is used up. */
  #taken({ bytes, taken }: Waiting): void {
    this.#writing = null
    this.#unsent -= bytes.length
    taken()
    this.#go()
  }
}
