// When a session has waited too long: for its login, or for its next command.
// Must not end a session that moves a file; transfers have a stall timer of their own.
import type { Config } from '../../config/schema.ts'
import type { Reply } from './replies.ts'

export class SessionTimers {
  readonly #limits: Config['limits']
  readonly #transferring: () => boolean
  readonly #expire: (reply: Reply) => void
  #timer: NodeJS.Timeout | undefined
  #loggedIn = false
  #stopped = false

  constructor(limits: Config['limits'], transferring: () => boolean, expire: (reply: Reply) => void) {
    this.#limits = limits
    this.#transferring = transferring
    this.#expire = expire
    this.awaitLogin()
  }

  /** Not moved by commands: a login has to succeed in this time. */
  awaitLogin(): void {
    this.#loggedIn = false
    this.#start(this.#limits.login_timeout, 'Log in faster: the connection is closed.')
  }

  loggedIn(): void {
    this.#loggedIn = true
    this.#start(this.#limits.idle_timeout, 'No command for too long: the connection is closed.')
  }

  /** A command came, or a transfer ended. */
  active(): void {
    if (this.#loggedIn && !this.#stopped) this.#timer?.refresh()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #start(ms: number, text: string): void {
    clearTimeout(this.#timer)
    if (this.#stopped) return
    const timer = setTimeout(() => {
      if (this.#transferring()) timer.refresh()
      else this.#expire({ code: 421, text })
    }, ms)
    this.#timer = timer
  }
}
