// Real clients that freeze in the middle of an upload (their side says nothing, not even that it is gone), and the next session of the same user, over either protocol.
// Must not wait for the stall timer, nor look into the gateway.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { RawClient, received } from '../listeners/ftp/support.ts'
import { curlUpload, lftp, sftp } from '../support/clients.ts'
import { type Ran, startGateway, type TestGateway, until } from '../support/gateway.ts'
import { makeSshKey } from '../support/ssh-keys.ts'

const PASSWORD = 'correct-horse-battery'
/** At the rate of the clients it takes far longer than any machine needs to freeze them. */
const SIZE = 12_000_001
const LEAST = 300_000

type Start = (gateway: TestGateway, file: string, name: string) => readonly [string, readonly string[], string?]

const curl =
  (...more: string[]): Start =>
  ({ ports }, file, name) => [
    'curl',
    [
      '-sS',
      '--insecure',
      ...more,
      '--user',
      `partner:${PASSWORD}`,
      '--limit-rate',
      '400k',
      '-T',
      file,
      `ftp://127.0.0.1:${ports.ftp}/${name}`,
    ],
  ]
/** By key: sshpass would put its child where a signal to the group does not reach. */
const opensshSftp: Start = ({ ports }, file, name) => [
  'sftp',
  [
    ...['-q', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-i', join(file, '../key')],
    ...['-l', '3200', '-P', String(ports.sftp), '-b', '-', 'partner@127.0.0.1'],
  ],
  `put ${file} ${name}\n`,
]

/** Who began it, and who goes on with it. */
const PAIRS: readonly { name: string; start: Start; resume(gateway: TestGateway, file: string, name: string): Promise<Ran> }[] = [
  { name: 'ftp-lftp', start: curl(), resume: (g, file, name) => lftp(g, 'partner', PASSWORD, [`put -c ${file} -o ${name}`]) },
  { name: 'ftps-curl', start: curl('--ssl-reqd'), resume: (g, file, name) => curlUpload(g, 'partner', PASSWORD, file, name, true) },
  { name: 'sftp-sftp', start: opensshSftp, resume: (g, file, name) => sftp(g, 'partner', PASSWORD, [`reput ${file} ${name}`]) },
  { name: 'ftp-sftp', start: curl(), resume: (g, file, name) => sftp(g, 'partner', PASSWORD, [`reput ${file} ${name}`]) },
  { name: 'sftp-lftp', start: opensshSftp, resume: (g, file, name) => lftp(g, 'partner', PASSWORD, [`put -c ${file} -o ${name}`]) },
  {
    name: 'tree/mirrored',
    start: curl('--ssl-reqd'),
    resume: (g, file) => lftp(g, 'partner', PASSWORD, [`mirror -R -c ${join(file, '..')} tree`]),
  },
  {
    name: 'ftps-sftplftp',
    start: curl('--ssl-reqd'),
    resume: (g, file, name) => lftp(g, 'partner', PASSWORD, [`put -c ${file} -o ${name}`], { protocol: 'sftp' }),
  },
]

/** One for all tests of this file. */
const gateway = await startGateway(root, { env: { FILEFLOW_THREADS_FTP: '2', FILEFLOW_THREADS_SFTP: '2' } })

let scenes = 0

async function scene(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-hung-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const key = join(folder, 'key')
  makeSshKey(key, 'ed25519')
  // another home, and nothing of an earlier test is there
  const common = `common${++scenes}`
  await gateway.apply({
    users: [
      {
        username: 'partner',
        password: PASSWORD,
        public_keys: [readFileSync(`${key}.pub`, 'utf8').trim()],
        home: common,
        require_tls: false,
      },
      { username: 'other', password: PASSWORD, home: common, require_tls: false },
    ],
  })
  await mkdir(join(gateway.files, common, 'tree'), { recursive: true })
  return { gateway, folder, home: join(gateway.files, common) }
}

/** Begins an upload with a real client and freezes it: what of it is in the gateway stays there, and no end is told. */
async function freeze(t: Test, gateway: TestGateway, folder: string, name: string, start: Start) {
  const content = randomBytes(SIZE)
  const file = join(folder, name)
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, content)
  const [command, args, input] = start(gateway, file, name)
  const child: ChildProcess = spawn(command, [...args], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    process.kill(-child.pid!, 'SIGKILL')
    await ended
  })
  child.stdin!.on('error', () => {})
  if (input !== undefined) child.stdin!.write(input)
  await until(`bytes of ${name}`, async () => ((await running(gateway, name))?.bytes ?? 0) >= LEAST)
  process.kill(-child.pid!, 'SIGSTOP')
  return { name, file, content }
}

