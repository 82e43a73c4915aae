// All rules in their order: what each takes and where it delivers; and which of them takes a file.
// Must not edit one; its own page does.
import { ActionIcon, Button, Group, Switch, Tooltip } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { ArrowDown, ArrowUp, type LucideIcon, Plus } from 'lucide-react'
import { type RefObject, useLayoutEffect, useRef, useState } from 'react'
import type { Page, RuleView } from '../../src/core/views.ts'
import { api } from '../api.ts'
import { may } from '../pages.ts'
import { useAct } from '../parts/act.ts'
import { Confirm, type Question } from '../parts/confirm.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { Empty, Loaded } from '../parts/panel.tsx'
import { Removed } from '../parts/removed.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { State, Word } from '../parts/words.tsx'
import type { PageProps } from '../registry/page.ts'
import { go, Link } from '../router.tsx'
import { strings } from '../strings.ts'
import '../manage.css'
import { useNames } from './rules/names.ts'
import { TryOut } from './rules/try.tsx'

const words = strings.rules
const addressOf = (name: string): string => `/rules/${encodeURIComponent(name)}`

export function Rules({ me }: PageProps) {
  const [question, setQuestion] = useState<Question | null>(null)
  // All at once: an order cannot be changed page by page.
  const query = useQuery({ queryKey: ['rules', 'all'], queryFn: () => api<Page<RuleView>>('GET', '/rules?limit=1000') })
  const { users, destinations } = useNames()
  const admin = may(me, 'admin')
  const order = useAct(({ names }: { names: readonly string[]; before: readonly string[] }) => api('POST', '/rules/order', { names }), {
    touches: ['rules'],
    done: () => words.moved,
    undo: ({ before }) => api('POST', '/rules/order', { names: before }),
  })
  const turn = useAct(({ name, on }: { name: string; on: boolean }) => api('POST', `${addressOf(name)}/${on ? 'enable' : 'disable'}`), {
    touches: ['rules'],
    done: (_nothing, { name, on }) => (on ? strings.form.switchedOn(name) : strings.form.switchedOff(name)),
    undo: ({ name, on }) => api('POST', `${addressOf(name)}/${on ? 'disable' : 'enable'}`),
  })
  const all = query.data?.items ?? []
  const kept = useRef<HTMLElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: when the rows are others
  useLayoutEffect(() => {
    // A row that changes its place is taken out and put in again by the browser, which forgets the keyboard there.
    if (document.activeElement === document.body) kept.current?.focus({ preventScroll: true })
    kept.current = null
  }, [query.data])
  const move = (at: number, by: -1 | 1) => {
    const names = all.map(({ name }) => name)
    order.mutate({ names: names.with(at, names[at + by]!).with(at + by, names[at]!), before: names })
  }
  const columns: Column<RuleView>[] = [
    {
      key: 'name',
      label: words.name,
      render: (rule) => (
        <div>
          <Link href={addressOf(rule.name)}>
            <bdi>{rule.name}</bdi>
          </Link>{' '}
          {rule.mode === 'shadow' ? (
            <Tooltip label={words.shadowHint}>
              <span>
                <State state="suspect" label={words.shadow} />
              </span>
            </Tooltip>
          ) : null}
        </div>
      ),
    },
    { key: 'takes', label: words.takes, width: '32%', render: (rule) => <Takes rule={rule} /> },
    {
      key: 'delivers',
      label: words.delivers,
      width: '30%',
      render: ({ deliver }) => (
        <div>
          {deliver.map(({ to, path }) => (
            <div key={`${to} ${path}`}>
              <bdi>{to}</bdi>{' '}
              <span className="quiet">
                <Word>{path ?? '/{path}'}</Word>
              </span>
            </div>
          ))}
        </div>
      ),
    },
    {
      key: 'state',
      label: strings.form.state,
      width: '7rem',
      render: ({ name, enabled }) =>
        admin ? (
          <Switch
            aria-label={words.toggle(name)}
            checked={enabled}
            onChange={() =>
              enabled
                ? setQuestion({
                    title: words.disableTitle(name),
                    text: words.disableText,
                    verb: strings.form.disable,
                    danger: true,
                    act: () => turn.mutate({ name, on: false }),
                  })
                : turn.mutate({ name, on: true })
            }
          />
        ) : (
          <State state={enabled ? 'completed' : 'disabled'} label={enabled ? strings.form.enabled : strings.form.disabled} />
        ),
    },
  ]
  if (admin && all.length > 1) {
    columns.push({
      key: 'order',
      label: words.order,
      width: '7rem',
      render: ({ name }) => {
        const at = all.findIndex((rule) => rule.name === name)
        return (
          <Group gap={6} wrap="nowrap">
            <Step label={words.up(name)} Icon={ArrowUp} can={at > 0 && !order.isPending} kept={kept} act={() => move(at, -1)} />
            <Step
              label={words.down(name)}
              Icon={ArrowDown}
              can={at < all.length - 1 && !order.isPending}
              kept={kept}
              act={() => move(at, 1)}
            />
          </Group>
        )
      },
    })
  }
  const create = admin ? (
    <Button leftSection={<Plus size={16} aria-hidden="true" />} onClick={() => go('/rules/+new')}>
      {words.new}
    </Button>
  ) : null
  return (
    <>
      <PageHead title={words.title} note={words.note}>
        {create}
      </PageHead>
      <div className="stack">
        <section className="sheet" aria-label={words.title}>
          <Loaded query={query} rows={6}>
            {({ items }) =>
              items.length === 0 ? (
                <Empty title={words.empty}>
                  <div className="stack">
                    {words.emptyHint}
                    {destinations.length === 0 && admin ? (
                      <div>
                        {words.emptyNoDestination}{' '}
                        <Link className="link" href="/destinations/+new">
                          {strings.destinations.new}
                        </Link>
                      </div>
                    ) : (
                      <div>{create}</div>
                    )}
                  </div>
                </Empty>
              ) : (
                <Table label={words.title} columns={columns} rows={items} keyOf={({ name }) => name} />
              )
            }
          </Loaded>
        </section>
        {admin ? <Removed kind="rule" /> : null}
        {all.length === 0 ? null : <TryOut key={users[0] ?? ''} users={users} first={{ user: users[0] ?? '', path: '' }} />}
      </div>
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </>
  )
}

/** Moves a rule by one. Where it cannot, it says so, but keeps the keyboard: the next press may be meant for its neighbour. */
function Step({
  label,
  Icon,
  can,
  kept,
  act,
}: {
  label: string
  Icon: LucideIcon
  can: boolean
  kept: RefObject<HTMLElement | null>
  act: () => void
}) {
  return (
    <ActionIcon
      variant="default"
      size="lg"
      aria-label={label}
      aria-disabled={!can}
      data-disabled={can ? undefined : true}
      onClick={({ currentTarget }) => {
        if (!can) return
        kept.current = currentTarget
        act()
      }}
    >
      <Icon size={16} aria-hidden="true" />
    </ActionIcon>
  )
}

function Takes({ rule: { source, exclude } }: { rule: RuleView }) {
  const users = source.users ?? []
  return (
    <div>
      <Word>{source.path}</Word>
      <div className="quiet">
        <Word>
          {source.watch === undefined
            ? users.length === 0
              ? words.everyUser
              : words.users(users.join(', '))
            : words.watched(source.watch)}
        </Word>
        {exclude && exclude.length > 0 ? <Word>{`, ${words.excluded(exclude.join(', '))}`}</Word> : null}
      </div>
    </div>
  )
}
