// What keeps a connection alive and what ends it: new keys by bytes and by time, signs of life, stalls, key exchanges that do not end, channels.
// Must not measure time: settings are short, and a test waits for what must happen.
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect as connectSocket, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Client } from 'ssh2'
import { type Test, test } from 'tap'
import { connect, RawSftp, statusOf, str, u32, u64 } from './raw-client.ts'
import { setup } from './setup.ts'

const [READ, WRITE, CREAT, TRUNC] = [1, 2, 8, 16]
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((go) => setTimeout(go, 10))
}
const closeOf = (client: Client): Promise<void> => new Promise((resolve) => client.once('close', () => resolve()))

/** Counts the key exchanges after the first. */
function handshakes(client: Client): () => number {
  let count = 0
  client.on('handshake', () => count++)
  return () => count
}

/** Both ways, while keys change. */
async function moves(t: Test, sftp: RawSftp, home: string, content: Buffer): Promise<void> {
  const piece = 32 * 1024
  const up = await sftp.file('/moved', WRITE | CREAT | TRUNC)
  for (let at = 0; at < content.length; at += piece)
    t.equal(statusOf(await sftp.ask(6, up, u64(at), str(content.subarray(at, at + piece)))), 0)
  t.equal(statusOf(await sftp.ask(4, up)), 0)
  t.equal(hash(readFileSync(join(home, 'moved'))), hash(content))
  const down = await sftp.file('/moved', READ)
  const got: Buffer[] = []
  for (let at = 0; at < content.length; at += piece) got.push((await sftp.ask(5, down, u64(at), u32(piece))).body.subarray(4))
  t.equal(hash(Buffer.concat(got)), hash(content))
}

for (const [what, tuning] of [
  ['bytes', { rekeyBytes: 100_000 }],
  ['time', { rekeyMs: 100 }],
] as const) {
  test(`we renew the keys by ${what}, again and again, and no byte is lost`, async (t) => {
    const s = await setup(t, { tuning: { ...tuning, lookMs: 50 } })
    const client = await connect(s.port)
    const renewed = handshakes(client)
    const sftp = await RawSftp.open(client)
    do await moves(t, sftp, s.home, randomBytes(2 ** 20))
    while (renewed() < 3)
    t.pass('the keys were new three times')
    client.end()
  })
}

test('the client renews the keys in the middle of requests that wait for answers', async (t) => {
  const s = await setup(t)
  const client = await connect(s.port)
  const renewed = handshakes(client)
  const sftp = await RawSftp.open(client)
  for (let round = 1; round <= 3; round++) {
    for (let i = 0; i < 50; i++) sftp.send(17, str('/'))
    ;(client as unknown as { _protocol: { rekey(): void } })._protocol.rekey()
    for (let i = 0; i < 50; i++) sftp.send(16, str('.'))
    for (let i = 0; i < 100; i++) t.ok([105, 104].includes((await sftp.next()).type))
    await until(() => renewed() === round)
  }
  client.end()
})

test('OpenSSH renews the keys by time and by bytes while it sends and fetches', async (t) => {
  const s = await setup(t, { tuning: { rekeyMs: 200, lookMs: 50 } })
  writeFileSync(join(s.local, 'f'), randomBytes(6 * 2 ** 20))
  const ran = await s.sftp('put f\nget f g\n', ['-l', '40000', '-o', 'RekeyLimit=1M 1s'])
  t.equal(ran.code, 0, ran.err)
  t.equal(hash(readFileSync(join(s.local, 'g'))), hash(readFileSync(join(s.local, 'f'))))
})

test('a client that begins a key exchange and does not end it is cut off, and its upload is not published', async (t) => {
  const s = await setup(t, { tuning: { rekeyBytes: 100_000, lookMs: 50, rekeyDeadlineMs: 200 } })
  const client = await connect(s.port)
  const sftp = await RawSftp.open(client)
  const handle = await sftp.file('/f', WRITE | CREAT | TRUNC)
  await sftp.ask(6, handle, u64(0), str('half'))
  sftp.send(6, handle, u64(0), str(randomBytes(200_000)))
  // deaf: whatever we ask from here on is not taken up
  const socket = (client as unknown as { _sock: Socket })._sock
  socket.removeAllListeners('data').resume()
  await closeOf(client)
  await until(() => s.gatekeeper.closed.length === 1)
  t.strictSame(s.gatekeeper.reasons, ['broken'])
  t.notOk(existsSync(join(s.home, 'f')))
  t.equal((await s.sftp('pwd\n')).code, 0)
})

