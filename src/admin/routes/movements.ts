// What moves: transfers, deliveries and sessions.
// Must not change a state itself; the verbs refuse what cannot be done.
import Type from 'typebox'
import { DELIVERY_STATES } from '../../core/movement-views.ts'
import { oneOf } from '../../core/schema.ts'
import { ORIGINS, UPLOAD_STATES } from '../../core/transfer.ts'
import { type App, actorOf, described, Id, Moment, PageFields, PageQuery, type RouteContext, toFilter } from '../request.ts'

const strict = { additionalProperties: false } as const
const Text = Type.String({ minLength: 1, maxLength: 128 })

const TransferQuery = Type.Object(
  {
    ...PageFields,
    user: Type.Optional(Text),
    state: Type.Optional(oneOf(UPLOAD_STATES)),
    direction: Type.Optional(oneOf(['upload', 'download'] as const)),
    protocol: Type.Optional(oneOf(ORIGINS)),
    since: Type.Optional(Moment),
    until: Type.Optional(Moment),
    session: Type.Optional(Text),
  },
  strict,
)
const DeliveryQuery = Type.Object(
  { ...PageFields, state: Type.Optional(oneOf(DELIVERY_STATES)), rule: Type.Optional(Text), destination: Type.Optional(Text) },
  strict,
)
const Chosen = Type.Object(
  { state: Type.Optional(oneOf(DELIVERY_STATES)), rule: Type.Optional(Text), destination: Type.Optional(Text) },
  strict,
)

export function movementRoutes(app: App, { control }: RouteContext): void {
  app.get(
    '/transfers',
    { schema: described('transfers', 'List transfers, newest first', { querystring: TransferQuery }) },
    async (request) => control.transfers.list(toFilter(request.query)),
  )
  app.get('/transfers/:id', { schema: described('transfers', 'One transfer with its timeline', { params: Id }) }, async (request) =>
    control.transfers.get(request.params.id),
  )
  app.get(
    '/transfers/:id/why',
    { schema: described('transfers', 'Which rules take this file, and why the others do not', { params: Id }) },
    async (request) => control.transfers.why(request.params.id),
  )

  app.get(
    '/deliveries',
    { schema: described('deliveries', 'List deliveries, newest first', { querystring: DeliveryQuery }) },
    async (request) => control.deliveries.list(request.query),
  )
  app.get(
    '/deliveries/count',
    {
      schema: described('deliveries', 'How many an act on all that fit is about, up to 10,000; `more` says that there are more', {
        querystring: Type.Object({ state: oneOf(DELIVERY_STATES), rule: Type.Optional(Text), destination: Type.Optional(Text) }, strict),
      }),
    },
    async (request) => control.deliveries.count(request.query),
  )
  app.get('/deliveries/:id', { schema: described('deliveries', 'One delivery with its attempts', { params: Id }) }, async (request) =>
    control.deliveries.get(request.params.id),
  )
  app.get(
    '/deliveries/:id/receipt',
    { schema: described('deliveries', "The receipt of a delivery, signed with the gateway's key", { params: Id }) },
    async (request) => control.deliveries.receipt(request.params.id),
  )
  app.get('/receipts/key', { schema: described('deliveries', 'The public key that signs receipts', {}) }, async () =>
    control.deliveries.receiptKey(),
  )
  app.post('/deliveries/:id/retry', { schema: described('deliveries', 'Try again now', { params: Id }) }, async (request) =>
    control.deliveries.retry(actorOf(request), request.params.id),
  )
  app.post('/deliveries/:id/cancel', { schema: described('deliveries', 'Give up', { params: Id }) }, async (request) =>
    control.deliveries.cancel(actorOf(request), request.params.id),
  )
  app.post(
    '/deliveries/retry',
    {
      schema: described('deliveries', 'Try again all that fit; without a state all dead ones', { body: Type.Union([Chosen, Type.Null()]) }),
    },
    async (request) => {
      const count = await control.deliveries.retryAll(actorOf(request), request.body ?? {})
      return { count, retried: count }
    },
  )
  app.post('/deliveries/cancel', { schema: described('deliveries', 'Give up all that fit', { body: Chosen }) }, async (request) => ({
    count: await control.deliveries.cancelAll(actorOf(request), request.body),
  }))

  app.get('/sessions', { schema: described('sessions', 'List live sessions', { querystring: PageQuery }) }, async (request) =>
    control.sessions.list(request.query),
  )
  app.get('/sessions/:id', { schema: described('sessions', 'One live session', { params: Id }) }, async (request) =>
    control.sessions.get(request.params.id),
  )
  app.delete('/sessions/:id', { schema: described('sessions', 'End a session now', { params: Id }) }, async (request, reply) => {
    control.sessions.end(actorOf(request), request.params.id)
    return reply.code(204).send()
  })
}
