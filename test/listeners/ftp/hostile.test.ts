// The faults of stock ftp-srv, each provoked on raw sockets: after every one of them the listener still serves, and holds no more than before.
// Must not look at the clock; what bounds memory and descriptors is counted.
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { test } from 'tap'
import { RawClient, received, run, startFtp, until } from './support.ts'

/** Sockets that this process holds, listeners included. */
const sockets = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length

const open = (port: number): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => socket.destroy())
    socket.once('connect', () => resolve(socket))
  })

test('10,000 PASV and EPSV without a transfer leave no listener, and never hold more than one', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.login(port)
  const before = sockets()
  let most = 0
  for (let i = 0; i < 100; i++) {
    client.send(Buffer.from('PASV\r\nEPSV\r\n'.repeat(50)))
    for (let n = 0; n < 100; n++) {
      const reply = await client.reply()
      if (!/^22[79] /.test(reply)) t.fail(reply)
    }
    most = Math.max(most, sockets())
  }
  t.ok(most <= before + 2, `${most - before} more sockets at most`)
  await client.ask('ABOR')
  await until(() => sockets() <= before)
  t.equal(sockets(), before, 'ABOR gives the last one back')
})

test('1,000 transfers that are broken off in every way give all sockets and files back', async (t) => {
  const { port, root } = await startFtp(t, { tls: true })
  writeFileSync(`${root}/down`, Buffer.alloc(5_000_000))
  const client = await RawClient.login(port)
  const before = sockets()
  const files = () => readdirSync('/proc/self/fd').length - sockets()
  const filesBefore = files()
  for (let i = 0; i < 1000; i++) {
    const data = await client.data()
    const way = i % 5
    data.on('data', () => undefined)
    if (way === 4) {
      // the data connection is gone before the command
      data.resetAndDestroy()
      client.send(i % 2 ? 'RETR down' : 'STOR up')
    } else {
      t.match(await client.ask(i % 2 ? 'RETR down' : 'STOR up'), /^150 /)
      if (way === 0) data.resetAndDestroy()
      if (way === 1) client.send('ABOR')
      if (way === 2) data.write('x', () => data.resetAndDestroy())
      if (way === 3) data.write('x')
      if (way === 3) client.send('ABOR')
    }
    // whatever was said of the transfer, the session goes on in step
    let line = await client.ask('PWD')
    while (!line.startsWith('257 ')) line = await client.reply()
    data.destroy()
  }
  await client.ask('ABOR')
  await until(() => sockets() <= before && files() <= filesBefore)
  t.ok(sockets() <= before && files() <= filesBefore)
  t.notOk(readdirSync(root).includes('up'), 'nothing was published')
})

test('300 TLS data connections that break at any moment end neither the listener nor a later upload, and give all sockets and files back', async (t) => {
  const { port, root } = await startFtp(t, { tls: true, uploadRate: 4_000_000, limits: { transfer_stall_timeout: 1000 } })
  writeFileSync(`${root}/down`, Buffer.alloc(5_000_000))
  const client = await RawClient.open(port)
  await client.ask('AUTH TLS')
  await client.startTls()
  for (const line of ['USER partner', 'PASS secret', 'PBSZ 0', 'PROT P']) await client.ask(line)
  const before = sockets()
  const files = () => readdirSync('/proc/self/fd').length - sockets()
  const filesBefore = files()
  for (let i = 0; i < 300; i++) {
    const raw = await client.data()
    client.send(['STOR f', 'STOR f', 'RETR down', 'LIST'][Math.floor(i / 6) % 4]!)
    const data = tlsConnect({ socket: raw, rejectUnauthorized: false })
    data.on('error', () => data.destroy())
    data.on('data', () => undefined)
    const cut = () => (i % 2 ? raw.resetAndDestroy() : raw.destroy())
    const size = i < 60 ? i : i % 10
    let owed = 1
    if (i % 7 === 0)
      data.once('secureConnect', () => {
        client.send('ABOR')
        owed++
      })
    if (i % 6 === 0) cut()
    else if (i % 6 === 1) data.once('secureConnect', cut)
    else if (i % 6 === 2) data.once('secureConnect', () => data.write(Buffer.alloc(size * 4000), cut))
    else if (i % 6 === 3) data.once('secureConnect', () => data.end(Buffer.alloc(size * 4000), cut))
    else if (i % 6 === 4) data.once('secureConnect', () => data.end(Buffer.alloc(size * 20_000)))
    // bytes that are no TLS in the middle of it
    else data.once('secureConnect', () => data.write(Buffer.alloc(size * 4000), () => raw.write('no TLS record at all', cut)))
    client.send('PWD')
    while (owed > 0) if (/^(257 |226 Nothing)/.test(await client.reply())) owed--
    data.destroy()
  }
  await client.ask('ABOR')
  await until(() => sockets() <= before && files() <= filesBefore)
  t.ok(sockets() <= before && files() <= filesBefore)
  const raw = await client.data()
  await client.ask('STOR whole')
  const data = tlsConnect({ socket: raw, rejectUnauthorized: false })
  await once(data, 'secureConnect')
  data.end(Buffer.alloc(200_000, 'w'))
  let line = await client.reply()
  while (!line.startsWith('226 Transfer')) line = await client.reply()
  t.equal(readFileSync(`${root}/whole`).length, 200_000)
})

