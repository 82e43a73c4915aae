// The worker's end of the door: the Gatekeeper interface over a message port.
// Must not answer anything itself.
import { Caller, type MessagePortLike } from '../core/channel.ts'
import type { Gatekeeper, ToControl, ToWorker } from './messages.ts'

/** Questions wait for an answer; notices do not. The types make every method one or the other. */
const METHODS = {
  admit: 'call',
  departed: 'notice',
  mayTry: 'call',
  authenticate: 'call',
  openSession: 'call',
  closeSession: 'notice',
  beginTransfer: 'call',
  commitUpload: 'call',
  published: 'notice',
  activity: 'notice',
  confirmUpload: 'notice',
  endTransfer: 'notice',
  usage: 'call',
  progress: 'notice',
  commitRename: 'call',
  renamed: 'notice',
  operation: 'notice',
} as const satisfies { [M in keyof Gatekeeper]: ReturnType<Gatekeeper[M]> extends Promise<unknown> ? 'call' : 'notice' }

export const isCall = (method: string): boolean => Object.hasOwn(METHODS, method) && METHODS[method as keyof Gatekeeper] === 'call'
export const isNotice = (method: string): boolean => Object.hasOwn(METHODS, method) && METHODS[method as keyof Gatekeeper] === 'notice'

export function createGatekeeperClient(port: Pick<MessagePortLike, 'postMessage'>): {
  gatekeeper: Gatekeeper
  settle(reply: Extract<ToWorker, { type: 'reply' }>): void
} {
  const send = (message: ToControl): void => port.postMessage(message)
  const caller = new Caller((message) => send(message as ToControl))
  const gatekeeper: Record<string, unknown> = {}
  for (const [method, kind] of Object.entries(METHODS) as [keyof Gatekeeper, 'call' | 'notice'][]) {
    gatekeeper[method] =
      kind === 'call' ? (...args: unknown[]) => caller.call(method, args) : (...args: unknown[]) => send({ type: 'notice', method, args })
  }
  return { gatekeeper: gatekeeper as unknown as Gatekeeper, settle: (reply) => caller.settle(reply) }
}
