// What ssh2 offers in a key exchange, made anew: our lists, fitted to the client, and the signatures that are taken.
// Must not know connections; it touches ssh2's protocol object before the first packet.
import { type Algorithms, GCM_CIPHERS, PREFERS_SLOW_CIPHERS } from './ssh-algorithms.ts'
import { KexInit, type Offer, type Protocol } from './ssh2-private.ts'

const MESSAGE = { EXT_INFO: 7, KEXINIT: 20 }

/** Sets what is offered to a client of this identification line; called before ssh2 sends it. */
export function makeOffer(protocol: Protocol, algorithms: Algorithms, ident: string): void {
  protocol._offer = offer(protocol, algorithms, false)
  if (PREFERS_SLOW_CIPHERS.test(ident)) offerByTheirs(protocol, algorithms)
  tellSignatures(protocol, algorithms.signatures)
}

/** ssh2 puts ssh-rsa (SHA-1) back into its host key list: the offer is made anew. */
function offer(protocol: Protocol, { kex, ciphers, macs, hostKeys }: Algorithms, gcmOnly: boolean): Offer {
  const made = protocol._offer.lists.serverHostKey.array
  const both = { cipher: gcmOnly ? [...GCM_CIPHERS] : [...ciphers], mac: [...macs], compress: ['none'], lang: [] }
  return new KexInit({
    kex: [...kex, 'kex-strict-s-v00@openssh.com'],
    serverHostKey: hostKeys.filter((name) => made.includes(name)),
    cs: both,
    sc: both,
  })
}

/** Holds our KEXINIT back until theirs is there, and sends one that fits. */
function offerByTheirs(protocol: Protocol, algorithms: Algorithms): void {
  const { _cipher: cipher, _decipher: decipher } = protocol
  const { encrypt } = cipher
  cipher.encrypt = (packet) => {
    if (packet[5] !== MESSAGE.KEXINIT) encrypt.call(cipher, packet)
  }
  const handle = decipher._onPayload
  decipher._onPayload = (payload) => {
    decipher._onPayload = handle
    cipher.encrypt = encrypt
    protocol._offer = offer(protocol, algorithms, speaksGcm(payload))
    sendOffer(protocol)
    return handle(payload)
  }
}

/** Of a KEXINIT (RFC 4253 §7.1): whether AES-GCM is among the ciphers of both ways. */
function speaksGcm(payload: Buffer): boolean {
  const lists: string[] = []
  for (let at = 17; lists.length < 4 && at + 4 <= payload.length; ) {
    const length = payload.readUInt32BE(at)
    lists.push(payload.toString('latin1', at + 4, Math.min(payload.length, at + 4 + length)))
    at += 4 + length
  }
  return lists.slice(2).length === 2 && lists.slice(2).every((list) => list.split(',').some((name) => GCM_CIPHERS.includes(name)))
}

function sendOffer(protocol: Protocol): void {
  const { _offer: made, _kexinit: before, _packetRW: packets } = protocol
  const payload = Buffer.alloc(1 + 16 + made.totalSize + 1 + 4)
  // type and cookie of the one that was held back
  before!.copy(payload, 0, 0, 17)
  made.copyAllTo(payload, 17)
  protocol._kexinit = payload
  const packet = packets.write.alloc(payload.length, true)
  packet.set(payload, packets.write.allocStartKEX)
  protocol._cipher.encrypt(packets.write.finalize(packet, true))
}

/** EXT_INFO with the signatures of users' keys that are taken (RFC 8308 §2.4, §3.1), in the place of ssh2's, whose list lacks a comma and so hides rsa-sha2-512; as the first message under the first keys. */
function tellSignatures(protocol: Protocol, signatures: readonly string[]): void {
  const complete = protocol._onHandshakeComplete
  protocol._onHandshakeComplete = (...args) => {
    protocol._onHandshakeComplete = complete
    if (protocol._kex.remoteExtInfoEnabled) {
      protocol._kex.remoteExtInfoEnabled = false
      const name = Buffer.from('server-sig-algs')
      const value = Buffer.from(signatures.join(','))
      const { write } = protocol._packetRW
      const packet = write.alloc(1 + 4 + 4 + name.length + 4 + value.length)
      let at = write.allocStart
      packet[at] = MESSAGE.EXT_INFO
      at = packet.writeUInt32BE(1, at + 1)
      for (const text of [name, value]) {
        at = packet.writeUInt32BE(text.length, at)
        at += text.copy(packet, at)
      }
      protocol._cipher.encrypt(write.finalize(packet))
    }
    complete(...args)
  }
}
