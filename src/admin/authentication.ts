// Who asks: a session cookie with its CSRF token, a bearer token, or the console; and whether the route's row allows it.
// Must not check passwords; the control plane does.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { FileFlowError } from '../core/errors.ts'
import { plainAddress } from '../core/network.ts'
import type { Actor, ControlPlane } from './control-plane.ts'
import type { App } from './request.ts'
import { type Access, RANK, ROUTE_ACCESS } from './roles.ts'

export const SESSION_COOKIE = 'fileflow_session'
export const CONSOLE: Actor = { name: 'console', address: 'local', role: 'admin' }

export type Identify = (request: FastifyRequest) => Actor | null

/** The console speaks through the unix socket: whoever can open it owns the gateway's files anyway. */
export const identifyConsole: Identify = () => CONSOLE

/** @returns a function that finds who asks; it throws `auth.csrf` when a cookie comes without its token. */
export function identifyByHttp(control: ControlPlane): Identify {
  return (request) => {
    const address = plainAddress(request.ip)
    const authorization = request.headers.authorization
    if (authorization !== undefined) {
      const bearer = /^Bearer (.{1,256})$/i.exec(authorization)
      const token = bearer ? control.tokens.byToken(bearer[1]!, address) : null
      return token ? { name: `token:${token.name}`, address, role: token.role } : null
    }
    const cookie = request.cookies[SESSION_COOKIE]
    const session = cookie ? control.admins.bySession(cookie, acted(request)) : null
    if (!session) return null
    if (!SAFE.has(request.method) && !sameSecret(request.headers['x-csrf-token'], session.csrf)) throw new FileFlowError('auth.csrf')
    return { name: session.username, address, role: session.role }
  }
}

/** Sent by the page with what it reads by itself while nobody touches it. */
const IDLE_HEADER = 'x-fileflow-idle'

/** Whether a person did this. A page that is left open keeps reading, and its event stream comes back by itself: neither may keep a login alive for ever. */
export const acted = (request: FastifyRequest): boolean =>
  request.headers[IDLE_HEADER] === undefined && request.routeOptions.config.unattended !== true

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

function sameSecret(given: string | string[] | undefined, expected: string): boolean {
  if (typeof given !== 'string') return false
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}

/** Guards every route of `app` by its row in the table; a route without one throws at once. */
export function guard(app: App, prefix: string, identify: Identify): void {
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) accessOf(method, route.url, prefix)
  })
  app.addHook('onRequest', async (request) => {
    const access = accessOf(request.method, request.routeOptions.url ?? '', prefix)
    if (access === 'public') return
    request.actor = identify(request)
    if (!request.actor) throw new FileFlowError('auth.required')
    if (RANK[request.actor.role] < RANK[access]) {
      throw new FileFlowError('permission.denied', `This needs the role ${access}; ${request.actor.name} is ${request.actor.role}.`)
    }
  })
}

function accessOf(method: string, url: string, prefix: string): Access {
  const access = ROUTE_ACCESS[`${method === 'HEAD' ? 'GET' : method} ${url.slice(prefix.length)}`]
  if (access === undefined) throw new FileFlowError('internal', `no role is declared for ${method} ${url}`)
  return access
}
