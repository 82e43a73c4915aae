// Attacks below SFTP: what a stranger or a user can do to the SSH transport. Also the contract with the pinned ssh2, whose private fields are used.
// Must not leave a listener that does not serve the next client: every test ends by asking.
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect as connectSocket, type Socket } from 'node:net'
import { join } from 'node:path'
import ssh2, { type ClientChannel, type Client as SshClient } from 'ssh2'
import { test } from 'tap'
import { connect, RawSftp, u32, u64 } from './raw-client.ts'
import { setup } from './setup.ts'

interface ClientProtocol {
  authPK(
    username: string,
    key: Buffer,
    algorithm: string | undefined,
    sign?: (data: Buffer, signed: (signature: Buffer) => void) => void,
  ): void
  session(channel: number, window: number, maxPacket: number): void
  channelData(channel: number, data: Buffer): void
  channelWindowAdjust(channel: number, bytes: number): void
  rekey(): void
  ping(): void
  _cipher: { allocPacket(size: number): Buffer; encrypt(packet: Buffer): void }
  _offer: { lists: { serverHostKey: { array: string[] } } }
}
const protocolOf = (client: SshClient): ClientProtocol => (client as unknown as { _protocol: ClientProtocol })._protocol
const socketOf = (client: SshClient) => (client as unknown as { _sock: Socket })._sock

/** Unlike `once`, does not mind the error before it. */
const closeOf = (client: SshClient): Promise<void> => new Promise<void>((resolve) => client.once('close', () => resolve()))

/** A client that stands at the password prompt, and what it then does. */
async function atPrompt(port: number, then: (client: SshClient) => void): Promise<void> {
  const client = new ssh2.Client()
  client.on('error', () => {})
  client.on('keyboard-interactive', () => then(client))
  const closed = closeOf(client)
  client.connect({ host: '127.0.0.1', port, username: 'partner', tryKeyboard: true })
  await closed
}

test('ssh2 is the version whose private parts were read', (t) => {
  const { version } = createRequire(import.meta.url)('ssh2/package.json') as { version: string }
  t.equal(version, '1.17.0')
  t.end()
})

test('a key query in the middle of a password prompt does not bring the service down', async (t) => {
  const s = await setup(t, { limits: { login_timeout: 3000 } })
  await atPrompt(s.port, (client) => protocolOf(client).authPK('partner', readFileSync(`${s.identity}.pub`), undefined))
  t.match(s.gatekeeper.attempts.at(-1)!.credential, { kind: 'publickey', proven: false })
  t.equal((await s.sftp('pwd\n')).code, 0)
})

test('a key without its signature does not log in', async (t) => {
  const s = await setup(t, { limits: { login_timeout: 3000 } })
  await atPrompt(s.port, (client) =>
    protocolOf(client).authPK('partner', readFileSync(`${s.identity}.pub`), undefined, (_data, signed) => signed(Buffer.alloc(64, 7))),
  )
  t.equal(s.gatekeeper.attempts.filter(({ credential }) => credential.kind === 'publickey' && credential.proven).length, 0)
  t.equal(s.gatekeeper.clients.length, 0)
  t.equal((await s.sftp('pwd\n')).code, 0)
})

test('a prompt answered thirty million times costs nothing', async (t) => {
  const s = await setup(t)
  const before = process.memoryUsage().rss
  await atPrompt(s.port, (client) => {
    const { _cipher: cipher } = protocolOf(client)
    const packet = cipher.allocPacket(5)
    packet[5] = 61
    packet.writeUInt32BE(30_000_000, 6)
    cipher.encrypt(packet)
  })
  t.ok(process.memoryUsage().rss - before < 100 * 2 ** 20)
  t.equal((await s.sftp('pwd\n')).code, 0)
})

test('a channel with a maximum packet of nothing ends the connection, not the worker', async (t) => {
  const s = await setup(t)
  for (const size of [0, 100]) {
    const client = await connect(s.port)
    const closed = closeOf(client)
    protocolOf(client).session(0, 2 ** 20, size)
    await closed
  }
  t.equal((await s.sftp('pwd\n')).code, 0)
})

