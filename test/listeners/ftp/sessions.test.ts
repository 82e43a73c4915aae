// What a partner's client hears from connecting to leaving, and what the control plane is told of it.
// Must not move files; transfers.test.ts does.
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { test } from 'tap'
import { RawClient, received, startFtp, until } from './support.ts'

test('the greeting names no program and no version', async (t) => {
  const { port } = await startFtp(t)
  const client = new RawClient(connect(port, '127.0.0.1'))
  t.equal(await client.reply(), '220 FTP service ready.')
})

test('a banned address is told so with 421 before any password, and is disconnected', async (t) => {
  const { port, calls } = await startFtp(t, {
    admission: { allowed: false, code: 'auth.banned', message: 'Too many failed logins from this address.' },
  })
  const client = new RawClient(connect(port, '127.0.0.1'))
  t.equal(await client.reply(), '421 Too many failed logins from this address.')
  await client.closed()
  t.same(calls.authenticated, [])
})

test('nothing but the door is open before the login', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.open(port)
  for (const command of ['PWD', 'LIST', 'STOR x', 'RETR x', 'DELE x', 'PASV', 'SITE CHMOD 777 x', 'MKD x', 'TYPE I', 'REST 0']) {
    t.match(await client.ask(command), /^530 /, command)
  }
  t.match(await client.ask('PASS secret'), /^503 /)
  t.match(await client.ask('NONSENSE'), /^500 /)
  t.match(await client.ask('USER'), /^501 /)
  t.match(await client.ask('FEAT'), /^211-/)
})

test('a password is taken exactly as it was typed, quotes and spaces too', async (t) => {
  const { port, calls } = await startFtp(t, { password: ' a"b -x  ' })
  const client = await RawClient.open(port)
  await client.ask('USER partner')
  t.match(await client.ask('PASS  a"b -x  '), /^230 /)
  t.equal(calls.authenticated[0]?.password, ' a"b -x  ')
})

test('a wrong password is one answer, and the fifth on a connection ends it', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.open(port)
  for (let i = 0; i < 4; i++) {
    await client.ask(i % 2 ? 'USER partner' : 'USER nobody')
    t.equal(await client.ask('PASS wrong'), '530 Login failed.')
  }
  await client.ask('USER partner')
  t.match(await client.ask('PASS wrong'), /^421 /)
  await client.closed()
})

test('after a failed login the same connection can log in', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.open(port)
  await client.ask('USER partner')
  await client.ask('PASS wrong')
  await client.ask('USER partner')
  t.match(await client.ask('PASS secret'), /^230 /)
})

test('commands may come in pieces or all at once', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.open(port)
  for (const piece of ['US', 'ER part', 'ner\r', '\nPASS sec', 'ret\r\nPWD\nSYST\r\nNO', 'OP\r\n']) {
    client.send(Buffer.from(piece))
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (const code of ['331', '230', '257', '215', '200']) t.equal((await client.reply()).slice(0, 3), code)
})

test('who says QUIT and closes its side at once, as nc does at the end of its input, hears all its answers; an upload is not begun then', async (t) => {
  const { port, root, calls } = await startFtp(t, { ftp: { active: true } })
  const server = createServer((data) => data.end('never')).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const data = (server.address() as { port: number }).port
  const socket = connect(port, '127.0.0.1')
  socket.end(`USER partner\r\nPASS secret\r\nMKD d\r\nPORT 127,0,0,1,${data >> 8},${data & 255}\r\nSTOR f\r\nPWD\r\nQUIT\r\nPWD\r\n`)
  const answers = (await received(socket)).toString().split('\r\n')
  t.same(
    answers.map((line) => line.slice(0, 3)),
    ['220', '331', '230', '257', '200', '426', '257', '221', ''],
  )
  t.same(readdirSync(root), ['d'])
  await until(() => calls.closed.length === 1)
  t.same(calls.closed, [{ id: 's1', reason: 'quit' }])
})

