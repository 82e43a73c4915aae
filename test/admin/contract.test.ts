// The API against its own description: every route is documented with its answers, roles hold, answers are as described, and nothing that is
// sent makes it fall over.
// Must not know routes by name: the description tells them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import fc, { type Arbitrary } from 'fast-check'
import { type Test, test } from 'tap'
import type { TSchema } from 'typebox'
import { EXAMPLES } from '../../src/admin/answers.ts'
import { RANK, ROUTE_ACCESS } from '../../src/admin/roles.ts'
import { SAMPLES } from '../../src/admin/samples.ts'
import { createAdminServer } from '../../src/admin/server.ts'
import { SHAPES } from '../../src/admin/shapes.ts'
import { createApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { newId } from '../../src/core/clock.ts'
import { checker } from '../../src/core/schema.ts'
import { ROLES } from '../../src/core/views.ts'
import { createLogOutput } from '../../src/logging/log-output.ts'
import { openDatabase } from '../../src/store/database.ts'

const PREFIX = '/api/v1'
const CONSOLE = { name: 'console', address: 'local', role: 'admin' } as const
/** Another one finds other things: FILEFLOW_TEST_SEED=… */
const SEED = Number(process.env.FILEFLOW_TEST_SEED ?? 20_261_124)
const RUNS = 12

type Json = Record<string, unknown>
interface Operation {
  readonly key: string
  readonly method: string
  readonly path: string
  readonly spec: {
    readonly operationId: string
    readonly description: string
    readonly parameters?: readonly { name: string; in: 'path' | 'query'; schema: Json }[]
    readonly requestBody?: { content: Record<string, { schema: Json; example?: unknown; examples?: Json }> }
    readonly responses: Record<string, { content?: Record<string, { schema?: Json }> }>
  }
}

async function start(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'fileflow-contract-'))
  const { config } = loadConfig({ env: { FILEFLOW_FTP_PORT: '0', FILEFLOW_SFTP_PORT: '0', FILEFLOW_ADMIN_PORT: '0' }, cwd: folder })
  const stdout = new PassThrough().resume()
  const output = createLogOutput({ log: { level: 'error', file: null }, keepMs: 1000, dataDir: config.data_dir, stdout, isTTY: false })
  const app = await createApp({ config, output })
  const server = await createAdminServer({ config: config.admin, control: app.control, log: app.log, publicDir: folder, tls: null })
  t.teardown(async () => {
    await server.close()
    await app.close()
    await output.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const description = (await server.console.inject('/api/openapi.json')).json() as {
    paths: Record<string, Json>
    components: { schemas: Json }
  }
  const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, spec]) => ({
      key: `${method.toUpperCase()} ${path.slice(PREFIX.length).replaceAll(/\{(\w+)\}/g, ':$1')}`,
      method: method.toUpperCase(),
      path,
      spec: spec as Operation['spec'],
    })),
  )
  return { app, server, description, operations, folder }
}

/** A schema with what it refers to put in its place. */
function whole(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(whole)
  if (schema === null || typeof schema !== 'object') return schema
  const { $ref } = schema as { $ref?: string }
  if ($ref !== undefined) return whole(SHAPES[$ref.replace('#/components/schemas/', '').replace('#', '')])
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, whole(value)]))
}

