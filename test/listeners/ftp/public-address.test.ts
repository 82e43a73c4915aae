// Which address PASV names, to whom, and how it follows a name whose address changes.
// Must not ask a real name server.
import { test } from 'tap'
import { createLogger } from '../../../src/core/log.ts'
import type { Peer } from '../../../src/core/transfer.ts'
import { PublicAddress } from '../../../src/listeners/ftp/public-address.ts'
import { until } from './support.ts'

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']
const log = createLogger('ftp', () => undefined)
const peer = (address: string, localAddress: string): Peer => ({ protocol: 'ftp', address, localAddress, port: 40_000, localPort: 21 })

test('clients inside are told the inside address, all others the public one (RFC 1918)', async (t) => {
  const told = (client: string, reached: string, address = '203.0.113.7', inside = PRIVATE) =>
    new PublicAddress(log).for(peer(client, reached), { address, inside })
  t.equal(await told('198.51.100.9', '192.168.1.2'), '203.0.113.7', 'a client from outside')
  t.equal(await told('192.168.1.9', '192.168.1.2'), '192.168.1.2', 'a client inside')
  t.equal(await told('10.9.9.9', '10.1.1.1'), '10.1.1.1', 'a client inside, routed')
  t.equal(await told('192.168.1.9', '172.18.0.2'), '203.0.113.7', 'a container behind a published port is no way in')
  t.equal(await told('127.0.0.1', '127.0.0.1'), '203.0.113.7', 'loopback is nobody’s inside')
  t.equal(await told('192.168.1.9', '192.168.1.2', '203.0.113.7', []), '203.0.113.7', 'the rule can be off')
  t.equal(await told('192.168.1.9', '192.168.1.2', '192.168.7.7'), '192.168.7.7', 'a private address that was named is meant for all')
  t.equal(await told('198.51.100.9', '192.168.1.2', 'auto'), '192.168.1.2', 'auto: as reached')
  t.equal(await told('2001:db8::9', '2001:db8::1', 'auto'), null, 'PASV has no IPv6')
  t.equal(
    await told('2001:db8::9', '2001:db8::1'),
    null,
    'nor is there a way from the public IPv4 address to a port that waits on the IPv6 one',
  )
})

test('a host name is resolved again while the gateway runs, and an old answer is better than none', async (t) => {
  let now = 0
  let answer: Promise<string> = Promise.resolve('203.0.113.1')
  let asked = 0
  const resolve = (): Promise<string> => {
    asked++
    return answer
  }
  const address = new PublicAddress(log, resolve, () => now)
  const told = () => address.for(peer('198.51.100.9', '192.168.1.2'), { address: 'files.example', inside: PRIVATE })
  t.same(await Promise.all([told(), told()]), ['203.0.113.1', '203.0.113.1'])
  t.equal(asked, 1, 'clients that come together ask once')
  answer = Promise.resolve('203.0.113.2')
  t.equal(await told(), '203.0.113.1', 'fresh')
  now += 60_000
  await told()
  await until(() => asked === 2)
  await answer
  t.equal(await told(), '203.0.113.2', 'the new address')
  now += 60_000
  answer = Promise.reject(new Error('no name server'))
  t.equal(await told(), '203.0.113.2', 'no answer: the last one stays')
  await until(() => asked === 3)
  t.equal(await told(), '203.0.113.2')
})

test('a name that was never resolved costs the data connection, with 425', async (t) => {
  const address = new PublicAddress(log, () => Promise.reject(new Error('no such name')))
  await t.rejects(address.for(peer('198.51.100.9', '192.168.1.2'), { address: 'files.example', inside: PRIVATE }), {
    code: 'data.no_connection',
  })
})
