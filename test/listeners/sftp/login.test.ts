// Login over SSH with real clients: which credentials are enough, what is shown before, what old clients get, how many tries there are.
// Must not test passwords or bans themselves; accounts and the gatekeeper do.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { toPrincipal } from '../../../src/core/user.ts'
import { makeKey, PASSWORD, setup } from './setup.ts'

const keyAndPassword = ['-o', 'PreferredAuthentications=publickey,password', '-o', 'NumberOfPasswordPrompts=1']

test('a user of key+password needs both, the key first, and one connection for them', async (t) => {
  const s = await setup(t)
  const user = s.gatekeeper.users.get('partner')!
  const principal = toPrincipal({ username: 'partner', ssh_auth: 'key+password' }, s.home)
  s.gatekeeper.users.set('partner', { ...user, principal })
  const both = await s.sftp('pwd\n', ['-o', 'BatchMode=no', ...keyAndPassword])
  t.equal(both.code, 0, both.err)
  t.strictSame(s.gatekeeper.methods, ['publickey+password'])
  const interactive = await s.sftp('pwd\n', ['-o', 'BatchMode=no', '-o', 'PreferredAuthentications=publickey,keyboard-interactive'])
  t.equal(interactive.code, 0, interactive.err)
  for (const only of ['publickey', 'password', 'keyboard-interactive']) {
    const ran = await s.sftp('pwd\n', ['-o', 'BatchMode=no', '-o', `PreferredAuthentications=${only}`, '-o', 'NumberOfPasswordPrompts=1'])
    t.not(ran.code, 0, only)
  }
  t.equal(s.gatekeeper.methods.length, 2, 'no session was opened by half a login')
  s.gatekeeper.users.set('partner', { ...user, principal, password: 'another' })
  t.not((await s.sftp('pwd\n', ['-o', 'BatchMode=no', ...keyAndPassword])).code, 0, 'a wrong password behind the right key')
})

test('a key proven for one user does not count for another', async (t) => {
  const s = await setup(t)
  const user = s.gatekeeper.users.get('partner')!
  const of = (username: string) => ({ ...user, principal: toPrincipal({ username, ssh_auth: 'key+password' }, s.home) })
  s.gatekeeper.users.set('partner', of('partner'))
  s.gatekeeper.users.set('victim', { ...of('victim'), keyBlob: Buffer.from('another key') })
  const script = [
    'import paramiko, sys',
    `t = paramiko.Transport(('127.0.0.1', ${s.port})); t.connect()`,
    `k = paramiko.Ed25519Key.from_private_key_file('${s.identity}')`,
    "left = t.auth_publickey('partner', k); print('left', sorted(left))",
    'try:',
    `    t.auth_password('victim', '${PASSWORD}', fallback=False); print('in')`,
    'except paramiko.SSHException: print("refused")',
    't.close()',
  ]
  const ran = await s.run('/usr/bin/python3', ['-W', 'ignore', '-c', script.join('\n')])
  t.equal(ran.out, "left ['keyboard-interactive', 'password']\nrefused\n", ran.err)
  t.strictSame(s.gatekeeper.methods, [])
})

test('the banner is shown before the login, with its lines', async (t) => {
  const s = await setup(t, { sftp: { banner: 'Authorised partners only.\nSeen: päärtner' } })
  const ran = await s.run('sftp', ['-o', 'LogLevel=INFO', ...s.ssh, 'partner@127.0.0.1'], 'pwd\n')
  t.equal(ran.code, 0, ran.err)
  t.match(ran.err, /Authorised partners only\.\r?\nSeen: p/)
})

test('an address banned in the middle of a login is sent away with the reason', async (t) => {
  const s = await setup(t)
  s.gatekeeper.banned = true
  const ran = await s.sftp('pwd\n')
  t.not(ran.code, 0)
  t.match(ran.err, /Too many failed logins from this address/)
  t.equal(s.gatekeeper.attempts.length, 0)
})

test('RSA keys sign with SHA-2; SHA-1 is refused, and taken where sftp.legacy says so', async (t) => {
  for (const legacy of [false, true]) {
    const s = await setup(t, { sftp: { legacy } })
    const rsa = makeKey(s.dir, 'id_rsa', 'rsa', 2048)
    const user = s.gatekeeper.users.get('partner')!
    s.gatekeeper.users.set('partner', { ...user, keyBlob: Buffer.from(readFileSync(`${rsa}.pub`, 'utf8').split(' ')[1]!, 'base64') })
    const login = (...more: string[]) =>
      s.run(
        'sftp',
        ['-o', 'LogLevel=DEBUG1', ...s.common, '-o', `IdentityFile=${rsa}`, '-P', String(s.port), ...more, '-b', '-', 'partner@127.0.0.1'],
        'pwd\n',
      )
    const modern = await login()
    t.equal(modern.code, 0, modern.err)
    t.match(modern.err, /server-sig-algs=<ssh-ed25519,[^>]*ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256(,ssh-rsa)?>/)
    t.match(modern.err, /Server accepts key.*RSA/)
    const old = await login(
      '-o',
      'KexAlgorithms=diffie-hellman-group14-sha1',
      '-o',
      'HostKeyAlgorithms=ssh-rsa',
      '-o',
      'PubkeyAcceptedAlgorithms=ssh-rsa',
      '-c',
      'aes128-cbc',
      '-o',
      'MACs=hmac-sha1',
    )
    t.equal(old.code === 0, legacy, old.err.split('\n').slice(-4).join('\n'))
    t.equal(
      s.lines.some(({ event }) => event === 'sftp.legacy'),
      legacy,
      'it is warned about',
    )
  }
})
