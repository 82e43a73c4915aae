// What partners see of the gateway's keys: made once, never half, usable by OpenSSH and OpenSSL; faults name the file.
// Must not use anyone's real keys.
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import ssh2 from 'ssh2'
import { test } from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { ensureHostKeys, ensureTlsCertificate, fingerprints } from '../../src/listeners/credentials.ts'
import { selfSignedCertificate } from '../../src/listeners/self-signed.ts'

const DAY = 86_400_000
const configIn = (cwd: string, env: Record<string, string> = {}) => loadConfig({ env, cwd }).config
const run = (command: string, args: string[]) => {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

test('host keys of three kinds are made once, mode 0600, and OpenSSH reads them', async (t) => {
  const config = configIn(t.testdir())
  const keys = await ensureHostKeys(config)
  const folder = join(config.data_dir, 'keys')
  t.same(readdirSync(folder).sort(), [
    'ssh_host_ecdsa_key',
    'ssh_host_ecdsa_key.pub',
    'ssh_host_ed25519_key',
    'ssh_host_ed25519_key.pub',
    'ssh_host_rsa_key',
    'ssh_host_rsa_key.pub',
  ])
  t.equal(statSync(folder).mode & 0o777, 0o700)
  const shown = fingerprints({ hostKeys: keys, tls: null }).hostKeys
  t.same(
    shown.map(({ type }) => type),
    ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa'],
  )
  for (const [i, file] of ['ssh_host_ed25519_key', 'ssh_host_ecdsa_key', 'ssh_host_rsa_key'].entries()) {
    const path = join(folder, file)
    t.equal(statSync(path).mode & 0o777, 0o600, file)
    const derived = run('ssh-keygen', ['-y', '-f', path])
    t.equal(derived.status, 0, `ssh-keygen reads ${file}`, derived)
    t.same(derived.output.split(/\s/).slice(0, 2), readFileSync(`${path}.pub`, 'utf8').split(/\s/).slice(0, 2))
    t.match(run('ssh-keygen', ['-l', '-f', `${path}.pub`]).output, shown[i]!.fingerprint)
  }
  t.same(await ensureHostKeys(config), keys, 'the second start has the same keys')
})

test('an SSH server answers with each of the keys', async (t) => {
  const keys = await ensureHostKeys(configIn(t.testdir()))
  const server = new ssh2.Server({ hostKeys: keys }, (client) => client.on('error', () => {}))
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  for (const type of ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512'] as const) {
    const client = new ssh2.Client()
    const seen = new Promise<Buffer>((resolve) => {
      client.on('error', () => {})
      client.connect({
        port: (server.address() as AddressInfo).port,
        host: '127.0.0.1',
        username: 'x',
        algorithms: { serverHostKey: [type] },
        hostVerifier: (key: Buffer) => {
          resolve(key)
          return false
        },
      })
    })
    t.match((await seen).toString('latin1'), type === 'rsa-sha2-512' ? 'ssh-rsa' : type)
    client.destroy()
  }
})

test('a host key that cannot be used is named by its file', async (t) => {
  const cwd = t.testdir({ rubbish: 'no key' })
  run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'locked', '-f', join(cwd, 'locked')])
  for (const [file, fault] of [
    ['rubbish', /rubbish: is not a private key/],
    ['none', /none: cannot be read \(ENOENT\)/],
    ['locked', /locked: has a passphrase/],
    ['locked.pub', /locked\.pub: is a public key/],
  ] as const) {
    await t.rejects(ensureHostKeys(configIn(cwd, { FILEFLOW_SFTP_HOST_KEYS: file })), { code: 'config.invalid', message: fault })
  }
})

test('the certificate made at the first start is one that OpenSSL reads, for the names of this machine', async (t) => {
  const config = configIn(t.testdir())
  const { cert } = await ensureTlsCertificate(config)
  const file = join(config.data_dir, 'keys/tls_cert.pem')
  t.equal(readFileSync(file, 'utf8'), cert)
  t.equal(statSync(join(config.data_dir, 'keys/tls_key.pem')).mode & 0o777, 0o600)
  const { status, output } = run('openssl', ['x509', '-in', file, '-noout', '-text', '-nameopt', 'RFC2253'])
  t.equal(status, 0, output)
  for (const part of [
    /Version: 3/,
    /ecdsa-with-SHA256/,
    /prime256v1/,
    /DNS:localhost/,
    /IP Address:127\.0\.0\.1/,
    /IP Address:0:0:0:0:0:0:0:1/,
    /CA:FALSE/,
    /TLS Web Server Authentication/,
  ]) {
    t.match(output, part)
  }
  t.equal(run('openssl', ['verify', '-CAfile', file, '-x509_strict', '-purpose', 'sslserver', file]).status, 0)
  t.match(
    run('openssl', ['x509', '-in', file, '-noout', '-fingerprint', '-sha256']).output,
    fingerprints({ hostKeys: [], tls: { cert } }).tls!,
  )
})

