// How the gateway itself is doing: services, numbers, logs and the audit log.
// Must not read files; the control plane does.
import { Readable } from 'node:stream'
import Type from 'typebox'
import { oneOf } from '../../core/schema.ts'
import { SERVICE_NAMES } from '../../core/views.ts'
import { type App, actorOf, described, Moment, PageFields, type RouteContext, toFilter } from '../request.ts'

const strict = { additionalProperties: false } as const
const LogQuery = Type.Object(
  {
    service: Type.Optional(Type.String({ maxLength: 64 })),
    level: Type.Optional(oneOf(['debug', 'info', 'warn', 'error'] as const)),
    q: PageFields.q,
    since: Type.Optional(Moment),
    until: Type.Optional(Moment),
    limit: PageFields.limit,
  },
  strict,
)
const AuditQuery = Type.Object(
  {
    ...PageFields,
    actor: Type.Optional(Type.String({ maxLength: 128 })),
    action: Type.Optional(Type.String({ maxLength: 128 })),
    outcome: Type.Optional(oneOf(['ok', 'refused', 'failed'] as const)),
    since: Type.Optional(Moment),
    until: Type.Optional(Moment),
  },
  strict,
)

export function operationRoutes(app: App, { control }: RouteContext): void {
  app.get('/services', { schema: described('services', 'List services', {}) }, async () => ({ items: control.services.list(), next: null }))
  app.post(
    '/services/:name/:verb',
    {
      schema: described('services', 'Start, stop or restart a service', {
        params: Type.Object({ name: oneOf(SERVICE_NAMES), verb: oneOf(['start', 'stop', 'restart'] as const) }, strict),
      }),
    },
    async (request) => control.services.act(actorOf(request), request.params.name, request.params.verb),
  )

  app.get('/stats', { schema: described('stats', 'Disk space, throughput, counts, queue, health of destinations', {}) }, async () =>
    control.stats(),
  )

  app.get('/logs', { schema: described('logs', 'Recent log lines', { querystring: LogQuery }) }, async (request) => ({
    items: control.logs.recent(toFilter(request.query)),
    next: null,
  }))
  app.get('/logs/download', { schema: described('logs', 'The whole log, as JSON lines', {}) }, async (_request, reply) =>
    reply
      .type('application/x-ndjson; charset=utf-8')
      .header('content-disposition', 'attachment; filename="fileflow-log.jsonl"')
      .send(Readable.from(control.logs.download())),
  )

  app.get('/audit', { schema: described('audit', 'Who did what, newest first', { querystring: AuditQuery }) }, async (request) =>
    control.audit.list(toFilter(request.query)),
  )
  app.get('/audit/verify', { schema: described('audit', 'Check the hash chain of the audit log', {}) }, async () => control.audit.verify())
  app.get('/audit/export', { schema: described('audit', 'The whole audit log, oldest first, as JSON lines', {}) }, async (request, reply) =>
    reply
      .type('application/x-ndjson; charset=utf-8')
      .header('content-disposition', 'attachment; filename="fileflow-audit.jsonl"')
      .send(Readable.from(control.audit.export(actorOf(request)))),
  )
}
