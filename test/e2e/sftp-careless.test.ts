// The careless partner and the attacker, by hand-made packets against a whole gateway: what was acknowledged is whole and on record, all else is nowhere, and nobody else waits.
// Must not look only at replies: the disk and the records are what counts.
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type ClientChannel } from 'ssh2'
import { t as root, type Test, test } from 'tap'
import { PERMISSIONS } from '../../src/core/permission.ts'
import { RawSftp, statusOf, str, u32, u64 } from '../listeners/sftp/raw-client.ts'
import { apart } from '../support/apart.ts'
import { SSH_OPTIONS, sftp } from '../support/clients.ts'
import { type Ran, run, startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const [READ, WRITE, CREAT, TRUNC] = [1, 2, 8, 16]
const SIZE = 1
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

async function login(t: Test, gateway: TestGateway, username = 'partner'): Promise<Client> {
  const client = new Client()
  t.teardown(() => client.destroy())
  await new Promise<void>((resolve, reject) => {
    client.on('error', reject).on('ready', resolve).connect({ host: '127.0.0.1', port: gateway.ports.sftp, username, password: PASSWORD })
  })
  client.removeAllListeners('error').on('error', () => {})
  return client
}

/** One for all tests of this file. One thread: who holds it up, holds up all. */
const whole = await startGateway(root, { env: { FILEFLOW_THREADS_SFTP: '1' } })

async function open() {
  const gateway = await apart(whole, [
    { username: 'partner', password: PASSWORD },
    { username: 'other', password: PASSWORD },
    { username: 'whole', password: PASSWORD, permissions: [{ path: '/', allow: [...PERMISSIONS] }] },
    { username: 'limited', password: PASSWORD, quota: { bytes: '10MiB', files: 100 } },
  ])
  return { gateway, home: join(gateway.files, 'partner') }
}
const socketOf = (client: Client): Socket => (client as unknown as { _sock: Socket })._sock
const noSessions = (gateway: TestGateway) =>
  until('all sessions have ended', async () => (await gateway.api<{ items: unknown[] }>('GET', '/sessions')).items.length === 0)

test('a line that is cut with a CLOSE on its way: the file is whole and on record, or nowhere and the record says so', async (t) => {
  const { gateway, home } = await open()
  const content = randomBytes(200_000)
  const cuts = ['FIN', 'RST', 'channel', 'goodbye'] as const
  for (let round = 0; round < 24; round++) {
    const client = await login(t, gateway)
    const raw = await RawSftp.open(client)
    const handle = await raw.file(`/f${round}`, WRITE | CREAT | TRUNC)
    for (let at = 0; at < content.length; at += 20_000) raw.send(6, handle, u64(at), str(content.subarray(at, at + 20_000)))
    const whole = round % 3 === 0
    if (whole) for (let at = 0; at < content.length; at += 20_000) await raw.next()
    raw.send(4, handle)
    const cut = cuts[round % 4]
    await new Promise((resolve) => (round % 2 ? setImmediate(resolve) : setTimeout(resolve, round % 5)))
    if (cut === 'FIN') socketOf(client).destroy()
    else if (cut === 'RST') socketOf(client).resetAndDestroy()
    else if (cut === 'goodbye') client.end()
    else {
      raw.channel.close()
      await raw.closed
      client.end()
    }
  }
  await noSessions(gateway)
  const records = await gateway.transfers('&direction=upload')
  for (let round = 0; round < 24; round++) {
    const name = `f${round}`
    const mine = records.filter(({ path }) => path === `/${name}`)
    t.equal(mine.length <= 1, true, `${name}: one record at most`)
    if (existsSync(join(home, name))) {
      t.equal(hash(readFileSync(join(home, name))), hash(content), `${name} is whole`)
      t.equal(mine[0]?.state, 'completed', `${name} is on record`)
    } else t.not(mine[0]?.state, 'completed', `${name} is nowhere, and not on record as there`)
  }
})

test('sizes and offsets beyond all measure are refused or sparse, and neither they nor their digests hold up anybody', async (t) => {
  const { gateway, home } = await open()
  const raw = await RawSftp.open(await login(t, gateway))
  const handle = await raw.file('/f', READ | WRITE | CREAT | TRUNC)
  for (const offset of [2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    t.not(statusOf(await raw.ask(6, handle, u64(offset), str('x'))), 0, `WRITE at ${offset}`)
    t.not((await raw.ask(5, handle, u64(offset), u32(10))).type, 103, `READ at ${offset}`)
    t.not(statusOf(await raw.ask(10, handle, u32(SIZE), u64(offset))), 0, `FSETSTAT ${offset}`)
    t.not(statusOf(await raw.ask(9, str('/f'), u32(SIZE), u64(offset))), 0, `SETSTAT ${offset}`)
  }
  t.equal(statusOf(await raw.ask(6, handle, u64(0), str('content'))), 0)
  t.equal(statusOf(await raw.ask(4, handle)), 0)
  t.equal(readFileSync(join(home, 'f'), 'utf8'), 'content')

  const limited = await RawSftp.open(await login(t, gateway, 'limited'))
  const small = await limited.file('/f', WRITE | CREAT | TRUNC)
  t.not(statusOf(await limited.ask(10, small, u32(SIZE), u64(2 ** 40))), 0, 'a quota holds for holes')
  t.equal(statusOf(await limited.ask(6, small, u64(0), str('x'))), 0)
  t.not(statusOf(await limited.ask(6, small, u64(2 ** 30), str('x'))), 0)
  await limited.ask(4, small)
  t.notOk(existsSync(join(gateway.files, 'limited', 'f')))

  const { blocks, bsize } = statfsSync(home)
  const huge = Math.min(2 ** 37, Math.floor(blocks * bsize * 0.9))
  const sparse = await raw.file('/sparse', WRITE | CREAT | TRUNC)
  t.not(statusOf(await raw.ask(10, sparse, u32(SIZE), u64(2 ** 52))), 0, 'more than the volume could ever hold')
  t.equal(statusOf(await raw.ask(10, sparse, u32(SIZE), u64(huge))), 0)
  raw.send(4, sparse)
  const other = await RawSftp.open(await login(t, gateway, 'other'))
  const content = randomBytes(20_000_000)
  const mine = await other.file('/mine', WRITE | CREAT | TRUNC)
  for (let at = 0; at < content.length; at += 200_000) await other.ask(6, mine, u64(at), str(content.subarray(at, at + 200_000)))
  t.equal(statusOf(await other.ask(4, mine)), 0, 'another upload is acknowledged meanwhile')
  t.equal(hash(readFileSync(join(gateway.files, 'other', 'mine'))), hash(content))
  t.notOk(existsSync(join(home, 'sparse')), 'while the large one is still being hashed')
  await gateway.api('POST', '/users/partner/disable')
  await until('its upload has ended', async () =>
    (await gateway.transfers()).every(({ path, state }) => path !== '/sparse' || state === 'aborted'),
  )
})

test('two channels of one connection write one name: both are acknowledged, the later one stays whole', async (t) => {
  const { gateway, home } = await open()
  const client = await login(t, gateway)
  const channels = [await RawSftp.open(client), await RawSftp.open(client)]
  const contents = [randomBytes(300_000), randomBytes(250_000)]
  const handles = await Promise.all(channels.map((raw) => raw.file('/f', WRITE | CREAT | TRUNC)))
  await Promise.all(
    channels.map(async (raw, n) => {
      for (let at = 0; at < contents[n]!.length; at += 10_000)
        t.equal(statusOf(await raw.ask(6, handles[n]!, u64(at), str(contents[n]!.subarray(at, at + 10_000)))), 0)
    }),
  )
  for (const n of [1, 0]) {
    t.equal(statusOf(await channels[n]!.ask(4, handles[n]!)), 0)
    t.equal(hash(readFileSync(join(home, 'f'))), hash(contents[n]!))
  }
  t.match(await gateway.transfers('&direction=upload'), [{ state: 'completed' }, { state: 'completed' }])
  t.same(readdirSync(join(gateway.folder, 'data', 'staging')), [])
})

test('a channel that is closed in the middle of its writes publishes nothing, and its partial is seen by its user alone', async (t) => {
  const { gateway, home } = await open()
  for (let round = 0; round < 8; round++) {
    const client = await login(t, gateway)
    const raw = await RawSftp.open(client)
    const handle = await raw.file(`/g${round}`, WRITE | CREAT | TRUNC)
    for (let at = 0; at < 2_000_000; at += 100_000) raw.send(6, handle, u64(at), str(randomBytes(100_000)))
    for (let n = 0; n < round; n++) await raw.next()
    raw.channel.close()
    await raw.closed
    client.end()
  }
  await noSessions(gateway)
  t.same(readdirSync(home), [])
  const records = await gateway.transfers('&direction=upload')
  t.ok(records.every(({ state }) => state === 'aborted'))
})

/** scp in its old form, and commands, as a user who may do everything; with a folder here and one there. */
async function old(t: Test) {
  const { gateway } = await open()
  const folder = mkdtempSync(join(tmpdir(), 'fileflow-scp-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const shell = (command: string): Promise<Ran> => run('sh', ['-c', command], { env: { SSHPASS: PASSWORD, LC_ALL: 'C.UTF-8' } })
  const options = SSH_OPTIONS.join(' ')
  const scp = (words: string): Promise<Ran> =>
    shell(`cd ${folder} && sshpass -e scp -O ${options} -P ${gateway.ports.sftp} ${words.replaceAll('HOST:', 'whole@127.0.0.1:')}`)
  const ssh = (words: string): Promise<Ran> => shell(`sshpass -e ssh ${options} -p ${gateway.ports.sftp} whole@127.0.0.1 ${words}`)
  /** Fetched into a new folder. */
  const fetched = async (words: string): Promise<readonly string[] | string> => {
    const into = mkdtempSync(join(folder, 'into-'))
    // -T: the client does not compare names with what a shell has made of the words
    const ran = await scp(`-T ${words} ${into}`)
    return ran.code === 0 ? readdirSync(into).sort() : ran.stderr
  }
  return { gateway, folder, home: join(gateway.files, 'whole'), scp, ssh, fetched }
}

test('words of scp -O and of digest commands are what a shell would make of them: globs in each part, quotes and backslashes, a home, leading dashes', async (t) => {
  const s = await old(t)
  for (const name of ['a1.txt', 'a[1].txt', 'a*b', 'axb', '-dash', '.hidden', 'a{1}', 'a2'])
    writeFileSync(join(s.home, name), `content of ${name}`)
  for (const name of ['d1', 'd2', 'other']) mkdirSync(join(s.home, name))
  for (const name of ['d1/f', 'd2/f', 'd2/g', 'other/f']) writeFileSync(join(s.home, name), name)
  for (const [words, names] of [
    [`'HOST:a*'`, ['a*b', 'a1.txt', 'a2', 'a[1].txt', 'axb', 'a{1}']],
    [`"HOST:'a[1].txt'"`, ['a[1].txt']],
    [`'HOST:a[1].txt'`, ['a1.txt']],
    [`'HOST:a[!0-9]*'`, ['a*b', 'a[1].txt', 'axb', 'a{1}']],
    [`'HOST:a\\*b'`, ['a*b']],
    [`"HOST:'a{1}'"`, ['a{1}']],
    [`'HOST:a?b'`, ['a*b', 'axb']],
    [`'HOST:d*/g'`, ['g']],
    [`'HOST:~/ax?'`, ['axb']],
    [`HOST:-dash`, ['-dash']],
    [`'HOST:*dash'`, ['-dash']],
    [`'HOST:.h*'`, ['.hidden']],
    [`-r 'HOST:d*'`, ['d1', 'd2']],
    [`'HOST:none*'`, 'scp: none*: No such file or directory.\n'],
  ] as const)
    t.same(await s.fetched(words), names, words)
  writeFileSync(join(s.folder, '-up'), 'dash')
  t.equal((await s.scp('-- -up HOST:')).code, 0)
  t.equal((await s.scp('./-up HOST:-other')).code, 0)
  for (const name of ['-up', '-other']) t.equal(readFileSync(join(s.home, name), 'utf8'), 'dash', name)

  const line = (name: string, shown = name): string => `${hash(readFileSync(join(s.home, name)))}  ${shown}\n`
  for (const [words, out] of [
    [`'sha256sum d?/f a1.txt'`, line('d1/f') + line('d2/f') + line('a1.txt')],
    [`"sha256sum 'a*b' a\\*b"`, line('a*b') + line('a*b')],
    [`'sha256sum ~/axb "~"/axb'`, line('axb', '/axb')],
    [`'sha256sum -- -dash'`, line('-dash')],
    [`'sha256sum *dash none*'`, line('-dash')],
  ] as const)
    t.equal((await s.ssh(words)).stdout, out, words)
})

test('scp -O -r follows links as scp does and says what it cannot send; -p sets the permissions of what was there before', async (t) => {
  const s = await old(t)
  mkdirSync(join(s.home, 'tree/sub'), { recursive: true })
  writeFileSync(join(s.home, 'tree/file'), 'file')
  writeFileSync(join(s.home, 'tree/sub/below'), 'below')
  for (const [target, name] of [
    ['file', 'to-file'],
    ['sub', 'to-folder'],
    ['/tree/sub/below', 'absolute'],
  ] as const)
    symlinkSync(target, join(s.home, 'tree', name))
  t.equal((await s.scp('-r HOST:tree .')).code, 0)
  const tree = (folder: string): string[] => (readdirSync(folder, { recursive: true }) as string[]).sort()
  const whole = ['absolute', 'file', 'sub', 'sub/below', 'to-file', 'to-folder', 'to-folder/below']
  t.same(tree(join(s.folder, 'tree')), whole)
  t.equal(readFileSync(join(s.folder, 'tree/absolute'), 'utf8'), 'below')
  symlinkSync('nowhere', join(s.home, 'tree/dangling'))
  symlinkSync('..', join(s.home, 'tree/sub/round'))
  symlinkSync('/etc/passwd', join(s.home, 'tree/outside'))
  const ran = await s.scp('-r HOST:tree again')
  t.equal(ran.code, 1)
  for (const name of ['dangling', 'outside', 'round']) t.match(ran.stderr, new RegExp(`scp: ${name}: `))
  t.same(tree(join(s.folder, 'again')), whole, 'all else is there')

  mkdirSync(join(s.folder, 'up'))
  writeFileSync(join(s.folder, 'up/file'), 'new')
  chmodSync(join(s.folder, 'up'), 0o700)
  chmodSync(join(s.folder, 'up/file'), 0o640)
  mkdirSync(join(s.home, 'up'))
  writeFileSync(join(s.home, 'up/file'), 'old')
  chmodSync(join(s.home, 'up'), 0o755)
  chmodSync(join(s.home, 'up/file'), 0o600)
  const modes = () => ['up', 'up/file'].map((name) => (statSync(join(s.home, name)).mode & 0o777).toString(8))
  t.equal((await s.scp('-r up HOST:')).code, 0)
  t.same(modes(), ['755', '600'], 'without -p they stay')
  t.equal((await s.scp('-rp up HOST:')).code, 0)
  t.same(modes(), ['700', '640'])
  t.equal(readFileSync(join(s.home, 'up/file'), 'utf8'), 'new')
})

test('a name with a slash behind it is a folder’s: nothing is put, moved or removed under the name of a file', async (t) => {
  const s = await old(t)
  writeFileSync(join(s.folder, 'f'), 'content')
  writeFileSync(join(s.home, 'there'), 'old')
  mkdirSync(join(s.home, 'folder'))
  symlinkSync('folder', join(s.home, 'link'))
  t.match(await s.scp('f HOST:none/'), { code: 1, stderr: /none\/: / })
  for (const command of [
    `put ${join(s.folder, 'f')} none/`,
    'rename there none/',
    'rm there/',
    'rm link/',
    'get there/ /dev/null',
    'chmod 600 there/',
    'ln there none/',
    'symlink there none/',
  ])
    t.not((await sftp(s.gateway, 'whole', PASSWORD, [command])).code, 0, command)
  t.same(readdirSync(s.home).sort(), ['folder', 'link', 'there'])
  t.equal(statSync(join(s.home, 'there')).mode & 0o777, 0o644)
  const fine = [
    'mkdir new/',
    'rename new/ moved/',
    'ls moved/',
    `put ${join(s.folder, 'f')} moved/`,
    'ls link/',
    'chmod 700 link/',
    'rmdir folder/',
  ]
  const ran = await sftp(s.gateway, 'whole', PASSWORD, fine)
  t.equal(ran.code, 0, ran.stderr)
  t.same(readdirSync(s.home).sort(), ['link', 'moved', 'there'])
  t.equal((await s.scp('-r f HOST:moved/')).code, 0)
  t.equal((await s.scp(`-r ${s.folder} HOST:made/`)).code, 0, 'scp -r makes the folder')
  t.equal(readFileSync(join(s.home, 'made/f'), 'utf8'), 'content')
})

test('a user who is disabled is gone from every session at once: logged in, reading, listing, uploading, copying by scp either way, having something hashed; nothing is published', async (t) => {
  const { gateway, home } = await open()
  writeFileSync(join(home, 'there'), randomBytes(300_000))
  const exec = (client: Client, command: string): Promise<ClientChannel> =>
    new Promise((resolve, reject) => client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel))))
  const answered = (channel: ClientChannel): Promise<unknown> => new Promise((resolve) => channel.once('data', resolve))
  const phases: Record<string, (client: Client) => Promise<unknown>> = {
    'logged in': async () => {},
    'a channel': (client) => RawSftp.open(client),
    reading: async (client) => {
      const raw = await RawSftp.open(client)
      return raw.ask(5, await raw.file('/there', READ), u64(0), u32(1000))
    },
    listing: async (client) => (await RawSftp.open(client)).ask(11, str('/')),
    opened: async (client) => (await RawSftp.open(client)).file('/opened', WRITE | CREAT | TRUNC),
    uploading: async (client) => {
      const raw = await RawSftp.open(client)
      const handle = await raw.file('/uploading', WRITE | CREAT | TRUNC)
      return raw.ask(6, handle, u64(0), str(randomBytes(200_000)))
    },
    'scp up': async (client) => {
      const channel = await exec(client, 'scp -t up')
      await answered(channel)
      channel.write('C0644 300000 up\n')
      await answered(channel)
      return channel.write(randomBytes(200_000))
    },
    'scp down': async (client) => {
      const channel = await exec(client, 'scp -f there')
      channel.write('\0')
      return answered(channel)
    },
    hashing: async (client) => (await exec(client, 'md5sum')).write(randomBytes(1000)),
  }
  const ended = new Map<string, Promise<void>>()
  for (const [name, begin] of Object.entries(phases)) {
    const client = await login(t, gateway)
    ended.set(name, new Promise((resolve) => client.once('close', () => resolve())))
    await begin(client)
  }
  await gateway.api('POST', '/users/partner/disable')
  for (const [name, end] of ended) {
    await end
    t.pass(name)
  }
  await noSessions(gateway)
  t.same(readdirSync(home), ['there'])
  await t.rejects(login(t, gateway), 'no new login')
  for (const { path, state } of await gateway.transfers()) t.equal(state, 'aborted', path)
  t.same(readdirSync(join(gateway.folder, 'data', 'staging')), [])
})