test('a client whose machine is gone is noticed by its silence, though nothing closes its connection', async (t) => {
  const s = await setup(t, { tuning: { keepaliveMs: 50 } })
  const frozen = spawn('sftp', [...s.ssh, 'partner@127.0.0.1'], {
    env: s.env,
    cwd: s.local,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  t.teardown(() => process.kill(-frozen.pid!, 'SIGKILL'))
  await until(() => s.files.length === 1)
  process.kill(-frozen.pid!, 'SIGSTOP')
  await until(() => s.gatekeeper.closed.length === 1)
  t.strictSame(s.gatekeeper.closed, ['s1'])
  t.strictSame(s.gatekeeper.reasons, ['lost'])
  t.equal((await s.sftp('pwd\n')).code, 0)
})

test('a client that answers signs of life and does nothing else stays until it was idle for too long', async (t) => {
  const s = await setup(t, { tuning: { keepaliveMs: 20 }, limits: { idle_timeout: 600 } })
  const client = await connect(s.port)
  let asked = 0
  const protocol = (client as unknown as { _protocol: { requestSuccess(): void; requestFailure(): void } })._protocol
  const { requestFailure } = protocol
  protocol.requestFailure = () => {
    asked++
    requestFailure.call(protocol)
  }
  await closeOf(client)
  t.ok(asked > 4, 'it was asked more often than a dead one would be')
  await until(() => s.gatekeeper.closed.length === 1)
})

test('a client that asks and takes no answers is ended as stalled, long before it would be idle', async (t) => {
  const s = await setup(t, { tuning: { lookMs: 50 }, limits: { transfer_stall_timeout: 300, idle_timeout: 3600e3 } })
  writeFileSync(join(s.home, 'big'), randomBytes(2 ** 20))
  const client = await connect(s.port)
  const sftp = await RawSftp.open(client)
  const handle = await sftp.file('/big', READ)
  ;(client as unknown as { _sock: { pause(): void } })._sock.pause()
  for (let i = 0; i < 2000; i++) sftp.send(5, handle, u64(0), u32(2 ** 18))
  await until(() => s.gatekeeper.closed.length === 1)
  await until(() => s.log.some((line) => line.startsWith('end /big')))
  t.pass('its file is let go')
  client.destroy()
})

test('sixteen channels work side by side on one connection; the seventeenth is refused, and one that closes makes room', async (t) => {
  const s = await setup(t)
  const client = await connect(s.port)
  const channels = await Promise.all(Array.from({ length: 16 }, () => RawSftp.open(client)))
  await t.rejects(RawSftp.open(client), 'one more is too many')
  const contents = channels.map(() => randomBytes(300_000))
  await Promise.all(
    channels.map(async (sftp, n) => {
      const handle = await sftp.file(`/f${n}`, WRITE | CREAT | TRUNC)
      const content = contents[n]!
      for (let at = 0; at < content.length; at += 30_000) sftp.send(6, handle, u64(at), str(content.subarray(at, at + 30_000)))
      for (let at = 0; at < content.length; at += 30_000) t.equal(statusOf(await sftp.next()), 0)
      t.equal(statusOf(await sftp.ask(4, handle)), 0)
    }),
  )
  for (const [n, content] of contents.entries()) t.equal(hash(readFileSync(join(s.home, `f${n}`))), hash(content))
  channels[0]!.channel.end()
  await channels[0]!.closed
  t.ok(await RawSftp.open(client))
  client.end()
})

test('a channel whose input ends is answered, gets its exit status and is closed by us', async (t) => {
  const s = await setup(t)
  const client = await connect(s.port)
  const sftp = await RawSftp.open(client)
  const exited = once(sftp.channel, 'exit')
  sftp.send(17, str('/'))
  sftp.channel.end()
  t.equal((await sftp.next()).type, 105, 'what was asked before is answered')
  t.strictSame((await exited)[0], 0)
  await sftp.closed
  t.ok(await RawSftp.open(client), 'the connection lives on')
  client.end()
})

test('before its login a client that sends and never reads is not taken without end', async (t) => {
  const s = await setup(t, { limits: { login_timeout: 2000 } })
  const before = process.memoryUsage().rss
  const sockets = Array.from({ length: 20 }, () => {
    const socket = connectSocket(s.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    socket.write('SSH-2.0-OpenSSH_9.2\r\n')
    // well-formed clear packets that are answered or ignored: IGNORE, DEBUG, and a type nobody knows
    for (const type of [2, 4, 77]) {
      const body = Buffer.concat([Buffer.of(type), u32(0), u32(0), u32(0)])
      const padding = 8 + ((8 - ((body.length + 5) % 8)) % 8)
      const packet = Buffer.concat([u32(body.length + padding + 1), Buffer.of(padding), body, Buffer.alloc(padding)])
      socket.write(Buffer.concat(Array.from({ length: 20_000 }, () => packet)))
    }
    return socket
  })
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve).resume())))
  t.ok(process.memoryUsage().rss - before < 200 * 2 ** 20)
  t.equal((await s.sftp('pwd\n')).code, 0)
})
