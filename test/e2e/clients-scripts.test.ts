import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { lftp, SSH_OPTIONS } from '../support/clients.ts'
import { run, until } from '../support/gateway.ts'
import { deliveredTree, holdsTree, ok, PASSWORD, put, scene, TREE } from '../support/partner-tree.ts'

const FTPLIB = `
import ftplib, hashlib, io, sys
port, password, source = int(sys.argv[1]), sys.argv[2], sys.argv[3]
data = open(source, 'rb').read()
f = ftplib.FTP_TLS(encoding='utf-8'); f.connect('127.0.0.1', port, 20); f.login('partner', password); f.prot_p()
f.mkd('py'); f.cwd('py')
f.storbinary('STOR x.bin.part', io.BytesIO(data)); f.rename('x.bin.part', 'x.bin')
assert f.size('x.bin') == len(data)
out = io.BytesIO(); f.retrbinary('RETR x.bin', out.write); assert out.getvalue() == data
out = io.BytesIO(); f.retrbinary('RETR x.bin', out.write, rest=1000); assert out.getvalue() == data[1000:]
f.storbinary('STOR y.bin', io.BytesIO(data[:5000])); f.storbinary('STOR y.bin', io.BytesIO(data[5000:]), rest=5000)
f.storbinary('STOR z.bin', io.BytesIO(data[:5000])); f.storbinary('APPE z.bin', io.BytesIO(data[5000:]))
f.storlines('STOR lines.txt', io.BytesIO(b'one\\ntwo\\n'))
lines = []; f.retrlines('RETR lines.txt', lines.append); assert lines == ['one', 'two'], lines
f.storbinary('STOR \\u00e4 "q" %s.txt', io.BytesIO(b'named'))
assert sorted(f.nlst()) == sorted(['x.bin', 'y.bin', 'z.bin', 'lines.txt', '\\u00e4 "q" %s.txt']), f.nlst()
facts = dict(f.mlsd()); assert facts['x.bin']['size'] == str(len(data)) and facts['x.bin']['type'] == 'file'
f.sendcmd('MFMT 20200102030405 x.bin'); assert f.sendcmd('MDTM x.bin') == '213 20200102030405'
try: f.retrbinary('RETR nothing', out.write); assert False
except ftplib.error_perm as e: assert str(e).startswith('550')
f.mkd('d'); f.rmd('d'); f.delete('lines.txt'); f.set_pasv(True); f.cwd('..'); assert f.pwd() == '/'
f.quit()
`

/** What FileZilla says, in its order: MLSD, data connections that resume the control connection's TLS session, sizes announced by nobody, times set afterwards. */
const FILEZILLA = `
import ftplib, io, ssl, sys
port, password, source = int(sys.argv[1]), sys.argv[2], sys.argv[3]
data = open(source, 'rb').read()
class FileZilla(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
            assert conn.session_reused, 'the data connection resumes the session'
        return conn, size
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE; c.maximum_version = ssl.TLSVersion.TLSv1_2
f = FileZilla(context=c, encoding='utf-8'); f.connect('127.0.0.1', port, 20); f.auth()
f.sendcmd('USER partner'); f.sendcmd('PASS ' + password)
f.sendcmd('SYST'); feat = f.sendcmd('FEAT')
for word in ('UTF8', 'MLST', 'REST STREAM', 'SIZE', 'MDTM', 'MFMT', 'EPSV', 'AUTH TLS', 'PBSZ', 'PROT'): assert word in feat, word
f.sendcmd('CLNT FileZilla'); f.sendcmd('OPTS UTF8 ON'); f.sendcmd('PBSZ 0'); f.prot_p(); assert f.pwd() == '/'
f.sendcmd('TYPE I'); assert [n for n, _ in f.mlsd() if n == 'fz'] == []
f.sendcmd('MKD fz'); f.sendcmd('CWD /fz'); assert f.pwd() == '/fz'
f.storbinary('STOR upload.bin', io.BytesIO(data)); f.sendcmd('MFMT 20210304050607 upload.bin')
facts = dict(f.mlsd())['upload.bin']; assert facts['size'] == str(len(data)) and facts['modify'].startswith('20210304050607'), facts
out = io.BytesIO(); f.retrbinary('RETR upload.bin', out.write, rest=12345); assert out.getvalue() == data[12345:]
f.storbinary('STOR half.bin', io.BytesIO(data[:100000])); f.storbinary('APPE half.bin', io.BytesIO(data[100000:])); assert f.size('half.bin') == len(data)
f.sendcmd('RNFR half.bin'); f.sendcmd('RNTO whole.bin'); f.sendcmd('NOOP'); f.sendcmd('DELE upload.bin')
assert sorted(n for n, _ in f.mlsd() if n not in '..') == ['whole.bin']
f.quit()
`

