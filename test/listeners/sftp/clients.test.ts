// The listener and the clients partners really use, over a real disk.
// Must not look at replies alone: every test looks at the files on both sides.
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { PASSWORD, setup } from './setup.ts'

const hash = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

test('OpenSSH sftp puts and gets a large file unchanged', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.local, 'big'), randomBytes(24 * 2 ** 20 + 7))
  const ran = await s.sftp('put big\nget big back\n')
  t.equal(ran.code, 0, ran.err)
  t.equal(hash(join(s.home, 'big')), hash(join(s.local, 'big')))
  t.equal(hash(join(s.local, 'back')), hash(join(s.local, 'big')))
  t.ok(s.log.includes('commit /big'))
  t.match(s.gatekeeper.clients[0], /^SSH-2\.0-OpenSSH/)
})

test('every cipher on offer carries a file both ways', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.local, 'f'), randomBytes(300_001))
  for (const cipher of [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr,aes256-gcm@openssh.com',
    'aes256-ctr',
    'chacha20-poly1305@openssh.com',
  ]) {
    const ran = await s.sftp('put f\nget f g\n', ['-c', cipher])
    t.equal(ran.code, 0, `${cipher} ${ran.err}`)
    t.equal(hash(join(s.local, 'g')), hash(join(s.local, 'f')))
  }
})

test('an empty file arrives, and a resumed upload is whole', async (t) => {
  const s = await setup(t)
  const content = randomBytes(3 * 2 ** 20)
  writeFileSync(join(s.local, 'empty'), '')
  writeFileSync(join(s.local, 'part'), content)
  writeFileSync(join(s.home, 'part'), content.subarray(0, 1_000_003))
  const ran = await s.sftp('put empty\nreput part\n')
  t.equal(ran.code, 0, ran.err)
  t.equal(statSync(join(s.home, 'empty')).size, 0)
  t.equal(hash(join(s.home, 'part')), hash(join(s.local, 'part')))
})

test('folders, names, links and listings work as on OpenSSH', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.local, 'a b ä'), 'x')
  const ran = await s.sftp(
    [
      'mkdir d',
      'cd d',
      'put "a b ä"',
      'rename "a b ä" b',
      'ln -s b link',
      'chmod 600 b',
      'ls -la',
      'pwd',
      'df',
      'mkdir e',
      'rmdir e',
      '',
    ].join('\n'),
  )
  t.equal(ran.code, 0, ran.err)
  t.match(ran.out, /-rw------- .* b\n/)
  t.match(ran.out, /Remote working directory: \/d/)
  t.strictSame(readdirSync(join(s.home, 'd')).sort(), ['b', 'link'])
  const again = await s.sftp('rm d/b\nrm d/nothing\n')
  t.equal(again.code, 1)
  t.match(again.err, /No such file/)
  t.notOk(existsSync(join(s.home, 'd/b')))
})

test('a folder of 3000 names is listed whole', async (t) => {
  const s = await setup(t)
  for (let i = 0; i < 3000; i++) writeFileSync(join(s.home, `name-${i}`), '')
  const ran = await s.sftp('ls -1\n')
  t.equal(ran.out.split('\n').filter((line) => line.startsWith('name-')).length, 3000)
})

for (const mode of ['scp', 'scp -O']) {
  test(`${mode} copies files and folders both ways, with times`, async (t) => {
    const s = await setup(t)
    const flags = mode === 'scp' ? [] : ['-O']
    mkdirSync(join(s.local, 'tree/sub'), { recursive: true })
    writeFileSync(join(s.local, 'tree/one'), randomBytes(2 * 2 ** 20 + 1))
    writeFileSync(join(s.local, 'tree/sub/two'), 'two')
    utimesSync(join(s.local, 'tree/sub/two'), 1e9, 1e9)
    const up = await s.scp([...flags, '-rp', 'tree', 'partner@127.0.0.1:'])
    t.equal(up.code, 0, up.err)
    t.equal(hash(join(s.home, 'tree/one')), hash(join(s.local, 'tree/one')))
    t.equal(statSync(join(s.home, 'tree/sub/two')).mtimeMs, 1e12)
    const down = await s.scp([...flags, '-rp', 'partner@127.0.0.1:tree', 'back'])
    t.equal(down.code, 0, down.err)
    t.equal(hash(join(s.local, 'back/one')), hash(join(s.local, 'tree/one')))
    t.equal(statSync(join(s.local, 'back/sub/two')).mtimeMs, 1e12)
    const home = await s.scp([...flags, 'tree/sub/two', 'partner@127.0.0.1:~/two'])
    t.equal(home.code, 0, home.err)
    t.equal(readFileSync(join(s.home, 'two'), 'utf8'), 'two')
    mkdirSync(join(s.local, 'globbed'))
    const globbed = await s.scp([...flags, 'partner@127.0.0.1:tw*', 'globbed'])
    t.equal(globbed.code, 0, globbed.err)
    t.strictSame(readdirSync(join(s.local, 'globbed')), ['two'])
    const none = await s.scp([...flags, 'partner@127.0.0.1:nothing', 'x'])
    t.equal(none.code, 1)
  })
}