async function running(gateway: TestGateway, name: string) {
  const { items } = await gateway.api<{ items: { transfers: { path: string; bytes: number }[] }[] }>('GET', '/sessions')
  return items.flatMap((session) => session.transfers).find((transfer) => transfer.path === `/${name}`)
}

async function login(t: Test, gateway: TestGateway, username: string): Promise<RawClient> {
  const client = await RawClient.open(gateway.ports.ftp)
  t.teardown(() => client.socket.destroy())
  await client.ask(`USER ${username}`)
  t.match(await client.ask(`PASS ${PASSWORD}`), /^230 /)
  return client
}

async function listed(client: RawClient, command: string): Promise<string> {
  const data = await client.data()
  const text = received(data).catch(() => Buffer.alloc(0))
  const opened = await client.ask(command)
  if (!opened.startsWith('150')) return opened
  await client.reply()
  return (await text).toString()
}

const number = (text: string, form: RegExp): number | null => {
  const found = form.exec(text)
  return found === null ? null : Number(found[1])
}

/** What each way of looking says of its size; null: it is not there. */
async function seen(client: RawClient, gateway: TestGateway, user: string, name: string): Promise<Record<string, number | null>> {
  const base = name.split('/').at(-1)
  const folder = name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : ''
  const line = new RegExp(`^-\\S+ +\\S+ \\S+ +\\S+ +(\\d+) .*[ /]${base}\\r?$`, 'm')
  const over = await sftp(gateway, user, PASSWORD, [`-ls -ln ${name}`, `-ls -ln /${folder}`])
  return {
    size: number(await client.ask(`SIZE ${name}`), /^213 (\d+)/),
    mlst: number(await client.ask(`MLST ${name}`), /size=(\d+);/),
    stat: number(await client.ask(`STAT ${name}`), new RegExp(line.source.replace('^', '^ '), 'm')),
    list: number(await listed(client, `LIST ${folder}`), line),
    listOfIt: number(await listed(client, `LIST ${name}`), line),
    mlsd: number(await listed(client, `MLSD ${folder}`), new RegExp(`size=(\\d+);.* ${base}\\r$`, 'm')),
    nlst: (await listed(client, `NLST ${folder}`)).split('\r\n').some((shown) => shown.endsWith(base!))
      ? number(await client.ask(`SIZE ${name}`), /^213 (\d+)/)
      : null,
    sftpStat: number(over.stdout, line),
    sftpReaddir: number(over.stdout.split(`sftp> -ls -ln /${folder}`)[1] ?? '', line),
  }
}

