// What broken and hostile clients do: nothing crashes, memory stays bounded, half a file is never published.
// Must not use well-behaved clients; clients.test.ts does.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect as connectSocket } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { connect, RawSftp, statusOf, str, u32, u64 } from './raw-client.ts'
import { PASSWORD, setup } from './setup.ts'

const READ = 1
const WRITE = 2
const CREAT = 8
const TRUNC = 16
const EXCL = 32

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10))
}

test('a cut upload is never published, and its session ends once', async (t) => {
  const s = await setup(t)
  const client = await connect(s.port)
  const sftp = await RawSftp.open(client)
  const handle = await sftp.file('/cut', WRITE | CREAT | TRUNC)
  t.equal(statusOf(await sftp.ask(6, handle, u64(0), str('half'))), 0)
  ;(client as unknown as { _sock: { destroy(): void } })._sock.destroy()
  await until(() => s.gatekeeper.closed.length > 0)
  t.ok(s.log.includes('abort /cut'))
  t.notOk(existsSync(join(s.home, 'cut')))
  t.strictSame(s.gatekeeper.closed, ['s1'])
  t.equal(s.files[0]!.closed, 1)
})

test('after a failed write, closing the file does not publish it', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port))
  const handle = await sftp.file('/full', WRITE | CREAT | TRUNC)
  t.equal(statusOf(await sftp.ask(6, handle, u64(0), str('a'))), 0)
  s.files[0]!.beforeWrite = () => {
    throw new Error('disk on fire: /secret/real/path')
  }
  const failed = await sftp.ask(6, handle, u64(1), str('b'))
  t.equal(statusOf(failed), 4)
  t.notMatch(failed.body.toString(), /secret/)
  s.files[0]!.beforeWrite = () => {}
  t.equal(statusOf(await sftp.ask(4, handle)), 4)
  t.notOk(existsSync(join(s.home, 'full')))
  t.ok(s.log.includes('abort /full'))
})

test('a file that was opened and closed without data arrives empty', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port))
  t.equal(statusOf(await sftp.ask(4, await sftp.file('/empty', WRITE | CREAT | TRUNC))), 0)
  t.equal(readFileSync(join(s.home, 'empty'), 'utf8'), '')
})

test('open flags mean what they mean on OpenSSH', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.home, 'there'), 'old content')
  const sftp = await RawSftp.open(await connect(s.port))
  const open = async (path: string, flags: number) => statusOf(await sftp.ask(3, str(path), u32(flags), u32(0)))
  t.equal(await open('/there', WRITE | CREAT | EXCL), 4)
  t.equal(await open('/none', WRITE), 2)
  t.equal(await open('/none', WRITE | TRUNC), 2)
  t.equal(await open('/none', READ), 2)
  t.equal(await open('/there', READ | CREAT | EXCL), 4, 'a lock that another one holds')
  for (const flags of [READ | CREAT | EXCL, READ | CREAT]) {
    const fresh = `/fresh-${flags}`
    t.equal(statusOf(await sftp.ask(4, await sftp.file(fresh, flags))), 0)
    t.equal(readFileSync(join(s.home, fresh), 'utf8'), '')
    t.ok(s.log.includes(`commit ${fresh}`))
  }
  t.equal(statusOf(await sftp.ask(12, await sftp.file('/there', READ | CREAT))), 4, 'the names of a file')
  t.equal(readFileSync(join(s.home, 'there'), 'utf8'), 'old content')
  const handle = await sftp.file('/there', READ | WRITE)
  t.equal(statusOf(await sftp.ask(6, handle, u64(0), str('new'))), 0)
  const data = await sftp.ask(5, handle, u64(0), u32(100))
  t.equal(data.body.subarray(4).toString(), 'new content')
  t.equal(statusOf(await sftp.ask(4, handle)), 0)
  t.equal(readFileSync(join(s.home, 'there'), 'utf8'), 'new content')
})

test('pipelined writes in any order land where they belong, junk behind the data is dropped', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port))
  const handle = await sftp.file('/f', WRITE | CREAT | TRUNC)
  const content = randomBytes(40 * 1000)
  const order = [...Array(40).keys()].sort((a, b) => ((a * 7) % 40) - ((b * 7) % 40))
  for (const i of order) sftp.send(6, handle, u64(i * 1000), str(content.subarray(i * 1000, (i + 1) * 1000)), Buffer.from('junk'))
  sftp.send(4, handle)
  for (let i = 0; i < 41; i++) t.equal(statusOf(await sftp.next()), 0)
  t.ok(readFileSync(join(s.home, 'f')).equals(content))
})

