// What the files of vsftpd and emberstack/sftp become, and that secrets travel in a state file only sealed.
// Must not need those servers.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { type Test, test } from 'tap'
import { parse } from 'yaml'
import { createConsoleApp } from '../../src/admin/server.ts'
import { createApp } from '../../src/app.ts'
import { runCommand } from '../../src/cli/command.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { importEmberstack } from '../../src/cli/import-emberstack.ts'
import { importVsftpd } from '../../src/cli/import-vsftpd.ts'
import { loadConfig } from '../../src/config/load.ts'
import { openWithPassphrase, sealWithPassphrase } from '../../src/core/sealed.ts'
import { type StateFile, stateFileChecker } from '../../src/core/state-file.ts'
import { createLogOutput } from '../../src/logging/log-output.ts'

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl demo'

function folderFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fileflow-import-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('users of sftp.json keep their names, passwords, keys, roots, start folders and what they may write', async (t) => {
  const { state, notes } = importEmberstack(
    JSON.stringify({
      Global: {
        Chroot: { Directory: '%h', StartPath: 'sftp' },
        Directories: ['sftp'],
        HostKeys: { Ed25519: '/etc/ssh/keys/ed25519' },
        Hooks: { OnSessionChange: ['/x'] },
      },
      users: [
        { Username: 'demo', Password: 'demo', PublicKeys: [KEY], Directories: ['out/box'], AllowedHosts: ['192.0.2.0/24', 'host.example'] },
        {
          username: 'hashed',
          password: '$6$abc',
          PasswordIsEncrypted: true,
          UID: 1001,
          Chroot: { Directory: '/data/%u', StartPath: 'in' },
        },
      ],
    }),
    '/srv/homes',
  )
  t.same(stateFileChecker.faults(state), [])
  t.match(state.users![0], {
    username: 'demo',
    password: 'demo',
    public_keys: [KEY],
    home: '/srv/homes/demo',
    start_directory: '/sftp',
    directories: ['/sftp', '/out/box'],
    protocols: ['sftp'],
    permissions: [{ path: '/', allow: ['list', 'download'] }, { path: '/sftp' }, { path: '/out/box' }],
    allowed_ips: ['192.0.2.0/24'],
  })
  t.match(state.users![1], { username: 'hashed', home: '/data/hashed', start_directory: '/in', password: undefined })
  for (const part of [/host key Ed25519/, /Hooks/, /host\.example/, /hashed: the password is a crypt hash/, /UID/])
    t.ok(
      notes.some((note) => part.test(note)),
      String(part),
    )
  for (const bad of ['{', '[]', '{"Users":[{}]}', 'null']) t.throws(() => importEmberstack(bad, '/home'), { code: 'request.invalid' }, bad)
})

test('local users of vsftpd keep root, rights, rates and the need for TLS; single users may differ', async (t) => {
  const { state, notes } = importVsftpd({
    conf: [
      '# a comment',
      'local_enable=YES',
      'write_enable=YES',
      'chroot_local_user=YES',
      'user_sub_token=$USER',
      'local_root=/srv/ftp/$USER',
      'ssl_enable=YES',
      'pasv_min_port=40000',
      'pasv_max_port=40100',
      'pasv_address=203.0.113.9',
      'local_max_rate=1000000',
      'max_clients=50',
      'deny_file={*.exe}',
    ].join('\n'),
    names: 'alice\n# nobody\nbob\n',
    passwd: 'alice:x:1001:1001::/home/alice:/bin/sh\nbob:x:1002:1002::/home/bob:/bin/sh\n',
    perUser: (name) => (name === 'bob' ? 'write_enable=NO\nlocal_root=/srv/bob\nlocal_max_rate=0\n' : undefined),
  })
  t.same(stateFileChecker.faults(state), [])
  t.match(state.users, [
    { username: 'alice', home: '/srv/ftp/alice', require_tls: true, limits: { upload_rate: 1_000_000 } },
    { username: 'bob', home: '/srv/bob', permissions: [{ path: '/', allow: ['list', 'download'] }], limits: undefined },
  ])
  t.same(state.users![0]!.permissions, [
    { path: '/', allow: ['list', 'download', 'upload', 'overwrite', 'resume', 'rename', 'delete', 'mkdir', 'rmdir', 'chmod', 'utime'] },
  ])
  for (const part of [/40000-40100/, /203\.0\.113\.9/, /max_sessions: 50/, /deny_file/, /user passwd alice/])
    t.ok(
      notes.some((note) => part.test(note)),
      String(part),
    )
})

