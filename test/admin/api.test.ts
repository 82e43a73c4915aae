// What the admin API promises to admins and scripts, over a control plane in memory.
// Must not look inside the server.
import { once } from 'node:events'
import { mkdtempSync, statSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createAdminServer } from '../../src/admin/server.ts'
import { createLogger, type LogLine } from '../../src/core/log.ts'
import { busyDay, fakeControlPlane } from './fake-control-plane.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')

async function start(t: Test, data = busyDay(NOW)) {
  const control = fakeControlPlane(data)
  const lines: LogLine[] = []
  const server = await createAdminServer({
    config: { host: '127.0.0.1', port: 0, trusted_proxies: [] },
    control,
    log: createLogger('admin', (line) => lines.push(line)),
    publicDir: join(tmpdir(), 'fileflow-no-such-ui'),
    tls: null,
  })
  t.teardown(() => server.close())
  const { web } = server
  const login = async (username: string) => {
    const reply = await web.inject({ method: 'POST', url: '/api/v1/session', payload: { username, password: `${username}-password` } })
    const cookie = reply.cookies[0]!
    return { cookies: { [cookie.name]: cookie.value }, csrf: (reply.json() as { csrf: string }).csrf, cookie }
  }
  const asToken = { authorization: 'Bearer ff_admin_token_0001' }
  return { control, lines, server, web, login, asToken }
}

test('nothing but login and health answers a stranger', async (t) => {
  const { web } = await start(t)
  for (const url of ['/api/v1/users', '/api/v1/stats', '/api/v1/events', '/api/v1/session', '/api/openapi.json']) {
    const reply = await web.inject(url)
    t.equal(reply.statusCode, 401, url)
    t.match(reply.headers['content-type'], /^application\/problem\+json/)
    t.match(reply.json(), { code: 'auth.required', status: 401, title: String, detail: String, type: String })
  }
  t.equal((await web.inject('/healthz')).statusCode, 200)
  t.equal((await web.inject('/readyz')).statusCode, 200)
})

test('readiness says why not', async (t) => {
  const { web, control } = await start(t)
  control.ready = { ready: false, reasons: ['sftp is failed'] }
  const reply = await web.inject('/readyz')
  t.equal(reply.statusCode, 503)
  t.same(reply.json(), { ready: false, reasons: ['sftp is failed'] })
})

test('login sets a cookie that scripts in a page cannot read and other sites cannot send', async (t) => {
  const { login, web } = await start(t)
  const { cookie, cookies, csrf } = await login('admin')
  t.match(cookie, { httpOnly: true, sameSite: 'Strict', path: '/' })
  const me = await web.inject({ url: '/api/v1/session', cookies })
  t.match(me.json(), { username: 'admin', role: 'admin', csrf })
  t.equal((await web.inject({ method: 'DELETE', url: '/api/v1/session', cookies, headers: { 'x-csrf-token': csrf } })).statusCode, 204)
  t.equal((await web.inject({ url: '/api/v1/session', cookies })).statusCode, 401)
})

test('only what a person does counts as use of a login: a page that watches says so, and the event stream never counts', async (t) => {
  const { web, login, control } = await start(t)
  const { cookies } = await login('admin')
  const acted: (boolean | undefined)[] = []
  const { bySession } = control.admins
  Object.assign(control.admins, {
    bySession: (session: string, did?: boolean) => {
      acted.push(did)
      return bySession(session)
    },
  })
  await web.inject({ url: '/api/v1/transfers', cookies })
  t.same(acted, [true])
  await web.inject({ url: '/api/v1/session', cookies, headers: { 'x-fileflow-idle': '1' } })
  t.same(acted, [true, false, false])
  const stream = await web.inject({ url: '/api/v1/events', cookies, headers: { accept: 'text/event-stream' }, payloadAsStream: true })
  t.same(acted, [true, false, false, false])
  stream.stream().destroy()
})

