// One file's whole way: what arrived, how one knows it is whole, which rules took it, each attempt, the proof.
// Must not tell anything that is not recorded.
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { TransferDetail } from '../../src/core/movement-views.ts'
import { api } from '../api.ts'
import { formatCount, formatDuration, formatSize, visible } from '../format.ts'
import { may } from '../pages.ts'
import { Confirm, type Question } from '../parts/confirm.tsx'
import { Copy } from '../parts/copy.tsx'
import { DeliveryCard } from '../parts/delivery-card.tsx'
import { Fact, Facts } from '../parts/facts.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { Empty, Loaded, Panel } from '../parts/panel.tsx'
import { Progress } from '../parts/progress.tsx'
import { Moment, Named, State, Trouble, Word } from '../parts/words.tsx'
import type { PageProps } from '../registry/page.ts'
import { Link } from '../router.tsx'
import { strings } from '../strings.ts'
import { Timeline } from './transfer/timeline.tsx'
import { Why } from './transfer/why.tsx'

const words = strings.transfer

export function Transfer({ me, params }: PageProps) {
  const id = params.id ?? ''
  const transfer = useQuery({
    queryKey: ['transfers', 'one', id],
    queryFn: () => api<TransferDetail>('GET', `/transfers/${encodeURIComponent(id)}`),
  })
  const path = transfer.data?.path
  return (
    <>
      <Link href="/transfers" className="back">
        {words.back}
      </Link>
      <PageHead title={path === undefined ? strings.nav.transfers : visible(path.slice(path.lastIndexOf('/') + 1))} />
      <Loaded query={transfer} rows={8}>
        {(detail) => <Found detail={detail} mayAct={may(me, 'operator')} />}
      </Loaded>
    </>
  )
}

function Found({ detail, mayAct }: { detail: TransferDetail; mayAct: boolean }) {
  const [question, setQuestion] = useState<Question | null>(null)
  const upload = detail.direction === 'upload'
  return (
    <div className="columns">
      <div className="side">
        <Panel title={words.deliveries} count={upload ? detail.deliveries.length : undefined}>
          {detail.deliveries.length > 0 ? (
            <ul className="deliveries padded" aria-label={strings.transfers.deliveriesOf(visible(detail.path))}>
              {detail.deliveries.map((delivery) => (
                <DeliveryCard key={delivery.id} delivery={delivery} mayAct={mayAct} confirm={setQuestion} />
              ))}
            </ul>
          ) : (
            <NothingOwed detail={detail} />
          )}
          {upload ? <Why transfer={detail} /> : null}
        </Panel>
        <Panel title={words.timeline}>
          <Timeline detail={detail} />
        </Panel>
      </div>
      <Panel title={words.facts}>
        <TransferFacts detail={detail} />
      </Panel>
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </div>
  )
}

/** Why there are no deliveries: it depends on how far the transfer is. */
function NothingOwed({ detail: { direction, state } }: { detail: TransferDetail }) {
  if (direction === 'download') return <Empty title={words.isDownload} />
  if (state === 'open' || state === 'committing') return <Empty title={words.notYet}>{words.notYetHint}</Empty>
  if (state === 'completed') return <Empty title={words.nothingOwed}>{words.nothingOwedHint}</Empty>
  return <Empty title={words.neverWhole}>{words.neverWholeHint}</Empty>
}

function TransferFacts({ detail }: { detail: TransferDetail }) {
  const { connection, ended_at: ended } = detail
  const ms = ended === null ? null : Date.parse(ended) - Date.parse(detail.started_at)
  return (
    <>
      <Facts>
        <Fact label={words.path}>
          <Word>{detail.path}</Word> <Copy text={detail.path} what={words.thePath} />
        </Fact>
        <Fact label={words.state}>
          <State state={detail.state} label={strings.transfers.states[detail.state]} />
        </Fact>
        {detail.error ? (
          <Fact label={words.cause}>
            <Trouble error={detail.error} />
          </Fact>
        ) : null}
        <Fact label={words.size}>
          {formatSize(detail.bytes)}{' '}
          <span className="quiet">
            {words.exactly(formatCount(detail.bytes))}
            {detail.start_offset > 0 ? `, ${words.resumed(formatSize(detail.start_offset))}` : ''}
          </span>
        </Fact>
        {detail.state === 'open' ? (
          <Fact label={words.progress}>
            <Progress {...detail} />
          </Fact>
        ) : null}
        {ms !== null && ms > 0 ? (
          <Fact label={words.took}>
            {formatDuration(ms)}{' '}
            <span className="quiet">
              {strings.sessions.rate(formatSize(Math.round(((detail.bytes - detail.start_offset) * 1000) / ms)))}
            </span>
          </Fact>
        ) : null}
        <Fact label={words.user}>
          <Link href={`/users/${encodeURIComponent(detail.user)}`}>
            <Word>{detail.user}</Word>
          </Link>
          {detail.partner === '' ? null : (
            <span className="quiet">
              {' '}
              <Word>{detail.partner}</Word>
            </span>
          )}
        </Fact>
        <Fact label={words.from}>
          <Word>{detail.address}</Word> <span className="quiet">{detail.protocol.toUpperCase()}</span>
        </Fact>
        {connection ? (
          <Fact label={words.connection}>
            <Named of={strings.recorded.methods} name={connection.method} />
            {connection.client === '' ? null : (
              <span className="quiet">
                {' '}
                <Word>{connection.client}</Word>
              </span>
            )}
            <div>
              <Moment at={connection.started_at} /> – {connection.ended_at === null ? words.stillOpen : <Moment at={connection.ended_at} />}
            </div>
            {connection.reason === null ? null : (
              <div className="quiet">
                <Named of={strings.recorded.ends} name={connection.reason} />
              </div>
            )}
          </Fact>
        ) : null}
        {detail.sha256 === null ? null : (
          <Fact label="SHA-256">
            <code className="hash">{detail.sha256}</code> <Copy text={detail.sha256} what={words.theHash} />
          </Fact>
        )}
        <Fact label={words.id}>
          <code className="hash">{detail.id}</code> <Copy text={detail.id} what={words.theId} />
        </Fact>
      </Facts>
      <div className="links">
        <Link href={`/transfers?session=${encodeURIComponent(detail.session)}`}>{words.sameSession}</Link>
        <Link href={`/logs?q=${encodeURIComponent(detail.id)}`}>{words.logs}</Link>
      </div>
    </>
  )
}
