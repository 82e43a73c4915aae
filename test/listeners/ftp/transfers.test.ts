// What is kept and what is not of files that come and go, looked at on disk.
// Must not trust a reply alone.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { DataWriter } from '../../../src/listeners/ftp/data-writer.ts'
import { RunningTransfer } from '../../../src/listeners/ftp/transfer.ts'
import { RawClient, received, startFtp, until } from './support.ts'

test('an acknowledged upload is whole under its name, and its commit was over before 226', async (t) => {
  const { port, root, trace, calls } = await startFtp(t)
  const client = await RawClient.login(port)
  const content = randomBytes(9_000_000)
  let replied = false
  trace.beforeCommit = async () => {
    t.equal(replied, false)
  }
  const data = await client.data()
  t.match(await client.ask('STOR f'), /^150 /)
  data.end(content)
  t.match(await client.reply(), /^226 /)
  replied = true
  t.ok(readFileSync(`${root}/f`).equals(content))
  t.same(trace.committed[0]?.verdict, { confidence: 'likely', evidence: ['control alive'] })
  await client.ask('NOOP')
  t.same(calls.confirmed, [{ id: trace.committed[0]?.id, verdict: 'confirmed' }])
})

/** A client that has uploaded `f` and read its 226. */
async function acknowledged(t: Test, port: number): Promise<RawClient> {
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  data.end('x')
  t.match(await client.reply(), /^226 /)
  return client
}

test('a live but silent session is believed after a quiet moment', async (t) => {
  const { port, calls } = await startFtp(t)
  await acknowledged(t, port)
  await until(() => calls.confirmed.length === 1)
  t.equal(calls.confirmed[0]?.verdict, 'confirmed')
})

test('a client that reads its 226 and closes without QUIT has uploaded', async (t) => {
  const { port, calls } = await startFtp(t)
  const client = await acknowledged(t, port)
  client.socket.destroy()
  await until(() => calls.confirmed.length === 1)
  t.equal(calls.confirmed[0]?.verdict, 'confirmed')
})

test('a client that reads its 226 and closes without QUIT has uploaded, though the listener stops at that moment', async (t) => {
  const { port, calls, listener } = await startFtp(t)
  const client = await acknowledged(t, port)
  client.socket.destroy()
  // its end has been read
  await sleep(50)
  await listener.stop(0)
  await until(() => calls.confirmed.length === 1)
  t.equal(calls.confirmed[0]?.verdict, 'confirmed')
})

test('a client that dies before it has read its 226 makes the upload suspect', async (t) => {
  const { port, calls, trace } = await startFtp(t)
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  client.socket.pause()
  data.end('x')
  await until(() => trace.committed.length === 1)
  // the kernel resets what ends with an answer unread, and what is answered after its end
  await sleep(50)
  client.socket.resetAndDestroy()
  await until(() => calls.confirmed.length === 1)
  t.equal(calls.confirmed[0]?.verdict, 'suspect')
})

test('a client whose end and reset are both there makes the upload suspect', async (t) => {
  const { port, calls } = await startFtp(t)
  const client = await acknowledged(t, port)
  // as a dead client's kernel does: the end first, the reset when an answer comes for which there is nobody
  client.socket.end()
  await sleep(50)
  client.socket.resetAndDestroy()
  await until(() => calls.confirmed.length === 1)
  t.equal(calls.confirmed[0]?.verdict, 'suspect')
})

test('a killed client (both connections end together) leaves nothing under the name', async (t) => {
  const { port, root, trace } = await startFtp(t)
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  data.write('half')
  client.socket.end()
  data.end()
  await until(() => trace.aborted.length === 1)
  t.notOk(existsSync(`${root}/f`))
  t.same(trace.committed, [])
})

test('a reset data connection leaves nothing under the name and says 426', async (t) => {
  const { port, root, trace } = await startFtp(t)
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  data.write('half', () => data.resetAndDestroy())
  t.match(await client.reply(), /^426 /)
  t.notOk(existsSync(`${root}/f`))
  t.same(trace.committed, [])
  t.match(await client.ask('NOOP'), /^200 /)
})

test('ABOR stops an upload: 426, then 226, nothing under the name', async (t) => {
  const { port, root, trace } = await startFtp(t)
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  data.write('half')
  t.match(await client.ask('NOOP'), /^200 /, 'NOOP is answered beside the transfer')
  t.match(await client.ask('STAT'), /STOR runs/)
  t.match(await client.ask('ABOR'), /^426 /)
  t.match(await client.reply(), /^226 /)
  t.notOk(existsSync(`${root}/f`))
  t.equal(trace.aborted.length, 1)
})

