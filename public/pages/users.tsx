// All users: who they are, how they log in, when they last did.
// Must not change one; its own page does.
import { Button } from '@mantine/core'
import { UserPlus } from 'lucide-react'
import type { UserView } from '../../src/core/views.ts'
import { may } from '../pages.ts'
import { FilterBar } from '../parts/filters.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { Empty } from '../parts/panel.tsx'
import { Removed } from '../parts/removed.tsx'
import { type Column, Paged, Table, usePages } from '../parts/table.tsx'
import { Moment, State, Word } from '../parts/words.tsx'
import type { PageProps } from '../registry/page.ts'
import { go, Link, useFilters } from '../router.tsx'
import { strings } from '../strings.ts'
import '../manage.css'
import { expired } from './users/login.ts'
import { Usage } from './users/usage.tsx'

const words = strings.users

const COLUMNS: Column<UserView>[] = [
  {
    key: 'username',
    label: words.username,
    render: ({ username, partner }) => (
      <div>
        <Link href={`/users/${encodeURIComponent(username)}`}>
          <bdi>{username}</bdi>
        </Link>
        {partner === '' ? null : (
          <div className="quiet">
            <Word>{partner}</Word>
          </div>
        )}
      </div>
    ),
  },
  {
    key: 'state',
    label: strings.form.state,
    width: '9rem',
    render: (user) =>
      user.enabled ? (
        expired(user) ? (
          <State state="suspect" label={words.expired} />
        ) : (
          <State state="completed" label={strings.form.enabled} />
        )
      ) : (
        <State state="disabled" label={strings.form.disabled} />
      ),
  },
  { key: 'protocols', label: words.protocols, width: '7rem', render: ({ protocols }) => protocols.join(', ').toUpperCase() },
  {
    key: 'credentials',
    label: words.credentials,
    render: ({ has_password, public_keys }) =>
      [has_password ? words.password : '', public_keys.length > 0 ? words.keys(public_keys.length) : ''].filter(Boolean).join(', ') ||
      words.noCredentials,
  },
  {
    key: 'usage',
    label: words.usage,
    width: '11rem',
    render: (user) => <Usage user={user} />,
  },
  {
    key: 'login',
    label: words.lastLogin,
    width: '9rem',
    render: (user) => <Moment at={user.last_login} />,
  },
  {
    key: 'sessions',
    label: words.sessions,
    width: '8rem',
    render: ({ sessions }) => (sessions > 0 ? <State state="running" label={words.live(sessions)} /> : <span className="quiet">–</span>),
  },
]

export function Users({ me }: PageProps) {
  const [filters] = useFilters()
  const q = filters.get('q') ?? ''
  const query = usePages<UserView>(['users', 'all', q], `/users?limit=100${q === '' ? '' : `&q=${encodeURIComponent(q)}`}`)
  const create = may(me, 'admin') ? (
    <Button leftSection={<UserPlus size={16} aria-hidden="true" />} onClick={() => go('/users/+new')}>
      {words.new}
    </Button>
  ) : null
  return (
    <>
      <PageHead title={words.title} note={words.note}>
        {create}
      </PageHead>
      <FilterBar search={words.search} />
      <section className="sheet" aria-label={words.title}>
        <Paged
          query={query}
          empty={
            q === '' ? (
              <Empty title={words.empty}>
                <div className="stack">
                  {words.emptyHint}
                  <div>{create}</div>
                </div>
              </Empty>
            ) : (
              <Empty title={strings.table.nothing} />
            )
          }
        >
          {(rows) => <Table label={words.title} columns={COLUMNS} rows={rows} keyOf={({ username }) => username} />}
        </Paged>
      </section>
      {may(me, 'admin') ? <Removed kind="user" /> : null}
    </>
  )
}