test('virtual users of vsftpd have what anonymous ones have, unless it says otherwise', async (t) => {
  const conf = 'guest_enable=YES\nguest_username=ftp\nwrite_enable=YES\nanon_upload_enable=YES\nlocal_root=/srv/virtual\n'
  const files = {
    conf,
    virtualUsers: 'one\nsecret one\ntwo\nsecret two\n',
    passwd: '',
    perUser: (n: string) => (n === 'two' ? 'virtual_use_local_privs=YES\n' : undefined),
  }
  const { state } = importVsftpd(files)
  t.match(state.users, [
    { username: 'one', password: 'secret one', require_tls: false, permissions: [{ allow: ['list', 'download', 'upload'] }] },
    { username: 'two', password: 'secret two' },
  ])
  t.ok(state.users![1]!.permissions![0]!.allow.includes('delete'))
  t.throws(() => importVsftpd({ ...files, virtualUsers: 'one\n' }), { code: 'request.invalid' })
  t.throws(() => importVsftpd({ ...files, conf: 'write enable = yes' }), { message: /vsftpd.conf:1/ })
})

test('every setting of vsftpd that was not carried over is told, of the server and of single users; those that were are not', (t) => {
  const { notes } = importVsftpd({
    conf: 'local_enable=YES\nwrite_enable=YES\nchroot_local_user=YES\nport_enable=NO\nftpd_banner=Welcome\nwrite_enabel=NO\nchroot_list_file=/etc/list\nlocal_root=/srv\n',
    names: 'alice\n',
    perUser: () => 'write_enable=NO\nmax_clients=3\nlocal_umask=027\n',
  })
  t.same(
    notes.filter((note) => note.includes('not carried over')),
    [
      'vsftpd.conf: not carried over: ftpd_banner, write_enabel, chroot_list_file',
      'user_config_dir/alice: not carried over: max_clients, local_umask',
    ],
  )
  t.end()
})

/** The commands over a gateway's own control plane, without a process for each. */
async function commandsIn(t: Test, folder: string, name: string) {
  const { config } = loadConfig({
    env: { FILEFLOW_DATA_DIR: join(folder, name), FILEFLOW_STORAGE_ROOT: join(folder, name, 'files') },
    cwd: folder,
  })
  const stdout = new PassThrough().resume()
  const output = createLogOutput({ log: { level: 'error', file: null }, keepMs: 1000, dataDir: config.data_dir, stdout, isTTY: false })
  const app = await createApp({ config, output })
  const door = await createConsoleApp({ control: app.control, log: app.log })
  t.teardown(async () => {
    await door.close()
    await app.close()
    await output.close()
  })
  return async (argv: string[], stdin = '') => {
    const [out, err] = [new PassThrough(), new PassThrough()]
    const code = await runCommand(COMMANDS, argv, {
      stdin: Readable.from([stdin]),
      stdout: out,
      stderr: err,
      isTTY: false,
      loadConfig: () => loadConfig({ env: {}, cwd: folder }),
      checkFiles: async () => {},
      download: async () => Readable.from([]),
      transport: async () => async (method, path, body) => {
        const reply = await door.inject({ method, url: `/api/v1${path}`, ...(body === undefined ? {} : { payload: body as object }) })
        return { status: reply.statusCode, body: reply.body === '' ? null : reply.json() }
      },
    })
    return { code, stdout: String(out.read() ?? ''), stderr: String(err.read() ?? '') }
  }
}