test('every route is described: its answers, its refusals, a name and the role it needs; bodies have examples that fit', async (t) => {
  const { operations, description, server } = await start(t)
  t.same(operations.map((o) => o.key).sort(), Object.keys(ROUTE_ACCESS).sort())
  t.equal(new Set(operations.map((o) => o.spec.operationId)).size, operations.length, 'names are unique')
  for (const { key, method, spec } of operations) {
    const done = Object.entries(spec.responses).filter(([status]) => status.startsWith('2'))
    t.equal(done.length, 1, `${key} has one good answer`)
    const [status, answer] = done[0]!
    const schema = answer.content?.['application/json']?.schema
    if (
      status !== '204' &&
      !answer.content?.['application/x-ndjson'] &&
      !answer.content?.['text/event-stream'] &&
      !answer.content?.['application/octet-stream']
    )
      t.ok(
        schema &&
          (schema.$ref || schema.anyOf || Object.keys((schema.properties as Json | undefined) ?? {}).length > 0 || key === 'GET /state'),
        `${key} says what it answers`,
      )
    t.ok(spec.responses['401'] && spec.responses.default, `${key} says what it refuses`)
    const body = spec.requestBody?.content['application/json']
    if (body && method !== 'GET') {
      const example = EXAMPLES[key]
      t.ok(example, `${key} has an example`)
      t.same(checker(whole(body.schema) as TSchema).faults(example), [], `the example of ${key} fits`)
    }
  }
  t.same(Object.keys(SAMPLES).sort(), Object.keys(SHAPES).sort(), 'each shape has an example')
  for (const [name, sample] of Object.entries(SAMPLES)) {
    t.same(checker(whole(SHAPES[name]) as TSchema).faults(sample), [], `the example of ${name} fits`)
    t.same((description.components.schemas[name] as Json).examples, [sample], `${name} is described with it`)
  }
  const text = JSON.stringify(description)
  for (const [, name] of text.matchAll(/#\/components\/schemas\/([\w-]+)/g))
    t.ok(Object.hasOwn(description.components.schemas, name!), `${name} is there`)
  t.notMatch(text, /"\$ref":"[A-Z]\w*#"/, 'no reference is left that only we understand')

  const page = await server.web.inject('/api/docs/')
  t.equal(page.statusCode, 401, 'the page is for who is logged in')
  const { token } = (
    await server.console.inject({ method: 'POST', url: `${PREFIX}/tokens`, payload: { name: 'docs', role: 'auditor' } })
  ).json() as { token: string }
  const headers = { authorization: `Bearer ${token}` }
  const shown = await server.web.inject({ url: '/api/docs/', headers })
  t.equal(shown.statusCode, 200)
  t.match(shown.headers['content-security-policy'], /script-src 'self';/)
  t.notMatch(shown.body, /<script(?![^>]*\bsrc=)[^>]*>|https?:\/\//, 'nothing inline, nothing from elsewhere')
  t.equal((await server.web.inject({ url: '/metrics' })).statusCode, 401)
  t.match((await server.web.inject({ url: '/metrics', headers })).body, /^fileflow_ready [01]$/m)
})

test('a role may do what the table says and nothing else, route by route', async (t) => {
  const { operations, server, app } = await start(t)
  const tokens = Object.fromEntries(
    ROLES.map((role) => [role, app.control.tokens.create(CONSOLE, { name: role, role, expiresAt: null }).token]),
  )
  for (const { key, method, path } of operations) {
    const access = ROUTE_ACCESS[key]!
    if (access === 'public' || key === 'GET /events') continue
    const call = async (headers: Record<string, string>) => {
      const reply = await server.web.inject({ method: method as 'GET', url: path.replaceAll(/\{\w+\}/g, 'x'), headers })
      return { status: reply.statusCode, code: reply.statusCode >= 400 ? (reply.json() as { code: string; detail: string }) : null }
    }
    t.equal((await call({})).status, 401, `${key} is closed to strangers`)
    for (const role of ROLES) {
      const { code } = await call({ authorization: `Bearer ${tokens[role]}` })
      const refused = code?.code === 'permission.denied' && /needs the role/.test(code.detail)
      t.equal(refused, RANK[role] < RANK[access], `${key} for ${role}`)
    }
  }
})

test('whatever is sent, nothing falls over: no 500, no stack trace; and every good answer is as described', async (t) => {
  const { operations, server, app, folder } = await start(t)
  seedRows(join(folder, 'data', 'fileflow.db'))
  await app.control.users.create(CONSOLE, EXAMPLES['POST /users'] as never)
  await app.control.destinations.create(CONSOLE, EXAMPLES['POST /destinations'] as never)
  await app.control.rules.create(CONSOLE, EXAMPLES['POST /rules'] as never)
  let good = 0
  const send = async ({ key, method, path, spec }: Operation, input: { params: Json; query: Json; body: unknown }) => {
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(input.params[name]).toWellFormed()) || 'x')
    const query = new URLSearchParams(
      Object.entries(input.query).map(([name, value]) => [name, String(value)] as [string, string]),
    ).toString()
    const text = input.body === undefined ? undefined : JSON.stringify(input.body)
    const door = key === 'POST /session' ? server.web : server.console
    const reply = await door.inject({
      method: method as 'GET',
      url: query === '' ? url : `${url}?${query}`,
      ...(text === undefined ? {} : { payload: text, headers: { 'content-type': 'application/json' } }),
    })
    const what = `${key} ${url}?${query} ${text?.slice(0, 300)} → ${reply.statusCode} ${reply.body.slice(0, 300)}`
    if (/\n\s+at |node:internal|node_modules/.test(reply.body)) throw new Error(`a stack trace: ${what}`)
    if (reply.statusCode >= 400) {
      const { code } = reply.json() as { code?: string }
      if (!reply.headers['content-type']?.toString().startsWith('application/problem+json') || code === undefined)
        throw new Error(`no problem: ${what}`)
      // others may be unreachable, and a service that needs a running gateway may not be there
      if (reply.statusCode >= 500 && !/^(remote|service)\./.test(code)) throw new Error(`a 5xx: ${what}`)
      return
    }
    const answer = spec.responses[String(reply.statusCode)]
    if (!answer) throw new Error(`${reply.statusCode} is not described: ${what}`)
    const schema = answer.content?.['application/json']?.schema
    if (!schema) return
    const faults = checker(whole(schema) as TSchema).faults(reply.json())
    if (faults.length > 0) throw new Error(`not as described: ${JSON.stringify(faults.slice(0, 5))} ${what}`)
    good++
  }
  for (const operation of operations) {
    const { key, spec } = operation
    if (key === 'GET /events') continue
    const { parameters = [], requestBody } = spec
    const params = fc.record(Object.fromEntries(parameters.filter((p) => p.in === 'path').map((p) => [p.name, pathValue(key, p.name)])))
    const query = fc.record(Object.fromEntries(parameters.filter((p) => p.in === 'query').map((p) => [p.name, ofSchema(p.schema)])), {
      requiredKeys: [],
    })
    const schema = requestBody?.content['application/json']?.schema
    const body = schema
      ? fc.oneof(
          { weight: 3, arbitrary: ofSchema(schema) },
          { weight: 1, arbitrary: JUNK },
          { weight: 1, arbitrary: fc.constant(EXAMPLES[key]) },
        )
      : fc.constant(undefined)
    try {
      await fc.assert(
        fc.asyncProperty(params, query, body, (p, q, b) => send(operation, { params: p as Json, query: q as Json, body: b })),
        { numRuns: key === 'GET /backup' ? 2 : RUNS, seed: SEED, endOnFailure: true },
      )
      t.pass(key)
    } catch (error) {
      t.fail(`${key}: ${((error as Error).cause as Error | undefined)?.message ?? (error as Error).message}`)
    }
  }
  t.ok(good > 100, `${good} good answers were compared`)
  t.ok(app.store.audit.verify().ok)
})

const TEXT: Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    '',
    '/',
    '../../etc/passwd',
    '\0',
    '\ud800',
    '%00',
    "'; DROP TABLE users; --",
    '/a/**/b',
    '{user}',
    '{nope}',
    'x'.repeat(5000),
    '__proto__',
    '/filescma/**',
    '10GiB',
    '2027-12-31',
    'SHA256:x',
  ),
)
const JUNK: Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  TEXT,
  fc.constantFrom(null, 1e308, -1, [], {}, [[[[]]]], { __proto__: null, constructor: 1 }, 'x'.repeat(10_000), Array(500).fill(0)),
)