test('no command but scp runs, and no shell opens', async (t) => {
  const s = await setup(t)
  const ssh = [...s.common, '-o', `IdentityFile=${s.identity}`, '-p', String(s.port), 'partner@127.0.0.1']
  const ran = await s.run('ssh', [...ssh, 'id'])
  t.equal(ran.code, 1)
  t.match(ran.err, /sftp and scp only/)
})

test('a password logs in, directly and by keyboard-interactive; a wrong one does not', async (t) => {
  const s = await setup(t)
  for (const method of ['password', 'keyboard-interactive']) {
    const args = [...s.common, '-o', `PreferredAuthentications=${method}`, '-P', String(s.port)]
    const ran = await s.run('sftp', [...args, 'partner@127.0.0.1'], 'pwd\n')
    t.equal(ran.code, 0, ran.err)
    const wrong = await s.run('sftp', [...args, 'stranger@127.0.0.1'], 'pwd\n')
    t.not(wrong.code, 0)
  }
})

test('lftp, rclone and paramiko send and fetch', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.local, 'f'), randomBytes(5 * 2 ** 20 + 3))
  const connect = `set sftp:connect-program "ssh -a -x -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i ${s.identity}"; open -p ${s.port} -u partner, sftp://127.0.0.1`
  const lftp = await s.run('lftp', ['-c', `${connect}; put f -o lftp; get lftp -o lftp.back; mirror -R . mirrored`])
  t.equal(lftp.code, 0, lftp.err)
  t.equal(hash(join(s.home, 'lftp')), hash(join(s.local, 'f')))
  t.equal(hash(join(s.local, 'lftp.back')), hash(join(s.local, 'f')))
  t.equal(hash(join(s.home, 'mirrored/f')), hash(join(s.local, 'f')))

  const remote = `:sftp,host=127.0.0.1,port=${s.port},user=partner,key_file="${s.identity}":`
  const rclone = await s.run('rclone', ['copyto', 'f', `${remote}/rclone`])
  t.equal(rclone.code, 0, rclone.err)
  t.equal(hash(join(s.home, 'rclone')), hash(join(s.local, 'f')))
  const fetched = await s.run('rclone', ['copyto', `${remote}/rclone`, 'rclone.back'])
  t.equal(fetched.code, 0, fetched.err)
  t.equal(hash(join(s.local, 'rclone.back')), hash(join(s.local, 'f')))

  const script = [
    'import paramiko',
    `t = paramiko.Transport(('127.0.0.1', ${s.port}))`,
    `t.connect(username='partner', password='${PASSWORD}')`,
    'c = paramiko.SFTPClient.from_transport(t)',
    "c.put('f', 'paramiko')",
    "c.get('paramiko', 'paramiko.back')",
    "f = c.open('appended', 'w'); f.write('one'); f.close()",
    "f = c.open('appended', 'a'); f.write('two'); f.close()",
    "f = c.open('appended', 'r+'); f.seek(1); f.write('X'); f.seek(0); print(f.read()); f.close()",
    't.close()',
  ].join('\n')
  const paramiko = await s.run('/usr/bin/python3', ['-W', 'ignore', '-c', script])
  t.equal(paramiko.code, 0, paramiko.err)
  t.equal(hash(join(s.local, 'paramiko.back')), hash(join(s.local, 'f')))
  t.match(paramiko.out, /oXetwo/)
  t.equal(readFileSync(join(s.home, 'appended'), 'utf8'), 'oXetwo')
})

test('keys are renewed in the middle of a transfer, both ways', async (t) => {
  const s = await setup(t, { tuning: { rekeyBytes: 2 ** 20, lookMs: 50 } })
  writeFileSync(join(s.local, 'f'), randomBytes(8 * 2 ** 20))
  const ran = await s.sftp('put f\nget f g\n', ['-l', '60000', '-o', 'RekeyLimit=3M'])
  t.equal(ran.code, 0, ran.err)
  t.equal(hash(join(s.local, 'g')), hash(join(s.local, 'f')))
})
