// What is promised when clients die, accounts change and limits are hit, with real clients: never half a file, never a delivery of one, and resuming works.
// Must not look into the gateway; only at the folders, the API and what the next client sees.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { lftp, SSH_OPTIONS, sftp } from '../support/clients.ts'
import { run, startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const MiB = 2 ** 20

/** One for all tests of this file. */
const gateway = await startGateway(root)

interface Scene {
  readonly gateway: TestGateway
  /** Uploads, may do without TLS. */
  readonly user: string
  /** Has the same home. */
  readonly other: string
  readonly folder: string
  readonly home: string
  readonly target: string
  /** Those of the user's files. */
  deliveries(state?: string): ReturnType<TestGateway['deliveries']>
  uploads(): ReturnType<TestGateway['transfers']>
}

let scenes = 0

/** Users, a home and a destination that no other test has. */
async function scene(t: Test): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-broken-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const target = join(folder, 'target')
  await mkdir(target)
  const user = `partner${++scenes}`
  const other = `other${scenes}`
  await gateway.apply({
    users: [
      { username: user, password: PASSWORD, home: user, require_tls: false },
      { username: other, password: PASSWORD, home: user },
    ],
    destinations: [{ name: user, type: 'local', base_path: target }],
    rules: [{ name: user, source: { path: '/**', users: [user, other] }, deliver: [{ to: user }] }],
  })
  const deliveries = (state?: string) => gateway.deliveries(`&rule=${user}${state ? `&state=${state}` : ''}`)
  const uploads = () => gateway.transfers(`&direction=upload&user=${user}`)
  return { gateway, user, other, folder, home: join(gateway.files, user), target, deliveries, uploads }
}

/** A client process of its own group, so that a kill reaches the ssh below sftp. */
function start(t: Test, command: string, args: readonly string[], input?: string): ChildProcess {
  const child = spawn(command, [...args], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, SSHPASS: PASSWORD },
  })
  child.stdin!.on('error', () => {
    // killed before it read its commands
  })
  if (input !== undefined) child.stdin!.write(input)
  t.teardown(() => kill9(child))
  return child
}

async function kill9(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  process.kill(-child.pid!, 'SIGKILL')
  await ended
}

/** Waits until so many bytes of the upload are in. */
const inFlight = ({ gateway }: Scene, path: string, bytes: number) =>
  until(`${bytes} bytes of ${path}`, async () => {
    const sessions = await gateway.api<{ items: { transfers: { path: string; bytes: number }[] }[] }>('GET', '/sessions')
    return sessions.items.flatMap((session) => session.transfers).find((transfer) => transfer.path === path && transfer.bytes >= bytes)
  })

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex')

interface Uploader {
  readonly name: string
  start(t: Test, s: Scene, file: string, name: string): ChildProcess
  resume(s: Scene, file: string, name: string): Promise<{ code: number; stderr: string }>
  /** The size that a user sees there, or null. */
  size(s: Scene, user: string, name: string): Promise<number | null>
}

const ftpUrl = (s: Scene, name: string): string => `ftp://127.0.0.1:${s.gateway.ports.ftp}/${name}`
const curlArgs = (user: string): string[] => ['-sS', '--insecure', '--user', `${user}:${PASSWORD}`]

async function curlSize(s: Scene, user: string, name: string): Promise<number | null> {
  const head = await run('curl', [...curlArgs(user), '--ssl-reqd', '-I', ftpUrl(s, name)])
  const length = /^Content-Length: (\d+)/m.exec(head.stdout)
  return length ? Number(length[1]) : null
}

const curl = (name: string, tls: readonly string[]): Uploader => ({
  name,
  start: (t, s, file, path) => start(t, 'curl', [...curlArgs(s.user), ...tls, '--limit-rate', '8M', '-T', file, ftpUrl(s, path)]),
  resume: (s, file, path) => run('curl', [...curlArgs(s.user), ...tls, '-C', '-', '-T', file, ftpUrl(s, path)]),
  size: curlSize,
})

