// Bytes of running transfers, told to the control plane at most once a second each.
// Must not cost anything on the hot path but a map look-up.
import { monotonic } from '../core/clock.ts'

const EVERY_MS = 1000

export class ProgressReporter {
  readonly #tell: (transferId: string, bytes: number) => void
  readonly #last = new Map<string, { told: number; bytes: number }>()

  constructor(tell: (transferId: string, bytes: number) => void) {
    this.#tell = tell
  }

  report(transferId: string, bytes: number): void {
    const now = monotonic()
    const last = this.#last.get(transferId)
    if (!last) {
      this.#last.set(transferId, { told: now, bytes })
      return
    }
    last.bytes = bytes
    if (now - last.told < EVERY_MS) return
    last.told = now
    this.#tell(transferId, bytes)
  }

  /** The bytes of the last report. */
  of(transferId: string): number {
    return this.#last.get(transferId)?.bytes ?? 0
  }

  forget(transferId: string): void {
    this.#last.delete(transferId)
  }
}
