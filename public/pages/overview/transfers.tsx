// The latest transfers, each with where it went and how that was proven.
// Must not decide what counts as delivered; the receipt says it.
import { Button, Code } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { ArrowDown, ArrowUp, CornerDownRight, RotateCw, ShieldCheck } from 'lucide-react'
import type { DeliveryView, Page, TransferDetail, TransferView } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { formatSize, visible } from '../../format.ts'
import { failed, worked } from '../../parts/failure.tsx'
import { Empty, Loaded, Panel } from '../../parts/panel.tsx'
import { Moment, Path, State, Trouble, Word } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'

const words = strings.transfers
const LATEST = 15

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
    <Panel title={words.title}>
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
          <Path path={transfer.path} />
          <State state={transfer.state} label={words.states[transfer.state]} />
        </div>
        <div className="facts">
          <span>
            <Word>{transfer.user}</Word>
          </span>
          <span>{transfer.protocol.toUpperCase()}</span>
          <span>{formatSize(transfer.bytes)}</span>
          <Moment at={transfer.started_at} />
        </div>
        {transfer.error ? <Trouble error={transfer.error} /> : null}
        {deliveries.length > 0 ? (
          <ul className="deliveries" aria-label={words.deliveriesOf(visible(transfer.path))}>
            {deliveries.map((delivery) => (
              <Delivery key={delivery.id} delivery={delivery} mayAct={mayAct} />
            ))}
          </ul>
        ) : upload && transfer.state === 'completed' ? (
          <p className="quiet">{words.noDeliveries}</p>
        ) : null}
      </div>
    </li>
  )
}

const RETRYABLE: ReadonlySet<DeliveryView['state']> = new Set(['dead', 'cancelled', 'retrying'])

function Delivery({ delivery, mayAct }: { delivery: DeliveryView; mayAct: boolean }) {
  const texts = strings.deliveries
  const queries = useQueryClient()
  const retry = useMutation({
    mutationFn: () => api('POST', `/deliveries/${encodeURIComponent(delivery.id)}/retry`),
    onSuccess: () => worked(texts.retried),
    onError: failed,
    onSettled: () =>
      Promise.all([queries.invalidateQueries({ queryKey: ['transfers'] }), queries.invalidateQueries({ queryKey: ['stats'] })]),
  })
  const { receipt } = delivery
  return (
    <li className="delivery">
      <CornerDownRight size={14} className="direction" aria-hidden="true" />
      <div className="grow">
        <div className="line spread">
          <span className="target">
            <span className="to">
              {texts.to} <strong>{delivery.destination}</strong>
            </span>
            <Path path={receipt?.remote_path ?? delivery.remote_path} />
          </span>
          <State state={delivery.state} label={texts.states[delivery.state]} />
        </div>
        {receipt ? (
          <div className="facts proof" title={texts.verifiedHint}>
            <span>
              <ShieldCheck size={14} aria-hidden="true" /> {texts.verified[receipt.verified] ?? receipt.verified}
              {receipt.algorithm ? ` (${receipt.algorithm})` : ''}
            </span>
            {texts.outcome[receipt.outcome] ? <span>{texts.outcome[receipt.outcome]}</span> : null}
            <Moment at={receipt.at} />
          </div>
        ) : null}
        {delivery.error && delivery.state !== 'delivered' ? <Trouble error={delivery.error} /> : null}
        {RETRYABLE.has(delivery.state) ? (
          <div className="facts">
            <span>{texts.tries(delivery.attempts)}</span>
            {delivery.state === 'retrying' && delivery.next_at ? (
              <span>
                {texts.next} <Moment at={delivery.next_at} />
              </span>
            ) : null}
            {mayAct ? (
              <Button
                size="compact-xs"
                variant="default"
                leftSection={<RotateCw size={12} aria-hidden="true" />}
                loading={retry.isPending}
                aria-label={texts.retryOf(visible(delivery.path), delivery.destination)}
                onClick={() => retry.mutate()}
              >
                {texts.retry}
              </Button>
            ) : null}
          </div>
        ) : null}
      </div>
    </li>
  )
}