/** Mostly what the schema says, with something wrong in it now and then. */
function ofSchema(schema: Json): Arbitrary<unknown> {
  const wanted = rightly(schema)
  return fc.oneof({ weight: 7, arbitrary: wanted }, { weight: 1, arbitrary: JUNK })
}

function rightly(schema: Json): Arbitrary<unknown> {
  const s = schema as {
    enum?: unknown[]
    anyOf?: Json[]
    type?: string | string[]
    properties?: Record<string, Json>
    required?: string[]
    items?: Json
    minimum?: number
    maximum?: number
    const?: unknown
  }
  if (s.const !== undefined) return fc.constant(s.const)
  if (s.enum) return fc.constantFrom(...s.enum)
  if (s.anyOf) return fc.oneof(...s.anyOf.map(rightly))
  if (s.properties) {
    const fields = Object.fromEntries(
      Object.entries(s.properties).map(([name, inner]) => [name, name === 'port' ? fc.constant(9) : ofSchema(inner)]),
    )
    return fc
      .record(fields, { requiredKeys: s.required ?? [] })
      .chain((value) =>
        fc.oneof({ weight: 9, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: TEXT.map((k) => ({ ...value, [k]: 1 })) }),
      )
  }
  if (s.type === 'array') return fc.array(ofSchema(s.items ?? {}), { maxLength: 4 })
  if (s.type === 'integer' || s.type === 'number')
    return fc.oneof(fc.integer({ min: s.minimum ?? -10, max: s.maximum ?? 100_000 }), fc.constantFrom(0, -1, 1.5, 2 ** 53))
  if (s.type === 'boolean') return fc.boolean()
  if (s.type === 'null') return fc.constant(null)
  if (s.type === 'string')
    return fc.oneof(
      {
        weight: 2,
        arbitrary: fc.constantFrom('customer1', 'hq', '/filescma/a.xml', 'customer1-to-hq', '127.0.0.1', '2026-01-01T00:00:00Z'),
      },
      { weight: 1, arbitrary: TEXT },
    )
  return JUNK
}

