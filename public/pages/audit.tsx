// The audit log: who did what, searched and exported, and whether its chain is whole.
// Must not change a row; nobody can.
import { Alert, Button } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { Download, ShieldCheck } from 'lucide-react'
import type { AuditView } from '../../src/core/views.ts'
import { api } from '../api.ts'
import { FilterBar } from '../parts/filters.tsx'
import { Refusal } from '../parts/form.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { Empty } from '../parts/panel.tsx'
import { type Column, Paged, Table, usePages } from '../parts/table.tsx'
import { Moment, State, Word } from '../parts/words.tsx'
import { useFilters } from '../router.tsx'
import { strings } from '../strings.ts'
import '../manage.css'
import { What } from './audit/detail.tsx'

const words = strings.audit
const FILTERS = ['q', 'actor', 'action', 'outcome', 'since', 'until'] as const

interface Verdict {
  readonly ok: boolean
  readonly rows: number
  readonly broken: number | null
  readonly first: number
}

const COLUMNS: Column<AuditView>[] = [
  { key: 'at', label: words.when, width: '9.5rem', render: ({ at }) => <Moment at={at} /> },
  {
    key: 'actor',
    label: words.actor,
    width: '14rem',
    render: ({ actor, address }) => (
      <div>
        <Word>{actor}</Word>
        {address === '' ? null : (
          <div className="quiet">
            <Word>{address}</Word>
          </div>
        )}
      </div>
    ),
  },
  { key: 'action', label: words.action, width: '15rem', render: ({ action }) => <Action name={action} /> },
  { key: 'object', label: words.object, render: ({ object, detail }) => <What object={object} detail={detail} /> },
  {
    key: 'outcome',
    label: words.outcome,
    width: '8rem',
    render: ({ outcome }) => <State state={outcome === 'ok' ? 'completed' : 'failed'} label={words.outcomes[outcome]} />,
  },
  { key: 'seq', label: words.row, width: '5rem', align: 'end', render: ({ seq, hash }) => <span title={hash}>{seq}</span> },
]

/** In words, with the name that filters and exports use. */
function Action({ name }: { name: string }) {
  const words = Object.hasOwn(strings.recorded.actions, name) ? strings.recorded.actions[name] : undefined
  return words === undefined ? (
    <span className="mono">{name}</span>
  ) : (
    <div>
      {words}
      <div className="quiet mono">{name}</div>
    </div>
  )
}

/** The beginning of the viewer's own day, or of the one `later`; what is no day goes as it is, so that the gateway says so. */
function dayAt(value: string, later: number): string {
  const day = new Date(`${value}T00:00:00`)
  return Number.isNaN(day.getTime()) ? value : new Date(day.setDate(day.getDate() + later) - later).toISOString()
}

export function Audit() {
  const [filters] = useFilters()
  const asked = new URLSearchParams({ limit: '100' })
  for (const key of FILTERS) {
    const value = filters.get(key)
    if (value) asked.set(key, key === 'since' ? dayAt(value, 0) : key === 'until' ? dayAt(value, 1) : value)
  }
  const query = usePages<AuditView>(['audit', asked.toString()], `/audit?${asked}`)
  const verify = useMutation({ mutationFn: () => api<Verdict>('GET', '/audit/verify') })
  const verdict = verify.data
  return (
    <>
      <PageHead title={words.title} note={words.note}>
        <Button
          variant="default"
          leftSection={<ShieldCheck size={16} aria-hidden="true" />}
          loading={verify.isPending}
          onClick={() => verify.mutate()}
        >
          {words.verify}
        </Button>
        <Button
          component="a"
          href="/api/v1/audit/export"
          download="fileflow-audit.jsonl"
          variant="default"
          leftSection={<Download size={16} aria-hidden="true" />}
        >
          {words.export}
        </Button>
      </PageHead>
      <div role="status">
        {verdict ? (
          <Alert color={verdict.ok ? 'green' : 'red'} variant="light" className="refusal">
            {verdict.ok || verdict.broken === null ? words.verified(verdict.rows) : words.broken(verdict.broken)}
            {verdict.first > 1 ? ` ${words.verifiedFrom(verdict.first)}` : ''}
          </Alert>
        ) : null}
        <Refusal error={verify.error} />
      </div>
      <FilterBar
        search={words.search}
        texts={[
          { key: 'actor', label: words.actor },
          { key: 'action', label: words.action },
        ]}
        choices={[{ key: 'outcome', label: words.outcome, options: words.outcomes }]}
        dates={[
          { key: 'since', label: words.since },
          { key: 'until', label: words.until },
        ]}
      />
      <section className="sheet" aria-label={words.title}>
        <Paged query={query} empty={<Empty title={[...filters.keys()].length === 0 ? words.empty : strings.table.nothing} />}>
          {(rows) => <Table label={words.title} columns={COLUMNS} rows={rows} keyOf={({ seq }) => String(seq)} />}
        </Paged>
      </section>
    </>
  )
}
