// How each destination does: when it last took a file, and what it said when it did not.
// Must not test them; that is an act of its own on their pages.
import type { DestinationHealth } from '../../../src/core/views.ts'
import { Loaded, Panel } from '../../parts/panel.tsx'
import { Moment, State, Trouble } from '../../parts/words.tsx'
import { Link } from '../../router.tsx'
import { strings } from '../../strings.ts'
import { useStats } from './figures.ts'

const words = strings.destinationHealth

const RANK = { failing: 0, ok: 1, paused: 2 } as const

/** What fails is seen without scrolling. */
const worstFirst = (destinations: readonly DestinationHealth[]): readonly DestinationHealth[] =>
  destinations.toSorted((a, b) => RANK[a.state] - RANK[b.state] || b.dead - a.dead)

export function Destinations() {
  const stats = useStats()
  return (
    <div id="destinations">
      <Panel title={words.title} count={stats.data?.destinations.length}>
        <Loaded query={stats} rows={2}>
          {({ destinations }) =>
            destinations.length === 0 ? (
              <p className="padded quiet">{words.none}</p>
            ) : (
              <ul className="rows scrolling">
                {worstFirst(destinations).map(
                  ({ name, state, breaker, pending, retrying, dead, delivered, last_error: error, last_delivered_at: at }) => (
                    <li key={name} className="row">
                      <div className="grow">
                        <div className="line spread">
                          <Link href={`/destinations/${encodeURIComponent(name)}`} className="plain">
                            <strong>{name}</strong>
                          </Link>
                          {state !== 'ok' ? (
                            <State
                              state={state === 'failing' ? 'dead' : 'none'}
                              label={state === 'failing' ? words.failing : words.paused}
                            />
                          ) : (
                            <State state={at === null ? 'none' : 'up'} label={at === null ? words.unused : words.ok} />
                          )}
                        </div>
                        <div className="facts">
                          {at === null ? null : (
                            <span>
                              {words.last} <Moment at={at} />
                            </span>
                          )}
                          {delivered === 0 ? null : <span>{words.delivered(delivered)}</span>}
                          {(
                            [
                              ['pending', words.waiting, pending],
                              ['retrying', words.retried, retrying],
                              ['dead', words.dead, dead],
                            ] as const
                          ).map(([how, say, count]) =>
                            count === 0 ? null : (
                              <Link key={how} href={`/deliveries?state=${how}&destination=${encodeURIComponent(name)}`}>
                                {say(count)}
                              </Link>
                            ),
                          )}
                        </div>
                        {state === 'failing' && (breaker.error ?? error) ? <Trouble error={(breaker.error ?? error)!} /> : null}
                        {breaker.state === 'open' && breaker.next_probe_at ? (
                          <p className="quiet">
                            {words.held} <Moment at={breaker.next_probe_at} />
                          </p>
                        ) : null}
                      </div>
                    </li>
                  ),
                )}
              </ul>
            )
          }
        </Loaded>
      </Panel>
    </div>
  )
}
