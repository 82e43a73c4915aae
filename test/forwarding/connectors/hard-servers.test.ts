// Far servers that hang, crawl, flood or ask for more than a password.
// Must not wait as long as a real one is waited for: the limits are the connectors' own, only the clock is quicker.
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { type Test, test } from 'tap'
import type { DestinationSpec } from '../../../src/core/destination.ts'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import { connectSftp } from '../../../src/forwarding/connectors/sftp-connection.ts'
import { deliveryOf, failureOf, hugeDelivery, namesBelow, never, untilThere } from '../../suites/connector-suite.ts'
import { startOddSftp } from '../../support/far-odd-sftp.ts'
import { startFarProxy } from '../../support/far-proxy.ts'
import { type FarSshd, startFarSshd } from '../../support/far-sshd.ts'
import { startFarVsftpd } from '../../support/far-vsftpd.ts'
import { hurry } from '../../support/quick-clock.ts'
import { sshKeyPair } from '../../support/ssh-keys.ts'

const sftpTo = (far: FarSshd, port = far.port): DestinationSpec => ({
  ...{ name: 'hq', type: 'sftp', host: far.host, port, username: far.username, private_key: far.privateKey },
  ...{ host_keys: [far.fingerprint], base_path: far.root },
})

for (const type of ['sftp', 'ftp'] as const) {
  test(`${type}: a server that hangs in the middle of a file is given up, and the next attempt delivers`, async (t) => {
    hurry(t, { 60000: 1000 })
    const sshd = type === 'sftp' ? await startFarSshd(t) : null
    const vsftpd = type === 'ftp' ? await startFarVsftpd({ t }) : null
    const proxy = await startFarProxy(t, (sshd ?? vsftpd)!.port)
    const destination: DestinationSpec = sshd
      ? sftpTo(sshd, proxy.port)
      : {
          name: 'hq',
          type: 'ftp',
          host: '127.0.0.1',
          port: proxy.port,
          username: vsftpd!.username,
          password: vsftpd!.password,
          base_path: '/',
        }
    const root = (sshd ?? vsftpd)!.root
    const connector = createConnector(destination)
    t.teardown(() => connector.close())
    // FTP's data connection goes past the proxy: there it is the last answer that never comes
    const delivery = type === 'sftp' ? await hugeDelivery(t, {}) : await deliveryOf(t, Buffer.alloc(2_000_000, 'x'))
    if (type === 'ftp') await connector.put(await deliveryOf(t, Buffer.from('warm'), { remotePath: 'warm' }), never())
    if (type === 'ftp') proxy.stalled = true
    const failing = failureOf(connector.put(delivery, never()))
    if (type === 'sftp') {
      await untilThere(join(root, delivery.tempName))
      proxy.stalled = true
    }
    t.match((await failing).code, type === 'sftp' ? /^remote\.(timeout|lost)$/ : /^remote\.(timeout|lost|unreachable)$/)
    t.notOk((await namesBelow(root)).includes('file.txt'))
    proxy.stalled = false
    const small = await deliveryOf(t, Buffer.from('whole'), { attempt: 2, tempName: delivery.tempName })
    t.equal((await connector.put(small, never())).outcome, 'sent')
    t.equal(await readFile(join(root, 'file.txt'), 'utf8'), 'whole')
    t.notOk((await namesBelow(root)).includes(delivery.tempName), 'nothing temporary stays')
  })
}

test('a server that crawls, but answers, is waited for', async (t) => {
  hurry(t, { 60000: 3000 })
  const far = await startFarSshd(t)
  const proxy = await startFarProxy(t, far.port)
  const connector = createConnector(sftpTo(far, proxy.port))
  t.teardown(() => connector.close())
  await connector.put(await deliveryOf(t, Buffer.from('warm'), { remotePath: 'warm' }), never())
  proxy.delayMs = 700
  // each answer comes within the limit, all of them together take longer
  t.equal((await connector.put(await deliveryOf(t, Buffer.from('slow')), never())).outcome, 'sent')
  t.equal(await readFile(join(far.root, 'file.txt'), 'utf8'), 'slow')
})

