// Bytes of running transfers, told to the control plane at most once a second each, and once more when they stop moving.
// Must not cost anything on the hot path but a map look-up.
import { monotonic } from '../core/clock.ts'

const EVERY_MS = 1000

interface Told {
  /** When, and how many bytes. */
  at: number
  told: number
  bytes: number
}

export class ProgressReporter {
  readonly #tell: (transferId: string, bytes: number) => void
  readonly #last = new Map<string, Told>()
  #timer: NodeJS.Timeout | null = null

  constructor(tell: (transferId: string, bytes: number) => void) {
    this.#tell = tell
  }

  report(transferId: string, bytes: number): void {
    const now = monotonic()
    let last = this.#last.get(transferId)
    if (!last) {
      last = { at: now, told: 0, bytes }
      this.#last.set(transferId, last)
    }
    last.bytes = bytes
    if (now - last.at >= EVERY_MS) this.#say(transferId, last, now)
    // else nobody would hear of what came before a silence
    else this.#timer ??= setTimeout(() => this.#rest(), EVERY_MS).unref()
  }

  #say(transferId: string, last: Told, now: number): void {
    last.at = now
    last.told = last.bytes
    this.#tell(transferId, last.bytes)
  }

  #rest(): void {
    this.#timer = null
    const now = monotonic()
    for (const [transferId, last] of this.#last) {
      if (last.bytes === last.told) continue
      if (now - last.at >= EVERY_MS) this.#say(transferId, last, now)
      else this.#timer ??= setTimeout(() => this.#rest(), EVERY_MS).unref()
    }
  }

  /** The bytes of the last report. */
  of(transferId: string): number {
    return this.#last.get(transferId)?.bytes ?? 0
  }

  forget(transferId: string): void {
    this.#last.delete(transferId)
  }
}
