// Who may use this API: the login session, admins and tokens.
// Must not keep or answer a password or a session key.
import Type from 'typebox'
import { plainAddress } from '../../core/network.ts'
import { oneOf, ResourceName } from '../../core/schema.ts'
import { ROLES } from '../../core/views.ts'
import { CONSOLE, SESSION_COOKIE } from '../authentication.ts'
import { type App, actorOf, described, Name, PageQuery, type RouteContext } from '../request.ts'

const strict = { additionalProperties: false } as const
const NewPassword = Type.String({ minLength: 8, maxLength: 1024, description: 'a password of 8 to 1024 characters' })
const Credentials = Type.Object(
  {
    username: Type.String({ minLength: 1, maxLength: 128 }),
    password: Type.String({ minLength: 1, maxLength: 1024 }),
    totp: Type.Optional(Type.String({ maxLength: 16 })),
  },
  strict,
)

export function accessRoutes(app: App, { control }: RouteContext, secure: boolean): void {
  const cookie = { path: '/', httpOnly: true, sameSite: 'strict', secure } as const

  app.post(
    '/session',
    {
      schema: described('session', 'Log in', { body: Credentials }),
      config: { rateLimit: { max: 30, timeWindow: 60_000 } },
      bodyLimit: 16 * 1024,
    },
    async (request, reply) => {
      const { username, password } = request.body
      const login = await control.admins.login(username, password, plainAddress(request.ip))
      reply.setCookie(SESSION_COOKIE, login.session, cookie)
      return { username: login.username, role: login.role, csrf: login.csrf }
    },
  )
  app.get('/session', { schema: described('session', 'Who am I', {}) }, async (request) => {
    const actor = actorOf(request)
    const key = request.cookies[SESSION_COOKIE]
    const session = key && actor !== CONSOLE ? control.admins.bySession(key) : null
    return { username: actor.name, role: actor.role, csrf: session?.csrf ?? null, version: control.version }
  })
  app.delete('/session', { schema: described('session', 'Log out', {}) }, async (request, reply) => {
    const key = request.cookies[SESSION_COOKIE]
    if (key) control.admins.logout(key)
    return reply.clearCookie(SESSION_COOKIE, cookie).code(204).send()
  })

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
  app.patch(
    '/admins/:name',
    { schema: described('admins', 'Set a password', { params: Name, body: Type.Object({ password: NewPassword }, strict) }) },
    async (request, reply) => {
      await control.admins.setPassword(actorOf(request), request.params.name, request.body.password)
      return reply.code(204).send()
    },
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
        body: Type.Object({ name: ResourceName, role: oneOf(ROLES) }, strict),
      }),
    },
    async (request, reply) => {
      reply.code(201)
      return control.tokens.create(actorOf(request), request.body)
    },
  )
  app.delete('/tokens/:name', { schema: described('tokens', 'Revoke a token', { params: Name }) }, async (request, reply) => {
    control.tokens.remove(actorOf(request), request.params.name)
    return reply.code(204).send()
  })
}