test('PORT followed by a reset of the control connection harms nobody', async (t) => {
  const { port } = await startFtp(t, { ftp: { active: true } })
  const listener = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
  t.teardown(() => listener.close())
  await once(listener, 'listening')
  const target = (listener.address() as { port: number }).port
  for (let i = 0; i < 50; i++) {
    const client = await RawClient.login(port)
    client.send(`PORT 127,0,0,1,${target >> 8},${target & 255}`)
    client.send(i % 2 ? 'LIST' : 'STOR x')
    if (i % 3) await client.reply()
    client.socket.resetAndDestroy()
  }
  t.match(await (await RawClient.login(port)).ask('NOOP'), /^200 /)
})

test('REST and STOR keep what stands before the restart point; a failed open deletes nothing', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(`${root}/f`, 'prefix-old')
  mkdirSync(`${root}/d`)
  writeFileSync(`${root}/d/kept`, 'kept')
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('REST 7')
  await client.ask('STOR f')
  data.end('new')
  t.match(await client.reply(), /^226 /)
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'prefix-new')
  for (const name of ['d', 'none/below']) {
    await client.data()
    client.send(`STOR ${name}`)
    client.send('ABOR')
    while (!(await client.reply()).startsWith('226')) t.pass('refused or stopped')
  }
  t.same(readdirSync(`${root}/d`), ['kept'])
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'prefix-new')
})

test('idleness is of a session that waits, not of one that moves a file slowly', async (t) => {
  const { port, root } = await startFtp(t, { limits: { idle_timeout: 1500 } })
  const client = await RawClient.login(port)
  const data = await client.data()
  await client.ask('STOR slow')
  for (let i = 0; i < 4; i++) {
    data.write('part')
    await new Promise((resolve) => setTimeout(resolve, 450))
  }
  data.end()
  t.match(await client.reply(), /^226 /, 'a transfer that takes longer than the idle time is finished')
  t.equal(readFileSync(`${root}/slow`, 'utf8'), 'partpartpartpart')
  t.match(await client.reply(), /^421 /, 'and idleness ends the session after it')
})

test('STAT answers beside a transfer, ABOR is not deaf, and what is queued behind runs in order', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(`${root}/big`, Buffer.alloc(50_000_000))
  const client = await RawClient.login(port)
  const data = await client.data()
  data.pause()
  await client.ask('RETR big')
  t.match(await client.ask('STAT'), /RETR runs: \d+ bytes so far/)
  t.match(await client.ask('NOOP'), /^200 /)
  client.send('PWD')
  client.send(Buffer.from([0xff, 0xf4, 0xff, 0xf2]))
  client.send('ABOR')
  t.match(await client.reply(), /^426 /)
  t.match(await client.reply(), /^257 /, 'PWD came first')
  t.match(await client.reply(), /^226 /)
  data.destroy()
})

