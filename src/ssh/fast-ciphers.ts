// Our AES-GCM in the place of ssh2's, for either side of a connection. ssh2 is pinned to 1.17; the fields named here are its private ones.
// Must not know more of a connection than its present ciphers.
import { GcmCipher, GcmDecipher, type GcmState } from './aes-gcm.ts'

/** What is used of ssh2's protocol object. */
export interface Ciphered {
  _cipher: { _encSSLName?: string; _encKey: Buffer; _encIV: Buffer; outSeqno: number; encrypt(packet: Buffer): void }
  _decipher: {
    _decipherSSLName?: string
    _decipherKey: Buffer
    _decipherIV: Buffer
    inSeqno: number
    _onPayload: (payload: Buffer) => number | false | undefined
  }
  _onWrite: (data: Buffer) => void
}

/** Right after a key exchange (ssh2's `handshake` event), before anything else is read or written with the new keys. Other ciphers stay as they are. */
export function useFastCiphers(protocol: Ciphered): void {
  const { _cipher: cipher, _decipher: decipher } = protocol
  if (isGcm(cipher._encSSLName)) {
    const state: GcmState = { name: cipher._encSSLName, key: cipher._encKey, iv: cipher._encIV, sequence: cipher.outSeqno }
    protocol._cipher = new GcmCipher(state, (packet) => protocol._onWrite(packet)) as unknown as Ciphered['_cipher']
  }
  if (isGcm(decipher._decipherSSLName)) {
    const state: GcmState = {
      name: decipher._decipherSSLName,
      key: decipher._decipherKey,
      iv: decipher._decipherIV,
      sequence: decipher.inSeqno,
    }
    protocol._decipher = new GcmDecipher(state, decipher._onPayload) as unknown as Ciphered['_decipher']
  }
}

/** What is received now is decrypted to other memory, and no part of it is kept. */
export const readsOnly = (protocol: Ciphered): boolean => (protocol._decipher as unknown) instanceof GcmDecipher

const isGcm = (name: string | undefined): name is GcmState['name'] => name === 'aes-128-gcm' || name === 'aes-256-gcm'
