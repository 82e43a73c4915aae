// The gateway's life as an administrator meets it: commands with and without it running, first start, wrong configuration, reload, drain.
// Must not look inside the process.
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import SftpClient from 'ssh2-sftp-client'
import { type Test, test } from 'tap'
import { ask, socketTransport } from '../../src/cli/api-client.ts'
import type { Page } from '../../src/core/views.ts'
import { lockDataDir } from '../../src/store/lock.ts'
import { lftp, sftp } from '../support/clients.ts'
import { fileflow, startGateway, until } from '../support/gateway.ts'

const MAIN = join(import.meta.dirname, '../../src/main.ts')
const EXAMPLES = join(import.meta.dirname, '../../examples')
const PASSWORD = 'correct-horse-battery'

async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-life-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('a wrong configuration stops the start with exit 2 and names file, line and key', async (t) => {
  const cwd = await folderFor(t)
  await writeFile(join(cwd, 'config.yaml'), 'ftp:\n  port: 2121\nsftp:\n  prot: 22\nlimits:\n  max_sessions: many\n')
  for (const command of ['serve', 'check']) {
    const { code, stderr, stdout } = await fileflow([command], { cwd })
    t.equal(code, 2, `${command} ends with 2`)
    t.match(stderr + stdout, /config\.yaml:4:\d+ .*sftp\.prot: .*port/, 'the unknown key, with its place and what is allowed')
    t.match(stderr + stdout, /config\.yaml:6:\d+ .*limits\.max_sessions/, 'the wrong type')
  }
  t.same(await readdir(cwd), ['config.yaml'], 'nothing was made')
  const variable = await fileflow(['check'], { cwd: tmpdir(), env: { FILEFLOW_SFTP_PORT: 'ssh' } })
  t.equal(variable.code, 2)
  t.match(variable.stderr, /FILEFLOW_SFTP_PORT/)
})

test('keys, certificates and folders that cannot be used are wrong configuration: exit 2, with file, line and key', async (t) => {
  const cwd = await folderFor(t)
  await writeFile(join(cwd, 'broken.pem'), 'no certificate')
  await writeFile(join(cwd, 'host_key'), 'no key')
  await writeFile(
    join(cwd, 'config.yaml'),
    [
      'data_dir: ./config.yaml/data',
      'storage_root: ./host_key',
      'ftp:',
      '  tls: { cert: ./none.pem, key: ./broken.pem }',
      'sftp:',
      '  host_keys: [./host_key]',
      'admin:',
      '  tls:',
      '    cert: ./broken.pem',
      '    key: ./broken.pem',
    ].join('\n'),
  )
  for (const command of ['serve', 'check']) {
    const { code, stderr } = await fileflow([command], { cwd })
    t.equal(code, 2, `${command} ends with 2`)
    t.match(stderr, /config\.yaml:1 data_dir: .*config\.yaml is not a folder/)
    t.match(stderr, /config\.yaml:2 storage_root: .*host_key is not a folder/)
    t.match(stderr, /config\.yaml:4 ftp\.tls\.cert: .*none\.pem: cannot be read \(ENOENT\)/)
    t.match(stderr, /config\.yaml:6 sftp\.host_keys: .*host_key: is not a private key/)
    t.match(stderr, /config\.yaml:10 admin\.tls\.key: .*broken\.pem: is not a PEM private key/)
  }
  const command = await fileflow(['user', 'list'], { cwd })
  t.match(command, { code: 2, stderr: /^config\.yaml:1 data_dir: .*is not a folder\nconfig\.yaml:2 storage_root: [^\n]*\n$/ })
  const variables = { FILEFLOW_SFTP_HOST_KEYS: 'no-such-key', FILEFLOW_CONFIG: '/dev/null' }
  t.match(await fileflow(['check'], { cwd, env: variables }), {
    code: 2,
    stderr: /^FILEFLOW_SFTP_HOST_KEYS: .*no-such-key: cannot be read/,
  })
})

