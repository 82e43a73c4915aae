// What is wrong, worst first, out of the figures: an empty list is the all-clear.
// Must not call anything clear that was not looked at.
import type { ServiceView, StatsView } from '../../../src/core/views.ts'
import { formatDuration, formatSize } from '../../format.ts'
import { strings } from '../../strings.ts'

const words = strings.verdict

export interface Finding {
  readonly tone: 'bad' | 'warn'
  readonly text: string
  /** Where one sees more and acts. */
  readonly href: string
}

const LOW_DISK = 0.1
const NO_DISK = 0.03
/** A queue that is this old is stuck, not busy. */
const OLD_QUEUE_MS = 10 * 60_000

export function findings(stats: StatsView, services: readonly ServiceView[]): readonly Finding[] {
  const found: Finding[] = []
  const bad = (text: string, href: string) => found.push({ tone: 'bad', text, href })
  const warn = (text: string, href: string) => found.push({ tone: 'warn', text, href })

  for (const service of services) {
    const name = strings.services.names[service.name]
    if (service.state === 'failed') bad(words.serviceFailed(name), '#services')
    // Without a watched folder the watcher has nothing to do; it is no fault that it stands.
    else if (service.state !== 'running' && service.name !== 'watcher')
      warn(words.serviceNot(name, strings.services.states[service.state].toLowerCase()), '#services')
  }
  const { queue, disk } = stats
  if (queue.dead > 0) bad(words.dead(queue.dead), '/deliveries?state=dead')
  if (queue.retrying > 0) warn(words.retrying(queue.retrying), '/deliveries?state=retrying')
  if (queue.oldest_pending_ms !== null && queue.oldest_pending_ms > OLD_QUEUE_MS)
    warn(words.oldQueue(formatDuration(queue.oldest_pending_ms)), '/deliveries?state=pending')
  for (const { name, state } of stats.destinations) if (state === 'failing') bad(words.destination(name), '#destinations')
  const share = disk.total > 0 ? disk.free / disk.total : 1
  if (share < NO_DISK) bad(words.disk(formatSize(disk.free)), '#numbers')
  else if (share < LOW_DISK) warn(words.disk(formatSize(disk.free)), '#numbers')
  return found.sort((a, b) => (a.tone === b.tone ? 0 : a.tone === 'bad' ? -1 : 1))
}
