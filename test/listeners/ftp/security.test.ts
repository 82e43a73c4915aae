// TLS of both connections, and who may open data connections.
// Must not rely on a client program's manners: raw sockets say what an attacker would.
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { test } from 'tap'
import { RawClient, received, startFtp, until } from './support.ts'

async function overTls(port: number): Promise<RawClient> {
  const client = await RawClient.open(port)
  await client.ask('AUTH TLS')
  await client.startTls()
  await client.ask('USER partner')
  const reply = await client.ask('PASS secret')
  if (!reply.startsWith('230')) throw new Error(reply)
  await client.ask('PBSZ 0')
  await client.ask('PROT P')
  return client
}

async function secured(raw: Socket, session?: Buffer): Promise<TLSSocket> {
  const socket = tlsConnect({ socket: raw, rejectUnauthorized: false, ...(session ? { session } : {}) })
  await once(socket, 'secureConnect')
  return socket
}

test('without a certificate, and where it is off, TLS is neither offered nor begun', async (t) => {
  for (const options of [{}, { tls: true, ftp: { tls: { mode: 'off' } } }]) {
    const { port } = await startFtp(t, options)
    const client = await RawClient.open(port)
    t.notMatch(await client.ask('FEAT'), /TLS|PBSZ|PROT/)
    t.match(await client.ask('AUTH TLS'), /^502 /)
  }
})

test('min_version TLSv1.3 refuses TLS 1.2', async (t) => {
  const { port } = await startFtp(t, { tls: true, ftp: { tls: { min_version: 'TLSv1.3' } } })
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const client = await RawClient.open(port)
    await client.ask('AUTH TLS')
    const socket = tlsConnect({ socket: client.socket, rejectUnauthorized: false, maxVersion })
    const spoken = await once(socket, 'secureConnect').then(
      () => socket.getProtocol(),
      () => null,
    )
    t.equal(spoken, maxVersion === 'TLSv1.3' ? 'TLSv1.3' : null)
    socket.destroy()
  }
})

test('REIN in TLS ends the login, not the encryption: the next one goes over it, and its data is as private as before', async (t) => {
  const { port, root, calls } = await startFtp(t, { tls: true })
  const client = await overTls(port)
  t.match(await client.ask('REIN'), /^220 /)
  t.match(await client.ask('PWD'), /^530 /)
  t.match(await client.ask('AUTH TLS'), /^503 /)
  await client.ask('USER partner')
  t.match(await client.ask('PASS secret'), /^230 /)
  t.equal(calls.authenticated.at(-1)?.secure, true)
  const raw = await client.data()
  t.match(await client.ask('STOR f'), /^150 /)
  const data = await secured(raw)
  data.end('private')
  t.match(await client.reply(), /^226 /)
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'private')
})

test('the control plane hears of the end of each connection, whether TLS was begun on it or not: those that do not log in hold no place for ever', async (t) => {
  const { port, lines, calls } = await startFtp(t, { tls: true, ftp: { tls: { implicit_port: 0 } } })
  const implicit = lines.find((line) => line.event === 'listener.implicit_tls')?.fields.port as number
  const plain = await RawClient.open(port)
  const asked = await RawClient.open(port)
  await asked.ask('AUTH TLS')
  const begun = await RawClient.open(port)
  await begun.ask('AUTH TLS')
  await begun.startTls()
  const first = connect(implicit, '127.0.0.1')
  await once(first, 'connect')
  const second = new RawClient(tlsConnect({ port: implicit, host: '127.0.0.1', rejectUnauthorized: false }))
  await second.reply()
  const sockets = [plain.socket, asked.socket, begun.socket, first, second.socket]
  const ports = sockets.map((socket) => socket.localPort)
  for (const socket of sockets) socket.destroy()
  await until(() => calls.departed.length === sockets.length)
  t.same([...calls.departed].sort(), [...ports].sort())
})

test('commands behind AUTH TLS in the same packet never run in TLS', async (t) => {
  const { port, calls } = await startFtp(t, { tls: true })
  const client = await RawClient.open(port)
  client.send('AUTH TLS\r\nUSER partner\r\nPASS secret')
  t.match(await client.reply(), /^503 /)
  t.match(await client.reply(), /^331 /)
  t.match(await client.reply(), /^230 /)
  t.equal(calls.authenticated[0]?.secure, false)
})

test('AUTH TLS works every time, and a login before it is over', async (t) => {
  const { port, calls } = await startFtp(t, { tls: true })
  for (let i = 0; i < 20; i++) {
    const client = await RawClient.login(port)
    t.match(await client.ask('AUTH TLS'), /^234 /)
    await client.startTls()
    t.match(await client.ask('PWD'), /^530 /)
    client.socket.destroy()
  }
  t.equal(calls.closed.filter((c) => c.reason === 'auth').length, 20)
})