test('a wrong password says only that login failed', async (t) => {
  const { web } = await start(t)
  for (const username of ['admin', 'nobody']) {
    const reply = await web.inject({ method: 'POST', url: '/api/v1/session', payload: { username, password: 'x' } })
    t.equal(reply.statusCode, 401)
    t.match(reply.json(), { code: 'auth.failed', detail: 'Login failed.' })
    t.notOk(reply.headers['set-cookie'])
  }
})

test('password guessing at the login is slowed down', async (t) => {
  const { web } = await start(t)
  let last = 0
  for (let i = 0; i < 31; i++)
    last = (await web.inject({ method: 'POST', url: '/api/v1/session', payload: { username: 'admin', password: 'x' } })).statusCode
  t.equal(last, 429)
})

test('a cookie without its CSRF token changes nothing', async (t) => {
  const { web, login, control } = await start(t)
  const { cookies, csrf } = await login('admin')
  for (const headers of [{}, { 'x-csrf-token': 'guess' }]) {
    const reply = await web.inject({ method: 'DELETE', url: '/api/v1/sessions/s1', cookies, headers })
    t.equal(reply.statusCode, 403)
    t.equal(reply.json().code, 'auth.csrf')
  }
  t.equal(control.data.sessions.length, 2)
  t.equal((await web.inject({ method: 'DELETE', url: '/api/v1/sessions/s1', cookies, headers: { 'x-csrf-token': csrf } })).statusCode, 204)
  t.match(control.acts, [{ verb: 'session.end', object: 's1', actor: { name: 'admin', role: 'admin' } }])
})

test('tokens need no CSRF and act under their own name', async (t) => {
  const { web, control, asToken } = await start(t)
  const reply = await web.inject({ method: 'POST', url: '/api/v1/services/sftp/restart', headers: asToken })
  t.equal(reply.statusCode, 200)
  t.match(control.acts, [{ verb: 'service.restart', object: 'sftp', actor: { name: 'token:ci' } }])
  t.equal((await web.inject({ url: '/api/v1/users', headers: { authorization: 'Bearer ff_wrong_token_0001' } })).statusCode, 401)
})

test('an operator runs deliveries and services but touches no account, token or state', async (t) => {
  const { web, login, control } = await start(t)
  const { cookies, csrf } = await login('olga')
  const call = async (method: 'GET' | 'POST' | 'DELETE' | 'PATCH', url: string, payload?: object) =>
    (await web.inject({ method, url: `/api/v1${url}`, cookies, headers: { 'x-csrf-token': csrf }, ...(payload ? { payload } : {}) }))
      .statusCode
  t.equal(await call('POST', '/deliveries/d7/retry'), 200)
  t.equal(await call('POST', '/deliveries/d8b/cancel'), 200)
  t.equal(await call('POST', '/services/ftp/stop'), 200)
  t.equal(await call('GET', '/users'), 200)
  const before = control.acts.length
  t.equal(await call('POST', '/users', { username: 'x' }), 403)
  t.equal(await call('POST', '/users/x/disable'), 403)
  t.equal(await call('DELETE', '/admins/admin'), 403)
  t.equal(await call('GET', '/tokens'), 403)
  t.equal(await call('POST', '/tokens', { name: 'x', role: 'admin' }), 403)
  t.equal(await call('GET', '/state'), 403)
  t.equal(await call('POST', '/state/apply', {}), 403)
  t.equal(control.acts.length, before)
})

test('an auditor reads and changes nothing', async (t) => {
  const { web, control } = await start(t)
  const headers = { authorization: 'Bearer ff_audit_token_0001' }
  for (const url of ['/users', '/deliveries', '/transfers/t8', '/audit', '/audit/verify', '/logs', '/stats', '/services'])
    t.equal((await web.inject({ url: `/api/v1${url}`, headers })).statusCode, 200, url)
  for (const [method, url] of [
    ['POST', '/deliveries/d7/retry'],
    ['POST', '/services/ftp/stop'],
    ['DELETE', '/sessions/s1'],
    ['POST', '/deliveries/retry'],
    ['POST', '/deliveries/cancel'],
  ] as const) {
    const reply = await web.inject({ method, url: `/api/v1${url}`, headers })
    t.equal(reply.statusCode, 403, url)
    t.equal(reply.json().code, 'permission.denied')
  }
  t.equal(control.acts.length, 0)
})