const UPLOADERS: readonly Uploader[] = [
  curl('FTP', []),
  curl('FTPS', ['--ssl-reqd']),
  {
    name: 'SFTP',
    start: (t, s, file, path) =>
      start(
        t,
        'sshpass',
        ['-e', 'sftp', ...SSH_OPTIONS, '-l', '65536', '-P', String(s.gateway.ports.sftp), '-b', '-', `${s.user}@127.0.0.1`],
        `put ${file} ${path}\n`,
      ),
    resume: (s, file, path) => sftp(s.gateway, s.user, PASSWORD, [`reput ${file} ${path}`]),
    size: async (s, user, path) => {
      const listed = await sftp(s.gateway, user, PASSWORD, [`ls -ln ${path}`])
      const size = /^\S+\s+\S+\s+\S+\s+\S+\s+(\d+) /m.exec(listed.stdout)
      return size ? Number(size[1]) : null
    },
  },
]

test('a client killed in the middle leaves nothing under the name and delivers nothing; it alone sees its partial, and resumes to the whole file', async (t) => {
  const s = await scene(t)
  const killed = async (uploader: Uploader) => {
    for (const [size, position] of [
      [24 * MiB + 1, 1],
      [40 * MiB + 77, 21 * MiB],
    ] as const) {
      const what = `${uploader.name} ${size} at ${position}`
      const name = `${uploader.name}-${size}-${position}.bin`
      const file = join(s.folder, name)
      const content = randomBytes(size)
      await writeFile(file, content)
      const client = uploader.start(t, s, file, name)
      await inFlight(s, `/${name}`, position)
      t.notOk((await readdir(s.home)).includes(name), `${what}: no name while it comes in`)
      await kill9(client)
      const aborted = await until('the upload has ended', async () =>
        (await s.uploads()).find((transfer) => transfer.path === `/${name}` && transfer.state !== 'open'),
      )
      t.equal(aborted.state, 'aborted', what)
      t.notOk((await readdir(s.home)).includes(name), `${what}: no file under its name`)
      const partial = await uploader.size(s, s.user, name)
      t.ok(partial !== null && partial >= position && partial < size, `${what}: the uploader sees its partial (${partial})`)
      t.equal(await uploader.size(s, s.other, name), null, `${what}: another user of the same home sees nothing`)
      t.notOk(
        (await s.deliveries()).some((delivery) => delivery.path === `/${name}`),
        `${what}: no delivery`,
      )
      const resumed = await uploader.resume(s, file, name)
      t.equal(resumed.code, 0, `${what}: resumes ${resumed.stderr}`)
      t.ok(content.equals(await readFile(join(s.home, name))), `${what}: the file is whole`)
      await until('the delivery', async () => (await s.deliveries('delivered')).find((delivery) => delivery.path === `/${name}`))
      t.ok(content.equals(await readFile(join(s.target, name))), `${what}: the destination has the whole`)
      const all = (await s.uploads()).filter((transfer) => transfer.path === `/${name}`)
      t.same(all.map((transfer) => transfer.state).sort(), ['aborted', 'completed'], what)
      t.equal(all.find((transfer) => transfer.state === 'completed')?.sha256, sha256(content), `${what}: the right hash is on record`)
    }
  }
  await Promise.all(UPLOADERS.map(killed))
})

test('clients killed at random moments near the end of small uploads never leave a short file or deliver one', async (t) => {
  const s = await scene(t)
  const content = randomBytes(6 * MiB)
  const file = join(s.folder, 'content')
  await writeFile(file, content)
  const killed = async (uploader: Uploader) => {
    for (let round = 0; round < 4; round++) {
      const name = `${uploader.name}-${round}.bin`
      const client = uploader.start(t, s, file, name)
      await until('the upload began or ended', async () => (await s.uploads()).find((transfer) => transfer.path === `/${name}`))
      const spare = round * 200
      const end = performance.now() + spare
      await until('a moment', () => performance.now() >= end || client.exitCode !== null)
      await kill9(client)
      const transfer = await until('the upload has ended', async () =>
        (await s.uploads()).find((one) => one.path === `/${name}` && !['open', 'committing'].includes(one.state)),
      )
      const there = await readFile(join(s.home, name)).catch(() => null)
      if (transfer.state === 'completed') t.ok(there && content.equals(there), `${name}: completed means whole`)
      else t.ok(there === null || content.equals(there), `${name}: ${transfer.state}, nothing half under the name`)
    }
  }
  await Promise.all(UPLOADERS.map(killed))
  for (const delivery of await s.deliveries()) t.equal(delivery.size, content.length, `${delivery.path} was delivered whole`)
})

