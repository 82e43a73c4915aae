// Bytes of a channel → SFTP packets (draft-ietf-secsh-filexfer-02 §3). The data of a WRITE is not copied: it stays in the pieces it came in.
// Must not know what a packet means, but for where the data of a WRITE begins.
import { FileFlowError } from '../../core/errors.ts'
import { MAX_PACKET } from './tuning.ts'

export interface Packet {
  readonly type: number
  /** All after the type; for a WRITE, all before its data. */
  readonly body: Buffer
  /** The data of a WRITE, in pieces; null for others. */
  readonly data: readonly Buffer[] | null
}

const WRITE = 6
const MAX_HANDLE = 256
/** Used up chunks that are let go together: clients may send one byte in each. */
const MANY_CHUNKS = 256
const NONE: readonly Buffer[] = []

export class PacketReader {
  readonly #chunks: Buffer[] = []
  /** Chunks that are used up. */
  #first = 0
  /** Bytes of the first chunk that are used up. */
  #from = 0
  #bytes = 0
  #length = -1

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /**
   * The next whole packet, or null until more arrives.
   * @throws FileFlowError `request.invalid` for a length no packet has: the stream cannot be followed any further.
   */
  next(): Packet | null {
    if (this.#length < 0) {
      if (this.#bytes < 4) return null
      this.#length = this.#take(4).readUInt32BE(0)
      if (this.#length < 1 || this.#length > MAX_PACKET) throw new FileFlowError('request.invalid', 'The packet length is not valid.')
    }
    if (this.#bytes < this.#length) return null
    const length = this.#length
    this.#length = -1
    const type = this.#take(1)[0]!
    if (type !== WRITE) return { type, body: this.#take(length - 1), data: null }
    return this.#write(length - 1)
  }

  /** id, handle, offset and data; rclone 1.60 sends more after the data, which is dropped. */
  #write(length: number): Packet {
    if (length < 8) return { type: WRITE, body: this.#take(length), data: NONE }
    const start = this.#take(8)
    const handle = start.readUInt32BE(4)
    const rest = handle + 8 + 4
    if (handle > MAX_HANDLE || 8 + rest > length) {
      this.#drop(length - 8)
      return { type: WRITE, body: start, data: NONE }
    }
    const body = Buffer.concat([start, this.#take(rest)])
    const claimed = body.readUInt32BE(body.length - 4)
    const present = length - 8 - rest
    if (claimed > present) {
      this.#drop(present)
      return { type: WRITE, body: start, data: NONE }
    }
    const data = this.#pieces(claimed)
    this.#drop(present - claimed)
    return { type: WRITE, body, data }
  }

  #take(count: number): Buffer {
    const pieces = this.#pieces(count)
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }

  #drop(count: number): void {
    if (count > 0) this.#pieces(count)
  }

  #pieces(count: number): Buffer[] {
    const pieces: Buffer[] = []
    this.#bytes -= count
    for (let left = count; left > 0; ) {
      const first = this.#chunks[this.#first]!
      const taken = Math.min(left, first.length - this.#from)
      pieces.push(first.subarray(this.#from, this.#from + taken))
      left -= taken
      this.#from += taken
      if (this.#from === first.length) {
        this.#first++
        this.#from = 0
      }
    }
    if (this.#first === this.#chunks.length || this.#first >= MANY_CHUNKS) {
      this.#chunks.splice(0, this.#first)
      this.#first = 0
    }
    return pieces
  }
}
