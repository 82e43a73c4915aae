// All destinations: where they are, whether they work, which rules deliver there.
// Must not change one; its own page does.
import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Plus } from 'lucide-react'
import type { DestinationView, StatsView } from '../../src/core/views.ts'
import { api } from '../api.ts'
import { may } from '../pages.ts'
import { FilterBar } from '../parts/filters.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { Empty } from '../parts/panel.tsx'
import { Removed } from '../parts/removed.tsx'
import { type Column, Paged, Table, usePages } from '../parts/table.tsx'
import { Moment, State, Word } from '../parts/words.tsx'
import type { PageProps } from '../registry/page.ts'
import { go, Link, useFilters } from '../router.tsx'
import { strings } from '../strings.ts'
import '../manage.css'
import { healthOf, stateOf, TONE } from './destinations/health.ts'

const words = strings.destinations

export const whereabouts = ({ type, host, port, base_path }: DestinationView): string =>
  type === 'local' ? (base_path ?? '/') : `${host ?? ''}:${port}${base_path && base_path !== '/' ? base_path : ''}`

export function Destinations({ me }: PageProps) {
  const [filters] = useFilters()
  const q = filters.get('q') ?? ''
  const query = usePages<DestinationView>(
    ['destinations', 'all', q],
    `/destinations?limit=100${q === '' ? '' : `&q=${encodeURIComponent(q)}`}`,
  )
  const stats = useQuery({ queryKey: ['stats'], queryFn: () => api<StatsView>('GET', '/stats') })
  const columns: Column<DestinationView>[] = [
    {
      key: 'name',
      label: words.name,
      render: ({ name }) => (
        <Link href={`/destinations/${encodeURIComponent(name)}`}>
          <bdi>{name}</bdi>
        </Link>
      ),
    },
    {
      key: 'health',
      label: words.health,
      width: '10rem',
      render: (destination) => {
        const state = stateOf(destination, healthOf(stats.data, destination.name))
        return <State state={TONE[state]} label={words.states[state]} />
      },
    },
    {
      key: 'address',
      label: words.address,
      render: (destination) => (
        <div>
          <Word>{whereabouts(destination)}</Word>
          <div className="quiet">{words.types[destination.type]}</div>
        </div>
      ),
    },
    {
      key: 'delivered',
      label: words.lastDelivered,
      width: '11rem',
      render: ({ name }) => <Moment at={healthOf(stats.data, name)?.last_delivered_at ?? null} />,
    },
    {
      key: 'rules',
      label: words.usedBy,
      render: ({ used_by }) => (used_by.length === 0 ? <span className="quiet">{words.unused}</span> : used_by.join(', ')),
    },
  ]
  const create = may(me, 'admin') ? (
    <Button leftSection={<Plus size={16} aria-hidden="true" />} onClick={() => go('/destinations/+new')}>
      {words.new}
    </Button>
  ) : null
  return (
    <>
      <PageHead title={words.title} note={words.note}>
        {create}
      </PageHead>
      <FilterBar search={words.search} />
      <section className="sheet" aria-label={words.title}>
        <Paged
          query={query}
          empty={
            q === '' ? (
              <Empty title={words.empty}>
                <div className="stack">
                  {words.emptyHint}
                  <div>{create}</div>
                </div>
              </Empty>
            ) : (
              <Empty title={strings.table.nothing} />
            )
          }
        >
          {(rows) => <Table label={words.title} columns={columns} rows={rows} keyOf={({ name }) => name} />}
        </Paged>
      </section>
      {may(me, 'admin') ? <Removed kind="destination" /> : null}
    </>
  )
}
