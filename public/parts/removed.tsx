// What was deleted a while ago and can still be restored; nothing when there is none.
// Must not promise more than the gateway keeps.
import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Undo2 } from 'lucide-react'
import type { RemovedKind, RemovedView } from '../../src/core/removals.ts'
import type { Page } from '../../src/core/views.ts'
import { api } from '../api.ts'
import { strings } from '../strings.ts'
import { useAct } from './act.ts'
import { Panel } from './panel.tsx'
import { Moment, Word } from './words.tsx'

const words = strings.removed
const PATH = { user: '/users', destination: '/destinations', rule: '/rules' } as const satisfies Record<RemovedKind, string>
const TOUCHED = ['removed', 'users', 'destinations', 'rules', 'stats']

/** Takes a deletion back, with what the gateway shows nobody: password hashes, secrets. */
export const restore = (kind: RemovedKind, name: string): Promise<unknown> =>
  api('POST', `${PATH[kind]}/${encodeURIComponent(name)}/restore`)

/** For admins, below the list that it is gone from: nothing moves when it appears. */
export function Removed({ kind }: { kind: RemovedKind }) {
  const query = useQuery({ queryKey: ['removed'], queryFn: () => api<Page<RemovedView>>('GET', '/removed') })
  const back = useAct((name: string) => restore(kind, name), { touches: TOUCHED, done: (_nothing, name) => words.restored(name) })
  const rows = query.data?.items.filter((one) => one.kind === kind && Date.parse(one.until) > Date.now()) ?? []
  if (rows.length === 0) return null
  return (
    <div className="removed">
      <Panel title={words.title} count={rows.length}>
        <ul className="rows scrolling">
          {rows.map(({ name, by, removed_at, until }) => (
            <li key={name} className="row">
              <div className="grow">
                <bdi>{name}</bdi>
                <div className="facts">
                  <span>
                    <Moment at={removed_at} /> {words.by} <Word>{by}</Word>
                  </span>
                  <span>
                    {words.until} <Moment at={until} />
                  </span>
                </div>
              </div>
              <Button
                size="xs"
                variant="default"
                leftSection={<Undo2 size={14} aria-hidden="true" />}
                aria-label={words.restoreOf(name)}
                loading={back.isPending && back.variables === name}
                onClick={() => back.mutate(name)}
              >
                {words.restore}
              </Button>
            </li>
          ))}
        </ul>
      </Panel>
    </div>
  )
}