test('users are created, read, changed, disabled and removed; a secret never comes back', async (t) => {
  const { web, asToken: headers } = await start(t)
  const spec = { username: 'customer1', password: 'correct horse', home: 'customer1' }
  const made = await web.inject({ method: 'POST', url: '/api/v1/users', headers, payload: spec })
  t.equal(made.statusCode, 201)
  t.notMatch(made.body, /correct horse/)
  t.equal((await web.inject({ method: 'POST', url: '/api/v1/users', headers, payload: spec })).json().code, 'resource.exists')
  const patched = await web.inject({ method: 'PATCH', url: '/api/v1/users/customer1', headers, payload: { home: null, partner: 'One' } })
  t.match(patched.json(), { partner: 'One', home: undefined })
  t.match((await web.inject({ method: 'POST', url: '/api/v1/users/customer1/disable', headers })).json(), { enabled: false })
  t.equal((await web.inject({ method: 'DELETE', url: '/api/v1/users/customer1', headers })).statusCode, 204)
  const gone = await web.inject({ url: '/api/v1/users/customer1', headers })
  t.equal(gone.statusCode, 404)
  t.equal(gone.json().code, 'resource.not_found')
})

test('unknown fields and wrong values are refused, naming the key and what is allowed', async (t) => {
  const { web, asToken: headers, control } = await start(t)
  const post = async (payload: object) => (await web.inject({ method: 'POST', url: '/api/v1/users', headers, payload })).json()
  t.match(await post({ username: 'a', colour: 'red' }), {
    code: 'request.invalid',
    status: 400,
    detail: /colour: unknown key; known here: .*username/,
  })
  t.match(await post({ username: '../etc' }), { code: 'request.invalid', detail: /username: letters, digits/ })
  t.match(await post({}), { detail: /username: is missing/ })
  t.match(await post({ username: 'a', enabled: 'yes' }), { code: 'request.invalid' })
  const patch = await web.inject({ method: 'PATCH', url: '/api/v1/users/a', headers, payload: { username: 'b' } })
  t.match(patch.json(), { code: 'request.invalid', detail: /username: unknown key/ })
  const query = await web.inject({ url: '/api/v1/users?page=2', headers })
  t.match(query.json(), { code: 'request.invalid', detail: /query: page: unknown key/ })
  t.equal(control.acts.length, 0)
})

test('lists pass limit, cursor, q and filters on, and answer items and next', async (t) => {
  const { web, asToken: headers, control } = await start(t)
  const first = (
    await web.inject({ url: '/api/v1/transfers?limit=2&user=customer1&state=completed&since=2026-11-01T00:00:00Z&q=inv', headers })
  ).json()
  t.equal(first.items.length, 2)
  t.equal(first.next, '2')
  t.same(control.asked.at(-1), {
    list: 'transfers',
    filter: { limit: 2, user: 'customer1', state: 'completed', q: 'inv', since: Date.parse('2026-11-01T00:00:00Z') },
  })
  const last = (await web.inject({ url: '/api/v1/transfers?limit=1000', headers })).json()
  t.equal(last.next, null)
  for (const bad of ['limit=0', 'limit=1001', 'limit=x', 'since=yesterday', 'state=lost']) {
    const reply = await web.inject({ url: `/api/v1/transfers?${bad}`, headers })
    t.equal(reply.statusCode, 400, bad)
    t.match(reply.json(), { code: 'request.invalid', detail: new RegExp(bad.split('=')[0]!) })
  }
})

