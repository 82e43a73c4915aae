// Figures for the overview: disk, counts, queue, health of each destination.
// Must not be asked anew for each screen: the counts of a busy day take a while, so all figures are kept for a moment.
import { statfs } from 'node:fs/promises'
import type { LiveSessions } from '../accounts/live-sessions.ts'
import { type Clock, newId } from '../core/clock.ts'
import type { StatsView } from '../core/views.ts'
import type { Breakers } from '../forwarding/breakers.ts'
import type { Destinations } from '../forwarding/destinations.ts'
import type { Store } from '../store/store.ts'
import type { Throughput } from './throughput.ts'

const KEEP_MS = 5000

export interface StatsOptions {
  readonly store: Store
  readonly clock: Clock
  readonly live: LiveSessions
  readonly destinations: Destinations
  readonly breakers: Pick<Breakers, 'view'>
  readonly storageRoot: string
  readonly throughput: Throughput
}

export function createStats({
  store,
  clock,
  live,
  destinations,
  breakers,
  storageRoot,
  throughput,
}: StatsOptions): () => Promise<StatsView> {
  let kept: { at: number; stats: Promise<StatsView> } | undefined
  const make = async (now: number): Promise<StatsView> => {
    const disk = await statfs(storageRoot)
    const midnight = new Date(now)
    midnight.setUTCHours(0, 0, 0, 0)
    // ids begin with the time, so the first id of the day bounds the scan
    const today = store.transfers.since(newId(midnight.getTime()).slice(0, 10))
    const queue = store.deliveries.counts()
    return {
      uptime_ms: Math.round(process.uptime() * 1000),
      memory_bytes: process.memoryUsage.rss(),
      disk: { free: disk.bavail * disk.bsize, total: disk.blocks * disk.bsize },
      sessions: live.count(),
      transfers: { open: store.transfers.countOpen(), completed_today: today.n, bytes_in: today.bytes_in, bytes_out: today.bytes_out },
      queue: {
        pending: queue.pending,
        running: queue.running,
        retrying: queue.retrying,
        dead: queue.dead,
        oldest_pending_ms: queue.oldest === null ? null : now - queue.oldest,
      },
      throughput: throughput.view(),
      destinations: destinations.all().map(({ name, enabled }) => {
        const health = store.deliveries.health(name)
        const breaker = breakers.view(name)
        const at = (ms: number | null | undefined) => (ms == null ? null : new Date(ms).toISOString())
        const last = health.last_error
        const healed = last !== null && (health.last_delivered_at ?? 0) > last.at
        return {
          name,
          state: enabled === false ? 'paused' : breaker.state !== 'closed' || (last && !healed && health.retrying > 0) ? 'failing' : 'ok',
          breaker,
          pending: health.pending,
          running: health.running,
          retrying: health.retrying,
          delivered: health.delivered,
          dead: health.dead,
          failing: health.retrying + health.dead,
          oldest_pending_at: at(health.oldest_pending_at),
          last_error: last ? { ...last, at: new Date(last.at).toISOString() } : null,
          last_delivered_at: at(health.last_delivered_at),
        }
      }),
    }
  }
  return () => {
    const now = clock.now()
    if (!kept || now - kept.at > KEEP_MS) kept = { at: now, stats: make(now) }
    return kept.stats
  }
}