test('offsets beyond 2^53 are refused', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port))
  const handle = await sftp.file('/f', READ | WRITE | CREAT | TRUNC)
  t.equal(statusOf(await sftp.ask(6, handle, u64(2n ** 53n), str('x'))), 5)
  t.equal(statusOf(await sftp.ask(6, handle, u64(2n ** 53n - 1n), str('xx'))), 5)
  t.equal(statusOf(await sftp.ask(5, handle, u64(2n ** 64n - 1n), u32(1))), 5)
})

test('names that are not UTF-8 keep their bytes', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port))
  const name = Buffer.from([0x2f, 0x66, 0xfc, 0x72])
  t.equal(statusOf(await sftp.ask(4, await sftp.file(name, WRITE | CREAT | TRUNC))), 0)
  t.ok(existsSync(Buffer.concat([Buffer.from(s.home), name])))
  const folder = await sftp.ask(11, str('/'))
  const names = await sftp.ask(12, folder.body)
  t.ok(names.body.includes(name.subarray(1)))
})

test('unknown types and broken fields are answered, and the channel lives on', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port))
  t.equal(statusOf(await sftp.ask(99, Buffer.from('whatever'))), 8)
  t.equal(statusOf(await sftp.ask(200, str('no-such@extension'))), 8)
  t.equal(statusOf(await sftp.ask(200, str('__proto__'))), 8)
  t.equal(statusOf(await sftp.ask(17, u32(1000), Buffer.from('short'))), 5)
  t.equal(statusOf(await sftp.ask(4, str('nope'))), 2)
  t.equal(statusOf(await sftp.ask(6, str(Buffer.alloc(300)), u64(0), str('x'))), 5)
  t.equal(statusOf(await sftp.ask(17, str('/nul\0l'))), 5)
  const ok = await sftp.ask(16, str('../../..'))
  t.equal(ok.type, 104)
  t.equal(ok.body.subarray(8, 9).toString(), '/')
})

test('a bad packet length ends the channel, not the process', async (t) => {
  const s = await setup(t)
  for (const bytes of [u32(0), u32(0xffffffff), u32(2 ** 18 + 1), randomBytes(5000)]) {
    const client = await connect(s.port)
    const sftp = await RawSftp.open(client)
    sftp.channel.write(Buffer.concat([bytes, Buffer.alloc(300_000, 255)]))
    await sftp.closed
    client.end()
  }
  t.equal((await s.sftp('pwd\n')).code, 0)
})

test('a client that asks for much and reads nothing is held, others are served', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.home, 'big'), randomBytes(8 * 2 ** 20))
  const client = await connect(s.port)
  const sftp = await RawSftp.open(client)
  const handle = await sftp.file('/big', READ)
  sftp.channel.pause()
  const socket = (client as unknown as { _sock: { pause(): void; resume(): void } })._sock
  socket.pause()
  for (let i = 0; i < 5000; i++) sftp.send(5, handle, u64((i % 32) * 2 ** 18), u32(2 ** 18))
  const before = process.memoryUsage().rss
  t.equal((await s.sftp('get big\n')).code, 0)
  t.ok(process.memoryUsage().rss - before < 200 * 2 ** 20, 'memory stays bounded')
  socket.resume()
  client.end()
})

test('open files, channels and login tries are bounded', async (t) => {
  const s = await setup(t, { tuning: { maxHandles: 3, maxChannels: 2, maxLoginFailures: 2 } })
  const client = await connect(s.port)
  const sftp = await RawSftp.open(client)
  for (let i = 0; i < 3; i++) await sftp.file(`/f${i}`, WRITE | CREAT | TRUNC)
  const other = await RawSftp.open(client)
  t.equal(statusOf(await other.ask(11, str('/'))), 4)
  await t.rejects(RawSftp.open(client))
  client.end()
  await t.rejects(connect(s.port, { password: 'wrong', tryKeyboard: false }))
  const seen = s.gatekeeper.attempts.length
  t.ok(seen <= 4)
})