test('a line so slow that one WRITE takes longer than silence is borne is waited for, as long as the server takes of it', async (t) => {
  hurry(t, { 60000: 3000 })
  const far = await startOddSftp(t, {
    connection: (client) => {
      const protocol = (client as unknown as { _protocol: NarrowProtocol })._protocol
      const confirm = protocol.channelOpenConfirm.bind(protocol)
      const take = protocol._handlers.CHANNEL_DATA
      const held: (() => void)[] = []
      let remote = 0
      let turns = 0
      protocol.channelOpenConfirm = (to, ...rest) => {
        remote = to
        confirm(to, ...rest)
      }
      const crawl = (): void => {
        protocol.channelWindowAdjust(remote, 1)
        if (++turns < 10) setTimeout(crawl, 500)
        else for (const one of held.splice(0)) one()
      }
      protocol._handlers.CHANNEL_DATA = (self, to, data) => {
        // the first of the content
        if (data.length > 10_000 && turns === 0) crawl()
        const own = Buffer.from(data)
        if (turns > 0 && turns < 10) held.push(() => take(self, to, own))
        else take(self, to, own)
      }
    },
  })
  const connector = createConnector(far.destination)
  t.teardown(() => connector.close())
  const content = randomBytes(200_000)
  t.equal((await connector.put(await deliveryOf(t, content), never())).outcome, 'sent')
  t.ok((await readFile(join(far.disk, 'file.txt'))).equals(content))
})

test('small files that share a connection: one cancelled does not touch the others', async (t) => {
  const far = await startFarSshd(t)
  const proxy = await startFarProxy(t, far.port)
  const connector = createConnector({ ...sftpTo(far, proxy.port), max_connections: 1 })
  t.teardown(() => connector.close())
  await connector.put(await deliveryOf(t, Buffer.from('warm'), { remotePath: 'warm' }), never())
  proxy.delayMs = 50
  const abort = new AbortController()
  const deliveries = await Promise.all([0, 1, 2, 3].map((i) => deliveryOf(t, Buffer.from(`content ${i}`), { remotePath: `f${i}` })))
  const all = deliveries.map((delivery, i) =>
    connector.put(delivery, i === 1 ? abort.signal : never()).catch((error: { code: string }) => error.code),
  )
  setTimeout(() => abort.abort(), 60)
  const ended = await Promise.all(all)
  for (const i of [0, 2, 3]) t.match(ended[i], { outcome: 'sent' })
  for (const i of [0, 2, 3]) t.equal(await readFile(join(far.root, `f${i}`), 'utf8'), `content ${i}`)
  t.equal(proxy.count, 1, 'over the one connection')
  t.notOk(
    (await namesBelow(far.root)).some((name) => name.endsWith('.part')),
    'and nothing temporary stays',
  )
})

test('small files that share a connection which hangs: one cancelled takes it down, the others go on over a new one, unspent', async (t) => {
  const far = await startFarSshd(t)
  const proxy = await startFarProxy(t, far.port)
  const connector = createConnector({ ...sftpTo(far, proxy.port), max_connections: 1 })
  t.teardown(() => connector.close())
  await connector.put(await deliveryOf(t, Buffer.from('warm'), { remotePath: 'warm' }), never())
  proxy.stalled = true
  const abort = new AbortController()
  const deliveries = await Promise.all([0, 1, 2].map((i) => deliveryOf(t, Buffer.from(`content ${i}`), { remotePath: `f${i}` })))
  const all = deliveries.map((delivery, i) =>
    connector.put(delivery, i === 1 ? abort.signal : never()).catch((error: { code: string }) => error.code),
  )
  setTimeout(() => {
    proxy.stalled = false
    abort.abort()
  }, 100)
  const ended = await Promise.all(all)
  t.equal(ended[1], 'delivery.cancelled')
  for (const i of [0, 2]) t.match(ended[i], { outcome: 'sent' })
  t.same((await namesBelow(far.root)).sort(), ['f0', 'f2', 'warm'])
})

