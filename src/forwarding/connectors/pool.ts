// A bounded set of open sessions to one destination: used again across files, shared by small ones, closed when idle, replaced when broken.
// Must not know what is done with a session.
import { FileFlowError } from '../../core/errors.ts'
import type { RemoteSession } from './remote-session.ts'

export interface Lease {
  readonly session: RemoteSession
  /** It served before: the far side may have hung up on it meanwhile. */
  readonly reused: boolean
  /** It ended for the sake of another one that had a share in it. */
  readonly cut: boolean
  /** This user's work is over, whatever still runs: the session ends, and nobody else gets it. */
  breakOff(): void
  /** Every lease comes back, whatever became of it. */
  release(): void
}

interface Connection {
  readonly opening: Promise<RemoteSession>
  readonly abort: AbortController
  session: RemoteSession | null
  users: number
  /** All its users are small. */
  shared: boolean
  served: boolean
  cut: boolean
  idle: NodeJS.Timeout | undefined
}

export interface PoolOptions {
  /** Connections at most. */
  readonly most: number
  readonly idleMs: number
  /** How many small files one session takes at once. */
  readonly share: number
}

export class SessionPool {
  readonly #open: (signal: AbortSignal) => Promise<RemoteSession>
  readonly #options: PoolOptions
  /** The least recently used first. */
  readonly #connections: Connection[] = []
  readonly #waiting: (() => void)[] = []
  #closed = false

  constructor(open: (signal: AbortSignal) => Promise<RemoteSession>, options: PoolOptions) {
    this.#open = open
    this.#options = options
  }

  /**
   * Waits for a free place, then for the connection.
   * @param small others may use the session at the same time
   * @throws what opening throws; the signal's reason; `service.draining` after close
   */
  async lease(signal: AbortSignal, small = false): Promise<Lease> {
    let found = this.#find(small)
    while (!found && !this.#closed && this.#connections.length >= this.#options.most) {
      await this.#turn(signal)
      found = this.#find(small)
    }
    if (signal.aborted || this.#closed) {
      // This turn goes to the next one waiting.
      this.#waiting.shift()?.()
      throw signal.aborted ? signal.reason : new FileFlowError('service.draining')
    }
    const connection = found ?? this.#connect()
    const reused = connection.served
    connection.users++
    connection.shared = small
    clearTimeout(connection.idle)
    // to the end: the others may go idle and close
    this.#remove(connection)
    this.#connections.push(connection)
    try {
      const session = connection.session ?? (await this.#opened(connection, signal))
      connection.served = true
      return {
        session,
        reused,
        get cut() {
          return connection.cut
        },
        breakOff: () => {
          connection.cut = true
          this.#remove(connection)
          session.destroy()
        },
        release: () => this.#leave(connection),
      }
    } catch (error) {
      this.#leave(connection)
      throw error
    }
  }

  /** Ends idle sessions now, leased ones as they come back. */
  async close(): Promise<void> {
    this.#closed = true
    const idle = this.#connections.filter(({ users }) => users === 0)
    for (const connection of idle) this.#remove(connection)
    for (const wake of this.#waiting.splice(0)) wake()
    await Promise.all(idle.map(({ session }) => session?.end()))
  }

  /** One that is open already comes before a new one, the most recently used first. */
  #find(small: boolean): Connection | undefined {
    for (const connection of [...this.#connections].reverse()) {
      const { session, users, shared } = connection
      if (session && !session.usable) {
        // broken while nobody looked; its users bring it back themselves
        if (users === 0) this.#drop(connection)
        continue
      }
      if (users === 0 || (small && shared && users < this.#options.share)) return connection
    }
    return undefined
  }

  #connect(): Connection {
    const abort = new AbortController()
    const opening = this.#open(abort.signal)
    const connection: Connection = { opening, abort, session: null, users: 0, shared: false, served: false, cut: false, idle: undefined }
    opening.then(
      (session) => {
        connection.session = session
        // all who wanted it have gone
        if (connection.users === 0) this.#drop(connection)
      },
      () => this.#remove(connection),
    )
    return connection
  }

  /** Whoever gives up waiting leaves the others to it; the last one ends it. */
  #opened(connection: Connection, signal: AbortSignal): Promise<RemoteSession> {
    return new Promise((resolve, reject) => {
      const gone = () => reject(signal.reason)
      signal.addEventListener('abort', gone, { once: true })
      connection.opening.then(resolve, reject).finally(() => signal.removeEventListener('abort', gone))
    })
  }

  #leave(connection: Connection): void {
    connection.users--
    const { session } = connection
    if (connection.users === 0) {
      if (!session) {
        this.#remove(connection)
        connection.abort.abort(new FileFlowError('delivery.cancelled'))
      } else if (this.#closed || !session.usable || !this.#connections.includes(connection)) this.#drop(connection)
      else connection.idle = setTimeout(() => this.#drop(connection), this.#options.idleMs).unref()
    } else if (session && !session.usable) this.#remove(connection)
    this.#waiting.shift()?.()
  }

  #drop(connection: Connection): void {
    this.#remove(connection)
    void connection.session?.end()
  }

  #remove(connection: Connection): void {
    clearTimeout(connection.idle)
    const at = this.#connections.indexOf(connection)
    if (at !== -1) this.#connections.splice(at, 1)
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
