// FTPS as real clients meet it: implicit TLS over several threads, resumed sessions, client certificates, a certificate renewed while sessions live.
// Must not use the gateway's own TLS code to look.
import { randomBytes } from 'node:crypto'
import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { t as root, type Test, test } from 'tap'
import { RawClient, received } from '../listeners/ftp/support.ts'
import { run, startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const CONTENT = randomBytes(300_001)

async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-ftps-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'up'), CONTENT)
  return folder
}

/** A self-signed certificate under `folder/name.crt` and `.key`. @returns its fingerprint as openssl prints it */
async function certificate(folder: string, name: string, ...more: readonly string[]): Promise<string> {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
  const made = await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', `/CN=${name}`],
    ...['-keyout', key, '-out', cert, ...(more.length > 0 ? more : ['-days', '2'])],
  ])
  if (made.code !== 0) throw new Error(made.stderr)
  const shown = await run('openssl', ['x509', '-in', cert, '-noout', '-fingerprint', '-sha256'])
  return shown.stdout.trim().split('=')[1]!
}

const own = await folderFor(root)
const FIRST = await certificate(own, 'first')
const SECOND = await certificate(own, 'second')
const shows = async (name: string): Promise<void> => {
  for (const kind of ['crt', 'key']) await copyFile(join(own, `${name}.${kind}`), join(own, `now.${kind}`))
}
await shows('first')

/** One for all tests of this file that need no other settings, each with users of its own. */
const gateway = await startGateway(root, {
  env: {
    FILEFLOW_FTP_TLS_IMPLICIT_PORT: '0',
    FILEFLOW_THREADS_FTP: '2',
    FILEFLOW_FTP_TLS_CLIENT_CERTIFICATES: 'true',
    FILEFLOW_FTP_TLS_CERT: join(own, 'now.crt'),
    FILEFLOW_FTP_TLS_KEY: join(own, 'now.key'),
  },
})

const implicitPort = (gateway: TestGateway): number =>
  (gateway.log.find(({ event }) => event === 'ready') as unknown as { ftp: { implicit_port: number } }).ftp.implicit_port

test('implicit TLS on one port over two threads: the ready line names it, and curl puts and gets every time', async (t) => {
  const folder = await folderFor(t)
  await gateway.apply({ users: [{ username: 'implicit', password: PASSWORD }] })
  const port = implicitPort(gateway)
  t.ok(port > 0 && port !== gateway.ports.ftp)
  const curl = (...args: string[]) => run('curl', ['-sS', '--insecure', '--user', `implicit:${PASSWORD}`, ...args])
  for (let i = 0; i < 6; i++) {
    t.match(await curl('-T', join(folder, 'up'), `ftps://127.0.0.1:${port}/f${i}`), { code: 0 })
    t.ok(CONTENT.equals(await readFile(join(gateway.files, 'implicit', `f${i}`))))
    t.match(await curl('-o', join(folder, 'down'), `ftps://127.0.0.1:${port}/f${i}`), { code: 0 })
    t.ok(CONTENT.equals(await readFile(join(folder, 'down'))))
  }
  t.not(
    (await curl('-T', join(folder, 'up'), `ftp://127.0.0.1:${port}/plain`, '--max-time', '3')).code,
    0,
    'nothing but TLS is spoken there',
  )
})

test('TLS sessions resume: openssl on the control connection, Python’s ssl on the data connection, TLS 1.2 and 1.3', async (t) => {
  const folder = await folderFor(t)
  const gateway = await startGateway(t, { env: { FILEFLOW_FTP_TLS_IMPLICIT_PORT: '0', FILEFLOW_THREADS_FTP: '1' } })
  await gateway.apply({ users: [{ username: 'resuming', password: PASSWORD }] })
  const port = implicitPort(gateway)
  for (const version of ['tls1_2', 'tls1_3']) {
    const session = join(folder, version)
    const openssl = (...args: string[]) =>
      run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, `-${version}`, '-ign_eof', ...args], { input: 'NOOP\nQUIT\n' })
    t.match((await openssl('-sess_out', session)).stdout, /New, TLSv1/, version)
    t.match((await openssl('-sess_in', session)).stdout, /Reused, TLSv1/, `${version} resumes`)
    const script = `
import ftplib, ssl, io
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
context.minimum_version = context.maximum_version = ssl.TLSVersion.${version === 'tls1_2' ? 'TLSv1_2' : 'TLSv1_3'}
class Reusing(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        conn = self.context.wrap_socket(conn, session=self.sock.session)
        print(cmd, conn.session_reused)
        return conn, size
f = Reusing(context=context); f.connect('127.0.0.1', ${gateway.ports.ftp}, timeout=60); f.login('resuming', '${PASSWORD}'); f.prot_p()
f.storbinary('STOR ${version}', io.BytesIO(b'x' * 1000)); f.retrbinary('RETR ${version}', lambda b: None); f.nlst(); f.quit()`
    const python = await run('python3', ['-c', script])
    t.equal(python.stdout, `STOR ${version} True\nRETR ${version} True\nNLST True\n`, python.stderr)
  }
})