test('a line without end is refused without being kept, and the session goes on', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.open(port)
  client.send(Buffer.alloc(1024 * 1024, 'x'))
  client.send('')
  t.match(await client.reply(), /^500 The line is too long/)
  t.match(await client.ask('NOOP'), /^200 /)
})

test('Telnet sequences around ABOR are understood, with the data mark or without it', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.login(port)
  client.send(Buffer.from([0xff, 0xf4, 0xff, 0xf2, ...Buffer.from('ABOR\r\n')]))
  t.match(await client.reply(), /^226 /)
  client.send(Buffer.from([0xff, 0xf4, 0xff, ...Buffer.from('ABOR\r\n')]))
  t.match(await client.reply(), /^226 /)
})

test('the byte 255 in a name stays what it is, doubled as Telnet has it or not; options that Telnet offers are passed over', async (t) => {
  const { port, root } = await startFtp(t)
  const client = await RawClient.login(port)
  const ask = (...bytes: (string | number)[]) => {
    client.send(Buffer.concat(bytes.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from([part])))))
    return client.reply()
  }
  // as ftplib sends what is not UTF-8 (Latin-1: ÿ), and as lftp does
  t.match(await ask('MKD L\xffHa\r\n'), /^257 /)
  t.match(await ask('MKD end\xff\r\n'), /^257 /)
  t.match(await ask('MKD two \xff\xff\r\n'), /^257 /)
  t.match(await ask('MKD of Telnet: \xff\xf0\r\n'), /^257 /)
  t.match(await ask('RMD end\xff\xff\r\n'), /^250 /, 'the same name')
  t.same(
    readdirSync(root, { encoding: 'buffer' })
      .map((name) => name.toString('latin1'))
      .sort(),
    ['L\xffHa', 'of Telnet: \xff\xf0', 'two \xff'],
  )
  t.match(await ask('\xff\xfd\x18\xff\xfb\x01\xff\xf1PWD\r\n'), /^257 /, 'DO, WILL and NOP before a command')
})

test('a client that never reads its replies is not read any more, and costs bounded memory', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.open(port)
  client.socket.pause()
  const flood = Buffer.from('HELP\r\n'.repeat(10_000))
  let blocked = false
  for (let i = 0; i < 400 && !blocked; i++) {
    blocked = !client.socket.write(flood)
    if (blocked) {
      const drained = await Promise.race([
        new Promise<boolean>((resolve) => client.socket.once('drain', () => resolve(true))),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 500)),
      ])
      blocked = !drained
    }
  }
  t.equal(blocked, true, 'the gateway stopped reading')
  client.socket.destroy()
})

test('QUIT ends the session once, and the control plane hears why', async (t) => {
  const { port, calls, trace } = await startFtp(t)
  const client = await RawClient.login(port)
  t.match(await client.ask('QUIT'), /^221 /)
  await client.closed()
  await until(() => calls.closed.length > 0)
  t.same(calls.closed, [{ id: 's1', reason: 'quit' }])
  t.equal(trace.closed, 1)
})

test('a lost connection and a reset end the session once', async (t) => {
  const { port, calls, trace } = await startFtp(t)
  const first = await RawClient.login(port)
  first.socket.resetAndDestroy()
  const second = await RawClient.login(port)
  second.socket.end()
  await until(() => calls.closed.length === 2)
  t.same(
    calls.closed.map((c) => c.reason),
    ['lost', 'lost'],
  )
  t.equal(trace.closed, 2)
})

test('a revoked session hears 421 with the reason', async (t) => {
  const { port, listener, calls } = await startFtp(t)
  const client = await RawClient.login(port)
  listener.revoke('s1', { code: 'session.revoked', message: 'The account was changed or disabled.' })
  t.equal(await client.reply(), '421 The account was changed or disabled.')
  await client.closed()
  await until(() => calls.closed.length === 1)
  t.same(calls.closed, [{ id: 's1', reason: 'The account was changed or disabled.' }], 'what is recorded says why')
})

