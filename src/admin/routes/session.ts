// The login session: in, out, who am I, and what an admin changes about itself.
// Must not keep or answer a password or a session key.
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { FileFlowError } from '../../core/errors.ts'
import { errorFields } from '../../core/log.ts'
import { plainAddress } from '../../core/network.ts'
import { acted, CONSOLE, SESSION_COOKIE } from '../authentication.ts'
import { type App, actorOf, described, type RouteContext } from '../request.ts'

const strict = { additionalProperties: false } as const
const Password = Type.String({ minLength: 1, maxLength: 1024 })
export const NewPassword = Type.String({ minLength: 8, maxLength: 1024, description: 'a password of 8 to 1024 characters' })
const Code = Type.String({ minLength: 1, maxLength: 64, description: 'six digits of the authenticator, or a recovery code' })

const Credentials = Type.Object(
  { username: Type.String({ minLength: 1, maxLength: 128 }), password: Password, totp: Type.Optional(Type.String({ maxLength: 64 })) },
  strict,
)
/** Guessing a password or a code, from one address. */
const SLOW = { rateLimit: { max: 30, timeWindow: 60_000 } }

export function sessionRoutes(app: App, { control, log }: RouteContext, secure: boolean): void {
  const cookie = { path: '/', httpOnly: true, sameSite: 'strict', secure } as const
  const from = (request: FastifyRequest): string => plainAddress(request.ip)

  const slowLogin = {
    rateLimit: {
      ...SLOW.rateLimit,
      onExceeded: (request: FastifyRequest) =>
        void control.admins
          .tooFast(from(request))
          .catch((error: unknown) => log.error('audit.failed', 'A refused login could not be recorded.', errorFields(error))),
    },
  }

  /** Only for who logged in by password: a token is no person. */
  const sessionOf = (request: FastifyRequest): string => {
    const key = request.cookies[SESSION_COOKIE]
    if (!key || request.headers.authorization !== undefined || actorOf(request) === CONSOLE)
      throw new FileFlowError('permission.denied', 'This needs a login by password; tokens and the console have no password of their own.')
    return key
  }

  app.post(
    '/session',
    { schema: described('session', 'Log in', { body: Credentials }), config: slowLogin, bodyLimit: 16 * 1024 },
    async (request, reply) => {
      const { username, password, totp } = request.body
      const login = await control.admins.login(username, password, from(request), totp)
      const before = request.cookies[SESSION_COOKIE]
      if (before) control.admins.logout(before, from(request))
      // a trusted proxy says whether the browser spoke TLS to it
      reply.setCookie(SESSION_COOKIE, login.session, { ...cookie, secure: secure || request.protocol === 'https' })
      return { username: login.username, role: login.role, csrf: login.csrf }
    },
  )
  app.get('/session', { schema: described('session', 'Who am I', {}) }, async (request) => {
    const actor = actorOf(request)
    const key = request.cookies[SESSION_COOKIE]
    const session =
      key && request.headers.authorization === undefined && actor !== CONSOLE ? control.admins.bySession(key, acted(request)) : null
    return {
      username: actor.name,
      role: actor.role,
      csrf: session?.csrf ?? null,
      totp_enabled: session?.totp_enabled ?? false,
      version: control.version,
    }
  })
  app.delete('/session', { schema: described('session', 'Log out', {}) }, async (request, reply) => {
    const key = request.cookies[SESSION_COOKIE]
    if (key) control.admins.logout(key, from(request))
    return reply.clearCookie(SESSION_COOKIE, cookie).code(204).send()
  })

  app.post(
    '/session/password',
    {
      schema: described('session', 'Change my password; my other sessions end', {
        body: Type.Object({ current: Password, new: NewPassword }, strict),
      }),
      config: SLOW,
    },
    async (request, reply) => {
      await control.admins.changePassword(sessionOf(request), request.body.current, request.body.new, from(request))
      return reply.code(204).send()
    },
  )
  app.post(
    '/session/totp',
    {
      schema: described('session', 'A secret for an authenticator app; it counts once a code of it was confirmed', {
        body: Type.Object({ password: Password }, strict),
      }),
      config: SLOW,
    },
    async (request) => control.admins.beginTotp(sessionOf(request), request.body.password, from(request)),
  )
  app.post(
    '/session/totp/confirm',
    {
      schema: described('session', 'Turn the second factor on; the recovery codes are shown this once', {
        body: Type.Object({ code: Code }, strict),
      }),
      config: SLOW,
    },
    async (request) => control.admins.confirmTotp(sessionOf(request), request.body.code, from(request)),
  )
  app.delete(
    '/session/totp',
    { schema: described('session', 'Turn the second factor off', { body: Type.Object({ password: Password }, strict) }), config: SLOW },
    async (request, reply) => {
      await control.admins.removeTotp(sessionOf(request), request.body.password, from(request))
      return reply.code(204).send()
    },
  )
}