const PARAMIKO = `
import paramiko, sys, stat, io
port, password, source = int(sys.argv[1]), sys.argv[2], sys.argv[3]
data = open(source, 'rb').read()
t = paramiko.Transport(('127.0.0.1', port)); t.connect(username='partner', password=password)
s = paramiko.SFTPClient.from_transport(t)
s.mkdir('pm'); s.chdir('pm')
s.put(source, 'x.bin.part', confirm=True); s.posix_rename('x.bin.part', 'x.bin')
s.put(source, 'w.bin.part'); s.rename('w.bin.part', 'w.bin')
out = io.BytesIO(); s.getfo('x.bin', out); assert out.getvalue() == data
with s.open('y.bin', 'wb') as h:
    h.set_pipelined(True); h.write(data[:100000]); h.write(data[100000:])
with s.open('z.bin', 'wb') as h: h.write(data[:5000])
with s.open('z.bin', 'ab') as h: h.write(data[5000:])
with s.open('r.bin', 'wb') as h: h.write(data)
with s.open('r.bin', 'r+b') as h:
    h.seek(10); h.write(b'changed'); h.seek(0); assert h.read(20) == data[:10] + b'changed' + data[17:20]
with s.open('x.bin') as h: assert h.readv([(5, 10), (100, 7)]).__next__() == data[5:15]
names = sorted(s.listdir()); assert names == ['r.bin', 'w.bin', 'x.bin', 'y.bin', 'z.bin'], names
s.utime('x.bin', (1577934245, 1577934245)); assert s.stat('x.bin').st_mtime == 1577934245
try: s.rename('x.bin', 'y.bin'); assert False
except IOError: pass
try: s.open('nothing'); assert False
except FileNotFoundError: pass
s.truncate('r.bin', 17); assert s.stat('r.bin').st_size == 17
assert s.normalize('.') == '/pm'
s.mkdir('d'); s.rmdir('d'); s.remove('z.bin')
t.close()
`

test('Python programs with ftplib and paramiko and a session like FileZilla’s do all that partners do, and temporary names are delivered once under the final name', async (t) => {
  const s = await scene(t, 'partner')
  const source = join(s.out, 'sub/large.bin')
  const whole = TREE['sub/large.bin']!
  const home = join(s.gateway.files, 'partner')
  ok(t, await run('/usr/bin/python3', ['-c', FTPLIB, String(s.gateway.ports.ftp), PASSWORD, source]), 'ftplib')
  ok(t, await run('/usr/bin/python3', ['-c', FILEZILLA, String(s.gateway.ports.ftp), PASSWORD, source]), 'FileZilla')
  t.ok(whole.equals(await readFile(join(home, 'fz/whole.bin'))), 'FileZilla: resumed and renamed')
  ok(t, await run('/usr/bin/python3', ['-c', PARAMIKO, String(s.gateway.ports.sftp), PASSWORD, source]), 'paramiko')
  for (const name of ['py/x.bin', 'py/y.bin', 'py/z.bin', 'pm/x.bin', 'pm/w.bin', 'pm/y.bin']) {
    t.ok(whole.equals(await readFile(join(home, name)).catch(() => Buffer.alloc(0))), name)
  }
  t.ok((await readFile(join(home, 'pm/r.bin'))).equals(Buffer.concat([whole.subarray(0, 10), Buffer.from('changed')])), 'written in place')
  await until('the deliveries of the final names', async () => {
    const done = await s.gateway.deliveries('&state=delivered')
    return ['/py/x.bin', '/pm/x.bin', '/pm/w.bin'].every((path) => done.some((d) => d.path === path))
  })
  const paths = (await s.gateway.deliveries()).map((d) => d.path)
  for (const path of ['/py/x.bin', '/pm/x.bin', '/pm/w.bin']) t.equal(paths.filter((p) => p === path).length, 1, `${path} once`)
  t.notOk(
    paths.some((path) => path.endsWith('.part')),
    'never under a temporary name',
  )
  t.ok(whole.equals(await readFile(join(s.target, 'partner/py/x.bin'))))
})