test('where TLS is required no password is taken without it', async (t) => {
  for (const options of [
    { tls: true, requireTls: true },
    { tls: true, ftp: { tls: { mode: 'required' } } },
  ]) {
    const { port, calls } = await startFtp(t, options)
    const client = await RawClient.open(port)
    t.match(await client.ask('USER partner'), /^530 .*TLS/)
    t.match(await client.ask('PASS secret'), /^503 /)
    t.same(calls.authenticated, [])
    const encrypted = await overTls(port)
    t.match(await encrypted.ask('PROT C'), /^534 /)
  }
})

test('an upload over TLS that ends with close_notify is certain; one that is just closed is not', async (t) => {
  const { port, root, trace } = await startFtp(t, { tls: true })
  const client = await overTls(port)
  const raw = await client.data()
  await client.ask('STOR f')
  const data = await secured(raw)
  const content = Buffer.alloc(3_000_000, 'abc')
  data.end(content)
  t.match(await client.reply(), /^226 /)
  t.ok(readFileSync(`${root}/f`).equals(content))
  t.same(trace.committed[0]?.verdict, { confidence: 'certain', evidence: ['tls close_notify'] })
  const cut = await client.data()
  await client.ask('STOR g')
  const unsaid = await secured(cut)
  unsaid.write('some')
  await client.ask('NOOP')
  cut.end()
  t.match(await client.reply(), /^226 /)
  t.equal(trace.committed[1]?.verdict.confidence, 'likely')
})

test('a TLS upload that is written more slowly than it comes keeps its end, though the client is gone by then', async (t) => {
  const { port, root, trace } = await startFtp(t, { tls: true, uploadRate: 200_000 })
  const client = await overTls(port)
  const data = await client.data().then(async (raw) => {
    await client.ask('STOR f')
    return secured(raw)
  })
  const content = Buffer.alloc(300_001, 'abc')
  data.end(content)
  t.match(await client.reply(), /^226 /)
  t.ok(readFileSync(`${root}/f`).equals(content))
  t.same(trace.committed[0]?.verdict.evidence, ['tls close_notify'])
})

test('a client that is refused while it sends hears why before its data connection is cut; that goes when another one is refused, and with the session', async (t) => {
  const { port, root } = await startFtp(t, { tls: true, maxSize: 100_000 })
  const piece = Buffer.alloc(64 * 1024)
  for (const secure of [false, true]) {
    const client = secure ? await overTls(port) : await RawClient.login(port)
    const refused = async () => {
      const raw = await client.data()
      t.match(await client.ask('STOR f'), /^150 /)
      const data = secure ? await secured(raw) : raw
      let cut = false
      const closed = new Promise<void>((resolve) =>
        data
          .on('error', () => undefined)
          .on('close', () => {
            cut = true
            resolve()
          }),
      )
      const pour = () => {
        while (!data.destroyed && data.write(piece));
      }
      data.on('drain', pour)
      pour()
      t.match(await client.reply(), /^552 /)
      t.notOk(cut, `its data connection ${secure ? 'over TLS ' : ''}is still there`)
      return { closed }
    }
    const first = await refused()
    const second = await refused()
    await first.closed
    client.socket.destroy()
    await second.closed
  }
  t.notOk(existsSync(`${root}/f`))
})

test('a data connection that ends or breaks before its handshake is over is given up at once, and one that begins it before 150 is served', async (t) => {
  const { port, root } = await startFtp(t, { tls: true })
  writeFileSync(`${root}/f`, 'content')
  const client = await overTls(port)
  for (const command of ['STOR g', 'RETR f', 'LIST'])
    for (const part of ['', '16030100f8010000f40303', 'no TLS at all'])
      for (const how of ['end', 'resetAndDestroy'] as const) {
        const raw = await client.data()
        t.match(await client.ask(command), /^150 /)
        if (part !== '') raw.write(part.startsWith('16') ? Buffer.from(part, 'hex') : part)
        raw[how]()
        t.equal(await client.reply(), '425 The TLS handshake of the data connection failed.', `${command}, ${how} after ${part}`)
        raw.destroy()
      }
  t.notOk(existsSync(`${root}/g`))
  const early = tlsConnect({ socket: await client.data(), rejectUnauthorized: false })
  // its first message is out before the command is
  await new Promise((resolve) => setImmediate(resolve))
  t.match(await client.ask('STOR g'), /^150 /)
  early.end('early')
  t.match(await client.reply(), /^226 /)
  t.equal(readFileSync(`${root}/g`, 'utf8'), 'early')
})