test('no answer ever holds a stack trace or an inner message; the log has the cause', async (t) => {
  const { web, asToken: headers, lines } = await start(t)
  await web.inject({ method: 'POST', url: '/api/v1/state/apply', headers, payload: { users: [{ username: 'explode' }] } })
  const reply = await web.inject({ url: '/api/v1/stats', headers })
  t.equal(reply.statusCode, 500)
  t.equal(reply.json().code, 'internal')
  t.notMatch(reply.body, /secret inner|stack|\.ts/)
  t.match(lines, [{ level: 'error', event: 'http.internal', fields: { error: /secret inner detail/ } }])
})

test('broken bodies, wrong media types and oversized bodies are problems, too', async (t) => {
  const { web, asToken } = await start(t)
  const send = (payload: string, type: string) =>
    web.inject({ method: 'POST', url: '/api/v1/users', headers: { ...asToken, 'content-type': type }, payload })
  for (const [payload, type, status] of [
    ['{"username":', 'application/json', 400],
    ['{"__proto__":{"x":1},"username":"a"}', 'application/json', 400],
    ['username=a', 'application/x-www-form-urlencoded', 415],
    ['{"username":"a"}', 'text/plain', 415],
    [JSON.stringify({ username: 'a'.repeat(2 ** 21) }), 'application/json', 413],
  ] as const) {
    const reply = await send(payload, type)
    t.equal(reply.statusCode, status)
    t.match(reply.headers['content-type'], /problem\+json/)
    t.match(reply.json(), { code: 'request.invalid', status })
    t.notMatch(reply.body, /SyntaxError|position/)
  }
  const missing = await web.inject({ url: '/api/v1/nothing', headers: asToken })
  t.match(missing.json(), { code: 'resource.not_found', status: 404 })
})

test('apply says what it would change and passes its switches on', async (t) => {
  const { web, asToken: headers, control } = await start(t)
  const apply = (query: string) =>
    web.inject({ method: 'POST', url: `/api/v1/state/apply${query}`, headers, payload: { users: [{ username: 'a' }] } })
  t.match((await apply('?dry_run')).json(), { items: [{ kind: 'user', name: 'a', change: 'create' }], next: null })
  await apply('?dry_run=false&prune=1')
  t.same(
    control.acts.map((a) => a.verb),
    ['state.dry-run', 'state.prune'],
  )
})

test('all dead deliveries go back with one call; one in another state refuses', async (t) => {
  const { web, asToken: headers } = await start(t)
  t.same((await web.inject({ method: 'POST', url: '/api/v1/deliveries/retry', headers })).json(), { count: 1, retried: 1 })
  const done = await web.inject({ method: 'POST', url: '/api/v1/deliveries/d8/retry', headers })
  t.equal(done.statusCode, 409)
  t.match(done.json(), { code: 'state.conflict', detail: 'The delivery is delivered.' })
})

test('the log comes whole, as lines to keep', async (t) => {
  const { web, asToken: headers } = await start(t)
  const reply = await web.inject({ url: '/api/v1/logs/download', headers })
  t.match(reply.headers['content-disposition'], /attachment/)
  t.equal(reply.body, '{"event":"a"}\n{"event":"b"}\n')
})

test('the API describes itself as OpenAPI 3.1', async (t) => {
  const { web, asToken: headers } = await start(t)
  const api = (await web.inject({ url: '/api/openapi.json', headers })).json()
  t.equal(api.openapi, '3.1.0')
  for (const path of ['/api/v1/users', '/api/v1/deliveries/{id}/retry', '/api/v1/state/apply', '/api/v1/events'])
    t.ok(api.paths[path], path)
})

test('pages run no script but their own, and cannot be framed', async (t) => {
  const { web } = await start(t)
  const reply = await web.inject('/users/anything')
  t.match(reply.body, /npm run build/)
  const policy = String(reply.headers['content-security-policy'])
  t.match(policy, /script-src 'self'(;|$)/)
  t.match(policy, /frame-ancestors 'none'/)
  t.notMatch(policy, /upgrade-insecure-requests/)
})

