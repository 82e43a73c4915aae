// Asks an SFTP server for the sha256 of a file it holds: check-file-name of draft-ietf-secsh-filexfer-extensions-00 §3.
// Must not be asked of a server that does not offer it. All that goes round ssh2's public face for it is here.
import type { SFTPWrapper } from 'ssh2'
import { SFTP_STATUS } from '../../core/errors.ts'
import type { SftpConnection } from './sftp-connection.ts'

const EXTENDED = 200
const EXTENDED_REPLY = 201
const ALGORITHM = 'sha256'
const DIGEST_BYTES = 32
/** The draft announces the first for all of its requests; servers name the request itself, too. */
const ANNOUNCED = ['check-file-name', 'check-file']

/** What ssh2's client holds of an SFTP channel; it knows no requests but its own and throws the content of other answers away. */
interface Insides {
  readonly _extensions: Readonly<Record<string, string>>
  /** The packet that is being handled. */
  _pkt: Buffer | undefined
  _writeReqid: number
  readonly _requests: Record<number, { readonly cb: (error?: Error | null) => void }>
  readonly _protocol: { channelData(channel: number, data: Buffer): void }
  readonly outgoing: { readonly id: number; readonly packetSize: number; readonly state: string; window: number }
}

const insideOf = (sftp: SFTPWrapper): Insides => sftp as unknown as Insides

/** Whether the server named it, and sha256 among its algorithms. */
export function offersCheckFile(sftp: SFTPWrapper): boolean {
  const { _extensions } = insideOf(sftp)
  return ANNOUNCED.some((name) => Object.hasOwn(_extensions, name) && _extensions[name]!.split(',').includes(ALGORITHM))
}

/** A server that gives the channel no more room than this in so many answers is not asked. */
const PATIENCE = 8

export type CheckFile =
  /** Lower-case hex. */
  | { readonly digest: string }
  /** `never`: there is no use in asking this server again. */
  | { readonly digest: null; readonly never: boolean }

/** @param ms how long the server may take. @throws FileFlowError when the connection is lost */
export async function checkFile(connection: SftpConnection, path: string, ms: number): Promise<CheckFile> {
  const { sftp } = connection
  try {
    // each answer may come with more room
    for (let tries = 0; !hasRoom(sftp, path); tries++) {
      if (tries === PATIENCE) return { digest: null, never: false }
      await connection.raw<string>('name', (answer) => sftp.realpath('.', answer))
    }
    const digest = await connection.raw<string | null>('extended', (answer) => ask(sftp, path, answer), ms)
    return digest === null ? { digest, never: true } : { digest }
  } catch (error) {
    if (!connection.usable) throw error
    const { code } = error as { code?: unknown }
    return { digest: null, never: code === SFTP_STATUS.OP_UNSUPPORTED || typeof code !== 'number' }
  }
}

/** Whether the channel has room for the question now, and for one byte more: what happens at the end of the room is ssh2's. */
function hasRoom(sftp: SFTPWrapper, path: string): boolean {
  const { outgoing } = insideOf(sftp)
  const longest = Buffer.byteLength(path) + 100
  return outgoing.state === 'open' && outgoing.window > longest && outgoing.packetSize > longest
}

/** @param answer the server's status as ssh2 gives it; else the digest, or null when the answer makes no sense */
function ask(sftp: SFTPWrapper, path: string, answer: (error: Error | null | undefined, digest: string | null) => void): void {
  const inside = insideOf(sftp)
  const seen = packetsOf(sftp)
  const id = (inside._writeReqid + 1) >>> 0
  inside._writeReqid = id
  inside._requests[id] = { cb: (error) => answer(error, error ? null : digestIn(seen.packet, id)) }
  const packet = question(id, path)
  inside.outgoing.window -= packet.length
  inside._protocol.channelData(inside.outgoing.id, packet)
}

const remembered = new WeakMap<SFTPWrapper, { packet: Buffer | null }>()

/** ssh2 sets `_pkt` to nothing just before it handles a packet: what was set before that is the one. */
function packetsOf(sftp: SFTPWrapper): { packet: Buffer | null } {
  const known = remembered.get(sftp)
  if (known) return known
  const seen: { packet: Buffer | null } = { packet: null }
  let current = insideOf(sftp)._pkt
  Object.defineProperty(sftp, '_pkt', {
    get: () => current,
    set(value: Buffer | undefined) {
      if (value !== undefined) seen.packet = value
      current = value
    },
  })
  remembered.set(sftp, seen)
  return seen
}

/** From the beginning to the end, in one block. */
function question(id: number, path: string): Buffer {
  const strings = ['check-file-name', path, ALGORITHM].flatMap((text) => [u32(Buffer.byteLength(text)), Buffer.from(text)])
  const body = Buffer.concat([Buffer.of(EXTENDED), u32(id), ...strings, Buffer.alloc(8 + 8 + 4)])
  return Buffer.concat([u32(body.length), body])
}

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4)
  out.writeUInt32BE(value)
  return out
}

/** The algorithm that was used and the plain digest; an older form begins with the name of the request. */
function digestIn(packet: Buffer | null, id: number): string | null {
  if (!packet || packet.length < 9 || packet[0] !== EXTENDED_REPLY || packet.readUInt32BE(1) !== id) return null
  let rest: Buffer = packet.subarray(5)
  const word = (): string => {
    if (rest.length < 4) return ''
    const end = 4 + rest.readUInt32BE(0)
    const text = rest.toString('latin1', 4, end)
    rest = rest.subarray(end)
    return text
  }
  const first = word()
  const algorithm = ANNOUNCED.includes(first) ? word() : first
  return algorithm === ALGORITHM && rest.length === DIGEST_BYTES ? rest.toString('hex') : null
}
