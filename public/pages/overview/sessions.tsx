// Who is connected, what they move, and a way to end it.
// Must not guess: a session is live until the gateway says otherwise.
import { ActionIcon, Badge, Text, Tooltip } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Unplug } from 'lucide-react'
import type { SessionView } from '../../../src/core/movement-views.ts'
import type { Page } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import type { Question } from '../../parts/confirm.tsx'
import { failed, worked } from '../../parts/failure.tsx'
import { Moving } from '../../parts/moving.tsx'
import { Empty, Loaded, Panel } from '../../parts/panel.tsx'
import { Moment, Word } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'

const words = strings.sessions

export function Sessions({ mayAct, confirm }: { mayAct: boolean; confirm: (question: Question) => void }) {
  const queries = useQueryClient()
  const sessions = useQuery({
    queryKey: ['sessions'],
    queryFn: () => api<Page<SessionView>>('GET', '/sessions?limit=20'),
  })
  const end = useMutation({
    mutationFn: ({ id }: SessionView) => api('DELETE', `/sessions/${encodeURIComponent(id)}`),
    onSuccess: (_nothing, { username }) => worked(words.ended(username)),
    onError: failed,
    onSettled: () => queries.invalidateQueries({ queryKey: ['sessions'] }),
  })
  return (
    <Panel title={words.title} count={sessions.data?.items.length}>
      <Loaded query={sessions} rows={2}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title={words.empty}>{words.emptyHint}</Empty>
          ) : (
            <ul className="rows">
              {items.map((session) => (
                <li key={session.id} className="row">
                  <div className="grow">
                    <div className="line">
                      <Text fw={600} component="span">
                        <Word>{session.username}</Word>
                      </Text>
                      {session.partner ? (
                        <Text size="sm" c="dimmed" component="span">
                          <Word>{session.partner}</Word>
                        </Text>
                      ) : null}
                      <Badge variant="default" radius="sm" tt="uppercase" size="sm">
                        {session.protocol}
                      </Badge>
                    </div>
                    <div className="facts">
                      <span>
                        {words.from} <Word>{session.address}</Word>
                      </span>
                      <span>
                        {words.since} <Moment at={session.started_at} />
                      </span>
                    </div>
                    <Moving transfers={session.transfers} />
                  </div>
                  {mayAct ? (
                    <div className="acts">
                      <Tooltip label={words.end}>
                        <ActionIcon
                          variant="default"
                          size="lg"
                          aria-label={`${words.end}: ${session.username}`}
                          onClick={() =>
                            confirm({
                              title: words.confirmEnd(session.username),
                              text: words.endText,
                              verb: words.end,
                              danger: true,
                              act: () => end.mutate(session),
                            })
                          }
                        >
                          <Unplug size={16} aria-hidden="true" />
                        </ActionIcon>
                      </Tooltip>
                    </div>
                  ) : null}
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Panel>
  )
}