test('where data connections must resume the session (require_ssl_reuse), lftp transfers over TLS 1.2 and 1.3, curl does, and ftplib, which does not resume, is told 522', async (t) => {
  const folder = await folderFor(t)
  const gateway = await startGateway(t, { env: { FILEFLOW_FTP_TLS_REQUIRE_SSL_REUSE: 'true', FILEFLOW_THREADS_FTP: '1' } })
  await gateway.apply({ users: [{ username: 'partner', password: PASSWORD }] })
  const url = `ftp://127.0.0.1:${gateway.ports.ftp}`
  // curl 7.88 takes no session tickets in TLS 1.2
  const curl = (...args: string[]) =>
    run('curl', ['-sS', '--insecure', '--ssl-reqd', '--tlsv1.3', '--user', `partner:${PASSWORD}`, ...args])
  t.match(await curl('-T', join(folder, 'up'), `${url}/curl`), { code: 0 })
  t.ok(CONTENT.equals(await readFile(join(gateway.files, 'partner', 'curl'))))
  t.match(await curl('-o', join(folder, 'down'), `${url}/curl`), { code: 0 })
  t.ok(CONTENT.equals(await readFile(join(folder, 'down'))))
  for (const version of ['1.2', '1.3']) {
    const lftp = await run('lftp', [
      '--norc',
      '-c',
      [
        `set ssl:priority "NORMAL:-VERS-ALL:+VERS-TLS${version}"`,
        'set ssl:verify-certificate no',
        'set ftp:ssl-force yes',
        'set ftp:ssl-protect-data yes',
        'set cmd:fail-exit yes',
        'set net:max-retries 1',
        `open -u partner,${PASSWORD} ${url}`,
        `put ${join(folder, 'up')} -o lftp-${version}`,
        `get lftp-${version} -o ${join(folder, `lftp-${version}`)}`,
        'ls',
      ].join('\n'),
    ])
    t.equal(lftp.code, 0, `${version} ${lftp.stderr}`)
    t.ok(CONTENT.equals(await readFile(join(folder, `lftp-${version}`))), version)
  }
  const script = `
import ftplib, ssl, io
context = ssl._create_unverified_context()
f = ftplib.FTP_TLS(context=context); f.connect('127.0.0.1', ${gateway.ports.ftp}, timeout=60); f.login('partner', '${PASSWORD}'); f.prot_p()
try:
    f.storbinary('STOR ftplib', io.BytesIO(b'x' * 1000))
except OSError:
    f.voidresp()`
  t.match((await run('python3', ['-c', script])).stderr, /522 The data connection must resume/)
  t.notOk((await gateway.transfers()).some(({ path, state }) => path === '/ftplib' && state === 'completed'))
})

test('a client certificate that is listed on the user logs in without a password; no other does', async (t) => {
  const folder = await folderFor(t)
  const mine = await certificate(folder, 'mine')
  await certificate(folder, 'other')
  const old = await certificate(folder, 'old', '-not_before', '20200101000000Z', '-not_after', '20200102000000Z').catch(() => null)
  await gateway.apply({
    users: [
      { username: 'partner', password: PASSWORD, certificates: [mine.toLowerCase(), ...(old ? [old] : [])] },
      { username: 'bare', certificates: [mine] },
    ],
  })
  const curl = (user: string, certificateName: string, ...args: string[]) =>
    run('curl', [
      ...['-sS', '--insecure', '--ssl-reqd', '--user', user, '-T', join(folder, 'up')],
      ...(certificateName ? ['--cert', join(folder, `${certificateName}.crt`), '--key', join(folder, `${certificateName}.key`)] : []),
      ...[...args, `ftp://127.0.0.1:${gateway.ports.ftp}/f`],
    ])
  for (const version of ['--tls-max=1.2', '--tlsv1.3']) {
    t.match(await curl('partner:', 'mine', ...version.split('=')), { code: 0 }, version)
    t.match(await curl('bare:', 'mine', ...version.split('=')), { code: 0 }, version)
  }
  t.ok(CONTENT.equals(await readFile(join(gateway.files, 'bare/f'))))
  t.match(await curl('partner:', 'other'), { code: 67 }, 'a certificate of somebody else')
  if (old) t.match(await curl('partner:', 'old'), { code: 67 }, 'an expired one')
  t.match(await curl('bare:guess', ''), { code: 67 }, 'none, and no password is set')
  t.match(await curl(`partner:${PASSWORD}`, 'other'), { code: 0 }, 'the password still does')
  t.match(await curl('nobody:', 'mine'), { code: 67 }, 'not for a name that is not its own')
  await gateway.api('PATCH', '/users/partner', { certificates: null })
  t.match(await curl('partner:', 'mine'), { code: 67 }, 'taken off the user')
  await gateway.api('POST', '/users/bare/disable')
  t.match(await curl('bare:', 'mine'), { code: 67 }, 'of a disabled user')
  const audit = await gateway.api<{ items: { action: string; detail: unknown }[] }>('GET', '/audit?limit=200&action=login')
  t.ok(
    audit.items.some(({ detail }) => JSON.stringify(detail).includes('"certificate"')),
    'the audit log says how',
  )
  await t.rejects(gateway.api('PATCH', '/users/partner', { certificates: ['SHA256:abc'] }), 'only a fingerprint is taken')
})