test('bytes that are no TLS in the middle of it end their connection at once, whatever waits on it', async (t) => {
  const { port, root, calls } = await startFtp(t, { tls: true })
  writeFileSync(`${root}/big`, Buffer.alloc(30_000_000))
  const client = await overTls(port)
  for (const command of ['RETR big', 'STOR f']) {
    const raw = await client.data()
    t.match(await client.ask(command), /^150 /)
    const data = await secured(raw)
    data.on('error', () => undefined)
    if (command === 'RETR big') {
      await once(data, 'data')
      data.pause()
    } else {
      data.write('half')
      while (!(await client.ask('STAT')).includes('STOR runs: 4 bytes')) t.pass('not there yet')
    }
    raw.write('no TLS record at all')
    t.match(await client.reply(), /^426 The (client closed the data connection|data connection was cut)/, command)
    data.destroy()
  }
  t.notOk(existsSync(`${root}/f`))
  const control = connect(port, '127.0.0.1')
  const other = new RawClient(control)
  await other.reply()
  await other.ask('AUTH TLS')
  await other.startTls()
  for (const line of ['USER partner', 'PASS secret']) await other.ask(line)
  control.write('no TLS record at all')
  await until(() => calls.closed.length === 1)
  t.same(calls.closed, [{ id: 's2', reason: 'lost' }])
})

test('a data connection may resume the TLS session of the control connection', async (t) => {
  const { port, root } = await startFtp(t, { tls: true })
  writeFileSync(`${root}/f`, 'content')
  const client = await RawClient.open(port)
  await client.ask('AUTH TLS')
  const ticket = new Promise<Buffer>((resolve) => {
    void client.startTls().then(() => (client.socket as TLSSocket).on('session', resolve))
  })
  await until(() => 'encrypted' in client.socket)
  await client.ask('USER partner')
  await client.ask('PASS secret')
  await client.ask('PBSZ 0')
  await client.ask('PROT P')
  const session = await ticket
  const raw = await client.data()
  await client.ask('RETR f')
  const data = await secured(raw, session)
  t.equal(data.isSessionReused(), true)
  t.equal((await received(data)).toString(), 'content')
  t.match(await client.reply(), /^226 /)
})

test('require_ssl_reuse: a data connection that does not resume its own control connection’s session is refused with 522', async (t) => {
  const { port, root } = await startFtp(t, { tls: true, ftp: { tls: { require_ssl_reuse: true } } })
  writeFileSync(`${root}/f`, 'content')
  const login = async () => {
    const client = await RawClient.open(port)
    await client.ask('AUTH TLS')
    const ticket = new Promise<Buffer>((resolve) => {
      void client.startTls().then(() => (client.socket as TLSSocket).on('session', resolve))
    })
    await until(() => 'encrypted' in client.socket)
    await client.ask('USER partner')
    await client.ask('PASS secret')
    await client.ask('PBSZ 0')
    await client.ask('PROT P')
    return { client, session: await ticket }
  }
  const [one, other] = [await login(), await login()]
  for (const [what, session] of [
    ['none', undefined],
    ['another one', other.session],
  ] as const) {
    for (const command of ['RETR f', 'STOR g', 'LIST']) {
      const raw = await one.client.data()
      t.match(await one.client.ask(command), /^150 /)
      raw.on('error', () => {})
      await secured(raw, session).catch(() => undefined)
      t.match(await one.client.reply(), /^522 /, `${command}, session resumed: ${what}`)
      raw.destroy()
    }
  }
  t.notOk(existsSync(`${root}/g`))
  const raw = await one.client.data()
  t.match(await one.client.ask('RETR f'), /^150 /)
  t.equal((await received(await secured(raw, one.session))).toString(), 'content')
  t.match(await one.client.reply(), /^226 /)
})

test('implicit TLS speaks TLS from the first byte', async (t) => {
  const { lines } = await startFtp(t, { tls: true, ftp: { tls: { implicit_port: 0 } } })
  const port = lines.find((line) => line.event === 'listener.implicit_tls')?.fields.port as number
  const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  const client = new RawClient(socket)
  t.match(await client.reply(), /^220 /)
  await client.ask('USER partner')
  t.match(await client.ask('PASS secret'), /^230 /)
})

test('a stranger on the data port is dropped and does not take the place of the client', async (t) => {
  const { port, root } = await startFtp(t)
  const client = await RawClient.login(port)
  const passive = await client.passivePort()
  const stranger = connect({ port: passive, host: '127.0.0.1', localAddress: '127.0.0.2' })
  stranger.on('error', () => undefined)
  await once(stranger, 'close')
  const own = connect({ port: passive, host: '127.0.0.1' })
  t.match(await client.ask('STOR f'), /^150 /)
  own.end('mine')
  t.match(await client.reply(), /^226 /)
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'mine')
})

