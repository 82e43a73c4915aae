// One delivery: where to, how far, what went wrong, what proves it, and the acts that its state allows.
// Must not decide what counts as delivered; the receipt says it.
import { Button } from '@mantine/core'
import { CornerDownRight, RotateCw, ShieldCheck, X } from 'lucide-react'
import type { DeliveryState, DeliveryView, ReceiptView } from '../../src/core/movement-views.ts'
import { api } from '../api.ts'
import { visible } from '../format.ts'
import { strings } from '../strings.ts'
import { useAct } from './act.ts'
import type { Question } from './confirm.tsx'
import { DeliveryBadge, Moment, Path, Trouble } from './words.tsx'

const words = strings.deliveries
const RETRYABLE: ReadonlySet<DeliveryState> = new Set(['dead', 'cancelled', 'retrying'])
const CANCELLABLE: ReadonlySet<DeliveryState> = new Set(['pending', 'retrying', 'dead'])
const TOUCHED = ['deliveries', 'transfers', 'stats']

/** What a shadow rule recorded is never sent, whatever is done. @param confirm without it nothing can be cancelled here */
const offersActs = ({ state, shadow }: DeliveryView, confirm: unknown): boolean =>
  !shadow && (RETRYABLE.has(state) || (confirm !== undefined && CANCELLABLE.has(state)))

/** The buttons of one delivery; cancelling asks first. */
export function DeliveryActs({ delivery, confirm }: { delivery: DeliveryView; confirm?: ((question: Question) => void) | undefined }) {
  const path = `/deliveries/${encodeURIComponent(delivery.id)}`
  const retry = useAct(() => api('POST', `${path}/retry`), { touches: TOUCHED, done: () => words.retried })
  const cancel = useAct(() => api('POST', `${path}/cancel`), {
    touches: TOUCHED,
    done: () => words.cancelled,
    undo: () => api('POST', `${path}/retry`),
  })
  const name = visible(delivery.path)
  if (!offersActs(delivery, confirm)) return null
  return (
    <span className="row-acts">
      {RETRYABLE.has(delivery.state) ? (
        <Button
          size="compact-xs"
          variant="default"
          leftSection={<RotateCw size={12} aria-hidden="true" />}
          loading={retry.isPending}
          aria-label={words.retryOf(name, delivery.destination)}
          onClick={() => retry.mutate()}
        >
          {words.retry}
        </Button>
      ) : null}
      {confirm && CANCELLABLE.has(delivery.state) ? (
        <Button
          size="compact-xs"
          variant="default"
          leftSection={<X size={12} aria-hidden="true" />}
          loading={cancel.isPending}
          aria-label={words.cancelOf(name, delivery.destination)}
          onClick={() =>
            confirm({
              title: words.confirmCancel,
              text: words.cancelText(name, delivery.destination),
              verb: words.cancel,
              danger: true,
              act: () => cancel.mutate(),
            })
          }
        >
          {words.cancel}
        </Button>
      ) : null}
    </span>
  )
}

/** Which hash was compared, and how the far side was asked for it, where that is on record. */
export function hashOf({ verified, algorithm, method }: ReceiptView): string {
  if (!algorithm) return ''
  return ` (${method && verified === 'hash' ? words.hashBy(algorithm, method) : algorithm})`
}

/** How the far side proved that it has the file; `brief` leaves out when. */
export function Proof({ delivery: { id, receipt }, brief = false }: { delivery: DeliveryView; brief?: boolean }) {
  if (receipt === null) return null
  return (
    <div className="facts proof" title={words.verifiedHint}>
      <span>
        <ShieldCheck size={14} aria-hidden="true" /> {words.verified[receipt.verified] ?? receipt.verified}
        {hashOf(receipt)}
      </span>
      {words.outcome[receipt.outcome] ? <span>{words.outcome[receipt.outcome]}</span> : null}
      {brief ? null : <Moment at={receipt.at} />}
      <a href={`/api/v1/deliveries/${encodeURIComponent(id)}/receipt`} download={`receipt-${id}.json`}>
        {words.receipt}
      </a>
    </div>
  )
}

export function DeliveryCard({
  delivery,
  mayAct,
  confirm,
  dense = false,
}: {
  delivery: DeliveryView
  mayAct: boolean
  confirm?: (question: Question) => void
  /** In one line where it fits; the path is cut, its whole is on hover. */
  dense?: boolean
}) {
  return (
    <li className="delivery" data-dense={dense || undefined}>
      <CornerDownRight size={14} className="direction" aria-hidden="true" />
      <div className="grow">
        <div className="line spread">
          <span className="target">
            <span className="to">
              {words.to} <strong>{delivery.destination}</strong>
            </span>
            <Path path={delivery.receipt?.remote_path ?? delivery.remote_path} />
          </span>
          <DeliveryBadge {...delivery} />
          {dense ? <Proof delivery={delivery} brief /> : null}
        </div>
        {dense ? null : <Proof delivery={delivery} />}
        {delivery.error && delivery.state !== 'delivered' && !delivery.shadow ? <Trouble error={delivery.error} /> : null}
        {offersActs(delivery, confirm) ? (
          <div className="facts">
            {delivery.attempts > 0 ? <span>{words.tries(delivery.attempts)}</span> : null}
            {delivery.state === 'retrying' && delivery.next_at ? (
              <span>
                {words.next} <Moment at={delivery.next_at} />
              </span>
            ) : null}
            {mayAct ? <DeliveryActs delivery={delivery} confirm={confirm} /> : null}
          </div>
        ) : null}
      </div>
    </li>
  )
}
