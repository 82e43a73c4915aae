// A bounded set of open sessions to one destination: used again across files, closed when idle, replaced when broken.
// Must not know what is done with a session.
import { FileFlowError } from '../../core/errors.ts'
import type { RemoteSession } from './remote-session.ts'

export interface Lease {
  readonly session: RemoteSession
  /** It served before: the far side may have hung up on it meanwhile. */
  readonly reused: boolean
}

interface Idle {
  readonly session: RemoteSession
  readonly timer: NodeJS.Timeout
}

export class SessionPool {
  readonly #open: (signal: AbortSignal) => Promise<RemoteSession>
  readonly #most: number
  readonly #idleMs: number
  readonly #idle: Idle[] = []
  readonly #waiting: (() => void)[] = []
  #taken = 0
  #closed = false

  constructor(open: (signal: AbortSignal) => Promise<RemoteSession>, most: number, idleMs: number) {
    this.#open = open
    this.#most = most
    this.#idleMs = idleMs
  }

  /** Waits for a free place, then for the connection. @throws what opening throws; the signal's reason; `service.draining` after close */
  async lease(signal: AbortSignal): Promise<Lease> {
    while (this.#taken >= this.#most) await this.#turn(signal)
    if (signal.aborted || this.#closed) {
      // This turn goes to the next one waiting.
      this.#waiting.shift()?.()
      throw signal.aborted ? signal.reason : new FileFlowError('service.draining')
    }
    this.#taken++
    const session = this.#takeIdle()
    if (session) return { session, reused: true }
    try {
      return { session: await this.#open(signal), reused: false }
    } catch (error) {
      this.#free()
      throw error
    }
  }

  /** Every lease comes back, whatever became of it. */
  release({ session }: Lease): void {
    if (!session.usable || this.#closed) void session.end()
    else {
      const timer = setTimeout(() => {
        this.#idle.splice(
          this.#idle.findIndex((entry) => entry.session === session),
          1,
        )
        void session.end()
      }, this.#idleMs)
      timer.unref()
      this.#idle.push({ session, timer })
    }
    this.#free()
  }

  /** Ends idle sessions now, leased ones as they come back. */
  async close(): Promise<void> {
    this.#closed = true
    const idle = this.#idle.splice(0)
    for (const { timer } of idle) clearTimeout(timer)
    for (const wake of this.#waiting.splice(0)) wake()
    await Promise.all(idle.map(({ session }) => session.end()))
  }

  /** The most recently used first: the others may go idle and close. */
  #takeIdle(): RemoteSession | undefined {
    for (let entry = this.#idle.pop(); entry; entry = this.#idle.pop()) {
      clearTimeout(entry.timer)
      if (entry.session.usable) return entry.session
      void entry.session.end()
    }
    return undefined
  }

  #free(): void {
    this.#taken--
    this.#waiting.shift()?.()
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const wake = () => {
        signal.removeEventListener('abort', gone)
        resolve()
      }
      const gone = () => {
        const at = this.#waiting.indexOf(wake)
        if (at !== -1) this.#waiting.splice(at, 1)
        reject(signal.reason)
      }
      signal.addEventListener('abort', gone, { once: true })
      this.#waiting.push(wake)
    })
  }
}
