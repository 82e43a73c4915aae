// Delivery over FTP, FTPS and implicit FTPS to a real vsftpd.
// Must not need anything but vsftpd on this machine, and root to make its user.
import { createHash, X509Certificate } from 'node:crypto'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import type { DestinationSpec } from '../../../src/core/destination.ts'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import { connectorSuite, deliveryOf, failureOf, namesBelow, never, remoteConnectorSuite } from '../../suites/connector-suite.ts'
import { startFarProxy } from '../../support/far-proxy.ts'
import { type FarVsftpd, startFarVsftpd } from '../../support/far-vsftpd.ts'

const KINDS = { ftp: 'off', ftps: 'explicit', 'ftps-implicit': 'implicit' } as const

const destinationOf = (far: FarVsftpd, type: keyof typeof KINDS): DestinationSpec => ({
  name: 'hq',
  type,
  host: far.host,
  port: far.port,
  username: far.username,
  password: far.password,
  base_path: '/in',
  ...(far.certificate === null ? {} : { tls: { ca: far.certificate } }),
})

for (const type of ['ftp', 'ftps', 'ftps-implicit'] as const) {
  test(`${type}`, async (t) => {
    const far = await startFarVsftpd({ t, tls: KINDS[type] })
    const side = { destination: destinationOf(far, type), disk: join(far.root, 'in') }
    // Made by the connector, as its user.
    const first = createConnector(side.destination)
    await first.put(await deliveryOf(t, Buffer.from('first'), { remotePath: 'first.txt' }), never())
    await first.close()
    await connectorSuite(t, side)
    await remoteConnectorSuite(t, side)
  })
}

for (const type of ['ftps', 'ftps-implicit'] as const) {
  test(`${type}: a certificate nobody vouches for is refused before the password is sent`, async (t) => {
    const far = await startFarVsftpd({ t, tls: KINDS[type] })
    const connector = createConnector({ ...destinationOf(far, type), tls: {} })
    t.teardown(() => connector.close())
    t.match(await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never())), { code: 'remote.tls', unclear: false })
    t.notMatch(await readFile(join(far.root, '../log'), 'utf8'), /FTP command: .*PASS/)
    t.same(await namesBelow(far.root), [])
  })

  test(`${type}: a pinned certificate is trusted for itself, and no other`, async (t) => {
    const far = await startFarVsftpd({ t, tls: KINDS[type] })
    const fingerprint = new X509Certificate(far.certificate!).fingerprint256
    const good = createConnector({ ...destinationOf(far, type), tls: { fingerprint: fingerprint.replaceAll(':', '').toLowerCase() } })
    t.teardown(() => good.close())
    t.equal((await good.put(await deliveryOf(t, Buffer.from('x')), never())).outcome, 'sent')
    t.equal((await good.probe(never())).fingerprint, fingerprint)
    const other = createHash('sha256').update('another certificate').digest('hex')
    const bad = createConnector({ ...destinationOf(far, type), tls: { fingerprint: other } })
    t.teardown(() => bad.close())
    const failure = await failureOf(bad.put(await deliveryOf(t, Buffer.from('y')), never()))
    t.match(failure, { code: 'remote.tls' })
    t.ok(failure.message.includes(fingerprint), 'says what was shown')
    t.equal(await readFile(join(far.root, 'in/file.txt'), 'utf8'), 'x')
  })

  test(`${type}: verify: false takes any certificate`, async (t) => {
    const far = await startFarVsftpd({ t, tls: KINDS[type] })
    const connector = createConnector({ ...destinationOf(far, type), tls: { verify: false } })
    t.teardown(() => connector.close())
    t.equal((await connector.put(await deliveryOf(t, Buffer.from('x')), never())).outcome, 'sent')
  })
}

test('ftps to a server without TLS is remote.tls, and the password is not sent', async (t) => {
  const far = await startFarVsftpd({ t })
  const connector = createConnector(destinationOf(far, 'ftps'))
  t.teardown(() => connector.close())
  t.match(await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never())), { code: 'remote.tls' })
  t.notMatch(await readFile(join(far.root, '../log'), 'utf8'), /FTP command: .*PASS/)
})

