// FTP at its limits: one name twice at once, a full disk, too many sessions, crowds that never log in, folders of 100,000 names.
// Must not look into the gateway; only at the disk, the replies and /proc.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as secure } from 'node:tls'
import { t as root, test } from 'tap'
import { RawClient } from '../listeners/ftp/support.ts'
import { descriptors, dial, MiB, OPEN_LIMITS, resident } from '../support/abuse.ts'
import { startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const LARGE = randomBytes(5 * MiB + 1)

/** One for all tests of this file but that of the limits. */
const open = await startGateway(root, { env: { ...OPEN_LIMITS, FILEFLOW_LIMITS_LOGIN_TIMEOUT: '10m' } })

async function scene(username: string, user: object = {}, gateway: TestGateway = open) {
  await gateway.apply({ users: [{ username, password: PASSWORD, require_tls: false, ...user }] })
  return { gateway, home: join(gateway.files, username), login: () => loggedIn(gateway, username) }
}

/** The first message of a TLS client, which then says no more. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = secure({ port: (server.address() as { port: number }).port, host: '127.0.0.1', rejectUnauthorized: false })
  client.on('error', () => undefined)
  const [heard] = (await once(server, 'connection')) as [Socket]
  const [hello] = (await once(heard, 'data')) as [Buffer]
  client.destroy()
  heard.destroy()
  server.close()
  return hello
}

async function loggedIn(gateway: TestGateway, username: string): Promise<RawClient> {
  const client = await RawClient.open(gateway.ports.ftp)
  await client.ask(`USER ${username}`)
  const reply = await client.ask(`PASS ${PASSWORD}`)
  if (!reply.startsWith('230')) throw new Error(reply)
  return client
}

test('two uploads of one name at once are two transfers, each whole, and the last commit wins', async (t) => {
  const { gateway, home, login } = await scene('twice')
  const clients = [await login(), await login()] as const
  const data = [await clients[0].data(), await clients[1].data()] as const
  for (const client of clients) t.match(await client.ask('STOR same'), /^150 /)
  for (const [i, socket] of data.entries()) socket.write(String(i).repeat(500_000))
  data[1].end()
  t.match(await clients[1].reply(), /^226 /)
  t.equal(await readFile(join(home, 'same'), 'utf8'), '1'.repeat(500_000), 'whole, though the other is half')
  data[0].end()
  t.match(await clients[0].reply(), /^226 /)
  t.equal(await readFile(join(home, 'same'), 'utf8'), '0'.repeat(500_000))
  const transfers = await until('both are recorded', async () => {
    const done = (await gateway.transfers('&user=twice')).filter(({ path, state }) => path === '/same' && state === 'completed')
    return done.length === 2 && done
  })
  t.equal(new Set(transfers.map(({ id }) => id)).size, 2)
  for (const client of clients) client.socket.destroy()
})

test('a full disk is 452: nothing half under the name, and the session goes on', async (t) => {
  const small = await mkdtemp(join(tmpdir(), 'fileflow-small-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', small])
  t.teardown(async () => {
    execFileSync('umount', ['-l', small])
    await rm(small, { recursive: true })
  })
  const { login } = await scene('small', { home: join(small, 'home') })
  const client = await login()
  const data = await client.data()
  t.match(await client.ask('STOR f'), /^150 /)
  data.end(LARGE)
  t.match(await client.reply(), /^452 /)
  t.same(await readdir(join(small, 'home')), [])
  await client.ask('DELE f')
  const again = await client.data()
  await client.ask('STOR g')
  again.end('fits')
  t.match(await client.reply(), /^226 /)
  t.equal(await readFile(join(small, 'home/g'), 'utf8'), 'fits')
  client.socket.destroy()
})

test('at a limit a client hears 421 and why, per user, per address and in all; who begins TLS and goes holds no place', async (t) => {
  const env = {
    FILEFLOW_LIMITS_MAX_SESSIONS: '4',
    FILEFLOW_LIMITS_MAX_SESSIONS_PER_IP: '3',
    FILEFLOW_LIMITS_MAX_SESSIONS_PER_USER: '2',
  }
  const { gateway, login } = await scene('partner', {}, await startGateway(t, { env: { ...OPEN_LIMITS, ...env } }))
  const single = await scene('single', { limits: { sessions: 1 } }, gateway)
  const clients = [await login(), await login()]
  const third = await RawClient.open(gateway.ports.ftp)
  await third.ask('USER partner')
  t.match(await third.ask(`PASS ${PASSWORD}`), /^421 Too many sessions of this user/, 'the user has two')
  await third.closed()
  const greeted = async (localAddress = '127.0.0.1') => {
    const socket = connect({ port: gateway.ports.ftp, host: '127.0.0.1', localAddress })
    socket.on('error', () => socket.destroy())
    const text = await new Promise<string>((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString())))
    if (!text.startsWith('220')) socket.destroy()
    return { socket, text }
  }
  const last = await until('the refused one is gone', async () => {
    const { socket, text } = await greeted()
    return text.startsWith('220') && socket
  })
  t.match((await greeted()).text, /^421 Too many sessions from this address/, 'the address has three')
  const other = await greeted('127.0.0.2')
  t.match(other.text, /^220 /, 'another has none')
  t.match((await greeted('127.0.0.3')).text, /^421 Too many sessions on this server/, 'there are four in all')
  for (const { socket } of [...clients, { socket: last }, other]) socket.destroy()
  const room = (who: () => Promise<RawClient>) =>
    until('there is room again', async () => {
      const client = await who().catch(() => null)
      return client !== null && client
    })
  const only = await room(single.login)
  const second = await RawClient.open(gateway.ports.ftp)
  await second.ask('USER single')
  t.match(await second.ask(`PASS ${PASSWORD}`), /^421 Too many sessions of this user/, 'this user may have one')
  await second.closed()
  only.socket.destroy()
  for (let n = 0; n < 10; n++) {
    const client = await room(() =>
      RawClient.open(gateway.ports.ftp).then(async (one) => ((await one.ask('AUTH TLS')).startsWith('234') ? one : Promise.reject())),
    )
    if (n % 2) await client.startTls()
    client.socket.destroy()
  }
  for (const client of [await room(login), await room(login)]) client.socket.destroy()
})

test('2,000 connections that never log in, stop after USER, or stand in a TLS handshake, and a listing of 100,000 names, cost bounded memory', async (t) => {
  const { gateway, home, login } = await scene('many')
  execFileSync('sh', [
    '-c',
    `mkdir -p '${home}/many' && cd '${home}/many' && seq -f 'a-name-that-is-rather-long-%06g' 1 100000 | xargs touch`,
  ])
  const before = { memory: resident(gateway), descriptors: descriptors(gateway) }
  const crowd = async () => {
    const sockets = []
    for (let n = 0; n < 20; n++) sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => dial(gateway.ports.ftp)))))
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('data', resolve))))
    return sockets
  }
  const answered = (sockets: readonly Socket[], line: string, code: string) =>
    Promise.all(
      sockets.map((socket) => {
        const answer = new Promise<string>((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString())))
        socket.write(`${line}\r\n`)
        return answer
      }),
    ).then((answers) =>
      t.ok(
        answers.every((answer) => answer.startsWith(code)),
        line,
      ),
    )
  const costs = (what: string, most: number) => {
    const grown = resident(gateway) - before.memory
    t.ok(grown < 2000 * most * 1024, `${Math.round(grown / 2000 / 1024)} KiB a connection that ${what}`)
  }
  const sockets = await crowd()
  costs('says nothing', 64)
  await answered(sockets, 'USER many', '331')
  costs('stops after USER', 64)
  for (const socket of sockets) socket.destroy()
  await until('all are gone', () => descriptors(gateway) <= before.descriptors + 3)
  const handshakes = await crowd()
  await answered(handshakes, 'AUTH TLS', '234')
  const hello = await clientHello()
  const hellos = handshakes.map((socket) => new Promise((resolve) => socket.once('data', resolve)))
  for (const socket of handshakes) socket.write(hello)
  await Promise.all(hellos)
  costs('stands in the middle of a TLS handshake', 256)
  for (const socket of handshakes) socket.destroy()
  await until('all are gone', () => descriptors(gateway) <= before.descriptors + 3)
  const start = resident(gateway)
  const client = await login()
  const data = await client.data()
  let lines = 0
  let most = 0
  data.on('data', (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 10) lines++
    most = Math.max(most, resident(gateway))
  })
  t.match(await client.ask('LIST many'), /^150 /)
  t.match(await client.reply(), /^226 /)
  await until('all lines', () => data.readableEnded || data.destroyed)
  t.equal(lines, 100_000)
  t.ok(most - start < 200 * MiB, `${Math.round((most - start) / MiB)} MiB more while it goes out`)
  client.socket.destroy()
})
