// Delivery over SFTP to a real OpenSSH server.
// Must not need anything but sshd on this machine.
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { test } from 'tap'
import { parsePublicKey } from '../../../src/accounts/public-keys.ts'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import {
  connectorSuite,
  deliveryOf,
  failureOf,
  hugeDelivery,
  namesBelow,
  never,
  remoteConnectorSuite,
  resumeSuite,
  untilThere,
} from '../../suites/connector-suite.ts'
import { startFarProxy } from '../../support/far-proxy.ts'
import { type FarSshd, startFarSshd } from '../../support/far-sshd.ts'
import { until } from '../../support/gateway.ts'
import { hurry } from '../../support/quick-clock.ts'
import { sshKeyPair } from '../../support/ssh-keys.ts'

const destinationOf = (far: FarSshd) => ({
  name: 'hq',
  type: 'sftp' as const,
  host: far.host,
  port: far.port,
  username: far.username,
  private_key: far.privateKey,
  host_keys: [far.fingerprint],
  base_path: far.root,
})

test('sftp', async (t) => {
  const far = await startFarSshd(t)
  await connectorSuite(t, { destination: destinationOf(far), disk: far.root })
  await remoteConnectorSuite(t, { destination: destinationOf(far), disk: far.root })
})

test('a host key that is not on record ends the connection before the login', async (t) => {
  const far = await startFarSshd(t)
  const wrong = `SHA256:${'A'.repeat(43)}`
  const connector = createConnector({ ...destinationOf(far), host_keys: [wrong] })
  t.teardown(() => connector.close())
  const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
  t.match(failure, { code: 'remote.host_key', unclear: false })
  t.ok(failure.message.includes(wrong), 'says what was expected')
  t.ok(failure.message.includes(far.fingerprint), 'says what was shown')
  const report = await connector.probe(never())
  t.match(report.steps.at(-1), { step: 'connect', ok: false, detail: /remote\.host_key/ })
  t.notMatch(far.process.output(), /Accepted/)
  t.same(await namesBelow(far.root), [])
})

test('a server that comes to show another host key gets nothing more but over the connection that is there, and is told by both keys', async (t) => {
  const far = await startFarSshd(t)
  const connector = createConnector(destinationOf(far))
  t.teardown(() => connector.close())
  const put = async (remotePath: string) => connector.put(await deliveryOf(t, Buffer.alloc(5_000_000, remotePath), { remotePath }), never())
  await put('before')
  const key = join(far.root, '../host_ed25519')
  const other = sshKeyPair('ed25519')
  await writeFile(key, other.private)
  process.kill(far.process.pid, 'SIGHUP')
  await until('the server has read its key again', async () => far.process.output().split('Server listening').length > 2)
  // one of the two has the connection that was kept, the other one needs its own
  const [kept, fresh] = (await Promise.allSettled([put('kept'), put('fresh')])).sort((a, b) => a.status.localeCompare(b.status))
  t.match(kept, { status: 'fulfilled', value: { outcome: 'sent' } })
  const { reason } = fresh as PromiseRejectedResult
  t.match(reason, { code: 'remote.host_key', unclear: false })
  t.ok(reason.message.includes(far.fingerprint), 'the one on record')
  t.ok(reason.message.includes(parsePublicKey(other.public).fingerprint), 'the one that is shown now')
  t.equal((await namesBelow(far.root)).length, 2, 'nothing went to the server that nobody knows')
})

test('a base path may be a symbolic link, and its target’s files are where they should be', async (t) => {
  const far = await startFarSshd(t)
  await mkdir(join(far.root, 'volume'))
  await symlink(join(far.root, 'volume'), join(far.root, 'in'))
  for (const destination of [
    { ...destinationOf(far), base_path: join(far.root, 'in') },
    { name: 'disk', type: 'local' as const, base_path: join(far.root, 'in') },
  ]) {
    const connector = createConnector(destination)
    t.teardown(() => connector.close())
    const remotePath = `${destination.name}/a/file`
    t.match(await connector.put(await deliveryOf(t, Buffer.from('x'), { remotePath }), never()), { outcome: 'sent' }, destination.name)
    t.equal(await readFile(join(far.root, 'volume', remotePath), 'utf8'), 'x')
    t.match((await failureOf(connector.put(await deliveryOf(t, Buffer.from('x'), { remotePath: '../out' }), never()))).code, 'path.invalid')
  }
  t.same((await readdir(far.root)).sort(), ['in', 'volume'])
})

