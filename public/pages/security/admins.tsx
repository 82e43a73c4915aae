// The people who use this page: their roles, passwords and second factors.
// Must not decide what a role may; the gateway does.
import { Button, Group, Modal, NativeSelect, PasswordInput, Stack, Switch, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { AdminView, Role } from '../../../src/core/views.ts'
import { api, type Me } from '../../api.ts'
import { may } from '../../pages.ts'
import { useAct } from '../../parts/act.ts'
import { Confirm, type Question } from '../../parts/confirm.tsx'
import { Refusal } from '../../parts/form.tsx'
import { Empty } from '../../parts/panel.tsx'
import { useSave } from '../../parts/save.ts'
import { type Column, Paged, Table, usePages } from '../../parts/table.tsx'
import { Moment, State } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'

const words = strings.security.admins
const roleName = strings.account.role
const addressOf = (name: string): string => `/admins/${encodeURIComponent(name)}`

export const RoleSelect = ({ value, onChange }: { value: Role; onChange: (role: Role) => void }) => (
  <NativeSelect
    label={words.role}
    description={words.roleText[value]}
    value={value}
    data={(['admin', 'operator', 'auditor'] as const).map((role) => ({ value: role, label: roleName[role] }))}
    onChange={({ currentTarget }) => onChange(currentTarget.value as Role)}
  />
)

export function Admins({ me }: { me: Me }) {
  const [making, setMaking] = useState(false)
  const [changing, setChanging] = useState<AdminView | null>(null)
  const query = usePages<AdminView>(['admins'], '/admins?limit=100')
  const columns: Column<AdminView>[] = [
    {
      key: 'name',
      label: words.username,
      render: ({ username }) => (
        <div>
          <strong>
            <bdi>{username}</bdi>
          </strong>{' '}
          {username === me.username ? <span className="quiet">({words.you})</span> : null}
        </div>
      ),
    },
    { key: 'role', label: words.role, render: ({ role }) => roleName[role] },
    {
      key: 'state',
      label: strings.form.state,
      width: '9rem',
      render: ({ enabled }) => (
        <State state={enabled ? 'completed' : 'disabled'} label={enabled ? strings.form.enabled : strings.form.disabled} />
      ),
    },
    {
      key: 'factor',
      label: words.factor,
      width: '10rem',
      render: ({ totp_enabled }) => (
        <State state={totp_enabled ? 'completed' : 'suspect'} label={totp_enabled ? words.factorOn : words.factorOff} />
      ),
    },
    { key: 'login', label: words.lastLogin, width: '10rem', render: ({ last_login }) => <Moment at={last_login} /> },
  ]
  if (may(me, 'admin')) {
    columns.push({
      key: 'change',
      label: '',
      width: '8rem',
      render: (admin) => (
        <Button variant="default" size="xs" aria-label={words.changeOf(admin.username)} onClick={() => setChanging(admin)}>
          {words.change}
        </Button>
      ),
    })
  }
  return (
    <div className="stack">
      {may(me, 'admin') ? (
        <div>
          <Button onClick={() => setMaking(true)}>{words.new}</Button>
        </div>
      ) : null}
      <section className="sheet" aria-label={strings.security.parts.admins}>
        <Paged query={query} empty={<Empty title={strings.table.nothing} />}>
          {(rows) => <Table label={strings.security.parts.admins} columns={columns} rows={rows} keyOf={({ username }) => username} />}
        </Paged>
      </section>
      <Modal
        opened={making}
        onClose={() => setMaking(false)}
        title={words.new}
        centered
        closeButtonProps={{ 'aria-label': strings.form.close }}
      >
        <NewAdmin onDone={() => setMaking(false)} />
      </Modal>
      <Modal
        opened={changing !== null}
        onClose={() => setChanging(null)}
        title={changing?.username ?? ''}
        centered
        closeButtonProps={{ 'aria-label': strings.form.close }}
      >
        {changing ? <ChangeAdmin key={changing.username} admin={changing} onDone={() => setChanging(null)} /> : null}
      </Modal>
    </div>
  )
}

function NewAdmin({ onDone }: { onDone: () => void }) {
  const [username, setUsername] = useState('')
  const [password, setPassword] = useState('')
  const [role, setRole] = useState<Role>('operator')
  const save = useSave(() => api<AdminView>('POST', '/admins', { username, password, role }), {
    touches: ['admins'],
    done: (admin) => {
      onDone()
      return strings.form.created(admin.username)
    },
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        save.run()
      }}
    >
      <Stack>
        <TextInput
          label={words.username}
          required
          maxLength={64}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          data-autofocus
          value={username}
          onChange={({ currentTarget }) => setUsername(currentTarget.value)}
        />
        <PasswordInput
          label={words.password}
          description={words.passwordRule}
          required
          minLength={8}
          autoComplete="new-password"
          value={password}
          onChange={({ currentTarget }) => setPassword(currentTarget.value)}
        />
        <RoleSelect value={role} onChange={setRole} />
        <Refusal error={save.error} />
        <Group justify="flex-end">
          <Button type="submit" loading={save.busy}>
            {words.create}
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

function ChangeAdmin({ admin, onDone }: { admin: AdminView; onDone: () => void }) {
  const { username } = admin
  const [role, setRole] = useState<Role>(admin.role)
  const [enabled, setEnabled] = useState(admin.enabled)
  const [password, setPassword] = useState('')
  const [question, setQuestion] = useState<Question | null>(null)
  const change = {
    ...(role === admin.role ? {} : { role }),
    ...(enabled === admin.enabled ? {} : { enabled }),
    ...(password === '' ? {} : { password }),
  }
  const save = useSave(() => api('PATCH', addressOf(username), change), {
    touches: ['admins'],
    done: () => {
      onDone()
      return strings.form.saved(username)
    },
  })
  const reset = useAct(() => api('POST', `${addressOf(username)}/reset-2fa`), {
    touches: ['admins'],
    done: () => words.resetDone(username),
  })
  const remove = useAct(() => api('DELETE', addressOf(username)), {
    touches: ['admins'],
    done: () => {
      onDone()
      return strings.form.removed(username)
    },
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        save.run()
      }}
    >
      <Stack>
        <RoleSelect value={role} onChange={setRole} />
        <Switch label={strings.form.enabled} checked={enabled} onChange={({ currentTarget }) => setEnabled(currentTarget.checked)} />
        <PasswordInput
          label={words.newPassword}
          description={`${words.passwordRule}. ${strings.users.keepPassword}`}
          minLength={8}
          autoComplete="new-password"
          value={password}
          onChange={({ currentTarget }) => setPassword(currentTarget.value)}
        />
        <Refusal error={save.error} />
        <Group justify="space-between">
          <Group gap="xs">
            {admin.totp_enabled ? (
              <Button
                variant="default"
                loading={reset.isPending}
                onClick={() =>
                  setQuestion({
                    title: words.resetTitle(username),
                    text: words.resetText,
                    verb: words.reset,
                    danger: true,
                    act: () => reset.mutate(),
                  })
                }
              >
                {words.reset}
              </Button>
            ) : null}
            <Button
              variant="outline"
              color="red"
              loading={remove.isPending}
              onClick={() =>
                setQuestion({
                  title: words.removeTitle(username),
                  text: words.removeText,
                  verb: strings.form.remove,
                  danger: true,
                  act: () => remove.mutate(),
                })
              }
            >
              {strings.form.remove}
            </Button>
          </Group>
          <Button type="submit" loading={save.busy} disabled={Object.keys(change).length === 0}>
            {words.save}
          </Button>
        </Group>
      </Stack>
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </form>
  )
}
