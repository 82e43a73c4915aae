// One destination: how it is doing, its settings, and switching it off. And the form for a new one.
// Must not hold the fields; destination-form does.
import { Button, Tabs } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { DestinationView } from '../../../src/core/views.ts'
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
import { Word } from '../../parts/words.tsx'
import type { PageProps } from '../../registry/page.ts'
import { go, leaving, useFilters } from '../../router.tsx'
import { strings } from '../../strings.ts'
import { whereabouts } from '../destinations.tsx'
import { Condition } from './condition.tsx'
import { DestinationForm } from './destination-form.tsx'
import { EMPTY_DESTINATION, toDraft, toPatch, toSpec } from './draft.ts'

const words = strings.destinations
const addressOf = (name: string): string => `/destinations/${encodeURIComponent(name)}`

export function NewDestination({ me }: PageProps) {
  const { draft, set } = useDraft(EMPTY_DESTINATION)
  const save = useSave(() => api<DestinationView>('POST', '/destinations', toSpec(draft)), {
    touches: ['destinations', 'stats'],
    done: ({ name }) => {
      go(addressOf(name), true)
      return strings.form.created(name)
    },
  })
  return (
    <>
      <PageHead title={words.new} />
      <DestinationForm
        draft={draft}
        set={set}
        stored={null}
        readOnly={!may(me, 'admin')}
        dirty={!same(draft, EMPTY_DESTINATION)}
        save={save}
        verb={strings.form.create}
      />
    </>
  )
}

export function OneDestination({ me, params }: PageProps) {
  const name = params.name!
  const query = useQuery({ queryKey: ['destinations', 'one', name], queryFn: () => api<DestinationView>('GET', addressOf(name)) })
  const [filters, filter] = useFilters()
  const tab = filters.get('tab') === 'settings' ? 'settings' : 'health'
  return (
    <>
      <PageHead
        title={name}
        note={query.data ? <Word>{`${words.types[query.data.type]} · ${whereabouts(query.data)}`}</Word> : words.title}
      />
      <Loaded query={query} rows={8}>
        {(destination) => (
          <Tabs value={tab} onChange={(to) => leaving(() => filter({ tab: to === 'health' ? null : to }))} keepMounted={false}>
            <Tabs.List className="tabs-gap">
              <Tabs.Tab value="health">{words.tabs.health}</Tabs.Tab>
              <Tabs.Tab value="settings">{words.tabs.settings}</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="health">
              <Condition destination={destination} mayTest={may(me, 'operator')} />
            </Tabs.Panel>
            <Tabs.Panel value="settings">
              <Settings destination={destination} me={me} />
            </Tabs.Panel>
          </Tabs>
        )}
      </Loaded>
    </>
  )
}

function Settings({ destination, me }: { destination: DestinationView; me: PageProps['me'] }) {
  const { before, draft, set, reset, accept, dirty } = useEditing(destination, toDraft)
  const save = useSave(() => api<DestinationView>('PATCH', addressOf(destination.name), toPatch(before, draft)), {
    touches: ['destinations', 'stats'],
    done: (stored) => {
      accept(stored)
      return strings.form.saved(destination.name)
    },
  })
  return (
    <div className="form">
      <DestinationForm
        draft={draft}
        set={set}
        stored={destination}
        readOnly={!may(me, 'admin')}
        dirty={dirty}
        save={save}
        verb={strings.form.save}
        onDiscard={reset}
      />
      {may(me, 'admin') ? <Removal destination={destination} /> : null}
    </div>
  )
}

function Removal({ destination: { name, enabled, used_by } }: { destination: DestinationView }) {
  const [question, setQuestion] = useState<Question | null>(null)
  const turn = useAct((on: boolean) => api('POST', `${addressOf(name)}/${on ? 'enable' : 'disable'}`), {
    touches: ['destinations', 'stats'],
    done: (_nothing, on) => (on ? strings.form.switchedOn(name) : strings.form.switchedOff(name)),
    undo: (on) => api('POST', `${addressOf(name)}/${on ? 'disable' : 'enable'}`),
  })
  const remove = useAct(() => api('DELETE', addressOf(name)), {
    touches: ['destinations', 'stats', 'removed'],
    undo: () => restore('destination', name),
    done: () => {
      // The list is shown where the page of what is gone was.
      if (location.pathname === addressOf(name)) go('/destinations', true)
      return strings.form.removed(name)
    },
  })
  return (
    <Section title={words.danger}>
      <div className="danger-row">
        <span>{enabled ? words.disableHint : words.enableHint}</span>
        <Button
          variant="default"
          loading={turn.isPending}
          onClick={() =>
            enabled
              ? setQuestion({
                  title: words.disableTitle(name),
                  text: words.disableText,
                  verb: strings.form.disable,
                  danger: true,
                  act: () => turn.mutate(false),
                })
              : turn.mutate(true)
          }
        >
          {enabled ? strings.form.disable : strings.form.enable}
        </Button>
      </div>
      <div className="danger-row">
        <span>{used_by.length === 0 ? words.removeHint : words.usedByText(used_by.join(', '))}</span>
        <Button
          variant="outline"
          color="red"
          disabled={used_by.length > 0}
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
