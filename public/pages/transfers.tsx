// Every file that came or went: searched, filtered, live.
// Must not load more than is looked at; the list goes on by its cursor.
import { ArrowDown, ArrowUp } from 'lucide-react'
import type { TransferView } from '../../src/core/movement-views.ts'
import { formatDuration, formatSize } from '../format.ts'
import { FilterBar } from '../parts/filters.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { Empty } from '../parts/panel.tsx'
import { Progress } from '../parts/progress.tsx'
import { type Column, Paged, Table, usePages } from '../parts/table.tsx'
import { WentTo } from '../parts/went-to.tsx'
import { Moment, Path, State, Word } from '../parts/words.tsx'
import { Link, useFilters } from '../router.tsx'
import { strings } from '../strings.ts'
import { queryOf, TRANSFER_STATES } from './transfers/filter.ts'

const words = strings.transferList

export function Transfers() {
  const [filters] = useFilters()
  const asked = queryOf(filters)
  const query = usePages<TransferView>(['transfers', 'list', asked], `/transfers?limit=50${asked}`)
  return (
    <>
      <PageHead title={strings.nav.transfers} note={words.note} />
      <FilterBar
        search={words.search}
        texts={[{ key: 'user', label: words.user }]}
        choices={[
          { key: 'state', label: words.state, options: Object.fromEntries(TRANSFER_STATES.map((s) => [s, strings.transfers.states[s]])) },
          { key: 'direction', label: words.direction, options: { upload: strings.transfers.upload, download: strings.transfers.download } },
          { key: 'protocol', label: words.protocol, options: { sftp: 'SFTP', ftp: 'FTP', watch: strings.services.names.watcher } },
          { key: 'within', label: words.within, options: words.spans },
        ]}
        dates={[{ key: 'day', label: words.day }]}
        hidden={[{ key: 'session', label: words.ofSession }]}
      />
      <section className="sheet" aria-label={strings.nav.transfers}>
        <Paged
          query={query}
          empty={
            asked === '' ? (
              <Empty title={strings.transfers.empty}>{words.emptyHint}</Empty>
            ) : (
              <Empty title={strings.table.nothing}>{words.nothingHint}</Empty>
            )
          }
        >
          {(rows) => <Table label={strings.nav.transfers} columns={COLUMNS} rows={rows} keyOf={({ id }) => id} />}
        </Paged>
      </section>
    </>
  )
}

const COLUMNS: readonly Column<TransferView>[] = [
  {
    key: 'file',
    label: words.file,
    render: ({ id, path, direction }) => {
      const Arrow = direction === 'upload' ? ArrowUp : ArrowDown
      return (
        <span className="file">
          <Arrow size={16} aria-label={strings.transfers[direction]} />
          <Link href={`/transfers/${id}`} className="plain">
            <Path path={path} />
          </Link>
        </span>
      )
    },
  },
  {
    key: 'user',
    label: words.user,
    width: '14%',
    render: ({ user, protocol }) => (
      <>
        <Word>{user}</Word> <span className="quiet">{protocol.toUpperCase()}</span>
      </>
    ),
  },
  {
    key: 'size',
    label: words.size,
    width: '10rem',
    align: 'end',
    render: (transfer) => (transfer.state === 'open' ? <Progress {...transfer} /> : formatSize(transfer.bytes)),
  },
  {
    key: 'state',
    label: words.state,
    width: '7.5rem',
    render: ({ state }) => <State state={state} label={strings.transfers.states[state]} />,
  },
  {
    key: 'to',
    label: words.wentTo,
    width: '21%',
    render: ({ deliveries, direction, state }) =>
      deliveries.length > 0 ? (
        <WentTo deliveries={deliveries} />
      ) : direction === 'upload' && state === 'completed' ? (
        <span className="quiet">{words.noRule}</span>
      ) : null,
  },
  {
    key: 'when',
    label: words.when,
    width: '8rem',
    render: ({ started_at, ended_at }) => (
      <>
        <Moment at={started_at} />
        {ended_at === null ? null : <div className="quiet">{formatDuration(Date.parse(ended_at) - Date.parse(started_at))}</div>}
      </>
    ),
  },
]