/** Names that are there, and names that are not. A service is never really started. */
const pathValue = (key: string, name: string): Arbitrary<string> =>
  key.startsWith('POST /services')
    ? TEXT
    : fc.oneof(fc.constantFrom('customer1', 'hq', 'customer1-to-hq', 'admin', ROW_ID), name === 'address' ? fc.ipV4() : TEXT)

const ROW_ID = newId(Date.parse('2026-11-24T10:00:00Z'))

function seedRows(file: string): void {
  const db = openDatabase(file)
  const at = Date.now()
  db.prepare("INSERT INTO sessions VALUES (?, 'customer1', 'sftp', '192.0.2.1', 1, 'password', '', 'closed', ?, ?, 'over')").run(
    ROW_ID,
    at,
    at,
  )
  db.prepare(
    `INSERT INTO transfers (id, session_id, username, partner, protocol, address, direction, path, state, start_offset, started_at, ended_at)
     VALUES (?, ?, 'customer1', '', 'sftp', '192.0.2.1', 'upload', '/filescma/a.xml', 'completed', 0, ?, ?)`,
  ).run(ROW_ID, ROW_ID, at, at)
  db.prepare(
    `INSERT INTO deliveries (id, transfer_id, rule, destination, username, path, remote_path, temp_name, on_conflict, after, size, sha256, state, retry_from, created_at, updated_at)
     VALUES (?, ?, 'customer1-to-hq', 'hq', 'customer1', '/filescma/a.xml', '/a.xml', 't', 'overwrite', 'keep', 0, '', 'delivered', ?, ?, ?)`,
  ).run(ROW_ID, ROW_ID, at, at, at)
  db.prepare('INSERT INTO attempts (delivery_id, number, started_at, ended_at, ok) VALUES (?, 1, ?, ?, 1)').run(ROW_ID, at, at)
  db.prepare(
    "INSERT INTO receipts (delivery_id, remote_path, size, sha256, verified, outcome, at) VALUES (?, '/a.xml', 0, '', 'size', 'sent', ?)",
  ).run(ROW_ID, at)
  db.close()
}
