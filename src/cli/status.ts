// `status`: how the gateway is doing, for people and for scripts.
// Must not judge; it prints what the gateway says.

import type { SessionView } from '../core/movement-views.ts'
import { formatDuration, formatSize } from '../core/units.ts'
import type { ServiceView, StatsView } from '../core/views.ts'
import { ask, askAll } from './api-client.ts'
import { type Command, parse, table } from './command.ts'

export const status: Command = {
  name: 'status',
  summary: 'services, sessions and queue',
  usage: 'Usage: fileflow status [--json] [--config FILE]',
  async run(args, io) {
    const { values } = parse(args, { json: { type: 'boolean' } }, [0, 0])
    const transport = await io.transport(values.config)
    const { items: services } = await ask<{ items: ServiceView[] }>(transport, 'GET', '/services')
    const stats = await ask<StatsView>(transport, 'GET', '/stats')
    const sessions: SessionView[] = []
    for await (const session of askAll<SessionView>(transport, '/sessions')) sessions.push(session)
    if (values.json) {
      io.stdout.write(`${JSON.stringify({ services, sessions, stats }, null, 2)}\n`)
      return 0
    }
    const { queue, disk } = stats
    const oldest = queue.oldest_pending_ms === null ? '' : `, oldest ${formatDuration(queue.oldest_pending_ms)}`
    io.stdout.write(
      [
        table(
          ['SERVICE', 'STATE', 'PORT', 'SINCE', 'RESTARTS', 'ERROR'],
          services.map((s) => [s.name, s.state, s.port ?? '-', s.since, s.restarts, s.error ?? '']),
        ),
        sessions.length === 0
          ? 'No live sessions.\n'
          : table(
              ['SESSION', 'USER', 'PROTOCOL', 'ADDRESS', 'SINCE', 'TRANSFERS'],
              sessions.map((s) => [s.id, s.username, s.protocol, s.address, s.started_at, s.transfers.length]),
            ),
        `Queue: ${queue.pending} pending, ${queue.running} running, ${queue.retrying} retrying, ${queue.dead} dead${oldest}\n` +
          `Today: ${stats.transfers.completed_today} transfers completed, ${stats.transfers.open} open\n` +
          `Disk:  ${formatSize(disk.free)} free of ${formatSize(disk.total)}\n`,
      ].join('\n'),
    )
    return 0
  },
}
