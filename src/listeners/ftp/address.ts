// Addresses of the two ends of a connection, in one form.
// Must not look names up.
import { isIPv4, isIPv6, type Socket } from 'node:net'
import type { Peer } from '../../core/transfer.ts'

/** An IPv4 address that came over an IPv6 socket is the IPv4 address. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  return mapped?.[1] ?? address
}

/** Both ends, or null when the connection is gone already. */
export function peerOf(socket: Socket): Peer | null {
  const { remoteAddress, remotePort, localAddress, localPort } = socket
  if (remoteAddress === undefined || remotePort === undefined || localAddress === undefined || localPort === undefined) return null
  return { protocol: 'ftp', address: plainAddress(remoteAddress), port: remotePort, localAddress: plainAddress(localAddress), localPort }
}

/** `h1,h2,h3,h4,p1,p2` of PASV and PORT (RFC 959 §4.1.2). */
export const hostPort = (address: string, port: number): string => `${address.replaceAll('.', ',')},${port >> 8},${port & 255}`

/** The argument of PORT; null when it is not one. */
export function parseHostPort(text: string): { address: string; port: number } | null {
  const numbers = text
    .trim()
    .split(',')
    .map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : 256))
  if (numbers.length !== 6 || numbers.some((n) => n > 255)) return null
  return { address: numbers.slice(0, 4).join('.'), port: numbers[4]! * 256 + numbers[5]! }
}

/** The argument of EPRT, `|1|132.235.1.2|6275|` (RFC 2428 §2); null when it is not one, `protocol` when the family is unknown or does not fit. */
export function parseExtendedHostPort(text: string): { address: string; port: number } | 'protocol' | null {
  const delimiter = text.charAt(0)
  const parts = text.split(delimiter)
  if (delimiter === '' || parts.length !== 5 || parts[0] !== '' || parts[4] !== '') return null
  const [, family, address, portText] = parts
  if (!/^\d{1,5}$/.test(portText!)) return null
  if (family !== '1' && family !== '2') return /^\d+$/.test(family!) ? 'protocol' : null
  if (family === '1' ? !isIPv4(address!) : !isIPv6(address!)) return null
  return { address: plainAddress(address!), port: Number(portText) }
}