test('a client that trusts the certificate completes a TLS handshake as localhost and as 127.0.0.1', async (t) => {
  const pair = await ensureTlsCertificate(configIn(t.testdir()))
  const server = createServer(pair, (socket) => socket.end('hello'))
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  for (const name of ['localhost', '127.0.0.1']) {
    const { port } = server.address() as AddressInfo
    const socket = connect({ port, host: '127.0.0.1', ca: pair.cert, ...(name === 'localhost' ? { servername: name } : {}) })
    await once(socket, 'secureConnect')
    t.equal(socket.authorized, true, name)
    socket.destroy()
  }
})

test('the certificate stays until its last 30 days and is then renewed for the same key', async (t) => {
  const config = configIn(t.testdir())
  const start = Date.UTC(2030, 0, 1)
  const first = await ensureTlsCertificate(config, start)
  t.same(await ensureTlsCertificate(config, start + 699 * DAY), first)
  const second = await ensureTlsCertificate(config, start + 701 * DAY)
  t.equal(second.key, first.key)
  t.not(second.cert, first.cert)
  t.equal(new X509Certificate(second.cert).validToDate.getTime(), start + (701 + 730) * DAY)
})

test('a damaged certificate of our own is made anew, a damaged key is named and kept', async (t) => {
  const config = configIn(t.testdir())
  const first = await ensureTlsCertificate(config)
  writeFileSync(join(config.data_dir, 'keys/tls_cert.pem'), 'half a cert')
  const second = await ensureTlsCertificate(config)
  t.equal(second.key, first.key)
  t.ok(new X509Certificate(second.cert))
  writeFileSync(join(config.data_dir, 'keys/tls_key.pem'), 'half a key')
  await t.rejects(ensureTlsCertificate(config), { code: 'config.invalid', message: /tls_key\.pem: is not a PEM private key/ })
  t.equal(readFileSync(join(config.data_dir, 'keys/tls_key.pem'), 'utf8'), 'half a key')
})

test('a configured certificate must be one, and its key must fit', async (t) => {
  const cwd = t.testdir({ 'bad.pem': 'no' })
  const a = await ensureTlsCertificate(configIn(join(cwd, 'a')))
  await ensureTlsCertificate(configIn(join(cwd, 'b')))
  const named = (cert: string, key: string) =>
    ensureTlsCertificate(configIn(cwd, { FILEFLOW_FTP_TLS_CERT: cert, FILEFLOW_FTP_TLS_KEY: key }))
  t.same(await named('a/data/keys/tls_cert.pem', 'a/data/keys/tls_key.pem'), a)
  await t.rejects(named('a/data/keys/tls_cert.pem', 'b/data/keys/tls_key.pem'), {
    message: /b\/data\/keys\/tls_key\.pem: is not the key of/,
  })
  await t.rejects(named('bad.pem', 'a/data/keys/tls_key.pem'), { message: /bad\.pem: is not a PEM certificate/ })
  await t.rejects(named('none.pem', 'a/data/keys/tls_key.pem'), { message: /none\.pem: cannot be read \(ENOENT\)/ })
})

test('dates from 2050 on and serial numbers of any first bits are written as X.509 wants them', async (t) => {
  const { key } = await ensureTlsCertificate(configIn(t.testdir()))
  const { createPrivateKey } = await import('node:crypto')
  for (const [serial, shown] of [
    [Buffer.from('ff00', 'hex'), 'FF00'],
    [Buffer.from('0000017f', 'hex'), '017F'],
  ] as const) {
    const pem = selfSignedCertificate({
      key: createPrivateKey(key),
      names: ['files.example', '203.0.113.7', '2001:db8::7'],
      notBefore: Date.UTC(2049, 11, 31, 23, 59, 59),
      notAfter: Date.UTC(2050, 0, 1),
      serial,
    })
    const cert = new X509Certificate(pem)
    t.equal(cert.serialNumber, shown)
    t.equal(cert.validFromDate.getTime(), Date.UTC(2049, 11, 31, 23, 59, 59))
    t.equal(cert.validToDate.getTime(), Date.UTC(2050, 0, 1))
    t.equal(cert.checkIP('2001:db8::7'), '2001:db8::7')
    t.equal(cert.checkHost('files.example'), 'files.example')
  }
})

test('a data folder that cannot be written is named', async (t) => {
  const cwd = t.testdir({ data: 'a file where a folder should be' })
  await t.rejects(ensureHostKeys(configIn(cwd)), { code: 'config.invalid', message: /data\/keys: cannot be made \(ENOTDIR\)/ })
})
