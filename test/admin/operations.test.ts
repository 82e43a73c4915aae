// What an operator does with a running gateway: settings and their reload, keys, bans, host keys of others, a user's files, backup and restore.
// Must not look into the process: the API, the commands and the disk tell.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { test } from 'tap'
import type { BanView, KeyView, SettingView, UserView } from '../../src/core/views.ts'
import { restoreBackup } from '../../src/store/backup.ts'
import { lftp } from '../support/clients.ts'
import { startFarSshd } from '../support/far-sshd.ts'
import { fileflow, run, startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

test('a running gateway tells and takes what an operator needs', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fileflow-operate-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'config.yaml'), '# ours\nlimits:\n  max_sessions: 77\ndefence: { max_failures: 2, ban: 1h, allow: [] }\n')
  const gateway = await startGateway(t, { folder })
  await gateway.apply({
    users: [
      { username: 'alice', password: PASSWORD, directories: ['/in'] },
      { username: 'bob', password: PASSWORD, home: join(folder, 'homes/bob') },
      { username: 'bobs-child', password: PASSWORD, home: join(folder, 'homes/bob/child') },
    ],
    destinations: [{ name: 'away', type: 'ftp', host: '127.0.0.1', port: 9, username: 'x', password: 'a far secret' }],
  })

  await t.test('settings name their source, file and line, and a reload says what acts and what waits', async (t) => {
    const settings = async () => new Map((await gateway.api<{ items: SettingView[] }>('GET', '/settings')).items.map((s) => [s.key, s]))
    const before = await settings()
    t.match(before.get('limits.max_sessions'), {
      value: 77,
      source: 'file',
      file: join(folder, 'config.yaml'),
      line: 3,
      needs_restart: false,
    })
    t.match(before.get('sftp.port'), { value: 0, source: 'environment', variable: 'FILEFLOW_SFTP_PORT', needs_restart: true })
    t.match(before.get('ftp.active'), { value: false, source: 'default', description: String })
    writeFileSync(
      join(folder, 'config.yaml'),
      'limits:\n  max_sessions: 88\nlog: { file: /tmp/x.log }\ndefence: { max_failures: 2, ban: 1h, allow: [] }\n',
    )
    t.same(await gateway.api('POST', '/settings/reload'), { applied: ['limits.max_sessions'], needs_restart: ['log.file'] })
    t.match((await settings()).get('limits.max_sessions'), { value: 88, line: 2 })
    writeFileSync(join(folder, 'config.yaml'), 'limits: { max_sessions: many }\n')
    await t.rejects(gateway.api('POST', '/settings/reload'), { code: 'config.invalid', message: /config.yaml:1:\d+ limits.max_sessions/ })
    t.match((await settings()).get('limits.max_sessions'), { value: 88 }, 'a wrong file changes nothing')
    writeFileSync(join(folder, 'config.yaml'), 'defence: { max_failures: 2, ban: 1h, allow: [] }\n')
    await gateway.api('POST', '/settings/reload')
  })

  await t.test('host keys and certificates are listed as partners see them', async (t) => {
    const { items } = await gateway.api<{ items: KeyView[] }>('GET', '/keys')
    t.same(
      items.map((key) => `${key.kind} ${key.name}`),
      ['ssh-host-key sftp', 'ssh-host-key sftp', 'ssh-host-key sftp', 'certificate ftp'],
    )
    const shown = await run('ssh-keygen', ['-lf', join(folder, 'data/keys/ssh_host_ed25519_key.pub')])
    t.match(shown.stdout, items[0]!.fingerprint)
    t.ok(items[3]!.days_left! > 600)
    t.notMatch(JSON.stringify(items), /PRIVATE/)
  })

  await t.test('the host keys of another server are shown as ssh-keyscan would, and nothing is trusted by it', async (t) => {
    const sshd = await startFarSshd(t)
    const { items } = await gateway.api<{ items: { fingerprint: string }[] }>('POST', '/destinations/host-key', {
      host: sshd.host,
      port: sshd.port,
    })
    t.same(
      items.map((key) => key.fingerprint),
      [sshd.fingerprint, sshd.rsaFingerprint],
    )
    await t.rejects(gateway.api('POST', '/destinations/host-key', { host: '127.0.0.1', port: gateway.ports.admin }), { code: /^remote\./ })
  })

  await t.test('a second gateway does not share the ports of the first one unnoticed', async (t) => {
    const cwd = join(folder, 'second')
    mkdirSync(cwd)
    const env = {
      FILEFLOW_FTP_ENABLED: 'false',
      FILEFLOW_ADMIN_PORT: '0',
      FILEFLOW_SFTP_HOST: '127.0.0.1',
      FILEFLOW_SFTP_PORT: String(gateway.ports.sftp),
    }
    const second = await fileflow(['serve'], { cwd, env })
    t.equal(second.code, 1)
    t.match(second.stdout, new RegExp(`sftp.port: 127.0.0.1:${gateway.ports.sftp} is taken`))
  })

  await t.test('a ban is listed, and lifted it is over', async (t) => {
    const attempt = () =>
      fetch(`http://127.0.0.1:${gateway.ports.admin}/api/v1/session`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username: 'admin', password: 'wrong' }),
      }).then(async (r) => ((await r.json()) as { code: string }).code)
    t.same([await attempt(), await attempt(), await attempt()], ['auth.failed', 'auth.failed', 'auth.banned'])
    const bans = async () => (await gateway.api<{ items: BanView[] }>('GET', '/bans')).items
    t.match(await bans(), [{ address: '127.0.0.1', failures: 2, reason: '2 failed logins' }])
    await gateway.api('DELETE', '/bans/127.0.0.1')
    t.same(await bans(), [])
    await t.rejects(gateway.api('DELETE', '/bans/127.0.0.1'), { code: 'resource.not_found' })
    t.equal(await attempt(), 'auth.failed')
  })

  await t.test('all files of a user go, whatever they are called; mounts, links and the declared folders behave', async (t) => {
    const outside = join(folder, 'outside.txt')
    writeFileSync(outside, 'stays')
    const put = await lftp(gateway, 'alice', PASSWORD, [`put ${outside} -o in/report.txt`])
    t.equal(put.code, 0, put.stderr)
    const home = join(gateway.files, 'alice')
    await until('the upload is counted', async () => (await gateway.api<UserView>('GET', '/users/alice')).usage.files === 1)
    mkdirSync(join(home, 'deep/er'), { recursive: true })
    writeFileSync(Buffer.concat([Buffer.from(`${home}/deep/er/`), Buffer.from([0xff, 0xfe])]), 'odd name')
    symlinkSync(folder, join(home, 'way-out'))
    await t.rejects(gateway.api('POST', '/users/alice/files/delete', { confirm: 'alic' }), { code: 'request.invalid' })
    t.same(await gateway.api('POST', '/users/alice/files/delete', { confirm: 'alice' }), {
      files: 3,
      bytes: 5 + 8 + Buffer.byteLength(folder),
    })
    t.same(readdirSync(home), ['in'])
    t.same(readdirSync(join(home, 'in')), [])
    t.equal(readFileSync(outside, 'utf8'), 'stays')
    t.match(await gateway.api('GET', '/users/alice'), {
      usage: { bytes: 0, files: 0 },
      last_login_from: { address: '127.0.0.1', protocol: 'ftp' },
    })
    await t.rejects(gateway.api('POST', '/users/bob/files/delete', { confirm: 'bob' }), { code: 'state.conflict', message: /bobs-child/ })
  })

  await t.test('a backup made while it runs restores to the same users, keys and secrets, and to nothing less', async (t) => {
    const file = join(folder, 'b.tar.gz')
    const made = await fileflow(['backup', file], { cwd: folder })
    t.equal(made.code, 0, made.stderr)
    t.match(made.stdout, /read back and found whole/)
    t.equal(statSync(file).mode & 0o777, 0o600)
    t.equal((await fileflow(['backup', file], { cwd: folder })).code, 1, 'one that is there is not replaced unasked')
    const listed = await run('tar', ['tzf', file])
    t.match(listed.stdout, /^manifest.json\nfileflow.db\n(keys\/.+\n)+/, 'any tar can open it')
    t.match(await fileflow(['restore', file], { cwd: folder }), { code: 1, stderr: /Another FileFlow works/ })

    const other = join(folder, 'other')
    mkdirSync(other)
    const env = { FILEFLOW_FTP_ENABLED: 'false', FILEFLOW_FORWARDING_CONCURRENCY: '1' }
    const restored = await fileflow(['restore', file], { cwd: other, env })
    t.equal(restored.code, 0, restored.stderr)
    t.match((await fileflow(['user', 'list'], { cwd: other, env })).stdout, /alice[\s\S]*bob/)
    t.match((await fileflow(['audit', 'verify'], { cwd: other, env })).stdout, /is whole/)
    for (const key of readdirSync(join(folder, 'data/keys')))
      t.same(readFileSync(join(other, 'data/keys', key)), readFileSync(join(folder, 'data/keys', key)), key)
    t.match(await fileflow(['restore', file], { cwd: other, env }), { code: 1, stderr: /holds a database already/ })
    t.equal((await fileflow(['restore', file, '--force'], { cwd: other, env })).code, 0)
    const aside = readdirSync(join(other, 'data')).find((name) => name.startsWith('before-restore-'))!
    t.ok(existsSync(join(other, 'data', aside, 'fileflow.db')), 'what was there is kept')

    const offline = await fileflow(['backup', join(folder, 'c.tar.gz')], { cwd: other, env })
    t.equal(offline.code, 0, offline.stderr)

    const whole = gunzipSync(readFileSync(file))
    const at = (needle: string) => whole.indexOf(needle)
    const flipped = Buffer.from(whole)
    flipped[at('SQLite format 3') + 5000]! ^= 1
    const renamed = Buffer.from(whole.toString('latin1').replaceAll('keys/secrets.key', '../../escape.txt'), 'latin1')
    for (const [what, bytes] of [
      ['a flipped bit', gzipSync(flipped)],
      ['a missing end', readFileSync(file).subarray(0, -2000)],
      ['a name that leads elsewhere', gzipSync(renamed)],
      ['something else', randomBytes(4096)],
      ['nothing', Buffer.alloc(0)],
    ] as const) {
      writeFileSync(join(folder, 'bad.tar.gz'), bytes)
      await t.rejects(
        restoreBackup(join(folder, 'bad.tar.gz'), join(other, 'data'), true, Date.now()),
        { name: 'FileFlowError', code: 'request.invalid', message: /backup/ },
        what,
      )
    }
    t.match((await fileflow(['user', 'list'], { cwd: other, env })).stdout, /alice/, 'a bad backup changed nothing')
    t.same(
      readdirSync(join(folder, 'data')).filter((name) => name.startsWith('.backup')),
      [],
      'nothing is left beside the database',
    )
  })
})
