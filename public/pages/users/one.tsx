// One user: its account as a form, and the sheet for its partner. And the form for a new one.
// Must not hold the fields; user-form does.
import { Tabs } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { UserView } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { may } from '../../pages.ts'
import { useDraft, useEditing } from '../../parts/form.tsx'
import { PageHead } from '../../parts/page-head.tsx'
import { Loaded } from '../../parts/panel.tsx'
import { same } from '../../parts/same.ts'
import { useSave } from '../../parts/save.ts'
import { Moment, Word } from '../../parts/words.tsx'
import type { PageProps } from '../../registry/page.ts'
import { go, leaving, useFilters } from '../../router.tsx'
import { strings } from '../../strings.ts'
import { EMPTY_USER, toDraft, toPatch, toSpec } from './draft.ts'
import { Removal } from './removal.tsx'
import { Sheet } from './sheet.tsx'
import { Recount, Usage } from './usage.tsx'
import { UserForm } from './user-form.tsx'

const words = strings.users

export const addressOf = (username: string): string => `/users/${encodeURIComponent(username)}`

export function NewUser({ me }: PageProps) {
  const { draft, set } = useDraft(EMPTY_USER)
  const save = useSave(() => api<UserView>('POST', '/users', toSpec(draft)), {
    touches: ['users'],
    done: ({ username }) => {
      go(`${addressOf(username)}?tab=sheet`, true)
      return strings.form.created(username)
    },
  })
  return (
    <>
      <PageHead title={words.new} />
      <UserForm
        draft={draft}
        set={set}
        user={null}
        readOnly={!may(me, 'admin')}
        dirty={!same(draft, EMPTY_USER)}
        save={save}
        verb={strings.form.create}
      />
    </>
  )
}

export function OneUser({ me, params }: PageProps) {
  const username = params.username!
  const query = useQuery({ queryKey: ['users', 'one', username], queryFn: () => api<UserView>('GET', addressOf(username)) })
  const [filters, filter] = useFilters()
  const tab = filters.get('tab') === 'sheet' ? 'sheet' : 'account'
  return (
    <>
      <PageHead title={username} note={query.data && query.data.partner !== '' ? <Word>{query.data.partner}</Word> : words.title} />
      <Loaded query={query} rows={8}>
        {(user) => (
          <Tabs value={tab} onChange={(to) => leaving(() => filter({ tab: to === 'account' ? null : to }))} keepMounted={false}>
            <Tabs.List className="tabs-gap no-print">
              <Tabs.Tab value="account">{words.tabs.account}</Tabs.Tab>
              <Tabs.Tab value="sheet">{words.tabs.sheet}</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="account">
              <Account user={user} me={me} />
            </Tabs.Panel>
            <Tabs.Panel value="sheet">
              <Sheet user={user} />
            </Tabs.Panel>
          </Tabs>
        )}
      </Loaded>
    </>
  )
}

function Account({ user, me }: { user: UserView; me: PageProps['me'] }) {
  const { before, draft, set, reset, accept, dirty } = useEditing(user, toDraft)
  const save = useSave(() => api<UserView>('PATCH', addressOf(user.username), toPatch(before, draft)), {
    touches: ['users', 'sessions'],
    done: (stored) => {
      accept(stored)
      return strings.form.saved(user.username)
    },
  })
  return (
    <div className="form">
      <Facts user={user} mayAct={may(me, 'operator')} />
      <UserForm
        draft={draft}
        set={set}
        user={user}
        readOnly={!may(me, 'admin')}
        dirty={dirty}
        save={save}
        verb={strings.form.save}
        onDiscard={reset}
      />
      {may(me, 'admin') ? <Removal user={user} /> : null}
    </div>
  )
}

function Facts({ user, mayAct }: { user: UserView; mayAct: boolean }) {
  const { last_login_from: from } = user
  return (
    <dl className="fact-list">
      <div>
        <dt>{strings.form.state}</dt>
        <dd>{user.enabled ? strings.form.enabled : strings.form.disabled}</dd>
      </div>
      <div>
        <dt>{words.lastLogin}</dt>
        <dd>
          <Moment at={user.last_login} />
          {from ? (
            <div className="quiet">
              <Word>{`${from.protocol.toUpperCase()} ${from.address}`}</Word>
            </div>
          ) : null}
        </dd>
      </div>
      <div>
        <dt>{words.sessions}</dt>
        <dd>{words.live(user.sessions)}</dd>
      </div>
      <div>
        <dt>{words.usage}</dt>
        <dd>
          <Usage user={user} />
          {mayAct ? <Recount username={user.username} /> : null}
        </dd>
      </div>
      <div>
        <dt>{words.created}</dt>
        <dd>
          <Moment at={user.created_at} />
        </dd>
      </div>
    </dl>
  )
}
