// PASV and EPSV: a port of the range that waits for one connection of the client and for nobody else's.
// Must not accept a stranger, nor let one take the client's place.
import { createServer, type Server, type Socket } from 'node:net'
import { randomBelow } from '../../core/clock.ts'
import { FileFlowError } from '../../core/errors.ts'
import type { Peer } from '../../core/transfer.ts'
import { plainAddress } from './address.ts'
import { type DataChannel, within } from './data-channel.ts'

/** A port nobody came to is given back after this. */
const UNUSED_MS = 60_000
/** Busy ports tried before the client hears 425. */
const MOST_TRIES = 512

export interface PortRange {
  readonly first: number
  readonly last: number
}

export function parsePortRange(text: string): PortRange {
  const [first = 0, last = 0] = text.split('-').map(Number)
  return { first: Math.min(first, last), last: Math.max(first, last) }
}

export interface PassiveChannel extends DataChannel {
  readonly port: number
}

/**
 * Binds a random free port of the range on the address the client reached us at.
 * @throws FileFlowError `data.no_connection` when all are taken
 */
export async function listenPassive(peer: Peer, range: PortRange): Promise<PassiveChannel> {
  const count = range.last - range.first + 1
  const start = randomBelow(count)
  for (let i = 0; i < Math.min(count, MOST_TRIES); i++) {
    const server = createServer({ pauseOnConnect: true, noDelay: true })
    if (await bind(server, peer.localAddress, range.first + ((start + i) % count))) return waiting(server, peer)
  }
  throw new FileFlowError('data.no_connection', 'No data port is free: try again.')
}

function bind(server: Server, host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ port, host, exclusive: true, backlog: 64 }, () => {
      server.removeAllListeners('error')
      resolve(true)
    })
  })
}

function waiting(server: Server, peer: Peer): PassiveChannel {
  let arrived: Socket | null = null
  let taker: ((socket: Socket) => void) | null = null
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  const stopListening = () => {
    clearTimeout(unused)
    if (server.listening) server.close()
  }
  const unused = setTimeout(stopListening, UNUSED_MS)
  server.on('error', stopListening)
  server.on('connection', (socket) => {
    // Before anything else: a reset that nobody listens for would end the process.
    socket.on('error', () => socket.destroy())
    if (arrived !== null || plainAddress(socket.remoteAddress ?? '') !== peer.address) {
      socket.destroy()
      return
    }
    arrived = socket
    stopListening()
    taker?.(socket)
  })
  return {
    port,
    connect: (signal, withinMs) =>
      within<Socket>(signal, withinMs, (resolve, reject) => {
        if (arrived !== null) resolve(arrived)
        else if (!server.listening) reject(new FileFlowError('data.no_connection'))
        else taker = resolve
        return stopListening
      }),
    close() {
      stopListening()
      arrived?.destroy()
    },
  }
}
