// One rule: its fields beside what they would do, as one types. And the form for a new one.
// Must not hold the fields; rule-form does.
import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { RuleSpec } from '../../../src/core/rule.ts'
import type { Page, RuleView } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { may } from '../../pages.ts'
import { useAct } from '../../parts/act.ts'
import { Confirm, type Question } from '../../parts/confirm.tsx'
import { Section, useDraft, useEditing } from '../../parts/form.tsx'
import { PageHead } from '../../parts/page-head.tsx'
import { Loaded } from '../../parts/panel.tsx'
import { restore } from '../../parts/removed.tsx'
import { same } from '../../parts/same.ts'
import { useSave } from '../../parts/save.ts'
import type { PageProps } from '../../registry/page.ts'
import { go } from '../../router.tsx'
import { strings } from '../../strings.ts'
import { EMPTY_RULE, type RuleDraft, specOf, toDraft, toPatch, toSpec, UNCHOSEN } from './draft.ts'
import { OverHistory } from './history.tsx'
import { useNames } from './names.ts'
import { RuleForm } from './rule-form.tsx'
import { TryOut } from './try.tsx'

const words = strings.rules
const addressOf = (name: string): string => `/rules/${encodeURIComponent(name)}`
/** Before a name is typed the draft has to be called something. */
const UNNAMED = 'new-rule'

/** The stored rules with the draft in its place, as they would be. */
function useTrial(draft: RuleDraft, stored?: RuleView): { rules: readonly RuleSpec[]; name: string } {
  const all = useQuery({ queryKey: ['rules', 'all'], queryFn: () => api<Page<RuleView>>('GET', '/rules?limit=1000') })
  const name = stored?.name ?? (draft.name.trim() || UNNAMED)
  const others = all.data?.items ?? []
  // A rule that is off takes nothing; the question is what it would do.
  const spec = toSpec(draft, stored)
  const mine: RuleSpec = {
    ...spec,
    name,
    enabled: true,
    deliver: spec.deliver.map((one) => (one.to === '' ? { ...one, to: UNCHOSEN } : one)),
  }
  const place = others.findIndex((rule) => rule.name === name)
  const specs = others.map(specOf)
  return { name, rules: place === -1 ? [...specs, mine] : specs.with(place, mine) }
}

/** An example to begin with: the fixed part of the pattern and a name. */
const example = (draft: RuleDraft): string =>
  draft.path
    .replace(/\*\*/g, 'example.txt')
    .replace(/\*/g, 'example')
    .replace(/[?[\]{}]/g, 'x')

function Builder({ draft, stored, children }: { draft: RuleDraft; stored?: RuleView; children: React.ReactNode }) {
  const trial = useTrial(draft, stored)
  const { users } = useNames()
  return (
    <div className="builder">
      <div className="form">{children}</div>
      <div className="builder-side">
        <TryOut
          key={users[0] ?? ''}
          rules={trial.rules}
          draft={trial.name}
          users={users}
          first={{ user: draft.users[0] ?? users[0] ?? '', path: example(draft) }}
        />
        <OverHistory rules={trial.rules} />
      </div>
    </div>
  )
}

export function NewRule({ me }: PageProps) {
  const { draft, set } = useDraft(EMPTY_RULE)
  const names = useNames()
  const save = useSave(() => api<RuleView>('POST', '/rules', toSpec(draft)), {
    touches: ['rules', 'destinations'],
    done: ({ name }) => {
      go('/rules', true)
      return strings.form.created(name)
    },
  })
  return (
    <>
      <PageHead title={words.new} />
      <Builder draft={draft}>
        <RuleForm
          draft={draft}
          set={set}
          fresh
          {...names}
          readOnly={!may(me, 'admin')}
          dirty={!same(draft, EMPTY_RULE)}
          save={save}
          verb={strings.form.create}
        />
      </Builder>
    </>
  )
}

export function OneRule({ me, params }: PageProps) {
  const name = params.name!
  const query = useQuery({ queryKey: ['rules', 'one', name], queryFn: () => api<RuleView>('GET', addressOf(name)) })
  return (
    <>
      <PageHead title={name} note={words.title} />
      <Loaded query={query} rows={8}>
        {(rule) => <Editing rule={rule} me={me} />}
      </Loaded>
    </>
  )
}

function Editing({ rule, me }: { rule: RuleView; me: PageProps['me'] }) {
  const { before, draft, set, reset, accept, dirty } = useEditing(rule, toDraft)
  const names = useNames()
  const save = useSave(() => api<RuleView>('PATCH', addressOf(rule.name), toPatch(before, draft, rule)), {
    touches: ['rules', 'destinations'],
    done: (stored) => {
      accept(stored)
      return strings.form.saved(rule.name)
    },
  })
  return (
    <Builder draft={draft} stored={rule}>
      <RuleForm
        draft={draft}
        set={set}
        fresh={false}
        {...names}
        readOnly={!may(me, 'admin')}
        dirty={dirty}
        save={save}
        verb={strings.form.save}
        onDiscard={reset}
      />
      {may(me, 'admin') ? <Removal name={rule.name} /> : null}
    </Builder>
  )
}

function Removal({ name }: { name: string }) {
  const [question, setQuestion] = useState<Question | null>(null)
  const remove = useAct(() => api('DELETE', addressOf(name)), {
    touches: ['rules', 'destinations', 'removed'],
    undo: () => restore('rule', name),
    done: () => {
      go('/rules', true)
      return strings.form.removed(name)
    },
  })
  return (
    <Section title={words.danger}>
      <div className="danger-row">
        <span>{words.removeHint}</span>
        <Button
          variant="outline"
          color="red"
          loading={remove.isPending}
          onClick={() =>
            setQuestion({
              title: words.removeTitle(name),
              text: words.removeText,
              verb: strings.form.remove,
              danger: true,
              act: () => remove.mutate(),
            })
          }
        >
          {strings.form.remove}
        </Button>
      </div>
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </Section>
  )
}