test('any one of the server’s host keys may be on record, with or without padding; insecure takes any', async (t) => {
  const far = await startFarSshd(t)
  for (const host_keys of [
    [far.rsaFingerprint],
    [`${far.fingerprint}=`],
    [`SHA256:${'A'.repeat(43)}`, far.fingerprint],
    'insecure',
  ] as const) {
    const connector = createConnector({ ...destinationOf(far), host_keys: host_keys === 'insecure' ? host_keys : [...host_keys] })
    t.teardown(() => connector.close())
    t.equal((await connector.put(await deliveryOf(t, Buffer.from('x')), never())).outcome, 'sent', String(host_keys))
  }
})

test('a private key that cannot be read is remote.auth and stays out of the message', async (t) => {
  const far = await startFarSshd(t)
  const private_key = far.privateKey.replace(/.{40}(?=\n-----END)/, 'x')
  const connector = createConnector({ ...destinationOf(far), private_key })
  t.teardown(() => connector.close())
  const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
  t.match(failure, { code: 'remote.auth' })
  t.notMatch(failure.message, /BEGIN|b3Blbn/)
})

test('connections are used again, no more of them than allowed, and idle ones are closed', async (t) => {
  const far = await startFarSshd(t)
  const connector = createConnector({ ...destinationOf(far), max_connections: 2 })
  const deliveries = await Promise.all(
    Array.from({ length: 8 }, (_, i) => deliveryOf(t, Buffer.from(`${i}`), { remotePath: `f${i}`, tempName: `t${i}` })),
  )
  await Promise.all(deliveries.map((delivery) => connector.put(delivery, never())))
  t.equal((await namesBelow(far.root)).length, 8)
  const logins = () => far.process.output().match(/Accepted publickey/g)!.length
  t.ok(logins() <= 2)
  hurry(t, { 30000: 1 })
  const before = logins()
  // two that were kept, and one more
  for (const n of [1, 2, 3]) {
    await connector.put(await deliveryOf(t, Buffer.from('x')), never())
    await until('the idle one is closed', () => (far.process.output().match(/Received disconnect/g)?.length ?? 0) >= n)
  }
  t.ok(logins() > before, 'and then a file gets a new one')
  await connector.close()
})

test('where the server runs sha256sum the receipt says hash, and strange names do not confuse its shell', async (t) => {
  const far = await startFarSshd(t, { shell: true })
  const connector = createConnector(destinationOf(far))
  t.teardown(() => connector.close())
  for (const name of ['plain', `it's; "rm" $(x) \`y\` \\`, 'ü  ö']) {
    const receipt = await connector.put(await deliveryOf(t, Buffer.from(name), { remotePath: name, tempName: `.${name}.part` }), never())
    t.match(receipt, { verified: 'hash', algorithm: 'sha256', method: 'sha256sum' }, name)
  }
})

for (const sessions of [10, 2]) {
  test(`a server that allows ${sessions} channels a connection proves every one of many small files by its hash`, async (t) => {
    const far = await startFarSshd(t, { shell: true, config: [`MaxSessions ${sessions}`] })
    const connector = createConnector({ ...destinationOf(far), max_connections: 1 })
    t.teardown(() => connector.close())
    const names = Array.from({ length: 20 }, (_, i) => `f${i}`)
    const deliveries = await Promise.all(
      names.map((name) => deliveryOf(t, Buffer.from(name), { remotePath: name, tempName: `.${name}.part` })),
    )
    const receipts = await Promise.all(deliveries.map((delivery) => connector.put(delivery, never())))
    t.same(
      receipts.map(({ method }) => method),
      names.map(() => 'sha256sum'),
    )
    t.equal(far.process.output().match(/Accepted publickey/g)?.length, 1, 'over one connection')
  })
}

test('without a base path files go where the login begins', async (t) => {
  const far = await startFarSshd(t)
  const { base_path: _, ...destination } = destinationOf(far)
  const connector = createConnector(destination)
  t.teardown(() => connector.close())
  const folder = `${far.root.slice(1).split('/').at(-2)}-home`
  const delivery = await deliveryOf(t, Buffer.from('x'), { remotePath: `${folder}/f` })
  const receipt = await connector.put(delivery, never())
  t.match(receipt.remotePath, new RegExp(`^/.*/${folder}/f$`))
  t.teardown(() => rm(receipt.remotePath.slice(0, -2), { recursive: true, force: true }))
  t.equal(await readFile(receipt.remotePath, 'utf8'), 'x')
})

