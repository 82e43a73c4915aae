// What each route answers, as data for the OpenAPI description, with examples of bodies; laid over the routes as they are registered.
// Must not change what a route does.
import type { FastifySchema, RouteOptions } from 'fastify'
import Type, { type TSchema } from 'typebox'
import { oneOf } from '../core/schema.ts'
import { ROLES } from '../core/views.ts'
import type { App } from './request.ts'
import { ROUTE_ACCESS } from './roles.ts'
import { SAMPLES } from './samples.ts'
import { Count, Flag, object, orNull, pageOf, ref, SHAPES, Text, Texts } from './shapes.ts'

/** `none` is 204; `stream` is no JSON. */
export type Answer = TSchema | 'none' | { readonly stream: string }

const lines = { stream: 'application/x-ndjson' }
const stateFile = object({
  users: Type.Array(object({ username: Text })),
  destinations: Type.Array(object({ name: Text })),
  rules: Type.Array(object({ name: Text })),
  secrets: Type.Optional(Text),
})
const hostKeys = Type.Array(object({ type: Text, fingerprint: Text }))
const made = { status: 201 } as const

/** `METHOD /path` → answer; 201 where a thing is made. */
const ANSWERS: Readonly<Record<string, Answer | readonly [Answer, typeof made]>> = {
  'POST /session': object({ username: Text, role: oneOf(ROLES), csrf: Text }),
  'GET /session': object({ username: Text, role: oneOf(ROLES), csrf: orNull(Text), totp_enabled: Flag, version: Text }),
  'DELETE /session': 'none',
  'POST /session/password': 'none',
  'POST /session/totp': object({ secret: Text, uri: Text }),
  'POST /session/totp/confirm': object({ recovery_codes: Texts }),
  'DELETE /session/totp': 'none',
  ...resource('/users', 'User'),
  ...resource('/destinations', 'Destination'),
  ...resource('/rules', 'Rule'),
  'POST /users/:name/files/delete': object({ files: Count, bytes: Count }),
  'POST /users/:name/recount': object({ files: Count, bytes: Count }),
  'POST /public-keys/inspect': object({ type: Text, bits: Count, fingerprint: Text, comment: Text }),
  'POST /destinations/:name/test': ref('Probe'),
  'POST /destinations/host-key': object({ items: hostKeys, next: orNull(Text) }),
  'POST /rules/simulate': Type.Union([ref('Simulation'), ref('History')]),
  'POST /rules/order': 'none',
  'GET /removed': pageOf('Removed'),
  'GET /transfers': pageOf('Transfer'),
  'GET /transfers/:id': ref('TransferDetail'),
  'GET /transfers/:id/why': ref('Simulation'),
  'GET /deliveries': pageOf('Delivery'),
  'GET /deliveries/count': object({ count: Count, more: Flag, suspect: Count }),
  'GET /deliveries/:id': ref('DeliveryDetail'),
  'GET /deliveries/:id/receipt': ref('SignedReceipt'),
  'GET /receipts/key': object({ public_key: Text, fingerprint: Text }),
  'POST /deliveries/:id/retry': ref('Delivery'),
  'POST /deliveries/:id/cancel': ref('Delivery'),
  'POST /deliveries/retry': object({ count: Count, retried: Count }),
  'POST /deliveries/cancel': object({ count: Count }),
  'GET /sessions': pageOf('Session'),
  'GET /sessions/:id': ref('Session'),
  'DELETE /sessions/:id': 'none',
  'GET /services': pageOf('Service'),
  'POST /services/:name/:verb': ref('Service'),
  'GET /stats': ref('Stats'),
  'GET /events': { stream: 'text/event-stream' },
  'GET /logs': pageOf('LogLine'),
  'GET /logs/download': lines,
  'GET /audit': pageOf('AuditRow'),
  'GET /audit/verify': object({ ok: Flag, rows: Count, broken: orNull(Count), first: Count }),
  'GET /audit/export': lines,
  'GET /bans': pageOf('Ban'),
  'DELETE /bans/:address': 'none',
  'GET /settings': pageOf('Setting'),
  'POST /settings/reload': object({ applied: Texts, needs_restart: Texts }),
  'GET /keys': pageOf('Key'),
  'GET /backup': { stream: 'application/octet-stream' },
  'GET /admins': pageOf('Admin'),
  'POST /admins': [ref('Admin'), made],
  'GET /admins/:name': ref('Admin'),
  'PATCH /admins/:name': ref('Admin'),
  'POST /admins/:name/reset-2fa': ref('Admin'),
  'DELETE /admins/:name': 'none',
  'GET /tokens': pageOf('Token'),
  'POST /tokens': [object({ name: Text, role: oneOf(ROLES), token: Text, expires_at: orNull(Text) }), made],
  'DELETE /tokens/:name': 'none',
  'GET /state': stateFile,
  'POST /state/export': stateFile,
  'POST /state/apply': pageOf('Change'),
}

