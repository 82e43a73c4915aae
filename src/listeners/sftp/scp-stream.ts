// A channel as scp sees it: lines, counted bytes and one-byte answers, with backpressure both ways.
// Must not know files.
import type { ServerChannel } from 'ssh2'
import { FileFlowError } from '../../core/errors.ts'
import { nameFromBytes, nameToBytes } from '../../core/virtual-path.ts'
import { leftOpen } from './ends.ts'

const MAX_LINE = 8192
const HIGH_WATER = 1024 * 1024

export class ScpStream {
  readonly #channel: ServerChannel
  readonly #chunks: Buffer[] = []
  #buffered = 0
  #ended = false
  #finished = false
  readonly #end = new AbortController()
  #wake: (() => void) | null = null
  #unsent = 0
  #room: (() => void) | null = null

  constructor(channel: ServerChannel) {
    this.#channel = channel
    channel.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#buffered += chunk.length
      if (this.#buffered >= HIGH_WATER) channel.pause()
      this.#awake()
    })
    channel.on('end', () => {
      this.#ended = true
      this.#awake()
    })
    channel.on('close', () => this.abort(leftOpen())).on('error', () => this.abort(leftOpen()))
  }

  /** The channel or its connection is gone: what waits for it fails. Idempotent. */
  abort(why: Error): void {
    this.#ended = true
    this.#end.abort(why)
    this.#awake()
    this.#room?.()
  }

  /** Aborted when the channel is gone. */
  get over(): AbortSignal {
    return this.#end.signal
  }

  /** The command is done: its exit status is the last word. */
  finish(status: number): void {
    this.#finished = true
    this.#channel.exit(status)
    this.#channel.end()
  }

  /** Neither side has ended it. */
  get going(): boolean {
    return !this.#finished && !this.#gone
  }

  /** Why nothing more comes, where input ended too early. */
  get cut(): Error {
    return this.#gone ? (this.#end.signal.reason as Error) : leftOpen()
  }

  /** Bytes that the client has not taken. */
  get unsent(): number {
    return this.#channel.writableLength
  }

  get #gone(): boolean {
    return this.#end.signal.aborted
  }

  /** A chunk of at most `most` bytes, or null at the end. */
  async read(most: number): Promise<Buffer | null> {
    while (this.#chunks.length === 0) {
      if (this.#ended) return null
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const first = this.#chunks[0]!
    const taken = first.subarray(0, most)
    if (taken.length === first.length) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(most)
    this.#buffered -= taken.length
    if (this.#buffered < HIGH_WATER && this.#channel.isPaused()) this.#channel.resume()
    return taken
  }

  /** A line without its end, or null at the end of input. @throws FileFlowError `request.invalid` when it never ends */
  async line(): Promise<string | null> {
    const parts: Buffer[] = []
    for (let length = 0; length < MAX_LINE; length++) {
      const byte = await this.read(1)
      if (byte === null) return null
      if (byte[0] === 10) return nameFromBytes(Buffer.concat(parts))
      parts.push(byte)
    }
    throw new FileFlowError('request.invalid', 'The line is too long.')
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#gone || !this.#channel.writable) throw this.cut
    this.#unsent += bytes.length
    this.#channel.write(bytes, () => {
      this.#unsent -= bytes.length
      this.#room?.()
    })
    while (this.#unsent >= HIGH_WATER) {
      await new Promise<void>((resolve) => {
        this.#room = resolve
      })
      if (this.#gone) throw this.cut
    }
  }

  text(line: string): Promise<void> {
    return this.write(nameToBytes(line))
  }

  /** All is well (one zero byte). */
  ok(): Promise<void> {
    return this.write(Uint8Array.of(0))
  }

  /** A warning: the other side goes on with the next file. */
  warn(message: string): Promise<void> {
    return this.text(`\x01scp: ${message.replace(/[\r\n]/g, ' ')}\n`)
  }

  /** The other side's answer: null for all well, or what it complains of. @throws FileFlowError `transfer.aborted` at the end */
  async answer(): Promise<string | null> {
    const byte = await this.read(1)
    if (byte === null) throw this.cut
    if (byte[0] === 0) return null
    const message = (await this.line()) ?? ''
    if (byte[0] !== 1) throw new FileFlowError('transfer.aborted', message.slice(0, 200))
    return message
  }

  #awake(): void {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }
}
