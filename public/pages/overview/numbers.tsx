// The queue and the machine in a row of numbers.
// Must not list anything.
import { Button } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { RotateCw } from 'lucide-react'
import type { ReactNode } from 'react'
import { api } from '../../api.ts'
import { formatAge, formatCount, formatDuration, formatSize } from '../../format.ts'
import { failed, worked } from '../../parts/failure.tsx'
import { strings } from '../../strings.ts'
import { useStats } from './figures.ts'

const words = strings.queue

export function Numbers({ mayAct }: { mayAct: boolean }) {
  const queries = useQueryClient()
  const { data } = useStats()
  const retryAll = useMutation({
    mutationFn: () => api<{ count: number }>('POST', '/deliveries/retry', { state: 'dead' }),
    onSuccess: ({ count }) => worked(words.retried(count)),
    onError: failed,
    onSettled: () => Promise.all(['stats', 'deliveries', 'transfers'].map((key) => queries.invalidateQueries({ queryKey: [key] }))),
  })
  const queue = data?.queue
  const oldest = queue && queue.oldest_pending_ms !== null ? words.oldest(formatAge(queue.oldest_pending_ms)) : ''
  return (
    <dl className="numbers" id="numbers">
      <Tile label={words.pending} value={queue && formatCount(queue.pending)} note={oldest} />
      <Tile label={words.running} value={queue && formatCount(queue.running)} />
      <Tile label={words.retrying} value={queue && formatCount(queue.retrying)} tone={queue && queue.retrying > 0 ? 'warn' : undefined} />
      <Tile
        label={words.dead}
        value={queue && formatCount(queue.dead)}
        tone={queue && queue.dead > 0 ? 'bad' : undefined}
        note={
          queue && queue.dead > 0 && mayAct ? (
            <Button
              size="compact-xs"
              variant="light"
              color="red"
              leftSection={<RotateCw size={12} aria-hidden="true" />}
              loading={retryAll.isPending}
              onClick={() => retryAll.mutate()}
            >
              {words.retryAll(queue.dead)}
            </Button>
          ) : (
            ''
          )
        }
      />
      <Tile
        label={words.today}
        value={data && formatCount(data.transfers.completed_today)}
        note={data ? words.open(data.transfers.open) : ''}
      />
      <Tile label={words.disk} value={data && formatSize(data.disk.free)} note={data ? words.of(formatSize(data.disk.total)) : ''} />
      <Tile
        label={words.uptime}
        value={data && formatDuration(data.uptime_ms)}
        note={data ? words.memory(formatSize(data.memory_bytes)) : ''}
      />
    </dl>
  )
}

function Tile({ label, value, note, tone }: { label: string; value: ReactNode; note?: ReactNode; tone?: 'warn' | 'bad' | undefined }) {
  return (
    <div className="tile" data-tone={tone}>
      <dt>{label}</dt>
      <dd>
        <span className="value">{value ?? '–'}</span>
        <span className="note">{note}</span>
      </dd>
    </div>
  )
}
