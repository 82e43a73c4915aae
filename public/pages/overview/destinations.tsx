// How each destination does: when it last took a file, and what it said when it did not.
// Must not test them; that is an act of its own on their pages.
import { Loaded, Panel } from '../../parts/panel.tsx'
import { Moment, State, Trouble } from '../../parts/words.tsx'
import { Link } from '../../router.tsx'
import { strings } from '../../strings.ts'
import { useStats } from './figures.ts'

const words = strings.destinationHealth

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
                {destinations.map(({ name, state, breaker, failing, delivered, last_error: error, last_delivered_at: at }) => (
                  <li key={name} className="row">
                    <div className="grow">
                      <div className="line spread">
                        <Link href={`/destinations/${encodeURIComponent(name)}`} className="plain">
                          <strong>{name}</strong>
                        </Link>
                        {state !== 'ok' ? (
                          <State state={state === 'failing' ? 'dead' : 'none'} label={state === 'failing' ? words.failing : words.paused} />
                        ) : (
                          <State state={at === null ? 'none' : 'up'} label={at === null ? words.unused : words.ok} />
                        )}
                      </div>
                      <div className="facts">
                        <span>
                          {words.last} <Moment at={at} />
                        </span>
                        <span>{words.delivered(delivered)}</span>
                        {failing > 0 ? (
                          <Link href={`/deliveries?state=retrying&destination=${encodeURIComponent(name)}`}>{words.waiting(failing)}</Link>
                        ) : null}
                      </div>
                      {state === 'failing' && (breaker.error ?? error) ? <Trouble error={(breaker.error ?? error)!} /> : null}
                      {breaker.state === 'open' && breaker.next_probe_at ? (
                        <p className="quiet">
                          {words.held} <Moment at={breaker.next_probe_at} />
                        </p>
                      ) : null}
                    </div>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      </Panel>
    </div>
  )
}
