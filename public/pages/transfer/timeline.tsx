// The steps of a transfer in the order in which they happened, from the connection to the last receipt.
// Must not invent a step: each one comes from a row.
import type { ReactNode } from 'react'
import type { TransferDetail } from '../../../src/core/movement-views.ts'
import { formatSize } from '../../format.ts'
import { hashOf } from '../../parts/delivery-card.tsx'
import { Moment, Trouble, Word } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'

const words = strings.timeline

interface Step {
  readonly key: string
  readonly at: string
  readonly tone: 'good' | 'bad' | 'warn' | 'busy' | undefined
  readonly what: ReactNode
  readonly more?: ReactNode
}

export function Timeline({ detail }: { detail: TransferDetail }) {
  const steps = [...arrival(detail), ...detail.deliveries.flatMap(way)]
    .map((step, order) => ({ step, order }))
    .sort((a, b) => a.step.at.localeCompare(b.step.at) || a.order - b.order)
  return (
    <ol className="timeline">
      {steps.map(({ step }) => (
        <li key={step.key} data-tone={step.tone}>
          <div className="line spread">
            <span>{step.what}</span>
            <span className="quiet">
              <Moment at={step.at} exact />
            </span>
          </div>
          {step.more === undefined ? null : <div className="more-words">{step.more}</div>}
        </li>
      ))}
    </ol>
  )
}

function arrival(detail: TransferDetail): Step[] {
  const { connection, error } = detail
  const upload = detail.direction === 'upload'
  const steps: Step[] = []
  if (connection)
    steps.push({
      key: 'connected',
      at: connection.started_at,
      tone: undefined,
      what: words.connected(detail.protocol.toUpperCase()),
      more: (
        <>
          <Word>{detail.user}</Word> {words.from} <Word>{detail.address}</Word>,{' '}
          {words.methods[connection.method] ?? <Word>{connection.method}</Word>}
        </>
      ),
    })
  steps.push({
    key: 'began',
    at: detail.started_at,
    tone: detail.state === 'open' ? 'busy' : undefined,
    what: upload ? words.uploadBegan : words.downloadBegan,
    more: detail.start_offset > 0 ? words.resumedAt(formatSize(detail.start_offset)) : undefined,
  })
  if (detail.committed_at !== null)
    steps.push({
      key: 'whole',
      at: detail.committed_at,
      tone: 'good',
      what: words.whole(formatSize(detail.bytes)),
      more: (
        <>
          {detail.evidence.length === 0 ? null : <p>{words.evidence(detail.evidence.map((one) => words.proofs[one] ?? one).join(', '))}</p>}
          {detail.sha256 === null ? null : <code className="hash">sha256 {detail.sha256}</code>}
        </>
      ),
    })
  if (detail.ended_at !== null) {
    const trouble = error ? <Trouble error={error} /> : undefined
    if (detail.state === 'completed')
      steps.push({ key: 'ended', at: detail.ended_at, tone: 'good', what: upload ? words.published : words.sent(formatSize(detail.bytes)) })
    else if (detail.state === 'suspect')
      steps.push({ key: 'ended', at: detail.ended_at, tone: 'warn', what: words.suspect, more: trouble ?? words.suspectHint })
    else steps.push({ key: 'ended', at: detail.ended_at, tone: 'bad', what: words.aborted, more: trouble })
  }
  return steps
}

function way(delivery: TransferDetail['deliveries'][number]): Step[] {
  const { id, receipt } = delivery
  const to = <strong>{delivery.destination}</strong>
  const steps: Step[] = [
    {
      key: `${id} matched`,
      at: delivery.created_at,
      tone: undefined,
      what: (
        <>
          {words.rule} <strong>{delivery.rule}</strong> → {to}
        </>
      ),
      more: <Word>{delivery.remote_path}</Word>,
    },
  ]
  for (const attempt of delivery.tries)
    steps.push({
      key: `${id} attempt ${attempt.number}`,
      at: attempt.ended_at ?? attempt.started_at,
      tone: attempt.ok === null ? 'busy' : attempt.ok ? undefined : 'bad',
      what: (
        <>
          {attempt.ok === null ? words.trying(attempt.number) : attempt.ok ? words.worked(attempt.number) : words.failed(attempt.number)}{' '}
          {to}
        </>
      ),
      more: attempt.error ? <Trouble error={attempt.error} /> : undefined,
    })
  if (receipt)
    steps.push({
      key: `${id} receipt`,
      at: receipt.at,
      tone: 'good',
      what: (
        <>
          {words.receipt[receipt.outcome] ?? receipt.outcome} {to}
        </>
      ),
      more: (
        <>
          <Word>{receipt.remote_path}</Word>
          <p>
            {formatSize(receipt.size)}, {strings.deliveries.verified[receipt.verified] ?? receipt.verified}
            {hashOf(receipt)}
            {receipt.server ? (
              <>
                , <Word>{receipt.server}</Word>
              </>
            ) : null}
          </p>
        </>
      ),
    })
  else if (delivery.state === 'dead' || delivery.state === 'cancelled')
    steps.push({
      key: `${id} over`,
      at: delivery.updated_at,
      tone: delivery.state === 'dead' ? 'bad' : 'warn',
      what: (
        <>
          {delivery.state === 'dead' ? words.dead : words.cancelled} {to}
        </>
      ),
    })
  return steps
}
