// The admin server: one set of routes behind two doors, HTTP(S) for people and scripts, the unix socket for the commands on this machine.
// Must not hold behaviour of its own: routes call the control plane's verbs.
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { Server as TlsServer } from 'node:tls'
import fastifyCookie from '@fastify/cookie'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import { fastifySSE } from '@fastify/sse'
import fastify, { type FastifyError, type FastifyReply, type FastifyRequest, type FastifyServerOptions } from 'fastify'
import type { Config } from '../config/schema.ts'
import { withSocketAddress } from '../config/socket-path.ts'
import { FileFlowError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { describeAnswers } from './answers.ts'
import { guard, type Identify, identifyByHttp, identifyConsole } from './authentication.ts'
import type { ControlPlane } from './control-plane.ts'
import { collectDescription, serveDescription } from './documentation.ts'
import { eventRoutes } from './events.ts'
import { servePages } from './pages.ts'
import { errorHandler, sendProblem, toProblem } from './problem.ts'
import { type App, type RouteContext, validatorCompiler } from './request.ts'
import { accessRoutes } from './routes/access.ts'
import { declaredRoutes } from './routes/declared.ts'
import { gatewayRoutes } from './routes/gateway.ts'
import { movementRoutes } from './routes/movements.ts'
import { operationRoutes } from './routes/operation.ts'
import { sessionRoutes } from './routes/session.ts'

export interface AdminServerOptions {
  readonly config: Pick<Config['admin'], 'host' | 'port' | 'trusted_proxies'>
  readonly control: ControlPlane
  readonly log: Logger
  /** The built UI: dist/public. */
  readonly publicDir: string
  /** PEM texts; null is plain HTTP. */
  readonly tls: TlsPair | null
  /** Between heartbeats of event streams, ms; default 15 s. */
  readonly heartbeatMs?: number
}

export interface TlsPair {
  readonly cert: string
  readonly key: string
}

export interface AdminServer {
  /** The door for browsers and scripts. */
  readonly web: App
  /** The door for commands; `inject` it where no gateway runs. */
  readonly console: App
  /** @returns the bound port. */
  listen(): Promise<number>
  /** Mode 0600 before its name exists. */
  listenSocket(path: string): Promise<void>
  /** A renewed certificate, for new connections. */
  replaceTls(tls: TlsPair): void
  /** Ends event streams and connections, too. */
  close(): Promise<void>
}

const PREFIX = '/api/v1'

export async function createAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const web = await createWebApp(options)
  const consoleApp = await createConsoleApp(options)
  let socket: string | null = null
  return {
    web,
    console: consoleApp,
    async listen() {
      await web.listen({ host: options.config.host, port: options.config.port })
      return (web.server.address() as AddressInfo).port
    },
    async listenSocket(path) {
      // Bound in a folder that nobody else may enter, made private, then moved to its name: at no moment can another user connect.
      const nursery = await mkdtemp(join(dirname(path), '.c'))
      try {
        const born = join(nursery, 's')
        await withSocketAddress(born, (address) => consoleApp.listen({ path: address }))
        await chmod(born, 0o600)
        await rename(born, path)
        socket = path
      } finally {
        await rm(nursery, { recursive: true, force: true })
      }
    },
    replaceTls(tls) {
      if (web.server instanceof TlsServer) web.server.setSecureContext({ cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' })
    },
    async close() {
      await Promise.all([web.close(), consoleApp.close()])
      if (socket) await rm(socket, { force: true })
    },
  }
}

/** The API without passwords, for the unix socket and for commands that open the database themselves. */
export async function createConsoleApp(options: Pick<AdminServerOptions, 'control' | 'log' | 'heartbeatMs'>): Promise<App> {
  const app = createApp({}, options.log)
  await app.register(fastifyCookie)
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, toProblem('resource.not_found', 'There is nothing under this address.')))
  await registerRoutes(app, options, identifyConsole, false, false)
  return app
}

async function createWebApp(options: AdminServerOptions): Promise<App> {
  const { config, tls } = options
  const app = createApp(
    {
      trustProxy: config.trusted_proxies.length > 0 ? [...config.trusted_proxies] : false,
      ...(tls ? { https: { cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' } } : {}),
    },
    options.log,
  )
  await app.register(fastifyCookie)
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        scriptSrc: ["'self'"],
        // The component library sets sizes and colours as style attributes.
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        upgradeInsecureRequests: null,
      },
    },
    strictTransportSecurity: tls ? { maxAge: 31_536_000, includeSubDomains: false } : false,
    referrerPolicy: { policy: 'no-referrer' },
    frameguard: { action: 'deny' },
  })
  await app.register(rateLimit, {
    max: 3000,
    timeWindow: 60_000,
    errorResponseBuilder: (_request, limit) => new FileFlowError('limit.rate', `Too many requests: wait ${limit.after}.`),
  })
  await registerRoutes(app, options, identifyByHttp(options.control), tls !== null, true)
  await servePages(app, options.publicDir)
  return app
}

function createApp(options: Record<string, unknown>, log: Logger): App {
  const app = fastify({
    logger: false,
    bodyLimit: 2 ** 20,
    forceCloseConnections: true,
    requestTimeout: 60_000,
    routerOptions: { maxParamLength: 512 },
    // what the router itself refuses: a malformed or overlong URL
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => errorHandler(log)(error, request, reply),
    ...options,
  } as FastifyServerOptions) as unknown as App
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  app.setErrorHandler(errorHandler(log))
  app.decorateRequest('actor', null)
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    // A verb such as POST …/enable has nothing to say; clients that set the type all the same are right.
    if (body === '') done(null, undefined)
    else parse(request, body, done)
  })
  return app
}

async function registerRoutes(
  app: App,
  options: Pick<AdminServerOptions, 'control' | 'log' | 'heartbeatMs'>,
  identify: Identify,
  secure: boolean,
  page: boolean,
): Promise<void> {
  const { control } = options
  const context: RouteContext = { control, log: options.log }
  await collectDescription(app, control.version)
  await app.register(fastifySSE, { heartbeatInterval: options.heartbeatMs ?? 15_000 })

  app.get('/healthz', { schema: { hide: true } }, async () => ({ status: 'ok' }))
  app.get('/readyz', { schema: { hide: true } }, async (_request, reply) => {
    const state = control.health.ready()
    reply.code(state.ready ? 200 : 503)
    return state
  })
  await serveDescription(app, identify, page)
  app.get('/metrics', { schema: { hide: true } }, async (request, reply) => {
    if (!identify(request)) throw new FileFlowError('auth.required')
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(await control.metrics())
  })
  describeAnswers(app, PREFIX)
  await app.register(
    async (api: App) => {
      guard(api, PREFIX, identify)
      api.addHook('onSend', async (_request, reply) => {
        if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
      })
      sessionRoutes(api, context, secure)
      accessRoutes(api, context)
      declaredRoutes(api, context)
      movementRoutes(api, context)
      operationRoutes(api, context)
      gatewayRoutes(api, context)
      eventRoutes(api, context, identify)
    },
    { prefix: PREFIX },
  )
}