test('ABOR stops a download', async (t) => {
  const { port, root, trace } = await startFtp(t)
  writeFileSync(`${root}/f`, randomBytes(30_000_000))
  const client = await RawClient.login(port)
  const data = await client.data()
  t.match(await client.ask('RETR f'), /^150 .*\(30000000 bytes\)/)
  data.pause()
  t.match(await client.ask('ABOR'), /^426 /)
  t.match(await client.reply(), /^226 /)
  await until(() => trace.downloads.length === 1)
  t.ok(trace.downloads[0]?.error)
})

test('an upload that is shorter than ALLO said is not kept; one that is as long is certain, a longer one is taken without that evidence', async (t) => {
  const { port, root, trace } = await startFtp(t)
  const client = await RawClient.login(port)
  await client.ask('ALLO 10')
  const short = await client.data()
  await client.ask('STOR f')
  short.end('12345')
  t.match(await client.reply(), /^426 /)
  t.notOk(existsSync(`${root}/f`))
  await client.ask('ALLO 5')
  const whole = await client.data()
  await client.ask('STOR g')
  whole.end('12345')
  t.match(await client.reply(), /^226 /)
  t.same(trace.committed[0]?.verdict, { confidence: 'certain', evidence: ['allo size'] })
  // ALLO asks for room (RFC 959 §4.1.3): a log that is written while it is sent has more in the end
  for (const announced of [3, 0]) {
    await client.ask(`ALLO ${announced}`)
    const more = await client.data()
    await client.ask('STOR h')
    more.end('12345')
    t.match(await client.reply(), /^226 /)
    t.equal(readFileSync(`${root}/h`, 'utf8'), '12345')
    t.same(trace.committed.at(-1)?.verdict, { confidence: 'likely', evidence: ['control alive'] }, 'but it tells nothing of the end')
  }
  await client.ask('TYPE A')
  await client.ask('ALLO 9')
  const lines = await client.data()
  await client.ask('STOR i')
  lines.end('12\r\n45\r\n7\r\n')
  t.match(await client.reply(), /^426 /, 'in text a length between the two counts of bytes may be a cut file')
  t.notOk(existsSync(`${root}/i`))
})

test('REST and STOR go on where a cut upload ended; APPE goes on at its end', async (t) => {
  const { port, root } = await startFtp(t)
  const client = await RawClient.login(port)
  const first = await client.data()
  await client.ask('STOR f')
  first.write('hello ')
  await client.ask('NOOP')
  await client.ask('ABOR')
  await client.reply()
  const second = await client.data()
  t.match(await client.ask('REST 3'), /^350 /)
  t.match(await client.ask('STOR f'), /^150 /)
  second.end('p me')
  t.match(await client.reply(), /^226 /)
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'help me')
  const third = await client.data()
  await client.ask('APPE f')
  third.end('!')
  t.match(await client.reply(), /^226 /)
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'help me!')
  const fourth = await client.data()
  await client.ask('REST 100')
  t.match(await client.ask('STOR f'), /^554 /)
  fourth.destroy()
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'help me!')
})

test('a download begins where REST says, and REST counts once', async (t) => {
  const { port, root } = await startFtp(t)
  const content = randomBytes(5_000_000)
  writeFileSync(`${root}/f`, content)
  const client = await RawClient.login(port)
  await client.ask('REST 2500000')
  for (const from of [2_500_000, 0]) {
    const data = await client.data()
    await client.ask('RETR f')
    t.ok((await received(data)).equals(content.subarray(from)))
    t.match(await client.reply(), /^226 /)
  }
})

test('TYPE A changes line ends both ways, across packet borders', async (t) => {
  const { port, root } = await startFtp(t)
  const client = await RawClient.login(port)
  await client.ask('TYPE A')
  const data = await client.data()
  await client.ask('STOR f')
  data.write('a\r')
  await client.ask('NOOP')
  data.write('\nb\rc\r\n')
  data.end('\r')
  await client.reply()
  t.equal(readFileSync(`${root}/f`, 'latin1'), 'a\nb\rc\n\r')
  writeFileSync(`${root}/g`, 'a\nb\r\nc')
  const back = await client.data()
  await client.ask('RETR g')
  t.equal((await received(back)).toString(), 'a\r\nb\r\nc')
})