test('requests whose replies are never read are not taken without end', async (t) => {
  const s = await setup(t)
  const client = await connect(s.port)
  socketOf(client).pause()
  const before = process.memoryUsage().rss
  for (let i = 0; i < 50_000; i++) protocolOf(client).ping()
  t.equal((await s.sftp('pwd\n')).code, 0)
  t.ok(process.memoryUsage().rss - before < 300 * 2 ** 20)
  socketOf(client).destroy()
})

test('SHA-1 host keys, group-exchange, compression and what costs much before a login are not offered', async (t) => {
  const s = await setup(t)
  const socket = connectSocket(s.port, '127.0.0.1')
  socket.write('SSH-2.0-test\r\n')
  let got = ''
  socket.on('data', (chunk) => {
    got += chunk.toString('latin1')
  })
  while (!got.includes('none')) await once(socket, 'data')
  socket.destroy()
  t.match(got, /^SSH-2\.0-FileFlow\r\n/)
  t.match(got, /rsa-sha2-512/)
  t.match(got, /kex-strict-s-v00/)
  t.notMatch(got, /ssh-rsa|ssh-dss|group-exchange|zlib|sha1|cbc|md5|group18/)
})

test('a user who cuts the line while keys are exchanged leaves nothing behind', async (t) => {
  const s = await setup(t, { tuning: { rekeyBytes: 1, lookMs: 50 } })
  const client = await connect(s.port)
  const sftp = await RawSftp.open(client)
  const exchanged = new Promise<void>((resolve) => client.once('handshake', () => resolve()))
  // what moves asks for new keys
  await sftp.ask(16, Buffer.from([0, 0, 0, 1, 46]))
  await exchanged
  socketOf(client).destroy()
  while (s.gatekeeper.closed.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  t.strictSame(s.gatekeeper.closed, ['s1'])
})

for (const by of ['sftp', 'scp'] as const) {
  test(`what was asked for by ${by} before a key exchange that does not end is not gathered in memory`, async (t) => {
    const s = await setup(t, { tuning: { lookMs: 50 }, limits: { transfer_stall_timeout: 1000, idle_timeout: 3000 } })
    writeFileSync(join(s.home, 'big'), Buffer.alloc(32 * 2 ** 20, 1))
    const client = await connect(s.port)
    const protocol = protocolOf(client)
    const largest = 2 ** 31 - 1
    if (by === 'sftp') {
      const sftp = await RawSftp.open(client)
      const handle = await sftp.file('/big', 1)
      const id = (sftp.channel as unknown as { outgoing: { id: number } }).outgoing.id
      const read = (i: number): Buffer => Buffer.concat([u32(25), Buffer.of(5), u32(i), handle, u64((i % 128) * 2 ** 18), u32(2 ** 18)])
      const reads = Buffer.concat(Array.from({ length: 4000 }, (_, i) => read(i)))
      protocol.channelWindowAdjust(id, largest)
      for (let at = 0; at < reads.length; at += 30_000) protocol.channelData(id, reads.subarray(at, at + 30_000))
    } else {
      const channel = await new Promise<ClientChannel>((resolve, reject) =>
        client.exec(`scp -f${' /big'.repeat(20)}`, (error, made) => (error ? reject(error) : resolve(made))),
      )
      protocol.channelWindowAdjust((channel as unknown as { outgoing: { id: number } }).outgoing.id, largest)
      // each of its questions is answered ahead
      channel.write(Buffer.alloc(100))
    }
    const before = process.memoryUsage().rss
    protocol.rekey()
    socketOf(client).removeAllListeners('data').resume()
    let most = 0
    while (s.gatekeeper.closed.length === 0) {
      most = Math.max(most, process.memoryUsage().rss - before)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    t.ok(most < 200 * 2 ** 20, `${Math.round(most / 2 ** 20)} MiB`)
    t.strictSame(s.gatekeeper.reasons, ['stalled'])
    t.equal((await s.sftp('pwd\n')).code, 0)
    client.destroy()
  })
}
