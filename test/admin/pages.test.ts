// What the admin server promises about files and TLS.
// Must not need the real UI bundle.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { test } from 'tap'
import { createAdminServer, type TlsPair } from '../../src/admin/server.ts'
import { createLogger } from '../../src/core/log.ts'
import { fakeControlPlane } from './fake-control-plane.ts'

function ui(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ff-ui-'))
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'index.html'), '<title>FileFlow</title>')
  writeFileSync(join(folder, 'assets', 'index-abc123.js'), 'export {}')
  writeFileSync(join(folder, 'assets', 'index-abc123.js.gz'), gzipSync('export {}'))
  writeFileSync(join(folder, '..', 'ff-outside.txt'), 'secret')
  return folder
}

const serve = (publicDir: string, tls: TlsPair | null = null, trusted_proxies: readonly string[] = []) =>
  createAdminServer({
    config: { host: '127.0.0.1', port: 0, trusted_proxies: [...trusted_proxies] },
    control: fakeControlPlane(),
    log: createLogger('admin', () => {}),
    publicDir,
    tls,
  })

test('every page address answers with the page, hashed assets are kept for ever, and nothing outside is served', async (t) => {
  const server = await serve(ui())
  t.teardown(() => server.close())
  for (const url of ['/', '/login', '/users/customer1']) {
    const reply = await server.web.inject(url)
    t.equal(reply.statusCode, 200, url)
    t.match(reply.body, /FileFlow/)
    t.equal(reply.headers['cache-control'], 'no-cache')
  }
  const asset = (encoding: string) => server.web.inject({ url: '/assets/index-abc123.js', headers: { 'accept-encoding': encoding } })
  const plain = await asset('identity')
  t.match(plain.headers['cache-control'], /immutable/)
  t.equal(plain.body, 'export {}')
  const packed = await asset('gzip, deflate, br')
  t.match(packed.headers, {
    'content-encoding': 'gzip',
    'content-type': /javascript/,
    'cache-control': /immutable/,
    vary: /accept-encoding/i,
  })
  t.equal(gunzipSync(packed.rawPayload).toString(), 'export {}')
  for (const url of ['/assets/index-old.js', '/assets/', '/assets/%00', '//api/v1/users', '/api/v2/users', '/api']) {
    const reply = await server.web.inject(url)
    t.equal(reply.statusCode, 404, url)
    t.equal(reply.json().code, 'resource.not_found')
  }
  for (const url of ['/../ff-outside.txt', '/%2e%2e/ff-outside.txt', '/assets/..%2f..%2fff-outside.txt'])
    t.notMatch((await server.web.inject(url)).body, /secret/, url)
  t.equal((await server.web.inject({ method: 'POST', url: '/users' })).statusCode, 404)
})

test('over TLS the cookie is Secure, and a renewed certificate is shown to the next client', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ff-tls-'))
  const pair = (name: string): TlsPair => {
    const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
    const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${name} -keyout ${key} -out ${cert}`
    execFileSync('openssl', args.split(' '), { stdio: 'ignore' })
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  }
  const server = await serve(ui(), pair('first'))
  t.teardown(() => server.close())
  const port = await server.listen()
  const login = async () => {
    const call = request({
      port,
      path: '/api/v1/session',
      method: 'POST',
      rejectUnauthorized: false,
      agent: false,
      headers: { 'content-type': 'application/json' },
    })
    call.end(JSON.stringify({ username: 'admin', password: 'admin-password' }))
    const [response] = await once(call, 'response')
    const shown = response.socket.getPeerCertificate().subject.CN
    response.resume()
    return { cookie: String(response.headers['set-cookie']), hsts: response.headers['strict-transport-security'], shown }
  }
  t.match(await login(), { cookie: /; HttpOnly; Secure; SameSite=Strict/, hsts: /max-age/, shown: 'first' })
  server.replaceTls(pair('second'))
  t.match(await login(), { shown: 'second' })
})

test('behind a proxy with TLS the cookie is Secure, too; anybody else who claims to be one is not believed', async (t) => {
  for (const [proxies, secure] of [
    [['127.0.0.1'], true],
    [[], false],
  ] as const) {
    const server = await serve(ui(), null, proxies)
    t.teardown(() => server.close())
    const reply = await server.web.inject({
      method: 'POST',
      url: '/api/v1/session',
      headers: { 'x-forwarded-proto': 'https' },
      payload: { username: 'admin', password: 'admin-password' },
    })
    t.equal(/; Secure/.test(String(reply.headers['set-cookie'])), secure)
  }
})
