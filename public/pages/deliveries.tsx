// What is owed to destinations, by state; dead ones can be tried again or given up, one by one or all that fit the filters.
// Must not act on more than what is shown to fit.
import { Button, Group, SegmentedControl } from '@mantine/core'
import { useMutation, useQuery } from '@tanstack/react-query'
import { RotateCw, X } from 'lucide-react'
import { useState } from 'react'
import { DELIVERY_STATES, type DeliveryState, type DeliveryView } from '../../src/core/movement-views.ts'
import type { Page, StatsView } from '../../src/core/views.ts'
import type { Counted } from '../../src/forwarding/delivery-verbs.ts'
import { api } from '../api.ts'
import { formatCount, formatSize } from '../format.ts'
import { may } from '../pages.ts'
import { useAct } from '../parts/act.ts'
import { Confirm, type Question } from '../parts/confirm.tsx'
import { DeliveryActs, Proof } from '../parts/delivery-card.tsx'
import { failed, worked } from '../parts/failure.tsx'
import { FilterBar } from '../parts/filters.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { Empty } from '../parts/panel.tsx'
import { type Column, Paged, Table, usePages } from '../parts/table.tsx'
import { DeliveryBadge, Moment, Path, Trouble, Word } from '../parts/words.tsx'
import type { PageProps } from '../registry/page.ts'
import { Link, useFilters } from '../router.tsx'
import { strings } from '../strings.ts'

const words = strings.deliveryList
const FILTERS = ['state', 'destination', 'rule', 'q'] as const
const TABS = ['dead', 'retrying', 'pending', 'running', 'delivered', 'cancelled'] as const satisfies readonly DeliveryState[]

export function Deliveries({ me }: PageProps) {
  const [filters, change] = useFilters()
  const [question, setQuestion] = useState<Question | null>(null)
  const state = DELIVERY_STATES.find((one) => one === filters.get('state'))
  const asked = FILTERS.map((key) => [key, filters.get(key)] as const)
    .filter(([key, value]) => value && (key !== 'state' || state))
    .map(([key, value]) => `&${key}=${encodeURIComponent(value!)}`)
    .join('')
  const query = usePages<DeliveryView>(['deliveries', 'list', asked], `/deliveries?limit=50${asked}`)
  const mayAct = may(me, 'operator')
  return (
    <>
      <PageHead title={strings.nav.deliveries} note={words.note}>
        {mayAct ? <Bulk state={state} filters={filters} confirm={setQuestion} /> : null}
      </PageHead>
      <StateTabs state={state} choose={(next) => change({ state: next })} />
      <Choices />
      <section className="sheet" aria-label={strings.nav.deliveries}>
        <Paged query={query} empty={<NothingHere state={state} filtered={asked !== ''} />}>
          {(rows) => <Table label={strings.nav.deliveries} columns={columnsFor(mayAct, setQuestion)} rows={rows} keyOf={({ id }) => id} />}
        </Paged>
      </section>
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </>
  )
}

function StateTabs({ state, choose }: { state: DeliveryState | undefined; choose: (state: string | null) => void }) {
  const { data } = useQuery({ queryKey: ['stats'], queryFn: () => api<StatsView>('GET', '/stats') })
  const count = (one: DeliveryState): number | undefined => (one === 'delivered' || one === 'cancelled' ? undefined : data?.queue[one])
  return (
    <div className="tabs">
      <SegmentedControl
        aria-label={words.state}
        value={state ?? ''}
        onChange={(next) => choose(next === '' ? null : next)}
        data={[
          { value: '', label: words.all },
          ...TABS.map((one) => {
            const n = count(one)
            const label = one === 'dead' ? words.deadLetters : strings.deliveries.states[one]
            return { value: one, label: n === undefined || n === 0 ? label : `${label} (${n})` }
          }),
        ]}
      />
    </div>
  )
}

function Choices() {
  const names = (path: string) => async () => (await api<Page<{ name: string }>>('GET', `${path}?limit=1000`)).items.map(({ name }) => name)
  const destinations = useQuery({ queryKey: ['destinations', 'names'], queryFn: names('/destinations') })
  const rules = useQuery({ queryKey: ['rules', 'names'], queryFn: names('/rules') })
  const options = (list: readonly string[] | undefined) => Object.fromEntries((list ?? []).map((name) => [name, name]))
  return (
    <FilterBar
      search={words.search}
      choices={[
        { key: 'destination', label: words.destination, options: options(destinations.data) },
        { key: 'rule', label: words.rule, options: options(rules.data) },
      ]}
    />
  )
}

const RETRYABLE: readonly DeliveryState[] = ['dead', 'cancelled', 'retrying']
const CANCELLABLE: readonly DeliveryState[] = ['dead', 'retrying', 'pending']

