// The worker's end of the door: the Gatekeeper interface over a message port.
// Must not answer anything itself, nor let a later message overtake an earlier one.
import { Caller, type MessagePortLike } from '../core/channel.ts'
import type { NewTransfer } from '../core/transfer.ts'
import type { Asked, Gatekeeper, ToControl, ToWorker } from './messages.ts'

/** Questions wait for an answer; notices do not. The types make every method one or the other. */
const METHODS = {
  admit: 'call',
  droppedUnheard: 'notice',
  departed: 'notice',
  mayTry: 'call',
  authenticate: 'call',
  openSession: 'call',
  closeSession: 'notice',
  beginTransfer: 'call',
  commitUpload: 'call',
  uploadsRenamed: 'call',
  published: 'notice',
  journaled: 'notice',
  confirmUpload: 'notice',
  endTransfer: 'notice',
  endHanging: 'call',
  isUploadedInto: 'call',
  usage: 'call',
  progress: 'notice',
  commitRename: 'call',
  commitRenames: 'call',
  renamed: 'notice',
  operation: 'notice',
  refused: 'notice',
  refusedMore: 'notice',
  activity: 'notice',
} as const satisfies { [M in keyof Gatekeeper]: ReturnType<Gatekeeper[M]> extends Promise<unknown> ? 'call' : 'notice' }

/** What nobody waits for goes with the next question, or after this time: each message wakes the other thread, which costs more than what it does then. */
const NOTICE_DELAY_MS = 20
/** Deliveries wait for these. */
const URGENT = new Set<string>(['published', 'renamed'] satisfies (keyof Gatekeeper)[])
const MOST_HELD = 100

export const isCall = (method: string): boolean => Object.hasOwn(METHODS, method) && METHODS[method as keyof Gatekeeper] === 'call'
export const isNotice = (method: string): boolean => Object.hasOwn(METHODS, method) && METHODS[method as keyof Gatekeeper] === 'notice'

export function createGatekeeperClient(port: Pick<MessagePortLike, 'postMessage'>): {
  gatekeeper: Gatekeeper
  settle(message: Extract<ToWorker, { type: 'replies' }>): void
  /** Sends what is held. */
  flush(): void
} {
  let held: Asked[] = []
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    // what is held from now on has its own time: else every file's notices would go alone, woken by the timer of the file before it
    clearTimeout(timer)
    timer = undefined
    if (held.length === 0) return
    const asked = held
    held = []
    port.postMessage({ type: 'asked', asked } satisfies ToControl)
  }
  const hold = (asked: Asked): void => {
    held.push(asked)
    if (held.length >= MOST_HELD) flush()
    else timer ??= setTimeout(flush, NOTICE_DELAY_MS)
  }
  const caller = new Caller((message) => {
    const asked = message as Asked
    hold(asked)
    if (!canWait(asked)) flush()
  })
  const gatekeeper: Record<string, unknown> = {}
  for (const [method, kind] of Object.entries(METHODS) as [keyof Gatekeeper, 'call' | 'notice'][]) {
    gatekeeper[method] =
      kind === 'call'
        ? (...args: unknown[]) => caller.call(method, args)
        : (...args: unknown[]) => {
            const asked = { type: 'notice', method, args } as Asked
            hold(asked)
            if (isUrgent(asked)) flush()
          }
  }
  return {
    gatekeeper: gatekeeper as unknown as Gatekeeper,
    settle: ({ replies }) => {
      for (const reply of replies) caller.settle(reply)
    },
    flush,
  }
}

const isUrgent = ({ method, args }: Asked): boolean => (method === 'confirmUpload' ? args[2] === true : URGENT.has(method))

/** A transfer that goes on without its grant. */
const canWait = ({ method, args }: Asked): boolean => method === 'beginTransfer' && !(args[0] as NewTransfer).waits
