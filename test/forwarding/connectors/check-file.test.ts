// check-file over SFTP: the far side's own hash of what it holds, from servers that offer it, lie about it, or offer another kind.
// Must not know how it is asked: what is asked for is read off the wire, what was reached is the receipt's word.
import { createHash } from 'node:crypto'
import { readFileSync as readSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import { deliveryOf, failureOf, namesBelow, never } from '../../suites/connector-suite.ts'
import {
  extensionOf,
  idOf,
  type OddSftp,
  type OddSftpOptions,
  offering,
  type Packet,
  packet,
  startOddSftp,
  status,
  str,
} from '../../support/far-odd-sftp.ts'
import { startGateway } from '../../support/gateway.ts'

const OFFERED = 'sha512,sha256,md5'

/** Answers check-file-name as the draft says, of what lies on the disk; `spoil` changes the answer. */
const checking =
  (spoil: (digest: Buffer, id: number) => Packet = (digest, id) => packet(201, id, str('sha256'), digest)) =>
  (request: Packet): Packet[] | undefined => {
    if (extensionOf(request) !== 'check-file-name') return undefined
    const path = request.toString('utf8', 5 + 4 + 15 + 4, 5 + 4 + 15 + 4 + request.readUInt32BE(5 + 4 + 15))
    return [spoil(createHash('sha256').update(readSync(path)).digest(), idOf(request))]
  }

async function start(t: Test, options: OddSftpOptions) {
  const far = await startOddSftp(t, options)
  const connector = createConnector(far.destination)
  t.teardown(() => connector.close())
  return { far, connector }
}

const asksIn = (far: OddSftp): number => far.asked.filter((name) => name.startsWith('check-file')).length

test('a delivery to another FileFlow is proven by check-file, without a command, whatever the size', async (t) => {
  const gateway = await startGateway(t)
  await gateway.apply({ users: [{ username: 'near', password: 'near-pass-1234' }] })
  const connector = createConnector({
    ...{ name: 'far', type: 'sftp', host: '127.0.0.1', port: gateway.ports.sftp },
    ...{ username: 'near', password: 'near-pass-1234', host_keys: 'insecure', max_connections: 1 },
  })
  t.teardown(() => connector.close())
  const sizes = [0, 1, 70_000, 3_000_000]
  for (const size of sizes) {
    const delivery = await deliveryOf(t, Buffer.alloc(size, 'x'), { remotePath: `Größe ${size}.bin` })
    t.match(await connector.put(delivery, never()), { verified: 'hash', algorithm: 'sha256', outcome: 'sent' })
  }
  // many small ones share a connection: each question gets its own answer
  const small = await Promise.all([...'abcdefgh'].map((name) => deliveryOf(t, Buffer.from(name), { remotePath: name })))
  for (const receipt of await Promise.all(small.map((delivery) => connector.put(delivery, never()))))
    t.match(receipt, { verified: 'hash', outcome: 'sent' })
})

test('a server that offers check-file with sha256 is asked for it before any command, in both forms of the answer', async (t) => {
  for (const [name, form] of [
    ['check-file', undefined],
    ['check-file-name', (digest: Buffer, id: number) => packet(201, id, str('check-file'), str('sha256'), digest)],
  ] as const) {
    const { far, connector } = await start(t, { answer: offering(name, OFFERED), request: checking(form) })
    for (const remotePath of ['a', 'b']) {
      const receipt = await connector.put(await deliveryOf(t, Buffer.from(remotePath), { remotePath }), never())
      t.match(receipt, { verified: 'hash', algorithm: 'sha256', method: 'check-file', outcome: 'sent' })
    }
    t.equal(asksIn(far), 2)
  }
})

test('a server that lies about the hash fails the delivery, and nothing gets its final name', async (t) => {
  const { far, connector } = await start(t, {
    answer: offering('check-file', OFFERED),
    request: checking((digest, id) => packet(201, id, str('sha256'), digest.map((byte) => byte ^ 1) as Buffer)),
  })
  t.match(await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never())), { code: 'remote.verify', unclear: false })
  t.same(await namesBelow(far.disk), [])
})

