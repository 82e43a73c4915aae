// The services with their state; start, stop and restart.
// Must not restart anything unasked.
import { ActionIcon, Text, Tooltip } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Play, RotateCw, Square } from 'lucide-react'
import type { ServiceView } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import type { Question } from '../../parts/confirm.tsx'
import { failed, worked } from '../../parts/failure.tsx'
import { Loaded, Panel } from '../../parts/panel.tsx'
import { Moment, State, Word } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'
import { useServices } from './figures.ts'

const words = strings.services
type Verb = 'start' | 'stop' | 'restart'

export function Services({ mayAct, confirm }: { mayAct: boolean; confirm: (question: Question) => void }) {
  const queries = useQueryClient()
  const services = useServices()
  const act = useMutation({
    mutationFn: ({ name, verb }: { name: string; verb: Verb }) => api<ServiceView>('POST', `/services/${name}/${verb}`),
    onSuccess: (service) => worked(words.done(words.names[service.name], words.states[service.state])),
    onError: failed,
    onSettled: () => queries.invalidateQueries({ queryKey: ['services'] }),
  })
  const askFirst = (service: ServiceView, verb: 'stop' | 'restart') => {
    const name = words.names[service.name]
    const listener = service.name === 'ftp' || service.name === 'sftp'
    confirm({
      title: verb === 'stop' ? words.confirmStop(name) : words.confirmRestart(name),
      text: verb === 'stop' ? (listener ? words.stopListener : words.stopWorker) : listener ? words.restartListener : words.restartWorker,
      verb: verb === 'stop' ? words.stop : words.restart,
      danger: verb === 'stop',
      act: () => act.mutate({ name: service.name, verb }),
    })
  }
  return (
    <div id="services">
      <Panel title={words.title}>
        <Loaded query={services} rows={4}>
          {({ items }) => (
            <ul className="rows">
              {items.map((service) => (
                <li key={service.name} className="row service">
                  <div className="grow">
                    <div className="line">
                      <Text fw={600} component="span">
                        {words.names[service.name]}
                      </Text>
                      <State state={service.state === 'running' ? 'up' : service.state} label={words.states[service.state]} />
                    </div>
                    <div className="facts">
                      {service.port === null ? null : <span>{words.port(service.port)}</span>}
                      <span>
                        {words.since} <Moment at={service.since} />
                      </span>
                      {service.restarts > 0 ? <span>{words.restarts(service.restarts)}</span> : null}
                    </div>
                    {service.error === null ? null : (
                      <p className="trouble">
                        <Fault error={service.error} />
                      </p>
                    )}
                  </div>
                  {mayAct ? (
                    <div className="acts">
                      {service.state === 'stopped' || service.state === 'failed' ? (
                        <Act
                          verb={words.start}
                          name={words.names[service.name]}
                          Icon={Play}
                          onClick={() => act.mutate({ name: service.name, verb: 'start' })}
                        />
                      ) : (
                        <>
                          <Act
                            verb={words.restart}
                            name={words.names[service.name]}
                            Icon={RotateCw}
                            onClick={() => askFirst(service, 'restart')}
                          />
                          <Act verb={words.stop} name={words.names[service.name]} Icon={Square} onClick={() => askFirst(service, 'stop')} />
                        </>
                      )}
                    </div>
                  ) : null}
                </li>
              ))}
            </ul>
          )}
        </Loaded>
      </Panel>
    </div>
  )
}

/** Why it does not run, in words where they are known; what the system said is shown beside them. */
function Fault({ error }: { error: string }) {
  const known = Object.entries(strings.recorded.faults).find(([code]) => error.includes(code))
  return (
    <>
      {known ? `${known[1]} ` : ''}
      <span className={known ? 'said' : undefined}>
        <Word>{error}</Word>
      </span>
    </>
  )
}

function Act({ verb, name, Icon, onClick }: { verb: string; name: string; Icon: typeof Play; onClick: () => void }) {
  return (
    <Tooltip label={verb}>
      <ActionIcon variant="default" size="lg" aria-label={words.action(verb, name)} onClick={onClick}>
        <Icon size={16} aria-hidden="true" />
      </ActionIcon>
    </Tooltip>
  )
}