test('a renewed certificate is shown to new sessions after SIGHUP; one that lives keeps its own, on its data connections too', async (t) => {
  await gateway.apply({ users: [{ username: 'renewed', password: PASSWORD }] })
  const login = async () => {
    const client = await RawClient.open(gateway.ports.ftp)
    await client.ask('AUTH TLS')
    await client.startTls()
    for (const line of ['USER renewed', `PASS ${PASSWORD}`, 'PBSZ 0', 'PROT P']) await client.ask(line)
    return client
  }
  /** The fingerprint that a listing's data connection shows. */
  const shown = async (client: RawClient): Promise<string> => {
    const raw = await client.data()
    await client.ask('NLST')
    const data = tlsConnect({ socket: raw, rejectUnauthorized: false })
    let fingerprint = ''
    data.once('secureConnect', () => {
      fingerprint = data.getPeerX509Certificate()!.fingerprint256
    })
    await received(data)
    await client.reply()
    return fingerprint
  }
  const before = await login()
  t.equal(await shown(before), FIRST)
  await shows('second')
  gateway.kill('SIGHUP')
  await until('the reload', () => gateway.log.find(({ event }) => event === 'reloaded'))
  const after = await until('a session with the new certificate', async () => {
    const client = await login()
    return (await shown(client)) === SECOND ? client : client.socket.destroy() && false
  })
  t.equal(await shown(before), FIRST, 'the old session goes on')
  for (const client of [before, after]) client.socket.destroy()
})

test('the page of sessions shows the command in flight, up, down and at a digest, and how fast it goes', async (t) => {
  const folder = await folderFor(t)
  await gateway.apply({ users: [{ username: 'slow', password: PASSWORD, limits: { upload_rate: 100_000, download_rate: 100_000 } }] })
  const upload = run('curl', [
    ...['-sS', '--insecure', '--ssl-reqd', '--user', `slow:${PASSWORD}`, '-T', join(folder, 'up')],
    `ftp://127.0.0.1:${gateway.ports.ftp}/f`,
  ])
  type Sessions = { items: { doing: string | null; transfers: { path: string; rate: number; bytes: number }[] }[] }
  const seen = await until('STOR with a rate', async () => {
    const { items } = await gateway.api<Sessions>('GET', '/sessions')
    return items.find((session) => session.doing === 'STOR' && (session.transfers[0]?.rate ?? 0) > 0)
  })
  t.match(seen, { doing: 'STOR', transfers: [{ path: '/f' }] })
  t.match(await upload, { code: 0, stderr: '' })
  const download = run('curl', [
    ...['-sS', '--insecure', '--ssl-reqd', '--user', `slow:${PASSWORD}`, '-o', join(folder, 'down')],
    `ftp://127.0.0.1:${gateway.ports.ftp}/f`,
  ])
  await until('RETR with a rate', async () => {
    const { items } = await gateway.api<Sessions>('GET', '/sessions')
    return items.find((session) => session.doing === 'RETR' && (session.transfers[0]?.rate ?? 0) > 0)
  })
  t.match(await download, { code: 0, stderr: '' })
  await truncate(join(gateway.files, 'slow/f'), 1e12)
  const client = await RawClient.open(gateway.ports.ftp)
  await client.ask('AUTH TLS')
  await client.startTls()
  for (const line of ['USER slow', `PASS ${PASSWORD}`]) await client.ask(line)
  client.send('HASH f')
  await until('HASH', async () => (await gateway.api<Sessions>('GET', '/sessions')).items.find(({ doing }) => doing === 'HASH'))
  client.send('ABOR')
  t.match(await client.reply(), /^426 /)
  t.match(await client.reply(), /^226 /)
  await until('nothing', async () => (await gateway.api<Sessions>('GET', '/sessions')).items.find(({ doing }) => doing === null))
  client.socket.destroy()
})