test('a server that keeps other bytes of the same length is found out by its true hash', async (t) => {
  let spoilt = false
  const { far, connector } = await start(t, {
    answer: offering('check-file', OFFERED),
    request(request) {
      if (request[0] === 6 && !spoilt) {
        spoilt = true
        request[request.length - 1]! ^= 1
      }
      return checking()(request)
    },
  })
  const delivery = await deliveryOf(t, Buffer.from('content'))
  t.match(await failureOf(connector.put(delivery, never())), { code: 'remote.verify', unclear: false })
  t.same(await namesBelow(far.disk), [])
  t.match(await connector.put({ ...delivery, attempt: 2 }, never()), { verified: 'hash' })
})

test('a server that offers only md5, or another extension, is not asked, and the receipt says size', async (t) => {
  for (const [name, value] of [
    ['check-file', 'md5'],
    ['check-file', 'sha256x,xsha256'],
    ['check-file-handle', OFFERED],
  ] as const) {
    const { far, connector } = await start(t, { answer: offering(name, value), request: checking() })
    t.match(await connector.put(await deliveryOf(t, Buffer.from('x')), never()), { verified: 'size', algorithm: null })
    t.equal(asksIn(far), 0)
  }
})

test('an answer that proves nothing is not taken for a proof', async (t) => {
  for (const [what, answer, asks] of [
    ['unsupported', (id: number) => status(id, 8), 1],
    ['done, without a digest', (id: number) => status(id, 0), 1],
    ['another algorithm', (id: number) => packet(201, id, str('md5'), Buffer.alloc(16)), 1],
    ['a digest that is too short', (id: number) => packet(201, id, str('sha256'), Buffer.alloc(31)), 1],
    ['a length that leads nowhere', (id: number) => packet(201, id, Buffer.from('ffffffff00', 'hex')), 1],
    ['nothing', (id: number) => packet(201, id), 1],
    ['a name list', (id: number) => packet(104, id, Buffer.alloc(4)), 1],
    ['refused for this file', (id: number) => status(id, 3), 2],
  ] as const) {
    const { far, connector } = await start(t, {
      answer: offering('check-file', OFFERED),
      request: checking((_digest, id) => answer(id)),
    })
    for (const remotePath of ['a', 'b']) {
      const receipt = await connector.put(await deliveryOf(t, Buffer.from('x'), { remotePath }), never())
      t.match(receipt, { verified: 'size', algorithm: null }, what)
    }
    t.equal(asksIn(far), asks, `${what}: asked again only where that may help`)
    const insists = createConnector({ ...far.destination, verify: 'hash' })
    t.teardown(() => insists.close())
    t.match(
      await insists.put(await deliveryOf(t, Buffer.from('x')), never()),
      { verified: 'readback', method: 'read-back' },
      `${what}: read back where a hash is insisted on`,
    )
  }
})

test('the beginning of a broken-off file is proven by check-file before it is gone on with', async (t) => {
  for (const good of [true, false]) {
    const { far, connector } = await start(t, { answer: offering('check-file', OFFERED), request: checking() })
    const delivery = await deliveryOf(t, Buffer.alloc(4 * 2 ** 20, 'true'), { attempt: 2 })
    await writeFile(join(far.disk, delivery.tempName), Buffer.alloc(3 * 2 ** 20, good ? 'true' : 'false'))
    t.match(await connector.put(delivery, never()), { outcome: 'sent', verified: 'hash' })
    t.ok((await readFile(join(far.disk, 'file.txt'))).equals(Buffer.alloc(4 * 2 ** 20, 'true')))
    const writes = far.asked.filter((type) => type === '6').length
    t.equal(writes, good ? 5 : 17, 'in pieces of 255 KiB')
  }
})