test('bytes of the control connection in any grouping give the same replies', async (t) => {
  const { port } = await startFtp(t)
  const script = 'USER partner\r\nPASS secret\r\nPWD\r\nTYPE I\nMKD a b\r\nCWD a b\r\nPWD\r\nCDUP\r\nRMD a b\r\nNOOP\r\n'
  const answers = async (size: number): Promise<string[]> => {
    const client = await RawClient.open(port)
    for (let at = 0; at < script.length; at += size) {
      client.send(Buffer.from(script.slice(at, at + size)))
      await new Promise((resolve) => setImmediate(resolve))
    }
    const replies: string[] = []
    for (let i = 0; i < 10; i++) replies.push(await client.reply())
    client.socket.destroy()
    return replies
  }
  const whole = await answers(script.length)
  t.same(
    whole.map((line) => line.slice(0, 3)),
    ['331', '230', '257', '200', '257', '250', '257', '250', '250', '200'],
  )
  for (const size of [1, 2, 3, 7, 16]) t.same(await answers(size), whole, `in pieces of ${size}`)
})

test('an urgent ABOR, as Unix clients send it, reaches a running transfer', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(`${root}/big`, Buffer.alloc(50_000_000))
  const script = `
import socket, re
s = socket.create_connection(('127.0.0.1', ${port})); f = s.makefile('rb')
def ask(line):
    if line: s.sendall(line.encode() + b'\\r\\n')
    return f.readline().decode()
ask(''); ask('USER partner'); ask('PASS secret')
p = int(re.search(r'\\|\\|\\|(\\d+)', ask('EPSV')).group(1))
d = socket.create_connection(('127.0.0.1', p))
print(ask('RETR big')[:3])
s.send(b'\\xff\\xf4\\xff'); s.send(b'\\xf2', socket.MSG_OOB); s.sendall(b'ABOR\\r\\n')
print(ask('')[:3]); print(ask('')[:3]); print(ask('NOOP')[:3])`
  const child = await run('python3', ['-c', script])
  t.equal(child.output, '150\n426\n226\n200\n')
})

test('names that could break a line never do: they are skipped or refused, and the folder stays usable', async (t) => {
  const { port, root } = await startFtp(t)
  for (const name of ['good', '-rf', ' lead', 'quote"d', 'new\nline', 'carriage\rreturn', "it's", 'a;b', 'Übergröße', 'tab\there'])
    writeFileSync(`${root}/${name}`, 'x')
  const client = await RawClient.login(port)
  for (const verb of ['LIST', 'NLST', 'MLSD']) {
    const data = await client.data()
    t.match(await client.ask(verb), /^150 /)
    const lines = (await received(data)).toString().split('\r\n')
    t.match(await client.reply(), /^226 /)
    t.equal(lines.pop(), '')
    t.equal(lines.length, 8, `${verb}: ${lines.join('|')}`)
    if (verb === 'LIST') for (const line of lines) t.match(line, /^-rw[-rwx]{7} +1 ftp +ftp +1 [A-Z][a-z]{2} [ \d]\d \d\d:\d\d ./)
    if (verb === 'MLSD') for (const line of lines) t.match(line, /^(?:[A-Za-z.]+=[^;]*;)+ ./)
    if (verb === 'NLST') t.same(lines.sort(), ['-rf', ' lead', 'quote"d', "it's", 'a;b', 'good', 'Übergröße', 'tab\there'].sort())
  }
  for (const name of ['-rf', ' lead', 'quote"d']) t.match(await client.ask(`DELE ${name}`), /^250 /, name)
  t.match(await client.ask('STOR a\0b'), /^(553|425) /)
  t.match(await client.ask('MKD a\0b'), /^553 /)
})

test('strangers on a data port are dropped in any number, and the owner is served', async (t) => {
  const { port, root } = await startFtp(t)
  const client = await RawClient.login(port)
  const dataPort = await client.passivePort()
  for (let i = 0; i < 30; i++) {
    const socket = connect({ port: dataPort, host: '127.0.0.1', localAddress: '127.0.0.9' })
    socket.on('error', () => socket.destroy())
    socket.resume()
    await new Promise((resolve) => socket.once('close', resolve))
    t.equal(socket.bytesRead, 0)
  }
  const own = await open(dataPort)
  t.match(await client.ask('STOR f'), /^150 /)
  own.end('mine')
  t.match(await client.reply(), /^226 /)
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'mine')
})