test('a connection that does not log in is cut off, with or without a word', async (t) => {
  const s = await setup(t, { limits: { login_timeout: 300 } })
  for (const word of ['', 'SSH-2.0-x\r\n', 'GET / HTTP/1.0\r\n\r\n', `SSH-2.0-OpenSSH_9.2\r\n${'x'.repeat(100_000)}`]) {
    const socket = connectSocket(s.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    socket.write(word)
    await once(socket, 'close')
  }
  // one who does log in may take longer than that on a loaded machine
  Object.assign(s.config.limits, { login_timeout: 30_000 })
  t.equal((await s.sftp('pwd\n')).code, 0)
})

test('a refused address gets no SSH at all', async (t) => {
  const s = await setup(t)
  s.gatekeeper.admission = { allowed: false, code: 'auth.banned', message: 'banned' }
  const socket = connectSocket(s.port, '127.0.0.1')
  const got: Buffer[] = []
  socket.on('data', (chunk) => got.push(chunk))
  await once(socket, 'close')
  t.equal(Buffer.concat(got).length, 0)
})

test('a key logs in after a wrong password', async (t) => {
  const s = await setup(t)
  const key = readFileSync(s.identity)
  const methods = ['keyboard-interactive', 'publickey', 'password']
  let at = 0
  const client = await connect(s.port, {
    privateKey: key,
    tryKeyboard: true,
    authHandler: (_left: unknown, _partial: unknown, next: (method: unknown) => void) => {
      const type = methods[at++]
      if (type === undefined) return next(false)
      if (type === 'keyboard-interactive') {
        next({
          type,
          username: 'partner',
          prompt: (_n: unknown, _i: unknown, _l: unknown, _p: unknown, finish: (a: string[]) => void) => finish(['wrong']),
        })
      } else next(type === 'password' ? { type, username: 'partner', password: PASSWORD } : { type, username: 'partner', key })
    },
  })
  client.end()
  t.equal(s.gatekeeper.attempts.at(-1)!.credential.kind, 'publickey')
  t.match(s.gatekeeper.attempts.at(-1)!.credential, { proven: true })
})

test('a revoked session ends at once, its upload is not published', async (t) => {
  const s = await setup(t)
  const client = await connect(s.port)
  const closed = once(client, 'close')
  const sftp = await RawSftp.open(client)
  const handle = await sftp.file('/f', WRITE | CREAT | TRUNC)
  await sftp.ask(6, handle, u64(0), str('data'))
  s.listener.revoke('s1', { code: 'session.revoked', message: 'disabled' })
  await closed
  await until(() => s.log.includes('abort /f'))
  t.notOk(existsSync(join(s.home, 'f')))
  await until(() => s.gatekeeper.closed.length === 1)
})

test('stopping lets a running upload finish, refuses new ones, and ends idle sessions', async (t) => {
  const s = await setup(t, { tuning: { drainGraceMs: 50 } })
  const idle = await connect(s.port)
  const idleClosed = once(idle, 'close')
  const client = await connect(s.port)
  const sftp = await RawSftp.open(client)
  const handle = await sftp.file('/f', WRITE | CREAT | TRUNC)
  const stopped = s.listener.stop(30_000)
  await idleClosed
  t.equal(statusOf(await sftp.ask(3, str('/g'), u32(WRITE | CREAT | TRUNC), u32(0))), 7)
  t.equal(statusOf(await sftp.ask(6, handle, u64(0), str('done'))), 0)
  t.equal(statusOf(await sftp.ask(4, handle)), 0)
  await stopped
  t.equal(readFileSync(join(s.home, 'f'), 'utf8'), 'done')
})

test('an idle session ends', async (t) => {
  const s = await setup(t, { limits: { idle_timeout: 200 } })
  const client = await connect(s.port)
  await once(client, 'close')
  await until(() => s.gatekeeper.closed.length === 1)
  t.pass()
})

test('a channel that is closed while its replies are not read lets go of its files', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.home, 'big'), randomBytes(2 ** 20))
  const client = await connect(s.port)
  const sftp = await RawSftp.open(client)
  const handle = await sftp.file('/big', READ)
  sftp.channel.pause()
  for (let i = 0; i < 200; i++) sftp.send(5, handle, u64(0), u32(2 ** 18))
  await until(() => s.gatekeeper.progressed.length > 0)
  sftp.channel.close()
  await until(() => s.log.some((line) => line.startsWith('end /big')))
  t.ok(await RawSftp.open(client))
  client.end()
})

test('what is asked of names behind a CLOSE sees the closed file, though nobody waited for its answer', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port))
  for (let round = 0; round < 10; round++) {
    const handle = await sftp.file(`/f${round}`, WRITE | CREAT | TRUNC)
    sftp.send(6, handle, u64(0), str('content'))
    sftp.send(4, handle)
    sftp.send(17, str(`/f${round}`))
    sftp.send(3, str(`/f${round}`), u32(READ), u32(0))
    sftp.send(3, str(`/f${round}`), u32(READ | WRITE), u32(0))
    sftp.send(18, str(`/f${round}`), str(`/g${round}`))
    const replies = []
    for (let i = 0; i < 6; i++) replies.push(await sftp.next())
    t.strictSame(
      replies.map(({ type }) => type),
      [101, 101, 105, 102, 102, 101],
    )
    t.equal(statusOf(replies[5]!), 0)
  }
})