test('stopping tells idle sessions 421 and takes no new ones', async (t) => {
  const { port, listener } = await startFtp(t)
  const client = await RawClient.login(port)
  const stopped = listener.stop(10_000)
  t.match(await client.reply(), /^421 /)
  await stopped
  await new Promise<void>((resolve, reject) => {
    const late = connect(port, '127.0.0.1')
    late.once('error', () => resolve())
    late.once('connect', () => reject(new Error('connected')))
  })
})

test('who does not log in, or sends nothing, is told 421 in the end', async (t) => {
  const login = await startFtp(t, { limits: { login_timeout: 50 } })
  const stranger = new RawClient(connect(login.port, '127.0.0.1'))
  await stranger.reply()
  t.match(await stranger.reply(), /^421 Log in faster/)
  const idle = await startFtp(t, { limits: { idle_timeout: 200 } })
  const partner = await RawClient.login(idle.port)
  t.match(await partner.reply(), /^421 No command/)
})

test('REIN logs out and another login may follow', async (t) => {
  const { port, calls } = await startFtp(t)
  const client = await RawClient.login(port)
  t.match(await client.ask('REIN'), /^220 /)
  t.match(await client.ask('PWD'), /^530 /)
  await client.ask('USER partner')
  t.match(await client.ask('PASS secret'), /^230 /)
  t.same(calls.closed, [{ id: 's1', reason: 'rein' }])
})

test('names are never changed on the way: quotes, dashes, spaces and bytes that are not UTF-8', async (t) => {
  const { port, root } = await startFtp(t)
  const client = await RawClient.login(port)
  t.match(await client.ask('MKD -la "x" '), /^257 "\/-la ""x"" " created/)
  t.match(await client.ask('CWD -la "x" '), /^250 /)
  client.send(Buffer.concat([Buffer.from('MKD caf'), Buffer.from([0xe9]), Buffer.from('\r\n')]))
  t.match(await client.reply(), /^257 /)
  t.same(readdirSync(`${root}/-la "x" `, { encoding: 'buffer' })[0], Buffer.from([...Buffer.from('caf'), 0xe9]))
  t.match(await client.ask('CDUP'), /^250 /)
  t.match(await client.ask('MKD ../../../out'), /^257 "\/out"/)
  t.match(await client.ask('MKD a\0b'), /^553 /)
})

test('files are renamed, dated, measured and removed by their commands', async (t) => {
  const { port, root } = await startFtp(t)
  const { writeFileSync, existsSync, statSync } = await import('node:fs')
  writeFileSync(`${root}/a`, 'hello')
  const client = await RawClient.login(port)
  t.equal(await client.ask('SIZE a'), '213 5')
  t.match(await client.ask('MFMT 20200102030405 a'), /^213 Modify=20200102030405; a/)
  t.equal(await client.ask('MDTM a'), '213 20200102030405')
  t.match(await client.ask('SITE UTIME 20210102030405 a'), /^200/)
  t.equal(await client.ask('MDTM a'), '213 20210102030405')
  t.match(await client.ask('SITE UTIME a 20220102030405 20190102030405 20220102030405 UTC'), /^200/, 'the form of ncftp and lftp')
  t.equal(await client.ask('MDTM a'), '213 20190102030405')
  t.equal(statSync(`${root}/a`).atimeMs, Date.UTC(2022, 0, 2, 3, 4, 5))
  t.match(await client.ask('SITE CHMOD 600 a'), /^200/)
  t.equal(statSync(`${root}/a`).mode & 0o777, 0o600)
  t.match(await client.ask('RNTO b'), /^503/)
  t.match(await client.ask('RNFR none'), /^550/)
  t.match(await client.ask('RNFR a'), /^350/)
  t.match(await client.ask('RNTO b'), /^250/)
  t.ok(existsSync(`${root}/b`))
  t.match(await client.ask('RMD b'), /^550/, 'RMD does not delete files')
  t.ok(existsSync(`${root}/b`))
  t.match(await client.ask('DELE b'), /^250/)
  t.notOk(existsSync(`${root}/b`))
})
