// Host keys and certificates of the gateway, and when they end.
// Must not show a private part; the gateway does not tell it.
import { useQuery } from '@tanstack/react-query'
import type { KeyView, Page } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { Copy } from '../../parts/copy.tsx'
import { Empty, Loaded } from '../../parts/panel.tsx'
import { type Column, Table } from '../../parts/table.tsx'
import { Moment, State, Word } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'

const words = strings.security.keys
/** From here on an end is a warning. */
const SOON_DAYS = 30

const COLUMNS: Column<KeyView>[] = [
  {
    key: 'what',
    label: words.what,
    width: '16rem',
    render: ({ kind, name, subject }) => (
      <div>
        <strong>{words.kinds[kind]}</strong> {name}
        {subject ? (
          <div className="quiet">
            <Word>{subject}</Word>
          </div>
        ) : null}
      </div>
    ),
  },
  { key: 'type', label: words.type, width: '12rem', render: ({ type }) => type },
  {
    key: 'fingerprint',
    label: words.fingerprint,
    render: ({ fingerprint }) => (
      <span className="copyable">
        <span className="mono">{fingerprint}</span>
        <Copy text={fingerprint} what={words.theFingerprint} />
      </span>
    ),
  },
  {
    key: 'expiry',
    label: words.expiry,
    width: '13rem',
    render: ({ not_after, days_left }) =>
      not_after === undefined ? (
        <span className="quiet">{words.never}</span>
      ) : (
        <div>
          <Moment at={not_after} />{' '}
          {days_left === undefined ? null : (
            <State state={days_left < 0 ? 'failed' : days_left <= SOON_DAYS ? 'suspect' : 'completed'} label={words.days(days_left)} />
          )}
        </div>
      ),
  },
]

export function Keys() {
  const query = useQuery({ queryKey: ['keys'], queryFn: () => api<Page<KeyView>>('GET', '/keys') })
  return (
    <div className="stack">
      <p className="quiet">{words.note}</p>
      <section className="sheet" aria-label={strings.security.parts.keys}>
        <Loaded query={query} rows={5}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title={words.empty} />
            ) : (
              <Table
                label={strings.security.parts.keys}
                columns={COLUMNS}
                rows={items}
                keyOf={({ name, fingerprint }) => name + fingerprint}
              />
            )
          }
        </Loaded>
      </section>
    </div>
  )
}