test('a connection lost during the rename is unclear, and the next attempt finds the file', async (t) => {
  const far = await startFarVsftpd({ t })
  const proxy = await startFarProxy(t, far.port)
  const connector = createConnector({ ...destinationOf(far, 'ftp'), port: proxy.port })
  t.teardown(() => connector.close())
  const delivery = await deliveryOf(t, Buffer.from('once only'))
  proxy.loseAnswerTo('RNTO')
  t.match(await failureOf(connector.put(delivery, never())), { code: 'remote.lost', unclear: true })
  const final = join(far.root, 'in/file.txt')
  const { ino } = await stat(final)
  const receipt = await connector.put({ ...delivery, attempt: 2, unclear: true }, never())
  t.match(receipt, { outcome: 'found', verified: 'readback' })
  t.equal((await stat(final)).ino, ino, 'it was not sent again')
  t.same(await namesBelow(join(far.root, 'in')), ['file.txt'])
})

test('a connection lost before the rename is clear: the file is not there', async (t) => {
  const far = await startFarVsftpd({ t })
  const proxy = await startFarProxy(t, far.port)
  const connector = createConnector({ ...destinationOf(far, 'ftp'), port: proxy.port })
  t.teardown(() => connector.close())
  const delivery = await deliveryOf(t, Buffer.from('content'))
  proxy.loseAnswerTo('SIZE')
  t.match(await failureOf(connector.put(delivery, never())), { code: 'remote.lost', unclear: false })
  t.notOk((await namesBelow(join(far.root, 'in'))).includes('file.txt'))
  t.equal((await connector.put({ ...delivery, attempt: 2 }, never())).outcome, 'sent')
  t.same(await namesBelow(join(far.root, 'in')), ['file.txt'])
})

test('an idle connection that the far side has dropped costs no attempt', async (t) => {
  const far = await startFarVsftpd({ t })
  const proxy = await startFarProxy(t, far.port)
  const connector = createConnector({ ...destinationOf(far, 'ftp'), port: proxy.port })
  t.teardown(() => connector.close())
  await connector.put(await deliveryOf(t, Buffer.from('1')), never())
  await connector.put(await deliveryOf(t, Buffer.from('2')), never())
  t.equal(proxy.count, 1, 'one connection served both')
  proxy.cutAll()
  t.equal((await connector.put(await deliveryOf(t, Buffer.from('3')), never())).outcome, 'sent')
  t.equal(proxy.count, 2)
})

test('a folder that may not be written is remote.denied', async (t) => {
  const far = await startFarVsftpd({ t })
  await mkdir(join(far.root, 'in'), { mode: 0o555 })
  const connector = createConnector(destinationOf(far, 'ftp'))
  t.teardown(() => connector.close())
  t.match(await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never())), { code: 'remote.denied', unclear: false })
  t.same(await namesBelow(join(far.root, 'in')), [])
})

for (const type of ['ftp', 'ftps'] as const) {
  test(`${type}: a broken-off file is gone on with, by its length where the server has no hash`, async (t) => {
    const far = await startFarVsftpd({ t, tls: KINDS[type] })
    const connector = createConnector({ ...destinationOf(far, type), verify: 'size' })
    t.teardown(() => connector.close())
    await connector.put(await deliveryOf(t, Buffer.from('makes the folder'), { remotePath: 'other.txt' }), never())
    const delivery = await deliveryOf(t, Buffer.alloc(4 * 2 ** 20, 'b'), { attempt: 2 })
    const temp = join(far.root, 'in', delivery.tempName)
    // not what was sent: so it shows in the result that it was not sent again
    await writeFile(temp, Buffer.alloc(3 * 2 ** 20, 'a'))
    await chmod(temp, 0o666)
    t.match(await connector.put(delivery, never()), { outcome: 'sent', verified: 'size' })
    const result = await readFile(join(far.root, 'in/file.txt'), 'latin1')
    t.ok(result === 'a'.repeat(3 * 2 ** 20) + 'b'.repeat(2 ** 20))
  })
}