function resource(path: string, shape: string): Record<string, Answer | readonly [Answer, typeof made]> {
  return {
    [`GET ${path}`]: pageOf(shape),
    [`POST ${path}`]: [ref(shape), made],
    [`GET ${path}/:name`]: ref(shape),
    [`PATCH ${path}/:name`]: ref(shape),
    [`DELETE ${path}/:name`]: 'none',
    [`POST ${path}/:name/enable`]: ref(shape),
    [`POST ${path}/:name/disable`]: ref(shape),
    [`POST ${path}/:name/restore`]: ref(shape),
  }
}

/** Bodies to start from; a test applies each schema to its example. */
export const EXAMPLES: Readonly<Record<string, object>> = {
  'POST /session': { username: 'admin', password: 'correct horse battery', totp: '492039' },
  'POST /session/password': { current: 'correct horse battery', new: 'staple horse battery' },
  'POST /session/totp': { password: 'correct horse battery' },
  'POST /session/totp/confirm': { code: '492039' },
  'DELETE /session/totp': { password: 'correct horse battery' },
  'POST /users': {
    username: 'customer1',
    password: 'correct horse battery',
    partner: 'Customer One',
    directories: ['/filescma', '/outbox'],
    start_directory: '/filescma',
    quota: { bytes: '10GiB', files: 100_000 },
  },
  'PATCH /users/:name': { partner: 'Customer One', expires_at: null, allowed_ips: ['203.0.113.0/24'] },
  'POST /users/:name/files/delete': { confirm: 'customer1' },
  'POST /public-keys/inspect': { public_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl customer1' },
  'POST /destinations': {
    name: 'hq',
    type: 'sftp',
    host: 'files.hq.example',
    username: 'gateway',
    password: 'another secret',
    host_keys: ['SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE'],
    base_path: '/incoming',
  },
  'PATCH /destinations/:name': { host: 'files2.hq.example', max_connections: 2 },
  'POST /destinations/host-key': { host: 'files.hq.example', port: 22 },
  'POST /rules': {
    name: 'customer1-to-hq',
    source: { users: ['customer1'], path: '/filescma/**' },
    deliver: [{ to: 'hq', path: '/filescma/{path}', on_conflict: 'overwrite' }],
  },
  'PATCH /rules/:name': { exclude: ['*.bak'] },
  'POST /rules/simulate': { user: 'customer1', path: '/filescma/invoice.xml' },
  'POST /rules/order': { names: ['customer1-to-hq'] },
  'POST /deliveries/retry': { destination: 'hq' },
  'POST /deliveries/cancel': { destination: 'hq' },
  'POST /admins': { username: 'olga', password: 'correct horse battery', role: 'operator' },
  'PATCH /admins/:name': { role: 'auditor' },
  'POST /tokens': { name: 'monitoring', role: 'auditor', expires_at: '2027-12-31T00:00:00Z' },
  'POST /state/export': { passphrase: 'correct horse battery staple' },
  'POST /state/apply': { users: [{ username: 'customer1', password: 'correct horse battery' }] },
}

const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: ref('Problem') } },
})
const REFUSALS = {
  401: problem('Not logged in, or the login failed (`auth.required`, `auth.failed`, `auth.totp_required`).'),
  403: problem('Not with this role, without the CSRF token, or from a banned address (`permission.denied`, `auth.csrf`, `auth.banned`).'),
  429: problem('Too many requests; `retry-after` says when again (`limit.rate`).'),
  default: problem('Any other failure; `code` is stable.'),
}

/** Gives every route below `prefix` its answers, examples and the role it needs. */
export function describeAnswers(app: App, prefix: string): void {
  for (const [name, shape] of Object.entries(SHAPES))
    app.addSchema({ ...shape, $id: name, examples: [SAMPLES[name as keyof typeof SAMPLES]] })
  app.addHook('onRoute', (route: RouteOptions) => {
    const method = [route.method].flat().find((one) => one !== 'HEAD')
    if (!method || !route.schema || !route.url.startsWith(prefix)) return
    const key = `${method} ${route.url.slice(prefix.length)}`
    const row = ANSWERS[key] ?? object({})
    const [answer, status] = Array.isArray(row)
      ? ([row[0] as Answer, 201] as const)
      : ([row as Answer, answerStatus(row as Answer)] as const)
    const access = ROUTE_ACCESS[key]
    const schema = route.schema as FastifySchema & { body?: object; description?: string; security?: readonly object[] }
    route.schema = {
      ...schema,
      operationId: key.replace(/[^A-Za-z]+/g, '_').toLowerCase(),
      description: access === 'public' ? 'Needs no login.' : `Needs the role ${access}.`,
      ...(access === 'public' ? { security: [] } : {}),
      ...(schema.body && EXAMPLES[key] ? { body: { ...schema.body, examples: [EXAMPLES[key]] } } : {}),
      response: {
        [status]: content(answer),
        400: problem('The request is not valid; `detail` names the key (`request.invalid`).'),
        ...REFUSALS,
      },
    } as FastifySchema
  })
}

const answerStatus = (answer: Answer): number => (answer === 'none' ? 204 : 200)

function content(answer: Answer): object {
  if (answer === 'none') return { description: 'Done.', type: 'null' }
  if ('stream' in answer) return { description: 'A stream.', content: { [answer.stream as string]: { schema: { type: 'string' } } } }
  return { description: 'Done.', content: { 'application/json': { schema: answer } } }
}