test('disabling a user ends its uploads in flight at once, over all protocols, and nothing is published', async (t) => {
  const s = await scene(t)
  const file = join(s.folder, 'content')
  await writeFile(file, randomBytes(64 * MiB))
  for (const uploader of UPLOADERS) {
    const name = `${uploader.name}.bin`
    const client = uploader.start(t, s, file, name)
    const gone = once(client, 'exit')
    await inFlight(s, `/${name}`, 2 * MiB)
    await s.gateway.api('POST', `/users/${s.user}/disable`)
    await gone
    t.not(client.exitCode, 0, `${uploader.name}: the client is told`)
    const sessions = await until('no session is left', async () => {
      const { items } = await s.gateway.api<{ items: unknown[] }>('GET', '/sessions')
      return items.length === 0 && [items]
    })
    t.ok(sessions)
    t.same(await readdir(s.home).then((names) => names.filter((n) => n === name)), [], `${uploader.name}: nothing is published`)
    t.not((await uploader.resume(s, file, name)).code, 0, `${uploader.name}: no new login`)
    await s.gateway.api('POST', `/users/${s.user}/enable`)
  }
  t.same(await s.deliveries(), [])
})

/** A bare FTP control connection, as a person with netcat has it. */
class Control {
  readonly #socket: Socket
  #buffer = ''
  closed = false