test('events reach the browser as they happen, and stop costing anything when it leaves', async (t) => {
  const { server, control, asToken: headers } = await start(t)
  const port = await server.listen()
  const request = httpRequest({ port, path: '/api/v1/events', headers })
  request.end()
  const [response] = await once(request, 'response')
  t.match(response.headers['content-type'], /text\/event-stream/)
  response.setEncoding('utf8')
  let text = ''
  const seen = async (part: string) => {
    while (!text.includes(part)) text += (await once(response, 'data'))[0]
  }
  await seen('event: hello')
  t.equal(control.listeners(), 1)
  control.emit({ type: 'delivery.delivered', data: { id: 'd8' } })
  await seen('event: delivery.delivered\ndata: {"id":"d8"}')
  response.on('error', () => {})
  request.destroy()
  while (control.listeners() > 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal(control.listeners(), 0)
})

test('a client that asks for some events is spared the others', async (t) => {
  const { server, control, asToken: headers } = await start(t)
  const port = await server.listen()
  const request = httpRequest({ port, path: '/api/v1/events?types=session,delivery', headers })
  request.end()
  const [response] = await once(request, 'response')
  response.on('error', () => {})
  response.setEncoding('utf8')
  while (control.listeners() === 0) await new Promise((resolve) => setImmediate(resolve))
  control.emit({ type: 'log', data: {} })
  control.emit({ type: 'session.closed', data: {} })
  let text = ''
  while (!text.includes('session.closed')) text += (await once(response, 'data'))[0]
  t.notMatch(text, /event: log/)
  request.destroy()
})

test('one login cannot hold event streams without end, and a closed one makes room', async (t) => {
  const { server, control, asToken: headers } = await start(t)
  const port = await server.listen()
  const open = async () => {
    const request = httpRequest({ port, path: '/api/v1/events', headers, agent: false })
    request.end()
    request.on('error', () => {})
    const [response] = await once(request, 'response')
    response.on('error', () => {})
    response.resume()
    return { request, status: response.statusCode as number }
  }
  const opened = await Promise.all(Array.from({ length: 64 }, open))
  t.same([...new Set(opened.map(({ status }) => status))], [200])
  t.equal((await open()).status, 429)
  t.equal(control.listeners(), 64)
  opened[0]!.request.destroy()
  while (control.listeners() > 63) await new Promise((resolve) => setImmediate(resolve))
  const again = await open()
  t.equal(again.status, 200)
  for (const { request } of [...opened, again]) request.destroy()
})

test('a new login ends the one whose cookie it replaces', async (t) => {
  const { web, login } = await start(t)
  const { cookies } = await login('admin')
  await web.inject({ method: 'POST', url: '/api/v1/session', cookies, payload: { username: 'olga', password: 'olga-password' } })
  t.equal((await web.inject({ url: '/api/v1/session', cookies })).statusCode, 401)
})

test('a browser that does not read its events is cut off', async (t) => {
  const { server, control, asToken: headers } = await start(t)
  const port = await server.listen()
  const request = httpRequest({ port, path: '/api/v1/events', headers })
  request.end()
  const [response] = await once(request, 'response')
  response.on('error', () => {})
  response.pause()
  while (control.listeners() === 0) await new Promise((resolve) => setImmediate(resolve))
  for (let i = 0; i < 20_000 && control.listeners() > 0; i++) {
    control.emit({ type: 'log', data: { message: 'x'.repeat(4096) } })
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal(control.listeners(), 0)
  request.destroy()
})

test('the unix socket is private to the gateway, needs no password and acts as the console', async (t) => {
  const { server, control } = await start(t)
  const path = join(mkdtempSync(join(tmpdir(), 'ff-')), 'control.sock')
  await server.listenSocket(path)
  t.equal(statSync(path).mode & 0o777, 0o600)
  const request = httpRequest({ socketPath: path, path: '/api/v1/deliveries/d7/retry', method: 'POST' })
  request.end()
  const [response] = await once(request, 'response')
  response.resume()
  t.equal(response.statusCode, 200)
  t.match(control.acts, [{ actor: { name: 'console', role: 'admin' }, verb: 'delivery.retry' }])
  await server.close()
  t.throws(() => statSync(path), { code: 'ENOENT' })
})
