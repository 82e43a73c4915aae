// Disabling, deleting, emptying a user: each asked about by its name.
// Must not act without the question.
import { Button } from '@mantine/core'
import { useState } from 'react'
import type { UserView } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { formatSize } from '../../format.ts'
import { useAct } from '../../parts/act.ts'
import { Confirm, type Question } from '../../parts/confirm.tsx'
import { Section } from '../../parts/form.tsx'
import { restore } from '../../parts/removed.tsx'
import { TypedConfirm } from '../../parts/typed-confirm.tsx'
import { go } from '../../router.tsx'
import { strings } from '../../strings.ts'
import { addressOf } from './one.tsx'

const words = strings.users

export function Removal({ user }: { user: UserView }) {
  const { username, enabled, sessions } = user
  const [question, setQuestion] = useState<Question | null>(null)
  const [typed, setTyped] = useState<'remove' | 'wipe' | null>(null)
  const turn = useAct((on: boolean) => api('POST', `${addressOf(username)}/${on ? 'enable' : 'disable'}`), {
    touches: ['users', 'sessions'],
    done: (_nothing, on) => (on ? strings.form.switchedOn(username) : strings.form.switchedOff(username)),
    undo: (on) => api('POST', `${addressOf(username)}/${on ? 'disable' : 'enable'}`),
  })
  const remove = useAct(() => api('DELETE', addressOf(username)), {
    touches: ['users', 'sessions', 'removed'],
    done: () => {
      go('/users', true)
      return strings.form.removed(username)
    },
    undo: () => restore('user', username),
  })
  const wipe = useAct(() => api<{ files: number; bytes: number }>('POST', `${addressOf(username)}/files/delete`, { confirm: username }), {
    touches: ['users'],
    done: ({ files, bytes }) => words.wiped(files, formatSize(bytes)),
  })
  const disable = () =>
    setQuestion({
      title: words.disableTitle(username),
      text: words.disableText(sessions),
      verb: strings.form.disable,
      danger: true,
      act: () => turn.mutate(false),
    })
  return (
    <Section title={words.danger} note={words.dangerNote}>
      <div className="danger-row">
        <span>{enabled ? words.disableHint : words.enableText}</span>
        <Button variant="default" loading={turn.isPending} onClick={() => (enabled ? disable() : turn.mutate(true))}>
          {enabled ? strings.form.disable : strings.form.enable}
        </Button>
      </div>
      <div className="danger-row">
        <span>{words.wipeHint}</span>
        <Button variant="outline" color="red" loading={wipe.isPending} onClick={() => setTyped('wipe')}>
          {words.wipe}
        </Button>
      </div>
      <div className="danger-row">
        <span>{words.removeHint}</span>
        <Button variant="outline" color="red" loading={remove.isPending} onClick={() => setTyped('remove')}>
          {strings.form.remove}
        </Button>
      </div>
      <Confirm question={question} onClose={() => setQuestion(null)} />
      <TypedConfirm
        opened={typed === 'remove'}
        name={username}
        title={words.removeTitle(username)}
        text={words.removeText}
        verb={strings.form.remove}
        onClose={() => setTyped(null)}
        act={() => remove.mutate()}
      />
      <TypedConfirm
        opened={typed === 'wipe'}
        name={username}
        title={words.wipeTitle(username)}
        text={words.wipeText}
        verb={words.wipe}
        onClose={() => setTyped(null)}
        act={() => wipe.mutate()}
      />
    </Section>
  )
}