test('a thousand files are open at once, closed twice and used after: each is answered, and all come back', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.home, 'f'), 'content')
  const sftp = await RawSftp.open(await connect(s.port))
  for (let i = 0; i < 1001; i++) sftp.send(3, str('/f'), u32(READ), u32(0))
  const handles: Buffer[] = []
  for (let i = 0; i < 1000; i++) handles.push((await sftp.next()).body)
  t.equal(statusOf(await sftp.next()), 4, 'one more is too many')
  for (const handle of handles) {
    sftp.send(4, handle)
    sftp.send(4, handle)
    sftp.send(5, handle, u64(0), u32(1))
  }
  // handles do not wait for each other: answers come in any order, but each once
  const codes = new Map<number, number>()
  for (let i = 0; i < 3000; i++) {
    const reply = await sftp.next()
    codes.set(reply.id, statusOf(reply))
  }
  t.equal(codes.size, 3000)
  t.equal([...codes.values()].filter((status) => status === 0).length, 1000, 'each is closed once')
  t.equal([...codes.values()].filter((status) => status === 2).length, 1000, 'the second CLOSE is NO_SUCH_FILE, as on OpenSSH')
  t.equal([...codes.values()].filter((status) => status === 4).length, 1000)
  t.equal(statusOf(await sftp.ask(4, await sftp.file('/f', READ))), 0)
})

test('a connection beyond those that a thread keeps without a login is dropped, and the control plane is told', async (t) => {
  const s = await setup(t, { tuning: { maxUnauthenticated: 2 } })
  const sockets = [1, 2, 3].map(() => connectSocket(s.port, '127.0.0.1').on('error', () => {}))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  await Promise.race(sockets.map((socket) => once(socket.resume(), 'close')))
  t.match(s.gatekeeper.dropped, [{ protocol: 'sftp', address: '127.0.0.1' }])
  t.equal(s.gatekeeper.dropped.length, 1)
})

test('requests that come one byte in each packet of the channel are answered like any other', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port), false)
  const packet = (...parts: Uint8Array[]): Buffer => Buffer.concat([u32(parts.reduce((sum, part) => sum + part.length, 0)), ...parts])
  const handle = str(Buffer.alloc(4))
  const types: number[] = []
  // a handle can be used once its OPEN is answered
  for (const packets of [
    [packet(Buffer.of(1), u32(3)), packet(Buffer.of(3), u32(1), str('/f'), u32(WRITE | CREAT | TRUNC), u32(0))],
    [packet(Buffer.of(6), u32(2), handle, u64(0), str('content')), packet(Buffer.of(4), u32(3), handle)],
  ]) {
    for (const byte of Buffer.concat(packets)) sftp.channel.write(Buffer.of(byte))
    for (const _ of packets) types.push((await sftp.next()).type)
  }
  t.same(types, [2, 102, 101, 101])
  t.equal(readFileSync(join(s.home, 'f'), 'utf8'), 'content')
})

test('sixteen channels that ask for much and take nothing hold little more than one; all is answered once they take it', async (t) => {
  const s = await setup(t, { tuning: { maxHeld: 2 * 2 ** 20, leastHeld: 64 * 1024 } })
  writeFileSync(join(s.home, 'big'), randomBytes(8 * 2 ** 20))
  const client = await connect(s.port)
  const channels = await Promise.all(Array.from({ length: 16 }, () => RawSftp.open(client)))
  const handles = await Promise.all(channels.map((sftp) => sftp.file('/big', READ)))
  const length = 255 * 1024
  const asked = 40
  for (const [n, sftp] of channels.entries()) {
    sftp.channel.pause()
    for (let i = 0; i < asked; i++) sftp.send(5, handles[n]!, u64((i % 30) * length), u32(length))
  }
  const socket = (client as unknown as { _sock: { bytesRead: number } })._sock
  let read = -1
  while (read !== s.files[0]!.bytesRead) {
    read = s.files[0]!.bytesRead
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  const held = read - socket.bytesRead
  t.ok(held < 16 * 2 ** 20, `${Math.round(held / 2 ** 20)} MiB are held`)
  const other = await connect(s.port)
  t.equal((await (await RawSftp.open(other)).ask(16, str('.'))).type, 104, 'other connections do not wait')
  other.end()
  for (const { channel } of channels) channel.resume()
  for (const sftp of channels) for (let i = 0; i < asked; i++) t.equal((await sftp.next()).body.length, 4 + length)
  client.end()
})
