// How requests become SSH packets: many small ones go together, and the data of a WRITE is copied once, into the packets that carry it.
// Must not know what is asked for, nor look at answers; all that it knows of ssh2's insides is how those leave.
import type { Socket } from 'node:net'
import type { SFTPWrapper } from 'ssh2'
import type { Ciphered } from '../../ssh/fast-ciphers.ts'

/** How ssh2's protocol object sends what belongs to a channel. */
export interface Channels {
  channelData(channel: number, data: Buffer): void
  channelEOF(channel: number): void
  channelClose(channel: number): void
  readonly _handlers: {
    CHANNEL_OPEN_CONFIRMATION(self: unknown, info: { readonly packetSize: number }): void
    CHANNEL_WINDOW_ADJUST(self: unknown, channel: number, bytes: number): void
  }
}

/** A server that takes less in a packet is none. Told that it takes nothing (RFC 4254 §5.1 forbids it not), ssh2 would make empty packets until there is no memory left. */
const LEAST_PACKET = 256

/** @param refused a channel that takes only so many bytes in a packet; nothing is sent to it */
export function refuseTinyPackets({ _handlers: handlers }: Channels, refused: (bytes: number) => void): void {
  const opened = handlers.CHANNEL_OPEN_CONFIRMATION
  handlers.CHANNEL_OPEN_CONFIRMATION = (self, info) => (info.packetSize < LEAST_PACKET ? refused(info.packetSize) : opened(self, info))
}

/** @param taken whenever the server says that there is room for more: it has taken of what was sent (RFC 4254 §5.2) */
export function whenTaken({ _handlers: handlers }: Channels, taken: () => void): void {
  const adjust = handlers.CHANNEL_WINDOW_ADJUST
  handlers.CHANNEL_WINDOW_ADJUST = (self, channel, bytes) => {
    if (bytes > 0) taken()
    adjust(self, channel, bytes)
  }
}

/** Longer pieces are not worth copying. */
const COPIED = 16 * 1024
/** The most one SSH packet takes of them, where the channel has room for it: every implementation must take that much (RFC 4253 §6.1). */
export const TOGETHER = 32 * 1024

/**
 * What one turn of the event loop has to say goes out in one piece. ssh2 makes an SSH packet of each SFTP request and hands each to the socket by itself; most
 * requests are small, and a cipher, a system call and a wake-up of the server for each are most of what a small file costs.
 */
export function writeTogether(socket: Socket, protocol: Ciphered & Channels, limit: { readonly longest: number }): void {
  const write = protocol._onWrite
  const send = protocol.channelData.bind(protocol)
  let corked = false
  let channel = -1
  let pieces: Buffer[] = []
  let size = 0
  const sendPieces = () => {
    if (size === 0) return
    const all = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, size)
    pieces = []
    size = 0
    send(channel, all)
  }
  const letGo = () => {
    corked = false
    sendPieces()
    socket.uncork()
  }
  const cork = () => {
    if (corked) return
    corked = true
    socket.cork()
    process.nextTick(letGo)
  }
  protocol._onWrite = (packet) => {
    cork()
    write(packet)
  }
  protocol.channelData = (to, data) => {
    cork()
    if (to !== channel || size + data.length > limit.longest) sendPieces()
    channel = to
    if (data.length > COPIED) {
      sendPieces()
      send(to, data)
      return
    }
    pieces.push(data)
    size += data.length
  }
  for (const name of ['channelEOF', 'channelClose'] as const) {
    const last = protocol[name].bind(protocol)
    protocol[name] = (to) => {
      sendPieces()
      last(to)
    }
  }
}

/** Type, request number, and the bytes of the packet before its handle and its data (draft-ietf-secsh-filexfer-02 §6.4). */
const WRITE = 6
const BEFORE_HANDLE = 13
const AFTER_HANDLE = 12

/** What is used of ssh2's SFTP object. */
interface Insides {
  _writeReqid: number
  readonly _requests: Record<number, { cb(error?: Error | null): void } | undefined>
  /** Packets that wait for the window. */
  readonly _buffer: readonly Buffer[]
  readonly _protocol: Channels
  readonly outgoing: { readonly state: string; readonly id: number; readonly packetSize: number; window: number }
}

/**
 * As ssh2's `write`, which first copies all of it to memory of its own: for large files that costs as much as the encryption. Where the server's window has no room
 * for all of it at once, ssh2 keeps what is left, and its own way is taken.
 */
export function sendWrite(
  sftp: SFTPWrapper,
  handle: Buffer,
  data: Buffer,
  position: number,
  answered: (error?: Error | null) => void,
): void {
  const inside = sftp as unknown as Insides
  const { outgoing } = inside
  const head = BEFORE_HANDLE + handle.length + AFTER_HANDLE
  const fits = inside._buffer.length === 0 && outgoing.window > head + data.length && outgoing.packetSize > head
  if (outgoing.state !== 'open' || !fits || data.length === 0) {
    sftp.write(handle, data, 0, data.length, position, answered)
    return
  }
  const id = (inside._writeReqid + 1) >>> 0
  inside._writeReqid = id
  inside._requests[id] = { cb: answered }
  outgoing.window -= head + data.length
  const inFirst = Math.min(data.length, outgoing.packetSize - head)
  const first = Buffer.allocUnsafe(head + inFirst)
  first.writeUInt32BE(head - 4 + data.length, 0)
  first[4] = WRITE
  first.writeUInt32BE(id, 5)
  first.writeUInt32BE(handle.length, 9)
  first.set(handle, BEFORE_HANDLE)
  first.writeBigUInt64BE(BigInt(position), head - AFTER_HANDLE)
  first.writeUInt32BE(data.length, head - 4)
  first.set(data.subarray(0, inFirst), head)
  inside._protocol.channelData(outgoing.id, first)
  for (let at = inFirst; at < data.length; at += outgoing.packetSize) {
    const piece = data.subarray(at, at + outgoing.packetSize)
    // what waits for the end of the turn must be ours by then
    inside._protocol.channelData(outgoing.id, piece.length > COPIED ? piece : Buffer.from(piece))
  }
}