  constructor(port: number, localAddress = '127.0.0.1') {
    this.#socket = connect({ port, host: '127.0.0.1', localAddress })
    this.#socket.setEncoding('utf8')
    this.#socket.on('data', (text: string) => {
      this.#buffer += text
    })
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.on('close', () => {
      this.closed = true
    })
  }

  /** The next whole reply; empty when the connection ended first. */
  async reply(): Promise<string> {
    const found = await until('a reply', () => {
      const whole = /^(\d{3}) .*\r\n|^(\d{3})-[\s\S]*?^\2 .*\r\n/m.exec(this.#buffer)
      return whole ?? (this.closed ? (['', ''] as const) : null)
    })
    this.#buffer = this.#buffer.slice((this.#buffer.indexOf(found[0]) + found[0].length) | 0)
    return found[0]
  }

  async ask(line: string): Promise<string> {
    this.#socket.write(`${line}\r\n`)
    return this.reply()
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** STOR over a bare connection; the last reply. */
async function storeByHand(s: Scene, name: string, size: number): Promise<string> {
  const control = new Control(s.gateway.ports.ftp)
  await control.reply()
  await control.ask(`USER ${s.user}`)
  await control.ask(`PASS ${PASSWORD}`)
  const port = Number(/\(\|\|\|(\d+)\|\)/.exec(await control.ask('EPSV'))![1])
  const data = connect({ port, host: '127.0.0.1' })
  data.on('error', () => data.destroy())
  const opening = await control.ask(`STOR ${name}`)
  data.end(randomBytes(size))
  const last = opening.startsWith('150') ? await control.reply() : opening
  data.destroy()
  control.close()
  return last
}

test('a user that needs TLS is refused in clear before it sends its password', async (t) => {
  const s = await scene(t)
  const control = new Control(s.gateway.ports.ftp)
  t.teardown(() => control.close())
  t.match(await control.reply(), /^220/)
  t.match(await control.ask(`USER ${s.other}`), /^530/, 'USER is answered 530: the client never sends the password')
  t.match(await control.ask(`PASS ${PASSWORD}`), /^503/)
  t.match(await control.ask('USER nobody-there'), /^530/, 'an unknown user looks the same')
})

test('a change of permissions acts on the next operation of a live session, FTP and SFTP', async (t) => {
  const s = await scene(t)
  const control = new Control(s.gateway.ports.ftp)
  t.teardown(() => control.close())
  await control.reply()
  await control.ask(`USER ${s.user}`)
  t.match(await control.ask(`PASS ${PASSWORD}`), /^230/)
  t.match(await control.ask('MKD before'), /^257/)
  const ssh = start(
    t,
    'sshpass',
    ['-e', 'sftp', ...SSH_OPTIONS, '-P', String(s.gateway.ports.sftp), '-b', '-', `${s.user}@127.0.0.1`],
    '-mkdir sftp-before\n',
  )
  await until('the folder made over SFTP', async () => (await readdir(s.home)).includes('sftp-before'))
  await s.gateway.api('PATCH', `/users/${s.user}`, { permissions: [{ path: '/', allow: ['list', 'download'] }] })
  t.match(await control.ask('MKD after'), /^550/)
  ssh.stdin!.write('-mkdir sftp-after\n')
  const ended = once(ssh, 'exit')
  ssh.stdin!.end('bye\n')
  await ended
  t.same((await readdir(s.home)).sort(), ['before', 'sftp-before'])
  await s.gateway.api('PATCH', `/users/${s.user}`, { permissions: null })
  t.match(await control.ask('MKD after'), /^257/, 'and back, in the same session')
})

test('quota and the largest file size are answered 552 or a failure, and leave nothing half', async (t) => {
  const s = await scene(t)
  await s.gateway.api('PATCH', `/users/${s.user}`, { limits: { max_file_size: '1MiB' } })
  const file = join(s.folder, 'big')
  await writeFile(file, randomBytes(8 * MiB))
  const attempt = async (what: string) => {
    t.match(await storeByHand(s, 'big-ftp', 8 * MiB), /^552/, `${what} FTP`)
    const ftps = await run('curl', [...curlArgs(s.user), '--ssl-reqd', '-T', file, ftpUrl(s, 'big-ftps')])
    t.not(ftps.code, 0, `${what} FTPS`)
    const ssh = await sftp(s.gateway, s.user, PASSWORD, [`put ${file} big-sftp`])
    t.not(ssh.code, 0, `${what} SFTP`)
    const tool = await lftp(s.gateway, s.user, PASSWORD, [`put ${file} -o big-lftp`])
    t.match(tool.stderr, /552/, `${what} lftp hears why`)
    t.same(await readdir(s.home), [], `${what}: nothing under any name`)
  }
  await attempt('max_file_size')
  await s.gateway.api('PATCH', `/users/${s.user}`, { limits: null, quota: { bytes: '3MiB' } })
  await attempt('quota')
  t.same(await s.deliveries(), [])
  await writeFile(file, randomBytes(1000))
  await s.gateway.api('PATCH', `/users/${s.user}`, { quota: { bytes: '20MiB', files: 2 } })
  for (const name of ['one', 'two']) t.equal((await sftp(s.gateway, s.user, PASSWORD, [`put ${file} ${name}`])).code, 0, name)
  t.not((await sftp(s.gateway, s.user, PASSWORD, [`put ${file} three`])).code, 0, 'the third file is over the quota')
  t.same((await readdir(s.home)).sort(), ['one', 'two'])
})

test('an address that guesses passwords is banned after eight failures over both protocols; others are not', async (t) => {
  const s = await scene(t)
  let failures = 0
  while (failures < 8) {
    const control = new Control(s.gateway.ports.ftp, '127.0.0.2')
    await control.reply()
    for (let n = 0; n < 4 && failures < 8; n++, failures++) {
      t.match(await control.ask(`USER ${s.user}`), /^331/, `try ${failures + 1}`)
      t.match(await control.ask('PASS guess'), /^(530|421)/)
    }
    control.close()
  }
  const banned = new Control(s.gateway.ports.ftp, '127.0.0.2')
  t.match(await banned.reply(), /^421/, 'the ninth connection is refused at once')
  banned.close()
  const ssh = await run(
    'sshpass',
    ['-e', 'sftp', ...SSH_OPTIONS, '-o', 'BindAddress=127.0.0.2', '-P', String(s.gateway.ports.sftp), '-b', '-', `${s.user}@127.0.0.1`],
    {
      env: { SSHPASS: PASSWORD },
      input: 'ls\n',
    },
  )
  t.not(ssh.code, 0, 'also over SFTP, with the right password')
  const fine = await sftp(s.gateway, s.user, PASSWORD, ['ls'])
  t.equal(fine.code, 0, `another address is not affected ${fine.stderr}`)
})
