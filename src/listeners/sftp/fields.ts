// The fields of one packet, read in order.
// Must not go beyond the packet: a field that is not there is `request.invalid`.
import { FileFlowError } from '../../core/errors.ts'
import { nameFromBytes } from '../../core/virtual-path.ts'

export class Fields {
  readonly #body: Buffer
  #at: number

  constructor(body: Buffer, from = 0) {
    this.#body = body
    this.#at = from
  }

  u32(): number {
    this.#need(4)
    const value = this.#body.readUInt32BE(this.#at)
    this.#at += 4
    return value
  }

  /** @throws FileFlowError `request.invalid` above 2^53: Node would read and write elsewhere */
  u64(): number {
    const high = this.u32()
    const low = this.u32()
    if (high >= 2 ** 21) throw new FileFlowError('request.invalid', 'The number is too large.')
    return high * 2 ** 32 + low
  }

  bytes(): Buffer {
    const length = this.u32()
    this.#need(length)
    const value = this.#body.subarray(this.#at, this.#at + length)
    this.#at += length
    return value
  }

  /** A name or path: any bytes, without loss. */
  text(): string {
    return nameFromBytes(this.bytes())
  }

  get left(): number {
    return this.#body.length - this.#at
  }

  #need(count: number): void {
    if (this.#body.length - this.#at < count) throw new FileFlowError('request.invalid')
  }
}
