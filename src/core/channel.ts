// Calls over a message port: an id for each question, answers in any order, errors by code.
// Must not know what is asked; gatekeeper/ types it.
import { type ErrorRecord, FileFlowError, fromErrorRecord } from './errors.ts'

/** What a MessagePort and a Worker have in common. */
export interface MessagePortLike {
  postMessage(message: unknown): void
  on(event: 'message', listener: (message: never) => void): unknown
}

export interface Reply {
  readonly type: 'reply'
  readonly id: number
  readonly ok: boolean
  readonly value?: unknown
  readonly error?: ErrorRecord
}

/** The asking side. */
export class Caller {
  readonly #send: (message: { type: 'call'; id: number; method: string; args: readonly unknown[] }) => void
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #next = 1

  constructor(send: (message: { type: 'call'; id: number; method: string; args: readonly unknown[] }) => void) {
    this.#send = send
  }

  call(method: string, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = this.#next++
      this.#waiting.set(id, { resolve, reject })
      this.#send({ type: 'call', id, method, args })
    })
  }

  settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if (reply.ok) waiting?.resolve(reply.value)
    else waiting?.reject(fromErrorRecord(reply.error ?? { code: 'internal', message: 'no answer' }))
  }

  /** The other side is gone: nobody waits for ever. */
  abandon(): void {
    for (const { reject } of this.#waiting.values()) reject(new FileFlowError('service.unavailable'))
    this.#waiting.clear()
  }
}