test('a private key with a passphrase logs in, and without the right one says only that', async (t) => {
  const far = await startFarSshd(t)
  const file = join(t.testdir(), 'key')
  await writeFile(file, far.privateKey, { mode: 0o600 })
  execFileSync('/usr/bin/ssh-keygen', ['-q', '-p', '-f', file, '-P', '', '-N', 'open sesame'])
  const private_key = await readFile(file, 'utf8')
  const good = createConnector({ ...sftpTo(far), private_key, passphrase: 'open sesame' })
  t.teardown(() => good.close())
  t.equal((await good.put(await deliveryOf(t, Buffer.from('x')), never())).outcome, 'sent')
  for (const passphrase of ['open barley', undefined]) {
    const bad = createConnector({ ...sftpTo(far), private_key, ...(passphrase === undefined ? {} : { passphrase }) })
    t.teardown(() => bad.close())
    const failure = await failureOf(bad.put(await deliveryOf(t, Buffer.from('x')), never()))
    t.match(failure, { code: 'remote.auth' })
    t.notMatch(failure.message, /barley|BEGIN/)
  }
})

/** OpenSSH's SFTP service behind a login that asks, and whose answers may be changed on their way. */
async function startAskingServer(
  t: Test,
  spoil: (answer: Buffer) => Buffer = (answer) => answer,
): Promise<DestinationSpec & { base_path: string }> {
  const hostKey = sshKeyPair('ed25519')
  const server = new ssh2.Server({ hostKeys: [hostKey.private] }, (client) => {
    client.on('error', () => undefined)
    client.on('authentication', (context) => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive'])
      context.prompt([{ prompt: 'Password: ', echo: false }], (answers) => (answers[0] === 's3cret' ? context.accept() : context.reject()))
    })
    client.on('session', (accept) =>
      accept().on('subsystem', (take) => {
        const channel = take()
        const child = spawn('/usr/lib/openssh/sftp-server', ['-e'], { stdio: ['pipe', 'pipe', 'ignore'] })
        channel.pipe(child.stdin)
        child.stdout.on('data', (answer: Buffer) => channel.write(spoil(answer)))
        child.once('close', () => channel.end())
      }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  const { port } = server.address() as { port: number }
  return {
    ...{ name: 'x', type: 'sftp', host: '127.0.0.1', port, username: 'u', password: 's3cret', host_keys: 'insecure' },
    base_path: t.testdir(),
  }
}

test('a server that takes the password only as an answer to a question gets its file', async (t) => {
  const destination = await startAskingServer(t)
  const connector = createConnector(destination)
  t.teardown(() => connector.close())
  t.equal((await connector.put(await deliveryOf(t, Buffer.from('answered')), never())).outcome, 'sent')
  t.equal(await readFile(join(destination.base_path, 'file.txt'), 'utf8'), 'answered')
})

test('a server that says it takes little at a time gets every byte in its place, and one that takes next to nothing is refused', async (t) => {
  for (const most of [5000, 10]) {
    const destination = await startAskingServer(t, (answer) => {
      // the answer to limits@openssh.com: packet length, bytes of a packet, of a READ, of a WRITE, handles
      if (answer.length === 41 && answer[4] === 201) answer.writeBigUInt64BE(BigInt(most), 25)
      return answer
    })
    const connector = createConnector(destination)
    t.teardown(() => connector.close())
    const content = randomBytes(1_500_000)
    const ended = await connector.put(await deliveryOf(t, content), never()).catch((error: { code: string }) => error.code)
    if (most === 10) t.equal(ended, 'remote.failed')
    else t.ok((await readFile(join(destination.base_path, 'file.txt'))).equals(content))
  }
})

test('a server that takes much in one WRITE, if not as much as OpenSSH now, gets few of them', async (t) => {
  // the first is what OpenSSH took before it could say so
  for (const most of [260_096, 131_072, 65_536]) {
    const lengths: number[] = []
    const far = await startOddSftp(t, {
      answer: (answer) => {
        if (answer.length === 37 && answer[0] === 201) answer.writeBigUInt64BE(BigInt(most), 21)
        return [answer]
      },
      request: (request) => {
        if (request[0] === 6) lengths.push(request.length)
        return undefined
      },
    })
    const connector = createConnector(far.destination)
    t.teardown(() => connector.close())
    const content = randomBytes(2_000_003)
    await connector.put(await deliveryOf(t, content), never())
    t.ok((await readFile(join(far.disk, 'file.txt'))).equals(content))
    t.ok(lengths.length <= 1 + 1.4 * (content.length / Math.min(most, 131_072)), `${lengths.length} of ${most} bytes`)
  }
})

test('a server whose window and packets have odd sizes, and runs out at any place, gets every byte in its place', async (t) => {
  for (const [window, packetSize, most] of [
    [600_001, 5003, 261_120],
    [300_007, 32_768, 100_000],
    [20_001, 300, 30_000],
    [2_097_152, 16_500, 261_120],
  ] as const) {
    const destination = await startNarrow(t, window, packetSize)
    const hooks = { signal: never(), connected: () => undefined, fingerprint: () => undefined }
    const connection = await connectSftp(destination, hooks)
    t.teardown(() => connection.destroy())
    const { sftp } = connection
    const path = join(destination.base_path, 'file.txt')
    const handle = await connection.call<Buffer>('handle', (answer) => sftp.open(path, 'w', answer))
    const content = randomBytes(window + 3 * most)
    const memory = Buffer.alloc(most)
    const writes: Promise<void>[] = []
    for (let at = 0, size = 1; at < content.length; size = Math.min(most, size * 3)) {
      const piece = memory.subarray(0, content.copy(memory, 0, at, at + size))
      writes.push(connection.write(handle, piece, at))
      at += piece.length
      // the next one is read to where this one was
      memory.fill(0)
    }
    await Promise.all(writes)
    t.ok((await readFile(path)).equals(content), `${window} and ${packetSize}`)
  }
})

test('a server that takes next to nothing in a packet, or nothing at all, is refused before anything is sent', async (t) => {
  for (const packetSize of [255, 16, 0]) {
    const connector = createConnector(await startNarrow(t, 2_097_152, packetSize))
    t.teardown(() => connector.close())
    const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
    t.match(failure, { code: 'remote.failed', message: `only ${packetSize} bytes in a packet` })
  }
})

/** Gives the client that much of a window, and back only what it has used. */
async function startNarrow(t: Test, window: number, packetSize: number) {
  const far = await startOddSftp(t, {
    connection: (client) => {
      const protocol = (client as unknown as { _protocol: NarrowProtocol })._protocol
      const confirm = protocol.channelOpenConfirm.bind(protocol)
      const adjust = protocol.channelWindowAdjust.bind(protocol)
      let remote = 0
      protocol.channelOpenConfirm = (to, local) => {
        remote = to
        confirm(to, local, window, packetSize)
      }
      protocol.channelWindowAdjust = () => undefined
      const take = protocol._handlers.CHANNEL_DATA
      protocol._handlers.CHANNEL_DATA = (self, to, data) => {
        take(self, to, data)
        adjust(remote, data.length)
      }
    },
  })
  return far.destination
}

interface NarrowProtocol {
  channelOpenConfirm(to: number, local: number, window: number, packetSize: number): void
  channelWindowAdjust(to: number, bytes: number): void
  readonly _handlers: { CHANNEL_DATA(self: unknown, to: number, data: Buffer): void }
}

for (const [type, chunk] of [
  ['sftp', 'this is no banner yet\r\n'.repeat(1000)],
  ['sftp', 'x'.repeat(65_536)],
  ['ftp', '220-welcome\r\n'.repeat(4000)],
  ['ftp', 'x'.repeat(65_536)],
] as const) {
  test(`${type}: a greeting that never ends (${chunk.slice(0, 10).trim()}…) costs neither time nor memory without bound`, async (t) => {
    hurry(t, { 20000: 1000 })
    let sent = 0
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      const more = (): void => {
        while (!socket.destroyed && socket.write(chunk)) sent += chunk.length
      }
      socket.on('drain', () => setImmediate(more))
      more()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as { port: number }
    const connector = createConnector({ name: 'x', type, host: '127.0.0.1', port, username: 'u', password: 'p', host_keys: 'insecure' })
    t.teardown(() => connector.close())
    const before = process.memoryUsage().rss
    t.match((await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))).code, /^remote\.(unreachable|lost|failed)$/)
    t.ok(
      process.memoryUsage().rss - before < 300 * 2 ** 20,
      `${Math.round((process.memoryUsage().rss - before) / 2 ** 20)} MiB after ${Math.round(sent / 2 ** 20)}`,
    )
  })
}