test('a connection lost in the middle of a file is remote.lost, and the next attempt delivers it', async (t) => {
  const far = await startFarSshd(t)
  const proxy = await startFarProxy(t, far.port)
  const connector = createConnector({ ...destinationOf(far), port: proxy.port })
  t.teardown(() => connector.close())
  const huge = await hugeDelivery(t, {})
  const failing = failureOf(connector.put(huge, never()))
  await untilThere(join(far.root, huge.tempName))
  proxy.cutAll()
  t.match(await failing, { code: 'remote.lost', unclear: false })
  t.same(await namesBelow(far.root), [huge.tempName], 'nothing has the final name')
  const whole = await deliveryOf(t, Buffer.from('whole'), { tempName: huge.tempName, attempt: 2 })
  t.equal((await connector.put(whole, never())).outcome, 'sent')
  t.same(await namesBelow(far.root), ['file.txt'])
  t.equal(await readFile(join(far.root, 'file.txt'), 'utf8'), 'whole')
  proxy.cutAll()
  t.equal((await connector.put(whole, never())).outcome, 'sent', 'an idle connection that was dropped costs no attempt')
})

test('a server that asks for the password interactively gets it, and only where it is not shown', async (t) => {
  const hostKey = sshKeyPair('ed25519')
  const asked: string[][] = []
  const server = new ssh2.Server({ hostKeys: [hostKey.private] }, (client) => {
    client.on('error', () => undefined)
    client.on('authentication', (context) => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive'])
      const prompts = [
        { prompt: 'Nickname: ', echo: true },
        { prompt: 'Password: ', echo: false },
      ]
      context.prompt(prompts, (answers) => {
        asked.push(answers)
        context.reject()
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  const { port } = server.address() as { port: number }
  const connector = createConnector({
    name: 'x',
    type: 'sftp',
    host: '127.0.0.1',
    port,
    username: 'u',
    password: 's3cret',
    host_keys: 'insecure',
  })
  t.teardown(() => connector.close())
  const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
  t.match(failure, { code: 'remote.auth' })
  t.notMatch(failure.message, 's3cret')
  t.same(asked, [['', 's3cret']])
})

for (const shell of [false, true]) {
  test(`a broken-off file is gone on with, ${shell ? 'its beginning proven by sha256sum' : 'by its length'}`, async (t) => {
    const far = await startFarSshd(t, { shell })
    const proxy = await startFarProxy(t, far.port)
    await resumeSuite(t, { destination: { ...destinationOf(far), port: proxy.port }, disk: far.root }, proxy)
  })
}

test('where sha256sum says that the temporary file is no beginning of the content, all is sent again', async (t) => {
  const far = await startFarSshd(t, { shell: true })
  const connector = createConnector({ ...destinationOf(far), verify: 'readback' })
  t.teardown(() => connector.close())
  const delivery = await deliveryOf(t, Buffer.alloc(4 * 2 ** 20, 'true'), { attempt: 2, mtimeMs: Date.UTC(2024, 1, 29, 12, 30, 15) })
  await writeFile(join(far.root, delivery.tempName), Buffer.alloc(3 * 2 ** 20, 'false'))
  t.match(await connector.put(delivery, never()), { outcome: 'sent', verified: 'readback' })
  const final = join(far.root, 'file.txt')
  t.match(await readFile(final), Buffer.alloc(4 * 2 ** 20, 'true'))
  t.equal((await stat(final)).mtime.toISOString(), '2024-02-29T12:30:15.000Z', 'and it has the time of the file that came in')
})

test('a folder that goes while its connection is kept is made again by the next attempt', async (t) => {
  const far = await startFarSshd(t)
  const connector = createConnector(destinationOf(far))
  t.teardown(() => connector.close())
  const delivery = await deliveryOf(t, Buffer.from('x'), { remotePath: 'a/b/f' })
  await connector.put(delivery, never())
  await rm(join(far.root, 'a'), { recursive: true })
  t.match(await failureOf(connector.put(delivery, never())), { code: 'remote.failed', unclear: false })
  t.equal((await connector.put({ ...delivery, attempt: 2 }, never())).outcome, 'sent')
})
