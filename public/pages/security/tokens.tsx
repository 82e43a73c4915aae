// Tokens of the API: made, shown once, revoked.
// Must not keep a token beyond the moment it is shown.
import { Alert, Button, Stack, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Page, Role, TokenView } from '../../../src/core/views.ts'
import { api, type Me } from '../../api.ts'
import { may } from '../../pages.ts'
import { useAct } from '../../parts/act.ts'
import { Confirm, type Question } from '../../parts/confirm.tsx'
import { Copy } from '../../parts/copy.tsx'
import { Refusal, Section } from '../../parts/form.tsx'
import { Empty, Loaded } from '../../parts/panel.tsx'
import { useSave } from '../../parts/save.ts'
import { type Column, Table } from '../../parts/table.tsx'
import { Moment, State } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'
import { RoleSelect } from './admins.tsx'

const words = strings.security.tokens

export function Tokens({ me }: { me: Me }) {
  const [question, setQuestion] = useState<Question | null>(null)
  const query = useQuery({
    queryKey: ['tokens'],
    queryFn: () => api<Page<TokenView>>('GET', '/tokens'),
    enabled: may(me, 'admin'),
  })
  const revoke = useAct((name: string) => api('DELETE', `/tokens/${encodeURIComponent(name)}`), {
    touches: ['tokens'],
    done: (_nothing, name) => words.revoked(name),
  })
  if (!may(me, 'admin')) return <Empty title={words.adminsOnly} />
  const columns: Column<TokenView>[] = [
    { key: 'name', label: words.name, render: ({ name }) => <strong>{name}</strong> },
    { key: 'role', label: words.role, render: ({ role }) => strings.account.role[role] },
    { key: 'created', label: words.created, width: '10rem', render: ({ created_at }) => <Moment at={created_at} /> },
    {
      key: 'expires',
      label: words.expires,
      width: '10rem',
      render: ({ expires_at }) => (
        <>
          <Moment at={expires_at} />
          {expires_at !== null && Date.parse(expires_at) < Date.now() ? (
            <div>
              <State state="suspect" label={strings.users.expired} />
            </div>
          ) : null}
        </>
      ),
    },
    { key: 'used', label: words.lastUsed, width: '10rem', render: ({ last_used_at }) => <Moment at={last_used_at} /> },
    {
      key: 'revoke',
      label: '',
      width: '8rem',
      render: ({ name }) => (
        <Button
          variant="default"
          size="xs"
          aria-label={words.revokeOf(name)}
          onClick={() =>
            setQuestion({
              title: words.revokeTitle(name),
              text: words.revokeText,
              verb: words.revoke,
              danger: true,
              act: () => revoke.mutate(name),
            })
          }
        >
          {words.revoke}
        </Button>
      ),
    },
  ]
  return (
    <div className="stack">
      <section className="sheet" aria-label={strings.security.parts.tokens}>
        <Loaded query={query} rows={3}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title={words.empty} />
            ) : (
              <Table label={strings.security.parts.tokens} columns={columns} rows={items} keyOf={({ name }) => name} />
            )
          }
        </Loaded>
      </section>
      <NewToken />
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </div>
  )
}

function NewToken() {
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('auditor')
  const [expires, setExpires] = useState('')
  const [made, setMade] = useState<{ readonly name: string; readonly token: string } | null>(null)
  const save = useSave(
    () =>
      api<{ name: string; token: string }>('POST', '/tokens', {
        name,
        role,
        ...(expires === '' ? {} : { expires_at: `${expires}T23:59:59.999Z` }),
      }),
    {
      touches: ['tokens'],
      done: (answer) => {
        setMade({ name: answer.name, token: answer.token })
        setName('')
        return undefined
      },
    },
  )
  return (
    <Section title={words.new} note={words.note}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          save.run()
        }}
      >
        <Stack>
          <TextInput
            label={words.name}
            required
            maxLength={64}
            autoComplete="off"
            spellCheck={false}
            value={name}
            onChange={({ currentTarget }) => setName(currentTarget.value)}
          />
          <RoleSelect value={role} onChange={setRole} />
          <TextInput
            maw={240}
            type="date"
            label={words.expiresAt}
            description={words.expiresNote}
            value={expires}
            onChange={({ currentTarget }) => setExpires(currentTarget.value)}
          />
          <Refusal error={save.error} />
          <div>
            <Button type="submit" loading={save.busy}>
              {words.create}
            </Button>
          </div>
        </Stack>
      </form>
      {made ? (
        <Alert color="green" variant="light" role="status" title={words.made(made.name)}>
          <div className="once">
            <span className="mono grow">{made.token}</span>
            <Copy text={made.token} what={words.theToken} />
          </div>
        </Alert>
      ) : null}
    </Section>
  )
}