test('an upload that hangs is seen alike by every way of looking, over FTP and SFTP, by its own user only, and each client goes on with it to the whole file', async (t) => {
  const { gateway, folder, home } = await scene(t)
  const frozen = await Promise.all(PAIRS.map(({ name, start }) => freeze(t, gateway, folder, name, start)))
  const client = await login(t, gateway, 'partner')
  const stranger = await login(t, gateway, 'other')
  for (const { name } of frozen) await until(`${name} is seen`, async () => (await client.ask(`MLST ${name}`)).startsWith('250'))
  const sizes = new Map<string, number>()
  for (const { name } of frozen) {
    const all = await seen(client, gateway, 'partner', name)
    const size = all.size!
    sizes.set(name, size)
    t.ok(size >= LEAST / 2 && size < SIZE, `${name}: ${size}`)
    t.same(all, Object.fromEntries(Object.keys(all).map((way) => [way, size])), `${name} is seen alike`)
    const none = await seen(stranger, gateway, 'other', name)
    t.same(none, Object.fromEntries(Object.keys(none).map((way) => [way, null])), `${name} is not there for another user of the same home`)
  }
  t.same(await readdir(home), ['tree'], 'looking ended none of them')
  for (const [index, { resume }] of PAIRS.entries()) {
    const { name, file, content } = frozen[index]!
    const ran = await resume(gateway, file, name)
    t.equal(ran.code, 0, `${name}: ${ran.stderr}`)
    t.ok(content.equals(await readFile(join(home, name))), `${name} is whole`)
    const uploads = (await gateway.transfers('&direction=upload')).filter(({ path }) => path === `/${name}`)
    t.same(uploads.map(({ state }) => state).sort(), ['aborted', 'completed'], `${name}: each is a transfer of its own`)
    const last = uploads.find(({ state }) => state === 'completed')!
    t.equal((await gateway.transfer(last.id)).start_offset, sizes.get(name), `${name} was gone on with, not begun again`)
  }
})

test('an upload that hangs is renamed, dated and removed as a partial is; a new file of its name does not wait for it, and a published one is not lost with it', async (t) => {
  const { gateway, folder, home } = await scene(t)
  const names = ['moved', 'gone', 'dated', 'anew', 'kept']
  await writeFile(join(home, 'kept'), 'published before')
  const frozen = await Promise.all(names.map((name) => freeze(t, gateway, folder, name, curl())))
  const client = await login(t, gateway, 'partner')
  for (const name of names) await until(`${name} hangs`, async () => ((await client.ask(`SIZE ${name}`)).match(/\d{6,}/) ? 1 : 0))
  t.match(await client.ask('RNFR moved'), /^350 /)
  t.match(await client.ask('RNTO moved2'), /^250 /)
  t.match(await client.ask('SIZE moved2'), /^213 \d{6,}$/)
  t.match(await client.ask('SIZE moved'), /^550 /)
  t.match(await client.ask('DELE gone'), /^250 /)
  t.match(await client.ask('SIZE gone'), /^550 /)
  t.match(await client.ask('MFMT 20200102030405 dated'), /^213 /)
  t.equal(await client.ask('MDTM dated'), '213 20200102030405')
  const data = await client.data()
  t.match(await client.ask('STOR anew'), /^150 /)
  data.end('another content')
  t.match(await client.reply(), /^226 /)
  t.equal(await client.ask('SIZE anew'), '213 15')
  t.match(await client.ask('RNFR kept'), /^350 /)
  t.match(await client.ask('RNTO kept2'), /^250 /)
  t.equal(await readFile(join(home, 'kept2'), 'utf8'), 'published before', 'what is published is what is renamed')
  const again = await lftp(gateway, 'partner', PASSWORD, [`put -c ${frozen[0]!.file} -o moved2`, `put -c ${frozen[4]!.file} -o kept`])
  t.equal(again.code, 0, again.stderr)
  t.ok(frozen[0]!.content.equals(await readFile(join(home, 'moved2'))))
  t.ok(frozen[4]!.content.equals(await readFile(join(home, 'kept'))))
  t.same((await readdir(home)).sort(), ['anew', 'kept', 'kept2', 'moved2', 'tree'])
  for (const name of ['moved', 'gone', 'dated'])
    t.equal((await gateway.transfers('&direction=upload')).find(({ path }) => path === `/${name}`)?.state, 'aborted', name)
  t.equal(await running(gateway, 'anew').then((one) => one?.path), '/anew', 'nobody asked for the end of that one')
})
