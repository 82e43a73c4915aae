// Replies → bytes. Small replies of one turn of the event loop leave as one piece.
// Must not know requests; `write` may keep what it is given, so nothing is overwritten.
import { nameToBytes } from '../../core/virtual-path.ts'

const SLAB = 64 * 1024
/** So little is copied, and leaves with what else is answered. */
const SMALL = 4096

export class PacketWriter {
  readonly #write: (bytes: Buffer, taken?: () => void) => void
  #slab = Buffer.alloc(0)
  #sent = 0
  #start = 0
  #at = 0
  #planned = false

  constructor(write: (bytes: Buffer, taken?: () => void) => void) {
    this.#write = write
  }

  begin(type: number): this {
    this.#start = this.#at
    this.#room(5)
    this.#slab[this.#at + 4] = type
    this.#at += 5
    return this
  }

  u32(value: number): this {
    this.#room(4)
    this.#at = this.#slab.writeUInt32BE(value >>> 0, this.#at)
    return this
  }

  u64(value: number): this {
    this.#room(8)
    const whole = Math.max(0, Math.min(Math.floor(value), Number.MAX_SAFE_INTEGER))
    this.#slab.writeUInt32BE(Math.floor(whole / 2 ** 32), this.#at)
    this.#at = this.#slab.writeUInt32BE(whole % 2 ** 32, this.#at + 4)
    return this
  }

  bytes(value: Uint8Array): this {
    return this.u32(value.length).plain(value)
  }

  /** As {@link bytes}, without a length before it. */
  plain(value: Uint8Array): this {
    this.#room(value.length)
    this.#slab.set(value, this.#at)
    this.#at += value.length
    return this
  }

  /** A name or path, as the bytes it was made of. */
  text(value: string): this {
    return this.bytes(nameToBytes(value))
  }

  /** Bytes of the packet so far. */
  get length(): number {
    return this.#at - this.#start
  }

  end(): void {
    this.#slab.writeUInt32BE(this.#at - this.#start - 4, this.#start)
    this.#start = this.#at
    this.#plan()
  }

  /** Once all that this turn of the event loop answers is there: a tick comes after the last microtask. */
  #plan(): void {
    if (this.#planned) return
    this.#planned = true
    process.nextTick(() => this.flush())
  }

  /** Whole packets made elsewhere, in order behind what was written before. @param taken called when nobody looks at them any more, unless the channel ends before */
  raw(packets: Buffer, taken?: () => void): void {
    if (packets.length <= SMALL) {
      this.#start = this.#at
      this.plain(packets)
      this.#start = this.#at
      this.#plan()
      taken?.()
      return
    }
    this.flush()
    this.#write(packets, taken)
  }

  flush(): void {
    this.#planned = false
    if (this.#start === this.#sent) return
    const ready = this.#slab.subarray(this.#sent, this.#start)
    this.#sent = this.#start
    this.#write(ready)
  }

  #room(count: number): void {
    if (this.#at + count <= this.#slab.length) return
    const open = this.#slab.subarray(this.#start, this.#at)
    if (this.#start > this.#sent) {
      const ready = this.#slab.subarray(this.#sent, this.#start)
      this.#write(ready)
    }
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB, open.length + count + 1024))
    this.#slab.set(open, 0)
    this.#at = open.length
    this.#start = 0
    this.#sent = 0
  }
}
