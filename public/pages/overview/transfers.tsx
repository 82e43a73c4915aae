// The latest transfers, each with where it went and how that was proven.
// Must not decide what counts as delivered; the receipt says it.
import { Code } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { ArrowDown, ArrowUp } from 'lucide-react'
import type { DeliveryView, TransferDetail, TransferView } from '../../../src/core/movement-views.ts'
import type { Page } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { formatSize, visible } from '../../format.ts'
import { DeliveryCard } from '../../parts/delivery-card.tsx'
import { Empty, Loaded, Panel } from '../../parts/panel.tsx'
import { Progress } from '../../parts/progress.tsx'
import { Moment, Path, State, Trouble, Word } from '../../parts/words.tsx'
import { Link } from '../../router.tsx'
import { strings } from '../../strings.ts'

const words = strings.transfers
const LATEST = 8

interface Latest {
  readonly transfers: readonly TransferView[]
  readonly deliveries: ReadonlyMap<string, readonly DeliveryView[]>
}

/** The latest transfers with their deliveries: one list each, and a closer look where the lists do not meet. */
async function readLatest(): Promise<Latest> {
  const [transfers, listed] = await Promise.all([
    api<Page<TransferView>>('GET', `/transfers?limit=${LATEST}`),
    api<Page<DeliveryView>>('GET', '/deliveries?limit=200'),
  ])
  const deliveries = new Map<string, DeliveryView[]>()
  for (const delivery of listed.items) deliveries.set(delivery.transfer, [...(deliveries.get(delivery.transfer) ?? []), delivery])
  const unsure =
    listed.next === null ? [] : transfers.items.filter((t) => t.direction === 'upload' && t.state === 'completed' && !deliveries.has(t.id))
  for (const detail of await Promise.all(unsure.map((t) => api<TransferDetail>('GET', `/transfers/${encodeURIComponent(t.id)}`)))) {
    deliveries.set(detail.id, [...detail.deliveries])
  }
  return { transfers: transfers.items, deliveries }
}

export function Transfers({ mayAct }: { mayAct: boolean }) {
  const latest = useQuery({ queryKey: ['transfers', 'latest'], queryFn: readLatest })
  return (
    <Panel title={words.title} aside={<Link href="/transfers">{words.all}</Link>}>
      <Loaded query={latest} rows={8}>
        {({ transfers, deliveries }) =>
          transfers.length === 0 ? (
            <Empty title={words.empty}>
              {words.emptyHint}
              <Code block mt="xs">
                {words.emptyCommand}
              </Code>
            </Empty>
          ) : (
            <ul className="rows">
              {transfers.map((transfer) => (
                <Transfer key={transfer.id} transfer={transfer} deliveries={deliveries.get(transfer.id) ?? []} mayAct={mayAct} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </Panel>
  )
}

function Transfer({ transfer, deliveries, mayAct }: { transfer: TransferView; deliveries: readonly DeliveryView[]; mayAct: boolean }) {
  const upload = transfer.direction === 'upload'
  const Arrow = upload ? ArrowUp : ArrowDown
  return (
    <li className="row transfer">
      <Arrow size={18} className="direction" aria-label={upload ? words.upload : words.download} />
      <div className="grow">
        <div className="line spread">
          <Link href={`/transfers/${transfer.id}`} className="plain">
            <Path path={transfer.path} />
          </Link>
          <State state={transfer.state} label={words.states[transfer.state]} />
        </div>
        <div className="facts">
          <span>
            <Word>{transfer.user}</Word>
          </span>
          <span>{transfer.protocol.toUpperCase()}</span>
          {transfer.state === 'open' ? null : <span>{formatSize(transfer.bytes)}</span>}
          <Moment at={transfer.started_at} />
        </div>
        {transfer.state === 'open' ? <Progress {...transfer} /> : null}
        {transfer.error ? <Trouble error={transfer.error} /> : null}
        {deliveries.length > 0 ? (
          <ul className="deliveries" aria-label={words.deliveriesOf(visible(transfer.path))}>
            {deliveries.map((delivery) => (
              <DeliveryCard key={delivery.id} delivery={delivery} mayAct={mayAct} dense />
            ))}
          </ul>
        ) : upload && transfer.state === 'completed' ? (
          <p className="quiet">{words.noDeliveries}</p>
        ) : null}
      </div>
    </li>
  )
}
