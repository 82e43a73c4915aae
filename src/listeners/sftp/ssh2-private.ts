// What is used of ssh2's private parts, as types; ssh2 is pinned to 1.17, and test/listeners/sftp/hostile-ssh.test.ts is the contract.
// Must not be imported but by ssh-engine.ts, ssh-offer.ts, key-exchange.ts and direct-channel.ts.
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Ciphered } from '../../ssh/fast-ciphers.ts'

export type Payload = (payload: Buffer) => number | false | undefined

/** What is used of ssh2's private parts. */
export interface Protocol extends Ciphered {
  _offer: Offer
  _onPayload: Payload
  /** Set from the first packet of a key exchange to its last. */
  _kexinit: Buffer | undefined
  _queue: Buffer[] | undefined
  _authsQueue: string[]
  _kex: { remoteExtInfoEnabled: boolean }
  _onHandshakeComplete: (...args: unknown[]) => void
  _destruct: (() => void) | undefined
  channelFailure(channel: number): void
  _packetRW: {
    write: {
      readonly allocStart: number
      readonly allocStartKEX: number
      alloc(size: number, force?: boolean): Buffer
      finalize(packet: Buffer, force?: boolean): Buffer
    }
  }
}
export interface Private {
  _sock: Socket
  _protocol: Protocol
  /** A session that was asked for and not closed, by our number. */
  _chanMgr: { get(id: number): { _channel?: unknown; _chanInfo?: { outgoing: { id: number } } } | null | undefined }
}
/** A channel: what ssh2 calls when data comes and when the client's window opens, and what it makes of data for the client. */
export interface PrivateChannel {
  readonly outgoing: { readonly state: 'open' | 'eof' | 'closing' | 'closed' }
  /** @returns whether more may come: if not, the window is not opened before {@link _read} */
  push(bytes: Buffer | null): boolean
  _read(size: number): void
  /** One at a time. @param then called once all is sent, at once where the window suffices */
  _write(bytes: Buffer, encoding: null, then: () => void): void
}
/** Name lists of a KEXINIT, in the order of the wire. */
export interface Offer {
  readonly lists: { readonly serverHostKey: { readonly array: string[] } }
  readonly totalSize: number
  copyAllTo(packet: Buffer, at: number): void
}
type KexInit = new (lists: unknown) => Offer
export const { KexInit } = createRequire(import.meta.url)('ssh2/lib/protocol/kex.js') as { KexInit: KexInit }
