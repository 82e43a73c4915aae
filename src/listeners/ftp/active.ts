// PORT and EPRT: a connection out, only ever to the client that asked and never to a system port (the bounce attack, RFC 2577).
// Must not be reachable unless ftp.active is on; the commands see to that.
import { BlockList, connect, isIPv6, type Socket } from 'node:net'
import { FileFlowError } from '../../core/errors.ts'
import type { Peer } from '../../core/transfer.ts'
import { type DataChannel, within } from './data-channel.ts'

/** Whether the client may name this target: its own address and a port that no system service has. */
export function isOwnTarget(peer: Peer, target: { readonly address: string; readonly port: number }): boolean {
  if (target.port < 1024 || target.port > 65535) return false
  if (isIPv6(peer.address) !== isIPv6(target.address)) return false
  const own = new BlockList()
  own.addAddress(peer.address, isIPv6(peer.address) ? 'ipv6' : 'ipv4')
  return own.check(target.address, isIPv6(target.address) ? 'ipv6' : 'ipv4')
}

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
