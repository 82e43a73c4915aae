// A token bucket: bytes a second with a tenth of a second's burst, so that a limited transfer stays smooth.
// Must not hold a timer while nothing waits, nor anyone waiting by a rate that no longer holds.
import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { monotonic } from '../core/clock.ts'

type Sleep = (ms: number, value: undefined, options: { signal: AbortSignal }) => Promise<unknown>

export class RateLimiter {
  #rate: number | null
  readonly #now: () => number
  readonly #sleep: Sleep
  #free = 0
  #at: number
  #waiting = new AbortController()

  /** @param rate bytes a second; null is without limit */
  constructor(rate: number | null, now: () => number = monotonic, wait: Sleep = sleep) {
    this.#rate = rate
    this.#now = now
    this.#sleep = wait
    this.#at = now()
    setMaxListeners(0, this.#waiting.signal)
  }

  /** Whoever waits by the old rate goes on at once. */
  setRate(rate: number | null): void {
    if (rate === this.#rate) return
    this.#rate = rate
    this.#free = Math.max(0, this.#free)
    const before = this.#waiting
    this.#waiting = new AbortController()
    setMaxListeners(0, this.#waiting.signal)
    before.abort()
  }

  /** Resolves when `bytes` may pass; at once while there is no limit. */
  take(bytes: number): Promise<void> | undefined {
    if (this.#rate === null) return undefined
    const rate = Math.max(1, this.#rate)
    const now = this.#now()
    this.#free = Math.min(rate / 10, this.#free + ((now - this.#at) / 1000) * rate) - bytes
    this.#at = now
    if (this.#free >= 0) return undefined
    const { signal } = this.#waiting
    return this.#sleep((-this.#free / rate) * 1000, undefined, { signal }).then(
      () => undefined,
      (error: unknown) => {
        if (!signal.aborted) throw error
      },
    )
  }
}
