// What a session is doing, for the page of sessions: the command in flight.
// Must not cost a message a command: what is over in a moment is never told.

/** A command is told when it runs at such a moment; at most that often. */
const TELL_MS = 500

export class Activity {
  readonly #tell: (doing: string | null) => void
  #doing: string | null = null
  #told: string | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(tell: (doing: string | null) => void) {
    this.#tell = tell
  }

  /** @param doing the verb, never its argument; null: it waits for a command */
  set(doing: string | null): void {
    this.#doing = doing
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      if (this.#doing === this.#told) return
      this.#told = this.#doing
      this.#tell(this.#told)
    }, TELL_MS)
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
  }
}
