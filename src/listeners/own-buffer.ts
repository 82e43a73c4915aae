// A plain connection is read straight into memory of ours: Node's own way allocates 64 KiB for every read, which costs more than the read.
// Must not be needed: where this Node does not have what it takes, the caller listens for `data` as usual.
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** What `net.Socket({ onread })` sets (documented for connections that one makes oneself, not for those that a server accepts). */
const FIELDS = ['kBuffer', 'kBufferCb', 'kBufferGen'] as const
type Fields = Record<(typeof FIELDS)[number], symbol>

const USER_BUFFER = 'useUserBuffer'

interface Handle {
  reading: boolean
  [USER_BUFFER](buffer: Uint8Array): void
}

let known: Fields | null = null

function fieldsOf(socket: Socket): Fields | null {
  const fields = known
  if (fields && FIELDS.every((name) => Object.hasOwn(socket, fields[name]))) return fields
  const own = new Map(Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]))
  const found = FIELDS.map((name) => [name, own.get(name)] as const)
  if (found.some(([, symbol]) => symbol === undefined)) return null
  known = Object.fromEntries(found) as Fields
  return known
}

export interface OwnBuffer {
  /** Where the first bytes go. */
  readonly buffer: Uint8Array
  /** So many came; false pauses the socket. */
  came(bytes: number): boolean
  /** Where the next bytes go, also when the socket is paused; without it always to the same place. */
  next?(): Uint8Array
}

/** From here on the socket emits no `data`. @returns false when that cannot be done: then nothing has changed */
export function readInto(socket: Socket, own: OwnBuffer): boolean {
  const handle = (socket as unknown as { _handle?: Handle | null })._handle
  const fields = fieldsOf(socket)
  if (!(socket instanceof Socket) || socket instanceof TLSSocket || !fields || typeof handle?.[USER_BUFFER] !== 'function') return false
  if (handle.reading || socket.readableLength > 0 || socket.readableEnded) return false
  handle[USER_BUFFER](own.buffer)
  Object.assign(socket, {
    [fields.kBuffer]: own.buffer,
    [fields.kBufferCb]: (bytes: number) => own.came(bytes),
    ...(own.next ? { [fields.kBufferGen]: () => own.next?.() } : {}),
  })
  return true
}
