// Addresses and networks: IPv4, IPv6, CIDR; IPv4-mapped IPv6 counts as IPv4.
// Must not resolve names.
import { BlockList, isIP, isIPv4 } from 'node:net'

/** `::ffff:203.0.113.7` → `203.0.113.7`; a zone is dropped. */
export function plainAddress(address: string): string {
  const bare = address.replace(/%.*$/, '')
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)
  return mapped ? mapped[1]! : bare
}

/** Whether the text is an address or a network. */
export function isNetwork(text: string): boolean {
  const [address, bits, more] = text.split('/')
  const version = isIP(address!)
  // a zone (fe80::1%eth0) is about one interface, and no list takes it
  if (version === 0 || more !== undefined || address!.includes('%')) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

/** A test for membership in any of the networks. Texts that are no network never match. */
export function networkMatcher(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const text of networks) {
    if (!isNetwork(text)) continue
    const [address, bits] = text.split('/') as [string, string | undefined]
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return (address) => {
    const plain = plainAddress(address)
    const version = isIP(plain)
    return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6')
  }
}

/** Who is counted as one: an IPv4 address, or the /64 of an IPv6 one. Counting single IPv6 addresses would count nothing. */
export function householdOf(address: string): string {
  const plain = plainAddress(address)
  return plain.includes(':') ? `${expandIPv6(plain).slice(0, 4).join(':')}::/64` : plain
}

/** The eight groups of an IPv6 address, without leading zeros. */
function expandIPv6(address: string): string[] {
  const [head, tail] = address.split('::') as [string, string | undefined]
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const middle = tail === undefined ? [] : Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0')
  return [...left, ...middle, ...right].map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
}