test('a reset on a waiting data port costs only that data connection', async (t) => {
  const { port, root } = await startFtp(t)
  const client = await RawClient.login(port)
  const data = await client.data()
  data.resetAndDestroy()
  t.match(await client.ask('STOR f'), /^(150|425|426) /)
  const late = client.reply()
  if (existsSync(`${root}/f`)) t.fail('nothing was sent')
  t.match(await late, /^42[56] /)
  t.match(await client.ask('NOOP'), /^200 /)
})

test('a session holds one data port at a time and gives it back', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.login(port)
  const first = await client.passivePort()
  await client.passivePort()
  await t.rejects(once(connect(first, '127.0.0.1'), 'connect'))
  const second = await client.passivePort()
  await client.ask('QUIT')
  await client.closed()
  await t.rejects(once(connect(second, '127.0.0.1'), 'connect'))
})

test('data ports are of the range, and nobody can tell the next one', async (t) => {
  const { port } = await startFtp(t, { ftp: { passive: { ports: '30000-30099' } } })
  const client = await RawClient.login(port)
  const ports: number[] = []
  for (let i = 0; i < 100; i++) ports.push(await client.passivePort())
  t.ok(ports.every((one) => one >= 30_000 && one <= 30_099))
  t.ok(new Set(ports).size > 30, 'any of them')
  const steps = ports.slice(1).map((one, i) => one - ports[i]!)
  t.ok(new Set(steps).size > 30, 'in no order')
})

test('when all data ports are taken the client hears 425', async (t) => {
  const blocker = createServer().listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  t.teardown(() => blocker.close())
  const taken = (blocker.address() as { port: number }).port
  const { port } = await startFtp(t, { ftp: { passive: { ports: `${taken}-${taken}` } } })
  const client = await RawClient.login(port)
  t.match(await client.ask('PASV'), /^425 /)
})

test('PASV names the configured public address; EPSV ALL forbids all else', async (t) => {
  const { port } = await startFtp(t, { ftp: { active: true, passive: { address: '203.0.113.7' } } })
  const client = await RawClient.login(port)
  t.match(await client.ask('PASV'), /^227 .*\(203,0,113,7,\d+,\d+\)/)
  const named = await startFtp(t, { ftp: { passive: { address: 'localhost' } } })
  t.match(await (await RawClient.login(named.port)).ask('PASV'), /^227 .*\(127,0,0,1,\d+,\d+\)/, 'or the address of the configured name')
  t.match(await client.ask('EPSV 2'), /^522 .*\(1\)/)
  t.match(await client.ask('EPSV ALL'), /^200 /)
  for (const command of ['PASV', 'PORT 127,0,0,1,200,1', 'EPRT |1|127.0.0.1|50000|']) t.match(await client.ask(command), /^501 /)
  t.match(await client.ask('EPSV'), /^229 /)
})

test('PORT and EPRT are off by default, and never lead elsewhere', async (t) => {
  const off = await startFtp(t)
  const plain = await RawClient.login(off.port)
  t.match(await plain.ask('PORT 127,0,0,1,200,1'), /^502 /)
  const { port, root } = await startFtp(t, { ftp: { active: true } })
  const client = await RawClient.login(port)
  for (const command of ['PORT 127,0,0,2,200,1', 'PORT 127,0,0,1,0,22', 'EPRT |1|10.0.0.1|50000|', 'EPRT |1|127.0.0.1|22|']) {
    t.match(await client.ask(command), /^500 /, command)
  }
  for (const command of ['PORT 1,2,3', 'PORT 1,2,3,4,5,256', 'EPRT x', 'EPRT |1|::1|5000|'])
    t.match(await client.ask(command), /^501 /, command)
  t.match(await client.ask('EPRT |3|x|5000|'), /^522 /)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const own = (server.address() as { port: number }).port
  t.match(await client.ask(`PORT 127,0,0,1,${own >> 8},${own & 255}`), /^200 /)
  client.send('STOR f')
  const [data] = (await once(server, 'connection')) as [Socket]
  t.match(await client.reply(), /^150 /)
  data.end('active')
  t.match(await client.reply(), /^226 /)
  t.equal(readFileSync(`${root}/f`, 'utf8'), 'active')
  await client.ask(`PORT 127,0,0,1,${own >> 8},${own & 255}`)
  client.socket.resetAndDestroy()
  t.match(await (await RawClient.open(port)).ask('NOOP'), /^200 /, 'a reset after PORT harms nobody')
})
