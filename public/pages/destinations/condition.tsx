// How a destination is doing: its figures, its test step by step, its latest deliveries.
// Must not change it.
import { Button, Loader } from '@mantine/core'
import { useMutation, useQuery } from '@tanstack/react-query'
import { Check, X } from 'lucide-react'
import { ERRORS, type ErrorCode } from '../../../src/core/errors.ts'
import type { DeliveryView } from '../../../src/core/movement-views.ts'
import type { DestinationHealth, DestinationView, Page, StatsView } from '../../../src/core/views.ts'
import type { ProbeReport } from '../../../src/forwarding/connector.ts'
import { api } from '../../api.ts'
import { formatCount, formatDuration, formatSize } from '../../format.ts'
import { Copy } from '../../parts/copy.tsx'
import { Refusal } from '../../parts/form.tsx'
import { Empty, Loaded, Panel } from '../../parts/panel.tsx'
import { DeliveryBadge, Moment, Path, State, Trouble, Word } from '../../parts/words.tsx'
import { Link } from '../../router.tsx'
import { strings } from '../../strings.ts'
import { healthOf, stateOf, TONE } from './health.ts'
import { Outages } from './outages.tsx'

const words = strings.destinations

export function Condition({ destination, mayTest }: { destination: DestinationView; mayTest: boolean }) {
  const stats = useQuery({ queryKey: ['stats'], queryFn: () => api<StatsView>('GET', '/stats') })
  return (
    <Loaded query={stats} rows={8}>
      {(figures) => (
        <div className="stack">
          <Figures destination={destination} health={healthOf(figures, destination.name)} />
          {mayTest ? <Probe name={destination.name} /> : null}
          <Outages name={destination.name} />
          <History name={destination.name} />
        </div>
      )}
    </Loaded>
  )
}

function Figures({ destination, health }: { destination: DestinationView; health: DestinationHealth | undefined }) {
  const state = stateOf(destination, health)
  const counts = [
    ['waiting', health?.pending],
    ['running', health?.running],
    ['retrying', health?.retrying],
    ['dead', health?.dead],
  ] as const
  return (
    <>
      <dl className="fact-list">
        <div>
          <dt>{words.health}</dt>
          <dd>
            <State state={TONE[state]} label={words.states[state]} />
          </dd>
        </div>
        <div>
          <dt>{words.lastDelivered}</dt>
          <dd>
            <Moment at={health?.last_delivered_at ?? null} />
          </dd>
        </div>
        <div>
          <dt>{words.delivered}</dt>
          <dd>{formatCount(health?.delivered ?? 0)}</dd>
        </div>
        {counts.map(([key, count]) =>
          count === undefined ? null : (
            <div key={key}>
              <dt>{words[key]}</dt>
              <dd>{formatCount(count)}</dd>
            </div>
          ),
        )}
        {health?.oldest_pending_at ? (
          <div>
            <dt>{words.oldest}</dt>
            <dd>
              <Moment at={health.oldest_pending_at} />
            </dd>
          </div>
        ) : null}
      </dl>
      {health?.breaker && health.breaker.state !== 'closed' ? (
        <div className="notice" data-tone="bad">
          <p className="notice-title">{words.breaker[health.breaker.state]}</p>
          {(health.breaker.error ?? health.last_error) ? <Trouble error={(health.breaker.error ?? health.last_error)!} /> : null}
          <div className="facts">
            {health.breaker.since ? (
              <span>
                {words.since} <Moment at={health.breaker.since} />
              </span>
            ) : null}
            {health.breaker.next_probe_at ? (
              <span>
                {words.nextProbe}: <Moment at={health.breaker.next_probe_at} />
              </span>
            ) : null}
          </div>
        </div>
      ) : health?.last_error ? (
        <div className="notice">
          <p className="notice-title">
            {words.lastError} <Moment at={health.last_error.at} />
          </p>
          <Trouble error={health.last_error} />
        </div>
      ) : null}
    </>
  )
}

/** What a step says: of one that failed `code: message`. */
function inWords(detail: string): string {
  const [, code = '', message = ''] = /^([a-z_.]+): ([\s\S]*)$/.exec(detail) ?? []
  const words = Object.hasOwn(strings.codes, code) ? strings.codes[code as ErrorCode] : undefined
  if (words === undefined) return strings.said(detail)
  return message === ERRORS[code as ErrorCode].text ? words : `${words} ${strings.said(message)}`
}

const STEPS: readonly ProbeReport['steps'][number]['step'][] = ['resolve', 'connect', 'login', 'write', 'verify', 'remove']

function Probe({ name }: { name: string }) {
  const probe = useMutation({ mutationFn: () => api<ProbeReport>('POST', `/destinations/${encodeURIComponent(name)}/test`) })
  const report = probe.isPending ? undefined : probe.data
  return (
    <Panel
      title={words.testTitle}
      aside={
        <Button size="xs" loading={probe.isPending} onClick={() => probe.mutate()}>
          {words.test}
        </Button>
      }
    >
      <div className="row">
        <div className="grow">
          <p role="status" className={report ? (report.ok ? 'good' : 'trouble') : 'quiet'}>
            {probe.isPending ? words.testRunning : report ? (report.ok ? words.testOk : words.testFailed) : words.testNote}
          </p>
          <Refusal error={probe.error} />
          {probe.isPending ? <Loader size="sm" aria-label={words.testRunning} mt="sm" /> : null}
          {report ? (
            <ol className="steps">
              {STEPS.map((step) => {
                const done = report.steps.find((one) => one.step === step)
                if (!done) return null
                return (
                  <li key={step}>
                    {done.ok ? (
                      <Check size={18} className="ok" aria-label={words.stepOk} />
                    ) : (
                      <X size={18} className="bad" aria-label={words.stepFailed} />
                    )}
                    <span>
                      {words.steps[step]}
                      {done.detail === '' ? null : (
                        <span className="quiet">
                          {' '}
                          <Word>{inWords(done.detail)}</Word>
                        </span>
                      )}
                    </span>
                    <span className="quiet">{formatDuration(done.ms)}</span>
                  </li>
                )
              })}
            </ol>
          ) : null}
          {report?.fingerprint ? (
            <p className="quiet">
              {words.shown} <span className="mono">{report.fingerprint}</span>{' '}
              <Copy text={report.fingerprint} what={words.theFingerprint} />
            </p>
          ) : null}
        </div>
      </div>
    </Panel>
  )
}

function History({ name }: { name: string }) {
  const query = useQuery({
    queryKey: ['deliveries', 'of', name],
    queryFn: () => api<Page<DeliveryView>>('GET', `/deliveries?limit=10&destination=${encodeURIComponent(name)}`),
  })
  return (
    <Panel
      title={words.history}
      aside={
        <Link className="link" href={`/deliveries?destination=${encodeURIComponent(name)}`}>
          {words.all}
        </Link>
      }
    >
      <Loaded query={query} rows={4}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title={words.noHistory} />
          ) : (
            <ul className="rows">
              {items.map((delivery) => (
                <li key={delivery.id} className="row">
                  <div className="grow">
                    <div className="line spread">
                      <Link href={`/transfers/${delivery.transfer}`} className="plain">
                        <Path path={delivery.path} />
                      </Link>
                      <DeliveryBadge {...delivery} />
                    </div>
                    <div className="facts">
                      <span>
                        <Word>{delivery.user}</Word>
                      </span>
                      <span>{formatSize(delivery.size)}</span>
                      <Moment at={delivery.updated_at} />
                    </div>
                    {delivery.error && !delivery.shadow ? <Trouble error={delivery.error} /> : null}
                  </div>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Panel>
  )
}
