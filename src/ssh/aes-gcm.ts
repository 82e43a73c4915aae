// AES-GCM packets of SSH (RFC 5647, as aes…-gcm@openssh.com): the part of ssh2 where the time goes, done with fewer allocations and a KeyObject,
// which createCipheriv takes six times faster than key bytes. Must not know more of ssh2 than the few fields its engine reads and calls.
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomFillSync } from 'node:crypto'

/** The state one of ssh2's own GCM ciphers is in right after a key exchange. */
export interface GcmState {
  readonly name: 'aes-128-gcm' | 'aes-256-gcm'
  readonly key: Buffer
  readonly iv: Buffer
  /** Packets so far, modulo 2^32. */
  readonly sequence: number
}

const TAG = 16
const BLOCK = 16
const SLAB = 2 ** 20
/** ssh2's own bound of a packet. */
const MAX_PACKET_SIZE = 35000

/** The invocation counter is the last 8 of 12 bytes, big endian (RFC 5647 §7.1). */
function nextInvocation(iv: Buffer): void {
  for (let i = 11; i >= 4; i--) {
    const byte = (iv[i]! + 1) & 255
    iv[i] = byte
    if (byte !== 0) return
  }
}

const padding = { pool: Buffer.alloc(8192), at: 8192 }

function pad(into: Buffer, from: number, count: number): void {
  if (padding.at + count > padding.pool.length) {
    randomFillSync(padding.pool)
    padding.at = 0
  }
  padding.pool.copy(into, from, padding.at, padding.at + count)
  padding.at += count
}

/** Takes the place of ssh2's cipher; field and method names are ssh2's. */
export class GcmCipher {
  outSeqno: number
  readonly #name: GcmState['name']
  readonly #key: KeyObject
  readonly #iv: Buffer
  readonly #write: (packet: Buffer) => void
  #slab = Buffer.alloc(0)
  #at = 0
  #dead = false

  constructor(state: GcmState, write: (packet: Buffer) => void) {
    this.outSeqno = state.sequence
    this.#name = state.name
    this.#key = createSecretKey(state.key)
    this.#iv = Buffer.from(state.iv)
    this.#write = write
  }

  free(): void {
    this.#dead = true
  }

  /** A packet with length, padding and room for the tag; the payload goes to offset 5. */
  allocPacket(payloadLength: number): Buffer {
    let padLength = BLOCK - ((payloadLength + 1) & (BLOCK - 1))
    if (padLength < 4) padLength += BLOCK
    const length = 1 + payloadLength + padLength
    const packet = this.#take(4 + length + TAG)
    packet.writeUInt32BE(length, 0)
    packet[4] = padLength
    pad(packet, 5 + payloadLength, padLength)
    return packet
  }

  encrypt(packet: Buffer): void {
    if (this.#dead) return
    const end = packet.length - TAG
    const cipher = createCipheriv(this.#name, this.#key, this.#iv)
    cipher.setAAD(packet.subarray(0, 4))
    packet.set(cipher.update(packet.subarray(4, end)), 4)
    cipher.final()
    packet.set(cipher.getAuthTag(), end)
    nextInvocation(this.#iv)
    this.outSeqno = (this.outSeqno + 1) >>> 0
    this.#write(packet)
  }

  /** Slabs are never used twice: the socket may hold on to a packet for as long as it likes. */
  #take(size: number): Buffer {
    if (this.#at + size > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB, size))
      this.#at = 0
    }
    const packet = this.#slab.subarray(this.#at, this.#at + size)
    this.#at += size
    return packet
  }
}

type PayloadHandler = (payload: Buffer) => number | false | undefined

/** Takes the place of ssh2's decipher; `decrypt`, `free`, `inSeqno` and `_onPayload` are ssh2's names, and it sets the last two itself. */
export class GcmDecipher {
  inSeqno: number
  _onPayload: PayloadHandler
  readonly #name: GcmState['name']
  readonly #key: KeyObject
  readonly #iv: Buffer
  readonly #lengthBytes = Buffer.alloc(4)
  #lengthHave = 0
  #length = 0
  #partial: Buffer | null = null
  #have = 0

  constructor(state: GcmState, onPayload: PayloadHandler) {
    this.inSeqno = state.sequence
    this.#name = state.name
    this.#key = createSecretKey(state.key)
    this.#iv = Buffer.from(state.iv)
    this._onPayload = onPayload
  }

  free(): void {}

  /**
   * Decrypts what has arrived, packet by packet.
   * @returns where ssh2 must go on with another decipher, or undefined when all is consumed
   * @throws Error for a bad length or tag; ssh2 then ends the connection
   */
  decrypt(data: Buffer, from: number, end: number): number | undefined {
    let at = from
    while (at < end) {
      if (this.#lengthHave < 4) {
        this.#lengthBytes[this.#lengthHave++] = data[at++]!
        if (this.#lengthHave < 4) continue
        this.#length = this.#lengthBytes.readUInt32BE(0)
        if (this.#length + TAG + 4 > MAX_PACKET_SIZE || this.#length < BLOCK || this.#length % BLOCK !== 0)
          throw new Error('Bad packet length')
        continue
      }
      const whole = this.#length + TAG
      let packet: Buffer
      if (this.#partial === null && end - at >= whole) {
        packet = data.subarray(at, at + whole)
        at += whole
      } else {
        this.#partial ??= Buffer.allocUnsafe(whole)
        const taken = Math.min(whole - this.#have, end - at)
        this.#partial.set(data.subarray(at, at + taken), this.#have)
        this.#have += taken
        at += taken
        if (this.#have < whole) return undefined
        packet = this.#partial
        this.#partial = null
        this.#have = 0
      }
      const payload = this.#open(packet)
      this.#lengthHave = 0
      const next = this._onPayload(payload)
      if (next !== undefined) return next === false ? at : next
    }
    return undefined
  }

  #open(packet: Buffer): Buffer {
    const decipher = createDecipheriv(this.#name, this.#key, this.#iv)
    decipher.setAAD(this.#lengthBytes)
    decipher.setAuthTag(packet.subarray(this.#length))
    const plain = decipher.update(packet.subarray(0, this.#length))
    decipher.final()
    nextInvocation(this.#iv)
    this.inSeqno = (this.inSeqno + 1) >>> 0
    const padLength = plain[0]!
    if (padLength < 4 || padLength + 1 > plain.length) throw new Error('Bad packet padding')
    return plain.subarray(1, plain.length - padLength)
  }
}
