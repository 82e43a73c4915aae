// Everybody who is connected now, what they move, and a way to end it.
// Must not guess: a session is live until the gateway says otherwise.
import { ActionIcon, Badge, Tooltip } from '@mantine/core'
import { Unplug } from 'lucide-react'
import { useState } from 'react'
import type { SessionView } from '../../src/core/movement-views.ts'
import { api } from '../api.ts'
import { formatSize, visible } from '../format.ts'
import { useEvents } from '../live.ts'
import { may } from '../pages.ts'
import { useAct } from '../parts/act.ts'
import { Confirm, type Question } from '../parts/confirm.tsx'
import { Copy } from '../parts/copy.tsx'
import { FilterBar } from '../parts/filters.tsx'
import { Moving } from '../parts/moving.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { Empty } from '../parts/panel.tsx'
import { type Column, Paged, Table, usePages } from '../parts/table.tsx'
import { Moment, Named, Word } from '../parts/words.tsx'
import type { PageProps } from '../registry/page.ts'
import { useFilters } from '../router.tsx'
import { strings } from '../strings.ts'

const words = strings.sessions

export function Sessions({ me }: PageProps) {
  const [filters] = useFilters()
  const [question, setQuestion] = useState<Question | null>(null)
  const [gone, setGone] = useState<{ readonly name: string; readonly at: string } | null>(null)
  const q = filters.get('q') ?? ''
  const query = usePages<SessionView>(['sessions', 'all', q], `/sessions?limit=100${q === '' ? '' : `&q=${encodeURIComponent(q)}`}`)
  const total = query.data?.pages.flatMap((page) => page.items)
  const end = useAct(({ id }: SessionView) => api('DELETE', `/sessions/${encodeURIComponent(id)}`), {
    touches: ['sessions'],
    done: (_nothing, { username }) => words.ended(visible(username)),
  })
  useEvents((type, data) => {
    if (type !== 'session.closed') return
    // The event names the session by its id; who it was is what was shown last.
    const { id } = data as { id: string }
    const session = total?.find((one) => one.id === id)
    if (session) setGone({ name: session.username, at: new Date().toISOString() })
  })
  const columns: Column<SessionView>[] = [
    {
      key: 'user',
      label: words.user,
      render: (session) => (
        <>
          <strong>
            <Word>{session.username}</Word>
          </strong>
          {session.partner === '' ? null : (
            <div className="quiet">
              <Word>{session.partner}</Word>
            </div>
          )}
        </>
      ),
    },
    {
      key: 'by',
      label: words.by,
      width: '18%',
      render: ({ protocol, method, client }) => (
        <>
          <Badge variant="default" radius="sm" tt="uppercase" size="sm">
            {protocol}
          </Badge>{' '}
          <Named of={strings.recorded.methods} name={method} />
          {client === '' ? null : (
            <div className="quiet">
              <Word>{client}</Word>
            </div>
          )}
        </>
      ),
    },
    {
      key: 'from',
      label: words.address,
      width: '15%',
      render: ({ address }) => (
        <span className="copyable">
          <Word>{address}</Word>
          <Copy text={address} what={words.theAddress} />
        </span>
      ),
    },
    { key: 'since', label: words.start, width: '8rem', render: ({ started_at }) => <Moment at={started_at} /> },
    {
      key: 'moves',
      label: words.moves,
      width: '30%',
      render: ({ transfers }) => (transfers.length === 0 ? <span className="quiet">{words.idle}</span> : <Moving transfers={transfers} />),
    },
  ]
  if (may(me, 'operator')) {
    columns.push({
      key: 'end',
      label: '',
      width: '64px',
      render: (session) => (
        <Tooltip label={words.end}>
          <ActionIcon
            variant="default"
            size="lg"
            aria-label={`${words.end}: ${visible(session.username)}`}
            onClick={() =>
              setQuestion({
                title: words.confirmEnd(visible(session.username)),
                text: words.endText,
                verb: words.end,
                danger: true,
                act: () => end.mutate(session),
              })
            }
          >
            <Unplug size={16} aria-hidden="true" />
          </ActionIcon>
        </Tooltip>
      ),
    })
  }
  const rate = total?.flatMap((session) => session.transfers).reduce((sum, transfer) => sum + transfer.rate, 0) ?? 0
  return (
    <>
      <PageHead title={words.title} note={total === undefined ? '\u00a0' : words.summary(total.length, words.rate(formatSize(rate)))} />
      <FilterBar search={words.search} />
      <section className="sheet" aria-label={words.title}>
        <Paged
          query={query}
          empty={q === '' ? <Empty title={words.empty}>{words.emptyHint}</Empty> : <Empty title={strings.table.nothing} />}
        >
          {(rows) => <Table label={words.title} columns={columns} rows={rows} keyOf={({ id }) => id} />}
        </Paged>
      </section>
      <p className="quiet foot" role="status">
        {gone === null ? (
          ''
        ) : (
          <>
            {words.lastGone} <Word>{gone.name}</Word>, <Moment at={gone.at} />
          </>
        )}
      </p>
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </>
  )
}
