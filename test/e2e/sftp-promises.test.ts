// What SFTP partners are promised, packet by packet, against a whole gateway: only files, no real paths, one logical upload for whatever a client does, old versions for who reads them.
// Must not look only at replies: the disk and the records are what counts.
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from 'ssh2'
import { t as root, type Test, test } from 'tap'
import { PERMISSIONS as PERMITTED } from '../../src/core/permission.ts'
import { connect, RawSftp, type Reply, statusOf, str, u32, u64 } from '../listeners/sftp/raw-client.ts'
import { sftp } from '../support/clients.ts'
import { startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const [READ, WRITE, APPEND, CREAT, TRUNC, EXCL] = [1, 2, 4, 8, 16, 32]
const [SIZE, PERMISSIONS, TIMES] = [1, 4, 8]
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** One for all tests of this file. */
const gateway = await startGateway(root)
let scenes = 0

/** A user, and one with a quota, that no other test has. */
async function open(t: Test) {
  const user = `partner${++scenes}`
  const limited = `limited${scenes}`
  await gateway.apply({
    users: [
      { username: user, password: PASSWORD, permissions: [{ path: '/', allow: [...PERMITTED] }] },
      { username: limited, password: PASSWORD, quota: { bytes: '10MiB', files: 100 } },
    ],
  })
  const home = join(gateway.files, user)
  const login = async (username = user): Promise<Client> => {
    const client = await connect(gateway.ports.sftp, { username, password: PASSWORD, strictVendor: false })
    t.teardown(() => client.destroy())
    return client
  }
  const session = async (username?: string): Promise<RawSftp> => RawSftp.open(await login(username))
  const uploads = async (path: string) => (await gateway.transfers(`&direction=upload&user=${user}`)).filter((one) => one.path === path)
  return { user, limited, home, login, session, uploads }
}

const failure = (work: (done: (error: Error | null | undefined) => void) => unknown): Promise<string> =>
  new Promise((resolve) => work((error) => resolve(error ? error.message : 'it was granted')))

test('only files: forwarding of every kind, agents, X11 and shells are refused in words, and the connection lives on', async (t) => {
  const { login } = await open(t)
  const client = await login()
  t.match(await failure((done) => client.forwardOut('127.0.0.1', 1, '127.0.0.1', gateway.ports.admin, done)), /open failure/)
  t.match(await failure((done) => client.forwardIn('127.0.0.1', 0, done)), /Unable to bind/)
  t.match(await failure((done) => client.openssh_forwardOutStreamLocal('/var/run/docker.sock', done)), /open failure/)
  t.match(await failure((done) => client.openssh_forwardInStreamLocal(join(gateway.folder, 'socket'), done)), /Unable to bind/)
  t.notOk(existsSync(join(gateway.folder, 'socket')))
  t.match(await failure((done) => client.exec('md5sum', { x11: true }, done)), /Unable to request X11/i)
  const said = await new Promise<string>((resolve, reject) =>
    client.shell(false, (error, channel) => {
      if (error) return reject(error)
      let text = ''
      channel.stderr.on('data', (chunk: Buffer) => {
        text += chunk
      })
      channel.on('close', () => resolve(text)).resume()
    }),
  )
  t.match(said, /serves sftp and scp only/)
  t.match(await failure((done) => client.exec('md5sum', { pty: true }, done)), /pseudo-terminal/i)
  t.match(await failure((done) => client.subsys('netconf', done)), /Unable to start subsystem/)
  t.equal((await (await RawSftp.open(client)).ask(16, str('.'))).type, 104)
})

test('no reply of any failing request shows where files really are', async (t) => {
  const { home, session } = await open(t)
  writeFileSync(join(home, 'file'), 'x')
  symlinkSync('/etc/passwd', join(home, 'outside'))
  symlinkSync('loop', join(home, 'loop'))
  const raw = await session()
  const replies: Reply[] = []
  for (const path of [
    '/none',
    '/file/below',
    '/outside',
    '/loop',
    '/none/new',
    '/.fileflow/x',
    `/${'n'.repeat(300)}`,
    '/a\0b',
    '',
    '/file',
  ])
    for (const [type, ...rest] of [
      [3, u32(READ), u32(0)],
      [3, u32(WRITE | CREAT | EXCL), u32(0)],
      [7],
      [17],
      [9, u32(PERMISSIONS), u32(0o777)],
      [11],
      [13],
      [14, u32(0)],
      [15],
      [16],
      [18, str('/file/x')],
      [19],
      [20, str('/none/link')],
    ] as const)
      replies.push(await raw.ask(type, str(path), ...rest))
  for (const name of [
    'statvfs@openssh.com',
    'lsetstat@openssh.com',
    'hardlink@openssh.com',
    'posix-rename@openssh.com',
    'expand-path@openssh.com',
  ])
    replies.push(await raw.ask(200, str(name), str('/none'), str('/none/x'), u32(0)))
  t.ok(replies.filter(({ type }) => type === 101).length > 60)
  for (const { body } of replies) {
    const text = body.toString('latin1')
    if (text.includes(gateway.folder) || /\/proc\/|staging|ENO|EACC/.test(text)) t.fail(text)
  }
})

test('a reader keeps the version it opened, while the name gets a new one, and another', async (t) => {
  const { home, session } = await open(t)
  const [old, next] = [randomBytes(400_000), randomBytes(300_000)]
  writeFileSync(join(home, 'f'), old)
  const [reader, writer] = [await session(), await session()]
  const handle = await reader.file('/f', READ)
  const got = [(await reader.ask(5, handle, u64(0), u32(100_000))).body.subarray(4)]
  for (const content of [next, Buffer.from('short')]) {
    const written = await writer.file('/f', WRITE | CREAT | TRUNC)
    for (let at = 0; at < content.length; at += 30_000)
      t.equal(statusOf(await writer.ask(6, written, u64(at), str(content.subarray(at, at + 30_000)))), 0)
    t.equal(statusOf(await writer.ask(4, written)), 0)
    t.equal(hash(readFileSync(join(home, 'f'))), hash(content))
  }
  for (let at = 100_000; at < old.length; at += 100_000) got.push((await reader.ask(5, handle, u64(at), u32(100_000))).body.subarray(4))
  t.equal(hash(Buffer.concat(got)), hash(old))
})

test('whatever the pattern of writes, the file appears whole at CLOSE, once, and its record has its hash', async (t) => {
  const { home, session, uploads } = await open(t)
  const raw = await session()
  const write = (handle: Buffer, at: number, data: Buffer | string) => raw.ask(6, handle, u64(at), str(data))
  const patterns: Record<string, (handle: Buffer) => Promise<Buffer>> = {
    sparse: async (handle) => {
      await write(handle, 1_000_000, 'end')
      await write(handle, 0, 'start')
      const all = Buffer.alloc(1_000_003)
      all.write('start')
      all.write('end', 1_000_000)
      return all
    },
    backwards: async (handle) => {
      const all = randomBytes(200_000)
      for (let at = 180_000; at >= 0; at -= 20_000) raw.send(6, handle, u64(at), str(all.subarray(at, at + 20_000)))
      for (let at = 180_000; at >= 0; at -= 20_000) t.equal(statusOf(await raw.next()), 0)
      return all
    },
    'twice over itself': async (handle) => {
      const all = randomBytes(90_000)
      await write(handle, 0, randomBytes(30_000))
      for (let at = 0; at < 90_000; at += 30_000) await write(handle, at, all.subarray(at, at + 30_000))
      return all
    },
    'cut and grown': async (handle) => {
      await write(handle, 0, 'a long beginning')
      t.equal(statusOf(await raw.ask(10, handle, u32(SIZE), u64(6))), 0)
      t.equal(statusOf(await raw.ask(10, handle, u32(SIZE), u64(10))), 0)
      return Buffer.from('a long\0\0\0\0')
    },
    'read while written': async (handle) => {
      await write(handle, 0, 'one two')
      t.equal((await raw.ask(5, handle, u64(4), u32(10))).body.subarray(4).toString(), 'two')
      await write(handle, 4, 'new')
      t.equal(statusOf(await raw.ask(200, str('fsync@openssh.com'), handle)), 0)
      return Buffer.from('one new')
    },
  }
  for (const [name, pattern] of Object.entries(patterns)) {
    const handle = await raw.file(`/${name}`, READ | WRITE | CREAT | TRUNC)
    const content = await pattern(handle)
    t.notOk(existsSync(join(home, name)), `${name}: nothing is there before CLOSE`)
    t.equal(statusOf(await raw.ask(4, handle)), 0)
    t.equal(hash(readFileSync(join(home, name))), hash(content), `${name}: whole at once`)
    t.match(await uploads(`/${name}`), [{ state: 'completed', bytes: content.length, sha256: hash(content) }], `${name}: one upload`)
  }
  t.same(readdirSync(join(gateway.folder, 'data', 'staging')), [])
})

test('times, permissions and a final name that come after CLOSE make no second upload; a link’s own times can be set', async (t) => {
  const { home, session, uploads } = await open(t)
  const raw = await session()
  const handle = await raw.file('/f.filepart', WRITE | CREAT | TRUNC)
  t.equal(statusOf(await raw.ask(6, handle, u64(0), str('content'))), 0)
  t.equal(statusOf(await raw.ask(10, handle, u32(PERMISSIONS | TIMES), u32(0o640), u32(1_000_000), u32(1_000_001))), 0)
  t.equal(statusOf(await raw.ask(4, handle)), 0)
  t.equal(statSync(join(home, 'f.filepart')).mtimeMs, 1_000_001_000)
  t.equal(statusOf(await raw.ask(9, str('/f.filepart'), u32(PERMISSIONS | TIMES), u32(0o600), u32(2_000_000), u32(2_000_001))), 0)
  t.equal(statusOf(await raw.ask(18, str('/f.filepart'), str('/f'))), 0)
  const { mode, mtimeMs } = statSync(join(home, 'f'))
  t.same([mode & 0o777, mtimeMs], [0o600, 2_000_001_000])
  // the name on record follows the one on the disk in a moment
  const [upload] = await until('the upload is on record under its last name', async () => {
    const found = await uploads('/f')
    return found.length > 0 && found
  })
  t.match(upload, { state: 'completed' })
  t.same(await uploads('/f.filepart'), [])
  symlinkSync('f', join(home, 'link'))
  t.equal(statusOf(await raw.ask(200, str('lsetstat@openssh.com'), str('/link'), u32(TIMES), u32(5), u32(6))), 0)
  t.equal(lstatSync(join(home, 'link')).mtimeMs, 6000)
  t.equal(statSync(join(home, 'f')).mtimeMs, 2_000_001_000, 'the file it names keeps its own')
})

test('two clients write one name at the same time: each is acknowledged, the later one stays, and neither is mixed with the other', async (t) => {
  const { home, session, uploads } = await open(t)
  const sessions = [await session(), await session()]
  const contents = [randomBytes(200_000), randomBytes(250_000)]
  for (let round = 0; round < 5; round++) {
    const handles = await Promise.all(sessions.map((raw) => raw.file('/same', WRITE | CREAT | TRUNC)))
    await Promise.all(
      sessions.map(async (raw, n) => {
        const content = contents[n]!
        for (let at = 0; at < content.length; at += 10_000) await raw.ask(6, handles[n]!, u64(at), str(content.subarray(at, at + 10_000)))
      }),
    )
    const [first, second] = round % 2 ? [1, 0] : [0, 1]
    t.equal(statusOf(await sessions[first]!.ask(4, handles[first]!)), 0)
    t.equal(hash(readFileSync(join(home, 'same'))), hash(contents[first]!))
    t.equal(statusOf(await sessions[second]!.ask(4, handles[second]!)), 0)
    t.equal(hash(readFileSync(join(home, 'same'))), hash(contents[second]!))
  }
  const all = await uploads('/same')
  t.equal(all.length, 10)
  t.ok(all.every(({ state }) => state === 'completed'))
})

test('two handles of one session on one name are two uploads; EXCL is refused while the name is taken', async (t) => {
  const { home, session } = await open(t)
  const raw = await session()
  const [one, two] = [await raw.file('/f', WRITE | CREAT | TRUNC), await raw.file('/f', WRITE | CREAT | TRUNC)]
  await raw.ask(6, one, u64(0), str('from the first'))
  await raw.ask(6, two, u64(0), str('from the second'))
  t.equal(statusOf(await raw.ask(4, one)), 0)
  t.equal(readFileSync(join(home, 'f'), 'utf8'), 'from the first')
  t.equal(statusOf(await raw.ask(3, str('/f'), u32(WRITE | CREAT | EXCL), u32(0))), 4)
  t.equal(statusOf(await raw.ask(4, two)), 0)
  t.equal(readFileSync(join(home, 'f'), 'utf8'), 'from the second')
  const end = await raw.file('/f', WRITE | CREAT | APPEND)
  t.equal(statusOf(await raw.ask(6, end, u64(0), str(', and more'))), 0)
  t.equal(statusOf(await raw.ask(4, end)), 0)
  t.equal(readFileSync(join(home, 'f'), 'utf8'), 'from the second, and more')
})

test('a handle that is opened without TRUNC while another one writes goes on with the same file, over each channel: every CLOSE publishes what is there, no write is lost', async (t) => {
  const { home, login, uploads } = await open(t)
  const client = await login()
  const [raw, other] = [await RawSftp.open(client), await RawSftp.open(client)]
  const write = async (on: RawSftp, handle: Buffer, at: number, text: string) =>
    t.equal(statusOf(await on.ask(6, handle, u64(at), str(text))), 0)
  const [one, content] = [await raw.file('/f', READ | WRITE | CREAT | TRUNC), () => readFileSync(join(home, 'f'), 'utf8')]
  await write(raw, one, 0, 'first')
  const two = await other.file('/f', WRITE)
  await write(other, two, 5, ' second')
  t.equal((await raw.ask(5, one, u64(0), u32(100))).body.subarray(4).toString(), 'first second')
  t.notOk(existsSync(join(home, 'f')))
  t.equal(statusOf(await other.ask(4, two)), 0)
  t.equal(content(), 'first second', 'what was acknowledged is there')
  await write(raw, one, 12, ' third')
  t.equal(content(), 'first second')
  t.equal(statusOf(await raw.ask(4, one)), 0)
  t.equal(content(), 'first second third')
  const appending = await Promise.all([raw, other].map((on) => on.file('/log', WRITE | CREAT | APPEND)))
  for (let line = 0; line < 50; line++)
    await Promise.all([raw, other].map((on, n) => write(on, appending[n]!, 0, `${`line ${line} of ${n} `.repeat(200)}\n`)))
  other.channel.close()
  await other.closed
  t.equal(statusOf(await raw.ask(4, appending[0]!)), 0)
  const lines = readFileSync(join(home, 'log'), 'utf8').split('\n')
  for (const n of [0, 1]) t.equal(lines.filter((line) => /^(line \d+ of \d )+$/.test(line) && line.includes(` of ${n} `)).length, 50)
  for (const [path, count] of [
    ['/f', 2],
    ['/log', 1],
  ] as const)
    t.match(
      await uploads(path),
      Array.from({ length: count }, () => ({ state: 'completed' })),
      path,
    )
  t.same(readdirSync(join(gateway.folder, 'data', 'staging')), [])
})

test('a quota is the size of the disk that a client sees, and holds for what the journal has not told yet', async (t) => {
  const { limited, session } = await open(t)
  const raw = await session(limited)
  const space = async () => {
    const { body } = await raw.ask(200, str('statvfs@openssh.com'), str('/'))
    const [, unit, blocks, free] = [0, 8, 16, 24].map((at) => Number(body.readBigUInt64BE(at))) as [number, number, number, number]
    return { total: unit * blocks, free: unit * free }
  }
  t.same(await space(), { total: 10 * 2 ** 20, free: 10 * 2 ** 20 })
  const df = await sftp(gateway, limited, PASSWORD, ['df -h /'])
  t.match(df.stdout, /10\.0MB/)
  const handle = await raw.file('/f', WRITE | CREAT | TRUNC)
  for (let at = 0; at < 6 * 2 ** 20; at += 2 ** 17) t.equal(statusOf(await raw.ask(6, handle, u64(at), str(Buffer.alloc(2 ** 17)))), 0)
  t.equal(statusOf(await raw.ask(4, handle)), 0)
  t.same(await space(), { total: 10 * 2 ** 20, free: 4 * 2 ** 20 })
  const more = await raw.file('/g', WRITE | CREAT | TRUNC)
  let refused = false
  for (let at = 0; at < 6 * 2 ** 20 && !refused; at += 2 ** 17)
    refused = statusOf(await raw.ask(6, more, u64(at), str(Buffer.alloc(2 ** 17)))) !== 0
  t.ok(refused)
  t.not(statusOf(await raw.ask(4, more)), 0)
  t.notOk(existsSync(join(gateway.files, limited, 'g')))
})

test('a thousand small uploads of an account that is disabled in their middle: what was acknowledged is recorded, the rest is nowhere', async (t) => {
  const { user, home, session } = await open(t)
  const raw = await session()
  const acknowledged: string[] = []
  const over = raw.closed.then(() => null)
  let ended = false
  void over.then(() => {
    ended = true
  })
  const sending = (async () => {
    for (let i = 0; i < 1000 && !ended; i++) {
      const opened = await Promise.race([raw.ask(3, str(`/f${i}`), u32(WRITE | CREAT | TRUNC), u32(0)), over])
      if (opened === null || opened.type !== 102) return
      raw.send(6, opened.body, u64(0), str(`content ${i}`))
      await Promise.race([raw.next(), over])
      const closed = await Promise.race([raw.ask(4, opened.body), over])
      if (closed === null || statusOf(closed) !== 0) return
      acknowledged.push(`f${i}`)
    }
  })()
  await until('some are there', () => acknowledged.length > 20)
  await gateway.api('POST', `/users/${user}/disable`)
  const there = new Set(readdirSync(home))
  await sending
  await until('the session has ended', async () => (await gateway.api<{ items: unknown[] }>('GET', '/sessions')).items.length === 0)
  t.same(new Set(readdirSync(home)), there, 'nothing came after the answer to the click')
  const recorded = new Set<string>()
  for (let cursor = ''; ; ) {
    const page = await gateway.api<{ items: { path: string; state: string }[]; next: string | null }>(
      'GET',
      `/transfers?limit=500&direction=upload&user=${user}${cursor}`,
    )
    for (const { path, state } of page.items) if (state === 'completed') recorded.add(path.slice(1))
    if (page.next === null) break
    cursor = `&cursor=${encodeURIComponent(page.next)}`
  }
  for (const name of acknowledged) if (!recorded.has(name)) t.fail(`${name} was acknowledged and has no record`)
  t.same([...recorded].sort(), [...there].sort(), 'what is there is on record, and the other way round')
})