/** Acts on all that fit; the API knows no text search here, so with one there are none. */
function Bulk({
  state,
  filters,
  confirm,
}: {
  state: DeliveryState | undefined
  filters: URLSearchParams
  confirm: (question: Question) => void
}) {
  const touches = ['deliveries', 'transfers', 'stats']
  const [destination, rule] = [filters.get('destination'), filters.get('rule')]
  const body: { state?: DeliveryState; destination?: string; rule?: string } = {
    ...(state ? { state } : {}),
    ...(destination ? { destination } : {}),
    ...(rule ? { rule } : {}),
  }
  const retry = useAct(() => api<{ count: number }>('POST', '/deliveries/retry', body), {
    touches,
    done: ({ count }) => strings.queue.retried(count),
  })
  const cancel = useAct(() => api<{ count: number }>('POST', '/deliveries/cancel', body), {
    touches,
    done: ({ count }) => words.cancelled(count),
  })
  /** Counted when it is asked about: what is shown may be the first page of many. */
  const ask = useMutation({
    mutationFn: async (verb: 'retry' | 'cancel') => ({
      verb,
      ...(await api<Counted>('GET', `/deliveries/count?${new URLSearchParams(body)}`)),
    }),
    onError: failed,
    onSuccess: ({ verb, count, more, suspect }) => {
      const n = verb === 'retry' ? count - suspect : count
      if (state === undefined) return
      const these = words.these(n, formatCount(n), more, words.kinds[state], body.destination ?? null, body.rule ?? null)
      const left = verb === 'retry' && suspect > 0 ? ` ${words.suspects(formatCount(suspect))}` : ''
      if (n === 0) worked(`${words.noneFits}${left}`)
      else if (verb === 'retry')
        confirm({
          title: words.confirmRetry(these),
          text: `${words.retryText}${left}`,
          verb: words.retryAll,
          danger: false,
          act: () => retry.mutate(),
        })
      else
        confirm({
          title: words.confirmCancel(these),
          text: words.cancelText,
          verb: words.cancelAll,
          danger: true,
          act: () => cancel.mutate(),
        })
    },
  })
  if (state === undefined || filters.get('q')) return null
  const asking = (verb: 'retry' | 'cancel') => ask.isPending && ask.variables === verb
  return (
    <Group gap="xs">
      {RETRYABLE.includes(state) ? (
        <Button
          size="sm"
          variant="default"
          leftSection={<RotateCw size={15} aria-hidden="true" />}
          loading={retry.isPending || asking('retry')}
          onClick={() => ask.mutate('retry')}
        >
          {words.retryAll}
        </Button>
      ) : null}
      {CANCELLABLE.includes(state) ? (
        <Button
          size="sm"
          variant="default"
          leftSection={<X size={15} aria-hidden="true" />}
          loading={cancel.isPending || asking('cancel')}
          onClick={() => ask.mutate('cancel')}
        >
          {words.cancelAll}
        </Button>
      ) : null}
    </Group>
  )
}

function NothingHere({ state, filtered }: { state: DeliveryState | undefined; filtered: boolean }) {
  if (state === 'dead') return <Empty title={words.noDead}>{words.noDeadHint}</Empty>
  return filtered ? <Empty title={strings.table.nothing} /> : <Empty title={words.none}>{words.noneHint}</Empty>
}

function columnsFor(mayAct: boolean, confirm: (question: Question) => void): readonly Column<DeliveryView>[] {
  return [
    {
      key: 'file',
      label: words.file,
      render: ({ transfer, path, user, size }) => (
        <>
          <Link href={`/transfers/${transfer}`} className="plain">
            <Path path={path} />
          </Link>
          <div className="quiet">
            <Word>{user}</Word>, {formatSize(size)}
          </div>
        </>
      ),
    },
    {
      key: 'to',
      label: words.to,
      width: '21%',
      render: ({ destination, remote_path, receipt, rule }) => (
        <>
          <strong>{destination}</strong> <Word>{receipt?.remote_path ?? remote_path}</Word>
          <div className="quiet">
            {words.byRule} {rule}
          </div>
        </>
      ),
    },
    {
      key: 'state',
      label: words.state,
      width: '24%',
      render: (delivery) => (
        <>
          <DeliveryBadge {...delivery} />
          {delivery.error && delivery.state !== 'delivered' ? <Trouble error={delivery.error} /> : null}
          <Proof delivery={delivery} />
          {delivery.state !== 'delivered' && delivery.attempts > 0 ? (
            <div className="quiet">
              {strings.deliveries.tries(delivery.attempts)}
              {delivery.state === 'retrying' && delivery.next_at ? (
                <>
                  , {strings.deliveries.next} <Moment at={delivery.next_at} />
                </>
              ) : null}
            </div>
          ) : null}
        </>
      ),
    },
    { key: 'at', label: words.since, width: '8.5rem', render: ({ updated_at }) => <Moment at={updated_at} /> },
    ...(mayAct
      ? [
          {
            key: 'acts',
            label: '',
            width: '12.5rem',
            render: (delivery: DeliveryView) => <DeliveryActs delivery={delivery} confirm={confirm} />,
          },
        ]
      : []),
  ]
}