test('a name with a slash behind it is a folder’s: no file is made, found or renamed by it', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(join(root, 'f'), 'content')
  mkdirSync(join(root, 'folder'))
  const client = await RawClient.login(port)
  for (const name of ['none/', 'none/.', 'f/', 'folder/']) {
    for (const command of ['STOR', 'APPE', 'RETR']) {
      ;(await client.data()).on('error', () => undefined)
      t.match(await client.ask(`${command} ${name}`), /^550 /, `${command} ${name}`)
    }
    for (const command of ['SIZE', 'DELE', 'XSHA256']) t.match(await client.ask(`${command} ${name}`), /^550 /, `${command} ${name}`)
  }
  t.match(await client.ask('RNFR f'), /^350 /)
  t.match(await client.ask('RNTO other/'), /^550 /)
  t.match(await client.ask('RNFR folder/'), /^350 /)
  t.match(await client.ask('RNTO moved/'), /^250 /)
  t.match(await client.ask('CWD moved/'), /^250 /)
  t.same(readdirSync(root).sort(), ['f', 'moved'])
})

test('a quota that is used up says 552 and keeps the old file', async (t) => {
  const { port, root } = await startFtp(t, { maxSize: 100 })
  writeFileSync(`${root}/f`, 'old')
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  data.end(Buffer.alloc(5000))
  t.match(await client.reply(), /^552 /)
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'old')
})

test('a refused open says so instead of 150 and touches nothing', async (t) => {
  const { port, root } = await startFtp(t)
  const client = await RawClient.login(port)
  await client.data()
  t.match(await client.ask('RETR none'), /^550 /)
  await client.data()
  t.match(await client.ask('STOR no/such/dir'), /^550 /)
  t.same(readdirSync(root), [])
  t.match(await client.ask('RETR none'), /^425 /, 'a data connection serves one command')
})

test('STOU makes a new name each time and tells it', async (t) => {
  const { port, root } = await startFtp(t)
  const client = await RawClient.login(port)
  for (const content of ['one', 'two']) {
    const data = await client.data()
    const name = /^150 FILE: (.+)$/.exec(await client.ask('STOU x'))?.[1]
    data.end(content)
    t.match(await client.reply(), /^226 /)
    t.equal(readFileSync(`${root}/${name}`, 'utf8'), content)
  }
})

test('an upload that stalls ends with 426', async (t) => {
  const { port, root } = await startFtp(t, { limits: { transfer_stall_timeout: 100 } })
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  data.write('half')
  t.match(await client.reply(), /^426 /)
  t.notOk(existsSync(`${root}/f`))
})

test('a download that nobody reads ends with 426', async (t) => {
  const { port, root } = await startFtp(t, { limits: { transfer_stall_timeout: 100 } })
  writeFileSync(`${root}/f`, randomBytes(30_000_000))
  const client = await RawClient.login(port)
  const data = await client.data()
  data.pause()
  await client.ask('RETR f')
  t.match(await client.reply(), /^426 /)
})

test('the end of a download that nobody reads is waited for no longer than its bytes are', async (t) => {
  const server = createServer((socket) => socket.on('error', () => undefined).pause()).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const socket = connect((server.address() as { port: number }).port, '127.0.0.1')
  await once(socket, 'connect')
  const transfer = new RunningTransfer('RETR')
  transfer.governs(socket)
  const writer = new DataWriter(socket)
  transfer.watchStall(socket, 100, () => writer.busy)
  // more than the kernel takes, so that the end (over TLS a message of its own) stays behind it
  socket.write(Buffer.alloc(50_000_000))
  await writer.finish().catch(() => undefined)
  t.match(transfer.signal.reason, { code: 'transfer.stalled' })
})

test('a stop lets a running upload finish, then says 421', async (t) => {
  const { port, root, listener } = await startFtp(t)
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  const stopped = listener.stop(20_000)
  data.end('all of it')
  t.match(await client.reply(), /^226 /)
  t.match(await client.reply(), /^421 /)
  await stopped
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'all of it')
})

test('a stop lets a download, a listing and a digest that run finish, then says 421; nothing behind them is begun', async (t) => {
  const { port, root, listener } = await startFtp(t)
  const content = randomBytes(30_000_000)
  writeFileSync(`${root}/big`, content)
  writeFileSync(`${root}/zeros`, '')
  truncateSync(`${root}/zeros`, 200_000_000)
  const login = () => RawClient.login(port)
  const [down, list, hash, idle, stranger] = await Promise.all([login(), login(), login(), login(), RawClient.open(port)])
  const data = await down.data()
  data.pause()
  t.match(await down.ask('RETR big'), /^150 /)
  const waits = await list.passivePort()
  t.match(await list.ask('NLST'), /^150 /)
  hash.send('HASH zeros\r\nSTAT')
  t.match(await hash.reply(), /HASH runs/)
  for (const client of [down, list, hash]) client.send('MKD late')
  const stopped = listener.stop(60_000)
  for (const client of [idle, stranger]) t.match(await client.reply(), /^421 /, 'who does nothing hears it at once')
  t.equal((await received(connect(waits, '127.0.0.1'))).toString().split('\r\n').sort().join(' '), ' big zeros')
  t.match(await list.reply(), /^226 /)
  t.ok((await received(data)).equals(content))
  t.match(await down.reply(), /^226 /)
  t.match(await hash.reply(), /^213 SHA-256 0-200000000 /)
  for (const client of [down, list, hash]) {
    t.match(await client.reply(), /^421 /)
    await client.closed()
  }
  await stopped
  t.notOk(existsSync(`${root}/late`))
})

