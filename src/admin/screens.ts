// What screens are told without anything having been changed by a verb: the figures every few seconds, and each line of the log.
// Must not do anything while nobody looks.
import { errorFields, type Logger } from '../core/log.ts'
import type { LogView, StatsView } from '../core/views.ts'
import type { EventHub } from './event-hub.ts'

const EVERY_MS = 5000

export interface ScreensOptions {
  readonly events: EventHub
  readonly stats: () => Promise<StatsView>
  readonly output: { onLine(listener: (line: LogView) => void): () => void }
  readonly log: Logger
}

export function informScreens({ events, stats, output, log }: ScreensOptions): { close(): void } {
  const timer = setInterval(() => {
    if (!events.heard()) return
    stats().then(
      (figures) => events.emit('stats', () => figures),
      (error: unknown) => log.warn('stats.failed', 'The figures for the overview could not be read.', errorFields(error)),
    )
  }, EVERY_MS)
  timer.unref()
  // A line about an event that could not be told must not become such an event itself.
  let telling = false
  const forget = output.onLine((line) => {
    if (telling) return
    telling = true
    events.emit('log', () => line)
    telling = false
  })
  return {
    close() {
      clearInterval(timer)
      forget()
    },
  }
}
