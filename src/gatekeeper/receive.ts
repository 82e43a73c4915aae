// The control plane's end of the wire: takes what a listener worker sends, hands it to the gatekeeper in order, and sends the answers.
// Must not let a worker call anything that is not in the table of methods, nor tell it more of a failure than its code and words.
import type { Reply } from '../core/channel.ts'
import { ERRORS, FileFlowError, toErrorRecord } from '../core/errors.ts'
import { errorFields, type Logger } from '../core/log.ts'
import type { Gatekeeper, ToControl, ToWorker } from './messages.ts'
import { isCall, isNotice } from './worker-side.ts'

export interface ReceiverOptions {
  readonly gatekeeper: Gatekeeper
  readonly log: Logger
  post(message: ToWorker): void
}

/** @returns takes one message of the worker's; `log`, `ready` and `stopped` are not for here */
export function createReceiver({ gatekeeper, log, post }: ReceiverOptions): (message: ToControl) => void {
  const methods = gatekeeper as unknown as Record<string, (...args: readonly unknown[]) => unknown>
  let answers: Reply[] = []
  // what one transaction answered goes out as one message: waking a thread costs more than all else of a small file
  const answer = (reply: Reply): void => {
    answers.push(reply)
    if (answers.length === 1) process.nextTick(send)
  }
  const send = (): void => {
    const replies = answers
    answers = []
    post({ type: 'replies', replies })
  }

  const call = (id: number, method: keyof Gatekeeper, args: readonly unknown[]): void => {
    new Promise((resolve) => resolve(methods[method]!(...args))).then(
      (value) => answer({ type: 'reply', id, ok: true, value }),
      (error: unknown) => {
        const ours = error instanceof FileFlowError
        if (!ours) log.error('gatekeeper.failed', `A question could not be answered: ${method}.`, errorFields(error))
        answer({ type: 'reply', id, ok: false, error: ours ? toErrorRecord(error) : { code: 'internal', message: ERRORS.internal.text } })
      },
    )
  }

  return (message) => {
    if (message.type !== 'asked') return
    for (const asked of message.asked) {
      if (asked.type === 'call' && isCall(asked.method)) call(asked.id, asked.method, asked.args)
      else if (asked.type === 'notice' && isNotice(asked.method)) methods[asked.method]!(...asked.args)
    }
  }
}
