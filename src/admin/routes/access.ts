// Who may use this API, and who may not for now: admins, tokens, bans.
// Must not answer a password; a token is shown once, when it is made.
import Type from 'typebox'
import { FileFlowError } from '../../core/errors.ts'
import { oneOf, ResourceName } from '../../core/schema.ts'
import { ROLES } from '../../core/views.ts'
import { type App, actorOf, described, Moment, Name, PageQuery, type RouteContext, toMoment } from '../request.ts'
import { NewPassword } from './session.ts'

const strict = { additionalProperties: false } as const
const AdminPatch = Type.Object(
  { role: Type.Optional(oneOf(ROLES)), password: Type.Optional(NewPassword), enabled: Type.Optional(Type.Boolean()) },
  { ...strict, minProperties: 1, description: 'at least one of role, password, enabled' },
)
const Address = Type.Object({ address: Type.String({ minLength: 1, maxLength: 64 }) }, strict)

export function accessRoutes(app: App, { control }: RouteContext): void {
  app.get('/admins', { schema: described('admins', 'List admins', { querystring: PageQuery }) }, async (request) =>
    control.admins.list(request.query),
  )
  app.post(
    '/admins',
    {
      schema: described('admins', 'Create an admin', {
        body: Type.Object({ username: ResourceName, password: NewPassword, role: oneOf(ROLES) }, strict),
      }),
    },
    async (request, reply) => {
      reply.code(201)
      return control.admins.create(actorOf(request), request.body)
    },
  )
  app.get('/admins/:name', { schema: described('admins', 'Read an admin', { params: Name }) }, async (request) =>
    control.admins.get(request.params.name),
  )
  app.patch(
    '/admins/:name',
    { schema: described('admins', 'Change role, password or whether an admin may log in', { params: Name, body: AdminPatch }) },
    async (request) => control.admins.update(actorOf(request), request.params.name, request.body),
  )
  app.post(
    '/admins/:name/reset-2fa',
    { schema: described('admins', 'Take the second factor away, for who lost phone and recovery codes', { params: Name }) },
    async (request) => control.admins.resetSecondFactor(actorOf(request), request.params.name),
  )
  app.delete('/admins/:name', { schema: described('admins', 'Remove an admin', { params: Name }) }, async (request, reply) => {
    await control.admins.remove(actorOf(request), request.params.name)
    return reply.code(204).send()
  })

  app.get('/tokens', { schema: described('tokens', 'List tokens', {}) }, async () => ({ items: control.tokens.list(), next: null }))
  app.post(
    '/tokens',
    {
      schema: described('tokens', 'Make a token; it is shown this once', {
        body: Type.Object({ name: ResourceName, role: oneOf(ROLES), expires_at: Type.Optional(Type.Union([Moment, Type.Null()])) }, strict),
      }),
    },
    async (request, reply) => {
      const { name, role, expires_at = null } = request.body
      const made = control.tokens.create(actorOf(request), {
        name,
        role,
        expiresAt: expires_at === null ? null : toMoment(expires_at, 'expires_at'),
      })
      reply.code(201)
      return made
    },
  )
  app.delete('/tokens/:name', { schema: described('tokens', 'Revoke a token', { params: Name }) }, async (request, reply) => {
    control.tokens.remove(actorOf(request), request.params.name)
    return reply.code(204).send()
  })

  app.get('/bans', { schema: described('bans', 'Addresses that may not log in for now', { querystring: PageQuery }) }, async (request) =>
    control.bans.list(request.query),
  )
  app.delete(
    '/bans/:address',
    { schema: described('bans', 'Lift a ban; an IPv6 network is written 2001:db8:0:0::%2F64', { params: Address }) },
    async (request, reply) => {
      if (!/^[0-9a-f:.]+(\/\d{1,3})?$/i.test(request.params.address)) throw new FileFlowError('request.invalid', 'address: an IP address')
      control.bans.lift(actorOf(request), request.params.address)
      return reply.code(204).send()
    },
  )
}
