// Logins that were refused, out of the audit log.
// Must not show what was typed as a password; nobody recorded it.
import { NativeSelect } from '@mantine/core'
import type { AuditView } from '../../../src/core/views.ts'
import { Empty } from '../../parts/panel.tsx'
import { type Column, Paged, Table, usePages } from '../../parts/table.tsx'
import { Moment, Named, Word } from '../../parts/words.tsx'
import { useFilters } from '../../router.tsx'
import { strings } from '../../strings.ts'

const words = strings.security.failures
const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value))

const COLUMNS: Column<AuditView>[] = [
  { key: 'at', label: strings.audit.when, width: '10rem', render: ({ at }) => <Moment at={at} /> },
  { key: 'who', label: words.who, render: ({ actor }) => <Word>{actor.replace(/^user:/, '')}</Word> },
  {
    key: 'from',
    label: strings.audit.from,
    render: ({ address, detail }) => <Word>{detail.others === true ? words.elsewhere : address}</Word>,
  },
  {
    key: 'by',
    label: words.by,
    render: ({ object, detail }) => (
      <>
        <Word>{object.toUpperCase()}</Word>{' '}
        {detail.method === 'none' ? null : <Named of={strings.recorded.methods} name={text(detail.method)} />}
      </>
    ),
  },
  {
    key: 'reason',
    label: words.reason,
    render: ({ detail }) => (
      <>
        <Named of={strings.recorded.refusals} name={text(detail.reason)} />
        {typeof detail.more === 'number' ? <div className="quiet">{words.more(detail.more)}</div> : null}
      </>
    ),
  },
]

export function Failures() {
  const [filters, change] = useFilters()
  const action = filters.get('of') === 'admins' ? 'admin.login' : 'login'
  const query = usePages<AuditView>(['audit', 'failures', action], `/audit?limit=100&outcome=refused&action=${action}`)
  return (
    <div className="stack">
      <NativeSelect
        maw={320}
        label={words.which}
        value={action === 'login' ? 'partners' : 'admins'}
        data={[
          { value: 'partners', label: words.partners },
          { value: 'admins', label: words.admins },
        ]}
        onChange={({ currentTarget }) => change({ of: currentTarget.value === 'partners' ? null : currentTarget.value })}
      />
      <section className="sheet" aria-label={strings.security.parts.failures}>
        <Paged query={query} empty={<Empty title={words.empty} />}>
          {(rows) => <Table label={strings.security.parts.failures} columns={COLUMNS} rows={rows} keyOf={({ seq }) => String(seq)} />}
        </Paged>
      </section>
    </div>
  )
}