test('a data folder where no files can be stops the start with exit 2 before anything hangs or is made', async (t) => {
  const cwd = await folderFor(t)
  await symlink('/nowhere/at/all', join(cwd, 'lost'))
  for (const [place, why] of [
    ['/proc/fileflow', /\/proc keeps no files/],
    ['/proc', /\/proc keeps no files/],
    ['/sys/fileflow/data', /\/sys keeps no files/],
    ['./lost', /lost is a link that leads nowhere/],
    ['./lost/data', /lost is a link that leads nowhere/],
  ] as const) {
    await writeFile(join(cwd, 'config.yaml'), `data_dir: ${place}\nstorage_root: ./files\n`)
    for (const command of place === '/proc/fileflow' ? [['serve'], ['check'], ['user', 'list']] : [['check']]) {
      const { code, stderr } = await fileflow(command, { cwd, timeoutMs: 120_000 })
      t.equal(code, 2, `${command.join(' ')} with data_dir ${place} ends with 2`)
      t.match(stderr, /^config\.yaml:1 data_dir: /)
      t.match(stderr, why)
    }
  }
  t.same((await readdir(cwd)).sort(), ['config.yaml', 'lost'], 'nothing was made')
})

test('a first start makes one admin and shows its password once; nothing on disk holds it', async (t) => {
  const folder = await folderFor(t)
  const { FILEFLOW_ADMIN_PASSWORD: _, ...env } = process.env
  const first = await startGateway(t, { folder, env: { ...env, FILEFLOW_ADMIN_PASSWORD: undefined } })
  const shown = /password\s+(\S+)/.exec(first.stderr())?.[1] ?? ''
  t.ok(shown.length >= 16, 'a long random password is shown')
  const login = await fetch(`http://127.0.0.1:${first.ports.admin}/api/v1/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'admin', password: shown }),
  })
  t.equal(login.status, 200)
  t.match(await login.json(), { username: 'admin', role: 'admin', csrf: String })
  await first.stop()
  for (const entry of await readdir(join(folder, 'data'), { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) t.notOk((await readFile(join(entry.parentPath, entry.name))).includes(shown), `${entry.name} does not hold it`)
  }
  const second = await startGateway(t, { folder })
  t.notMatch(second.stderr(), /password/, 'not shown again')
  await second.stop()
})

test('two gateways never work in one data directory', async (t) => {
  const gateway = await startGateway(t)
  const { code, stdout, stderr } = await fileflow(['serve'], {
    cwd: gateway.folder,
    env: { FILEFLOW_FTP_PORT: '0', FILEFLOW_SFTP_PORT: '0', FILEFLOW_ADMIN_PORT: '0' },
  })
  t.equal(code, 1)
  t.match(stdout + stderr, /Another FileFlow/)
  t.match(await gateway.api('GET', '/services'), { items: [{ state: 'running' }, { state: 'running' }, { state: 'running' }, {}] })
})

test('who kills the launcher has killed the gateway, and the next start waits for it to be gone', async (t) => {
  const folder = await folderFor(t)
  // as launch.mjs starts it under an older Node; its end is all that the gateway sees of a SIGKILL
  const first = fork(MAIN, ['serve', '--drain', '60'], {
    cwd: folder,
    silent: true,
    env: { ...process.env, FILEFLOW_FTP_PORT: '0', FILEFLOW_SFTP_PORT: '0', FILEFLOW_ADMIN_PORT: '0', FILEFLOW_ADMIN_PASSWORD: PASSWORD },
  })
  t.teardown(() => first.kill('SIGKILL'))
  const ended = new Promise((resolve) => first.once('exit', (code, signal) => resolve(signal ?? code)))
  let printed = ''
  first.stdout!.on('data', (chunk: Buffer) => {
    printed += chunk.toString()
  })
  await until('ready', () => printed.includes('"event":"ready"'))
  await fileflow(['user', 'add', 'partner', '--password-stdin'], { cwd: folder, input: `${PASSWORD}\n` })
  // a transfer in flight would hold an orderly stop
  const port = Number(/"sftp":\{[^}]*"port":(\d+)/.exec(printed)![1])
  const client = new SftpClient()
  t.teardown(() => client.end().catch(() => {}))
  await client.connect({ host: '127.0.0.1', port, username: 'partner', password: PASSWORD })
  client.on('error', () => {})
  client.put(new PassThrough(), '/never-ends.bin').catch(() => {})
  const api = socketTransport(join(folder, 'data', 'control.sock'))
  await until('the upload has begun', async () => (await ask<Page<unknown>>(api, 'GET', '/transfers?state=open')).items.length === 1)
  first.disconnect()
  const second = await startGateway(t, { folder })
  t.equal(await ended, 'SIGKILL')
  t.match(await second.transfers(), [{ state: 'aborted' }], 'the upload ended as any that a kill interrupts')
  await second.stop()
})

test('a command that comes while the gateway starts waits for it', async (t) => {
  const folder = await folderFor(t)
  const release = lockDataDir(join(folder, 'data'))
  const command = fileflow(['user', 'list'], { cwd: folder })
  const start = startGateway(t, { folder })
  await sleep(1000)
  release()
  t.match(await command, { code: 0, stderr: '' })
  await (await start).stop()
})

test('apply makes what the file declares, a second apply changes nothing, with and without a running gateway', async (t) => {
  const cwd = await folderFor(t)
  const file = join(EXAMPLES, 'first-steps.yaml')
  const offline = await fileflow(['apply', file], { cwd })
  t.equal(offline.code, 0, offline.stderr)
  t.match(offline.stdout, /4 created/)
  const gateway = await startGateway(t, { folder: cwd })
  const again = await fileflow(['apply', file], { cwd })
  t.equal(again.code, 0, again.stderr)
  t.match(again.stdout, /Nothing to do/)
  const exported = await fileflow(['export'], { cwd })
  t.equal(exported.code, 0)
  t.match(exported.stdout, /customer1-to-inbox/)
  t.match(exported.stdout, /\$argon2id\$/)
  t.notMatch(exported.stdout, /first-steps-1/, 'no clear password')
  await writeFile(join(cwd, 'state.yaml'), exported.stdout)
  const back = await fileflow(['apply', '--prune', 'state.yaml'], { cwd })
  t.equal(back.code, 0, back.stderr)
  t.match(
    back.stdout,
    /Nothing to do|0 created, \d+ changed, 0 removed/,
    'an export applied to where it came from makes and removes nothing',
  )
  t.equal((await sftp(gateway, 'customer1', 'first-steps-1', ['ls'])).code, 0, 'and the password still works')
  await writeFile(join(cwd, 'wrong.yaml'), 'users:\n  - username: x\n    hom: y\n')
  const wrong = await fileflow(['apply', 'wrong.yaml'], { cwd })
  t.equal(wrong.code, 2)
  t.match(wrong.stderr, /:3:.*hom/)
})

test('accounts by command: a password from standard input, never from an argument', async (t) => {
  const cwd = await folderFor(t)
  const gateway = await startGateway(t, { folder: cwd })
  const added = await fileflow(['user', 'add', 'anna', '--password-stdin'], { cwd, input: `${PASSWORD}\n` })
  t.equal(added.code, 0, added.stderr)
  t.equal((await sftp(gateway, 'anna', PASSWORD, ['pwd'])).code, 0)
  t.equal((await fileflow(['user', 'add', 'berta', '--password', 'x'], { cwd })).code, 2)
  t.equal((await fileflow(['user', 'disable', 'anna'], { cwd })).code, 0)
  t.not((await sftp(gateway, 'anna', PASSWORD, ['pwd'])).code, 0, 'a disabled account is out at once')
  const status = await fileflow(['status', '--json'], { cwd })
  t.match(JSON.parse(status.stdout), { services: [{ name: 'ftp', state: 'running' }], stats: { queue: { pending: 0 } } })
})

test('SIGTERM lets an upload in flight finish, takes no new session, and a restart goes on', async (t) => {
  const folder = await folderFor(t)
  const gateway = await startGateway(t, { folder, drainSeconds: 30 })
  await gateway.apply({ users: [{ username: 'slow', password: PASSWORD, limits: { upload_rate: '1MiB' } }] })
  const content = randomBytes(3 * 2 ** 20)
  await writeFile(join(folder, 'slow.bin'), content)
  const upload = sftp(gateway, 'slow', PASSWORD, [`put ${join(folder, 'slow.bin')}`])
  await until('the upload runs', async () => (await gateway.transfers('&state=open'))[0])
  gateway.kill('SIGTERM')
  await until('the gateway stops', () => gateway.log.some((line) => line.event === 'stopping'))
  const late = await lftp(gateway, 'slow', PASSWORD, ['set net:max-retries 1', 'ls'])
  t.not(late.code, 0, 'nobody comes in any more')
  t.equal((await upload).code, 0, 'the partner got its acknowledgement')
  t.equal(await gateway.ended, 0)
  t.ok((await readFile(join(folder, 'data/files/slow/slow.bin'))).equals(content))
})

test('SIGHUP takes a new configuration without dropping anyone, keeps a broken one out, and says what needs a restart', async (t) => {
  const folder = await folderFor(t)
  await cp(join(EXAMPLES, 'first-steps.yaml'), join(folder, 'state.yaml'))
  await writeFile(join(folder, 'config.yaml'), 'limits: { max_sessions_per_user: 20 }\n')
  const gateway = await startGateway(t, { folder })
  const reloaded = (event: string) => () => gateway.log.find((line) => line.event === event)
  await writeFile(join(folder, 'config.yaml'), 'limits: { max_sessions_per_user: 7 }\nthreads: { sftp: 3 }\n')
  gateway.kill('SIGHUP')
  t.match(await until('the reload', reloaded('reloaded')), { changed: ['limits.max_sessions_per_user'] })
  t.match(await until('the word about a restart', reloaded('reload.restart_needed')), { keys: ['threads.sftp'] })
  await writeFile(join(folder, 'config.yaml'), 'limits: { max_sessions: -1 }\n')
  gateway.kill('SIGHUP')
  t.match(await until('the refusal', reloaded('reload.failed')), { level: 'error', error: /config\.yaml:1/ })
  t.match(await gateway.api('GET', '/services'), { items: [{ state: 'running' }, { state: 'running' }, { state: 'running' }, {}] })
})

test('demo shows both ways with their receipts and leaves nothing behind', async (t) => {
  const before = (await readdir(tmpdir())).filter((name) => name.startsWith('fileflow-demo-'))
  const cwd = await folderFor(t)
  await writeFile(join(cwd, 'broken.yaml'), 'ftp: { prot: 1 }\n')
  await writeFile(join(cwd, 'mine.yaml'), 'data_dir: ./mine\nftp: { enabled: false }\n')
  for (const [config, why] of [
    ['broken.yaml', /broken\.yaml:1:\d+ ftp\.prot: unknown key/],
    ['none.yaml', /none\.yaml/],
  ] as const)
    t.match(await fileflow(['demo', '--exit', '--config', config], { cwd }), { code: 2, stdout: '', stderr: why }, config)
  const { code, stdout, stderr } = await fileflow(['demo', '--exit', '--config', 'mine.yaml'], { cwd })
  t.equal(code, 0, stderr)
  t.match(stderr, /the demo takes nothing from mine\.yaml/)
  t.same((await readdir(cwd)).sort(), ['broken.yaml', 'mine.yaml'])
  t.match(stdout, /by ftps – Grüße\.txt[\s\S]*delivered: headquarters \/incoming\/.*Grüße\.txt/)
  t.match(stdout, /by-sftp\.csv[\s\S]*delivered: headquarters \/incoming\/.*by-sftp\.csv/)
  t.same(
    (await readdir(tmpdir())).filter((name) => name.startsWith('fileflow-demo-')),
    before,
  )
})
