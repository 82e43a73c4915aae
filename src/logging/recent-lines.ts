// The newest log lines in memory, for the log page: a ring of fixed size.
// Must not read files; older lines are in the download.
import type { LogLevel } from '../core/log.ts'
import type { LogView } from '../core/views.ts'

export const LEVELS = ['debug', 'info', 'warn', 'error'] as const satisfies readonly LogLevel[]

export interface RecentFilter {
  readonly service?: string
  /** This level and above. */
  readonly level?: string
  /** Part of any text of the line; case does not matter. */
  readonly q?: string
  /** ms, both included. */
  readonly since?: number
  readonly until?: number
  /** Default 200. */
  readonly limit?: number
}

export interface RecentLines {
  add(line: LogView): void
  /** Newest first. */
  find(filter: RecentFilter): LogView[]
}

const DEFAULT_LIMIT = 200

export function createRecentLines(capacity: number): RecentLines {
  const ring: LogView[] = []
  let next = 0
  return {
    add(line) {
      ring[next] = line
      next = (next + 1) % capacity
    },
    find(filter) {
      const fits = matcher(filter)
      const found: LogView[] = []
      for (let back = 1; back <= ring.length && found.length < (filter.limit ?? DEFAULT_LIMIT); back++) {
        const line = ring[(next - back + capacity) % capacity]
        if (line && fits(line)) found.push(line)
      }
      return found
    },
  }
}

function matcher({ service, level, q, since, until }: RecentFilter): (line: LogView) => boolean {
  const least = LEVELS.indexOf(level as LogLevel)
  const text = q?.toLowerCase()
  return (line) => {
    if (service !== undefined && line.service !== service) return false
    if (LEVELS.indexOf(line.level) < least) return false
    const at = Date.parse(line.time)
    if ((since !== undefined && at < since) || (until !== undefined && at > until)) return false
    return !text || JSON.stringify(line).toLowerCase().includes(text)
  }
}