test('OpenSSH sftp and scp in both modes: trees, reput, rename, mkdir, chmod by permission, 2,000 entries', async (t) => {
  const s = await scene(t, 'openssh')
  const home = join(s.gateway.files, 'openssh')
  const port = String(s.gateway.ports.sftp)
  const env = { SSHPASS: PASSWORD, LC_ALL: 'C.UTF-8' }
  const sftp = (commands: readonly string[], extra: readonly string[] = [], user = 'openssh') =>
    run('sshpass', ['-e', 'sftp', ...SSH_OPTIONS, '-P', port, ...extra, '-b', '-', `${user}@127.0.0.1`], {
      input: `${commands.join('\n')}\n`,
      env,
    })
  const scp = (...args: string[]) => run('sshpass', ['-e', 'scp', ...SSH_OPTIONS, '-P', port, ...args], { env })

  ok(t, await sftp(['mkdir up', `put -rp ${s.out} up`]), 'put -r')
  await holdsTree(t, join(home, 'up/out'), 'put -r')
  await deliveredTree(t, s, 'openssh', 'up/out/')
  await mkdir(join(s.folder, 'back'))
  ok(t, await sftp([`get -rp up/out ${join(s.folder, 'back')}`]), 'get -r')
  await holdsTree(t, join(s.folder, 'back/out'), 'get -r')
  const whole = TREE['sub/large.bin']!
  await put(join(home, 'half.bin'), whole.subarray(0, 1_234_567))
  ok(t, await sftp([`reput ${join(s.out, 'sub/large.bin')} half.bin`, 'rename half.bin moved.bin', 'mkdir new', 'rmdir new']), 'reput')
  t.ok(whole.equals(await readFile(join(home, 'moved.bin'))), 'reput and rename')
  t.not((await sftp(['chmod 600 moved.bin'])).code, 0, 'chmod is not among the default permissions')
  await s.gateway.api('PATCH', '/users/openssh', {
    permissions: [{ path: '/', allow: ['list', 'download', 'upload', 'overwrite', 'chmod'] }],
  })
  ok(t, await sftp(['chmod 640 moved.bin']), 'chmod allowed')
  t.match((await sftp(['ls -l moved.bin'])).stdout, /^-rw-r-----/m)
  t.not((await sftp(['rm moved.bin'])).code, 0, 'delete is not allowed now')
  await s.gateway.api('PATCH', '/users/openssh', { permissions: null })

  for (const [mode, flags] of [
    ['scp', ['-s']],
    ['scp -O', ['-O']],
  ] as const) {
    const to = mode === 'scp' ? 'scp-s' : 'scp-o'
    ok(t, await sftp([`mkdir ${to}`]), to)
    ok(t, await scp(...flags, '-rp', s.out, `openssh@127.0.0.1:/${to}/`), `${mode} up`)
    await holdsTree(t, join(home, to, 'out'), `${mode} up`)
    await deliveredTree(t, s, 'openssh', `${to}/out/`)
    await mkdir(join(s.folder, to))
    ok(t, await scp(...flags, '-rp', `openssh@127.0.0.1:/${to}/out`, join(s.folder, to)), `${mode} down`)
    await holdsTree(t, join(s.folder, to, 'out'), `${mode} down`)
    t.not((await scp(...flags, 'openssh@127.0.0.1:/nothing', s.folder)).code, 0, `${mode}: a missing file is an error`)
  }
  await mkdir(join(home, 'many'))
  const names = Array.from({ length: 2000 }, (_, i) => `entry-${String(i).padStart(4, '0')} ${'x'.repeat(i % 50)}.txt`)
  for (const name of names) await writeFile(join(home, 'many', name), '')
  await chmod(join(home, 'many', names[0]!), 0o600)
  const listed = await sftp(['ls -1 many'])
  t.same(
    listed.stdout
      .split('\n')
      .filter((line) => line.startsWith('many/'))
      .map((line) => line.slice(5))
      .sort(),
    [...names].sort(),
    '2,000 entries',
  )
  const nlst = await lftp(s.gateway, 'openssh', PASSWORD, ['cls -1 /many'])
  t.same(
    nlst.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => line.replace('/many/', ''))
      .sort(),
    [...names].sort(),
    '2,000 entries over FTPS',
  )
})
