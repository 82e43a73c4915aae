// The stream of events to one browser (server-sent events), bounded whatever the browser does.
// Must not be relied on for truth: a client that falls behind is cut off, comes back and reads again.
import type { FastifyReply } from 'fastify'
import Type from 'typebox'
import { FileFlowError } from '../core/errors.ts'
import { errorFields } from '../core/log.ts'
import type { Identify } from './authentication.ts'
import type { ControlPlaneEvent } from './control-plane.ts'
import { type App, actorOf, described, type RouteContext } from './request.ts'

/** Events waiting for a slow client before it is cut off. */
const MOST_WAITING = 1000
const RECHECK_MS = 15_000
/** Streams at a time: a person has a few tabs open, a stolen login must not be able to use up the process. */
const MOST_OF_ONE = 64
const MOST_IN_ALL = 1000

const EventQuery = Type.Object(
  {
    types: Type.Optional(
      Type.String({
        maxLength: 200,
        pattern: '^[a-z]+(,[a-z]+)*$',
        description: 'first parts of the event types wanted: session,transfer',
      }),
    ),
  },
  { additionalProperties: false },
)

export function eventRoutes(app: App, context: RouteContext, identify: Identify): void {
  const open = new Set<() => void>()
  const held = new Map<string, number>()
  app.addHook('preClose', async () => {
    for (const close of open) close()
  })

  app.get(
    '/events',
    { sse: 'only', config: { unattended: true }, schema: described('events', 'Server-sent events', { querystring: EventQuery }) },
    async (request, reply) => {
      const { name } = actorOf(request)
      const streams = held.get(name) ?? 0
      if (streams >= MOST_OF_ONE || open.size >= MOST_IN_ALL) throw new FileFlowError('limit.rate', 'Too many event streams are open.')
      held.set(name, streams + 1)
      const wanted = request.query.types?.split(',')
      reply.sse.keepAlive()
      const waiting: ControlPlaneEvent[] = []
      const end = () => {
        reply.sse.close()
        if (reply.raw.writableLength > 0) reply.raw.destroy()
      }
      let pumping = false
      const pump = async () => {
        if (pumping) return
        pumping = true
        while (waiting.length > 0 && reply.sse.isConnected) await send(reply, waiting.shift()!)
        pumping = false
      }
      const drain = () => {
        pump().catch((error) => {
          context.log.debug('events.cut', 'an event stream broke off', errorFields(error))
          end()
        })
      }
      const push = (event: ControlPlaneEvent) => {
        if (wanted && !wanted.includes(event.type.split('.', 1)[0]!)) return
        if (waiting.push(event) > MOST_WAITING) {
          waiting.length = 0
          end()
          return
        }
        drain()
      }
      const unsubscribe = context.control.events.subscribe(push)
      // A login that ended, or an admin who was removed, must not go on watching.
      const recheck = setInterval(() => {
        try {
          if (identify(request) === null) end()
        } catch (error) {
          context.log.warn('events.recheck', 'an event stream was ended: its login could not be checked', errorFields(error))
          end()
        }
      }, RECHECK_MS)
      open.add(end)
      reply.sse.onClose(() => {
        unsubscribe()
        clearInterval(recheck)
        open.delete(end)
        const left = held.get(name)! - 1
        if (left > 0) held.set(name, left)
        else held.delete(name)
        waiting.length = 0
      })
      waiting.push({ type: 'hello', data: { version: context.control.version } })
      drain()
    },
  )
}

const send = (reply: FastifyReply, event: ControlPlaneEvent): Promise<void> => reply.sse.send({ event: event.type, data: event.data })