test('the commands print what apply takes', async (t) => {
  const folder = folderFor(t)
  const run = await commandsIn(t, folder, 'data')
  const at = (name: string) => join(folder, name)
  writeFileSync(at('sftp.json'), JSON.stringify({ Users: [{ Username: 'demo', Password: 'a password' }] }))
  const made = await run(['import', 'emberstack', at('sftp.json'), '--homes', at('homes')])
  t.equal(made.code, 0, made.stderr)
  writeFileSync(at('state.yaml'), made.stdout)
  t.match(await run(['apply', at('state.yaml')]), { code: 0, stdout: /\+ user demo/ })
  mkdirSync(at('u'))
  writeFileSync(at('vsftpd.conf'), `local_root=/srv/x\nuser_config_dir=${folder}/u\n`)
  writeFileSync(at('u/demo'), 'local_root=/srv/demo\n')
  writeFileSync(at('names'), 'demo\n')
  const other = await run(['import', 'vsftpd', at('vsftpd.conf'), '--users', at('names')])
  t.match(parse(other.stdout), { users: [{ username: 'demo', home: '/srv/demo' }] })
  t.notMatch(other.stderr, /carried over: /)
  writeFileSync(at('vsftpd.conf'), 'local_root=/srv/x\nfile_locks=YES\n')
  t.match(await run(['import', 'vsftpd', at('vsftpd.conf'), '--users', at('names')]), { code: 0, stderr: /not carried over: file_locks/ })
  t.equal((await run(['import', 'vsftpd', at('nowhere.conf')])).code, 1)
  t.equal((await run(['import', 'proftpd'])).code, 2)
})

test('secrets leave only sealed, and come back with their passphrase alone', async (t) => {
  const folder = folderFor(t)
  const at = (name: string) => join(folder, name)
  const one = await commandsIn(t, folder, 'one')
  writeFileSync(at('first.yaml'), 'destinations: [{ name: hq, type: ftp, host: hq.example, username: x, password: far secret }]')
  t.equal((await one(['apply', at('first.yaml')])).code, 0)
  const out = await one(['export', '--with-secrets', '--passphrase-stdin'], 'a good passphrase\n')
  t.equal(out.code, 0, out.stderr)
  t.notMatch(out.stdout, /far secret/)
  t.match(out.stdout, /^secrets: ffseal1\./m)
  writeFileSync(at('sealed.yaml'), out.stdout)
  const two = await commandsIn(t, folder, 'two')
  t.match(await two(['apply', at('sealed.yaml'), '--passphrase-stdin'], 'another one\n'), { code: 1, stderr: /passphrase is not the one/ })
  t.equal((await two(['apply', at('sealed.yaml'), '--passphrase-stdin'], 'a good passphrase\n')).code, 0)
  const again = await two(['export', '--with-secrets', '--passphrase-stdin'], 'yet another\n')
  t.same(await openWithPassphrase((parse(again.stdout) as StateFile).secrets!, 'yet another'), {
    destinations: { hq: { password: 'far secret' } },
  })
  t.notOk(readFileSync(at('two/fileflow.db')).includes('far secret'))
  t.equal((await two(['export', '--passphrase-stdin'], 'x\n')).code, 2)
})

test('a sealed text that was changed does not open; a short passphrase is refused', async (t) => {
  const sealed = await sealWithPassphrase({ a: 1 }, 'a good passphrase')
  const changed = sealed.slice(0, -3) + (sealed.endsWith('AAA') ? 'BBB' : 'AAA')
  for (const text of [changed, sealed.slice(0, 20), 'ffseal2.abc', ''])
    await t.rejects(openWithPassphrase(text, 'a good passphrase'), { code: 'request.invalid' })
  await t.rejects(sealWithPassphrase({}, 'short'), { code: 'request.invalid' })
})
