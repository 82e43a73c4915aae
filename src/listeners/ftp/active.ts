// PORT and EPRT: a connection out, only ever to the client that asked and never to a system port (the bounce attack, RFC 2577).
// Must not be reachable unless ftp.active is on; the commands see to that.
import { BlockList, connect, isIPv6, type Socket } from 'node:net'
import { FileFlowError } from '../../core/errors.ts'
import type { Peer } from '../../core/transfer.ts'
import { type DataChannel, within } from './data-channel.ts'

/** Whether the client may name this target: its own address and a port that no system service has. */
export function isOwnTarget(peer: Peer, target: { readonly address: string; readonly port: number }): boolean {
  if (target.port < 1024 || target.port > 65535) return false
  // the zone of a link-local address is our name of the interface, which the client does not know
  const [from, to] = [withoutZone(peer.address), withoutZone(target.address)]
  if (isIPv6(from) !== isIPv6(to)) return false
  const own = new BlockList()
  own.addAddress(from, isIPv6(from) ? 'ipv6' : 'ipv4')
  return own.check(to, isIPv6(to) ? 'ipv6' : 'ipv4')
}

const withoutZone = (address: string): string => address.replace(/%.*$/, '')

export function activeChannel(peer: Peer, port: number): DataChannel {
  let socket: Socket | null = null
  return {
    connect: (signal, withinMs) =>
      within<Socket>(signal, withinMs, (resolve, reject) => {
        const opened = connect({ host: peer.address, port, localAddress: peer.localAddress, noDelay: true })
        socket = opened
        opened.pause()
        opened.on('error', (cause) => reject(new FileFlowError('data.no_connection', undefined, { cause })))
        opened.once('connect', () => resolve(opened))
        return () => opened.destroy()
      }),
    close() {
      socket?.destroy()
    },
  }
}
