// What rules would have made of the uploads that really came, compared with the stored ones.
// Must not send a file.
import { Button, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { RuleSpec } from '../../../src/core/rule.ts'
import type { HistoryResult } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { Refusal } from '../../parts/form.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Moment, Path, Word } from '../../parts/words.tsx'
import { Link } from '../../router.tsx'
import { strings } from '../../strings.ts'

const words = strings.rules
/** More are counted, not listed. */
const MOST_SHOWN = 50

/** @param rules as they would be */
export function OverHistory({ rules }: { rules: readonly RuleSpec[] }) {
  const [days, setDays] = useState('7')
  const run = useMutation({ mutationFn: () => api<HistoryResult>('POST', '/rules/simulate', { days: Number(days), rules }) })
  const { counts, truncated } = run.data ?? {}
  const nothing = counts !== undefined && counts.added + counts.removed + counts.renamed === 0
  return (
    <Panel title={words.history}>
      <div className="row">
        <div className="grow stack">
          <p className="quiet">{words.historyNote}</p>
          <div className="line-row">
            <TextInput
              className="grow"
              type="number"
              min={1}
              max={400}
              label={words.days}
              value={days}
              onChange={({ currentTarget }) => setDays(currentTarget.value)}
            />
            <Button variant="default" loading={run.isPending} onClick={() => run.mutate()}>
              {words.runHistory}
            </Button>
          </div>
          <div role="status" className="stack">
            <Refusal error={run.error} />
            {counts ? (
              <p className="quiet">
                {words.looked(counts.looked_at, counts.matched)} {truncated ? words.truncated : ''} {nothing ? words.same : ''}
              </p>
            ) : null}
            {run.data && counts ? (
              <>
                <Changes title={words.added(counts.added)} changes={run.data.added} />
                <Changes title={words.dropped(counts.removed)} changes={run.data.removed} />
                <Changes title={words.renamed(counts.renamed)} changes={run.data.renamed} />
              </>
            ) : null}
          </div>
        </div>
      </div>
    </Panel>
  )
}

function Changes({ title, changes }: { title: string; changes: HistoryResult['added'] }) {
  if (changes.length === 0) return null
  return (
    <details open>
      <summary>{title}</summary>
      <ul>
        {changes.slice(0, MOST_SHOWN).map((change) => (
          <li className="preview-row" key={`${change.transfer} ${change.rule} ${change.destination} ${change.remote_path}`}>
            <Link className="link" href={`/transfers/${encodeURIComponent(change.transfer)}`}>
              <Path path={change.path} />
            </Link>
            <div className="quiet">
              <Word>{change.user}</Word>, <Moment at={change.at} />
            </div>
            <div>
              → <bdi>{change.destination}</bdi>: <Path path={change.remote_path} />
            </div>
            {change.instead_of === null ? null : (
              <div className="quiet">
                {words.insteadOf} <Path path={change.instead_of} />
              </div>
            )}
          </li>
        ))}
      </ul>
    </details>
  )
}