test('a stop ends a download, a listing and a digest at its deadline', async (t) => {
  const { port, root, listener, calls } = await startFtp(t)
  writeFileSync(`${root}/big`, randomBytes(30_000_000))
  writeFileSync(`${root}/zeros`, '')
  truncateSync(`${root}/zeros`, 100_000_000_000)
  const login = () => RawClient.login(port)
  const [down, list, hash] = await Promise.all([login(), login(), login()])
  const data = await down.data()
  data.pause()
  t.match(await down.ask('RETR big'), /^150 /)
  await list.passivePort()
  t.match(await list.ask('LIST'), /^150 /)
  hash.send('HASH zeros\r\nSTAT')
  t.match(await hash.reply(), /HASH runs/)
  await listener.stop(20)
  for (const client of [down, list, hash]) t.match(await client.reply(), /^421 /)
  t.equal(calls.closed.length, 3, 'all is over when the stop is')
  data.destroy()
})

test('a stop ends an upload at its deadline, without the name appearing', async (t) => {
  const { port, root, listener, trace } = await startFtp(t)
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  data.write('half')
  await listener.stop(20)
  t.notOk(existsSync(`${root}/f`))
  t.equal(trace.aborted.length, 1)
})

test('a revoked session loses its running upload', async (t) => {
  const { port, root, listener, trace } = await startFtp(t)
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  data.write('half')
  listener.revoke('s1', { code: 'session.revoked', message: 'The account was changed or disabled.' })
  t.match(await client.reply(), /^421 /)
  await until(() => trace.aborted.length === 1)
  t.notOk(existsSync(`${root}/f`))
})

test('commands sent during a transfer run after it, in order', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  client.send('SIZE f\r\nPWD')
  data.end('12345')
  t.match(await client.reply(), /^226 /)
  t.equal(await client.reply(), '213 5')
  t.match(await client.reply(), /^257 /)
})

test('QUIT during a transfer is answered after it (RFC 959 §4.1.1), and the file is whole', async (t) => {
  const { port, root, calls } = await startFtp(t)
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR f')
  data.write('12')
  client.send('QUIT')
  t.match(await client.ask('NOOP'), /^200 /)
  data.end('345')
  t.match(await client.reply(), /^226 /)
  t.match(await client.reply(), /^221 /)
  await client.closed()
  t.equal(readFileSync(`${root}/f`, 'utf8'), '12345')
  await until(() => calls.closed.length === 1)
  t.same(calls.closed, [{ id: 's1', reason: 'quit' }])
})

test('every data connection is given back, however it ended', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(`${root}/f`, 'content')
  const client = await RawClient.login(port)
  const open = () => readdirSync('/proc/self/fd').length
  const before = open()
  for (let i = 0; i < 60; i++) {
    const data = await client.data()
    const opened = await client.ask(['RETR f', 'STOR g', 'LIST', 'RETR none'][i % 4] ?? '')
    if (i % 8 === 5) data.resetAndDestroy()
    else data.end()
    data.resume()
    if (opened.startsWith('150')) await client.reply()
  }
  await until(() => open() <= before)
  t.ok(open() <= before)
})

test('a flood of commands beside a transfer is held back and then answered in full', async (t) => {
  const { port, root, trace } = await startFtp(t)
  const client = await RawClient.login(port)
  let release: (() => void) | null = null
  trace.beforeCommit = () =>
    new Promise((resolve) => {
      release = resolve
    })
  const data = await client.data()
  await client.ask('STOR f')
  data.end('x')
  await until(() => release !== null)
  client.send(Array.from({ length: 500 }, () => 'ABOR').join('\r\n'))
  client.send('SIZE f')
  ;(release as (() => void) | null)?.()
  t.match(await client.reply(), /^226 Transfer complete/)
  for (let i = 0; i < 500; i++) {
    const reply = await client.reply()
    if (!reply.startsWith('226')) t.fail(reply)
  }
  t.equal(await client.reply(), '213 1')
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'x')
})
