// How many bytes passed in and out lately: a ring of sums, one for each step of time, for the chart of the overview.
// Must not be relied on for accounting; the rows of transfers are exact.
import type { Clock } from '../core/clock.ts'
import type { Direction } from '../core/transfer.ts'
import type { ThroughputView } from '../core/views.ts'

const STEP_MS = 5000
const STEPS = 120

export interface Throughput {
  /** Told as bytes pass. */
  moved(direction: Direction, bytes: number): void
  /** The last ten minutes, oldest first, without the step that is still running. */
  view(): ThroughputView
}

export function createThroughput(clock: Clock): Throughput {
  const steps = Array.from({ length: STEPS + 1 }, () => ({ step: -1, in: 0, out: 0 }))
  const present = () => Math.floor(clock.now() / STEP_MS)
  return {
    moved(direction, bytes) {
      if (!(bytes > 0)) return
      const step = present()
      const slot = steps[step % steps.length]!
      if (slot.step !== step) Object.assign(slot, { step, in: 0, out: 0 })
      slot[direction === 'upload' ? 'in' : 'out'] += bytes
    },
    view() {
      const last = present() - 1
      const rate = (sum: number) => Math.round((sum * 1000) / STEP_MS)
      const series = Array.from({ length: STEPS }, (_, at) => {
        const step = last - STEPS + 1 + at
        const slot = steps[step % steps.length]!
        const known = slot.step === step
        return { at: new Date(step * STEP_MS).toISOString(), in: known ? rate(slot.in) : 0, out: known ? rate(slot.out) : 0 }
      })
      return { step_ms: STEP_MS, series }
    },
  }
}
