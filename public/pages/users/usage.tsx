// What a user's files take, and how much of the quota that is.
// Must not decide what counts; the gateway does.
import { Button } from '@mantine/core'
import { RefreshCw } from 'lucide-react'
import { parseSize } from '../../../src/core/units.ts'
import type { UserView } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { formatCount, formatSize } from '../../format.ts'
import { useAct } from '../../parts/act.ts'
import { strings } from '../../strings.ts'

const words = strings.users
/** From here on it is worth a word with the partner. */
const NEARLY = 0.9

export function Usage({ user: { usage, quota } }: { user: UserView }) {
  const most = quota.bytes === undefined ? undefined : parseSize(quota.bytes)
  const share = Math.max(most ? usage.bytes / most : 0, quota.files ? usage.files / quota.files : 0)
  const bytes = most === undefined ? formatSize(usage.bytes) : words.of(formatSize(usage.bytes), formatSize(most))
  const files =
    quota.files === undefined
      ? words.files(usage.files, formatCount(usage.files))
      : words.filesOf(formatCount(usage.files), formatCount(quota.files))
  return (
    <div className="usage" data-tone={share >= 1 ? 'bad' : share >= NEARLY ? 'warn' : undefined}>
      {bytes}
      {most === undefined && quota.files === undefined ? null : (
        <meter className="usage-bar" min={0} max={1} high={NEARLY} value={Math.min(1, share)} aria-label={words.usage} />
      )}
      <div className="quiet">{files}</div>
    </div>
  )
}

/** Counts what is there anew: for when a number and the disk may differ, as after files were moved by hand. */
export function Recount({ username }: { username: string }) {
  const recount = useAct(() => api<{ files: number; bytes: number }>('POST', `/users/${encodeURIComponent(username)}/recount`), {
    touches: ['users'],
    done: ({ files, bytes }) => words.recounted(files, formatCount(files), formatSize(bytes)),
  })
  return (
    <Button
      size="compact-xs"
      variant="default"
      title={words.recountHint}
      leftSection={<RefreshCw size={12} aria-hidden="true" />}
      loading={recount.isPending}
      onClick={() => recount.mutate()}
    >
      {words.recount}
    </Button>
  )
}
