// When a destination stopped taking files, why, and when it worked again: out of the audit log.
// Must not judge its health; the gateway's breaker did.
import { useQuery } from '@tanstack/react-query'
import type { ErrorCode } from '../../../src/core/errors.ts'
import type { AuditView, Page } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { formatDuration } from '../../format.ts'
import { Loaded, Panel } from '../../parts/panel.tsx'
import { Moment, Trouble } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'

const words = strings.destinations.outages
const SHOWN = 10

interface Outage {
  readonly seq: number
  readonly from: string
  /** null while it lasts. */
  readonly to: string | null
  readonly error: { readonly code: ErrorCode; readonly message: string }
}

async function readOutages(name: string): Promise<readonly Outage[]> {
  const lists = await Promise.all(
    ['destination.failing', 'destination.recovered'].map((action) =>
      api<Page<AuditView>>('GET', `/audit?limit=50&action=${action}&q=${encodeURIComponent(name)}`),
    ),
  )
  const rows = lists
    .flatMap(({ items }) => items)
    .filter(({ object }) => object === name)
    .sort((a, b) => a.seq - b.seq)
  const outages: Outage[] = []
  for (const { seq, at, action, detail } of rows) {
    const open = outages.at(-1)
    if (action === 'destination.failing')
      outages.push({ seq, from: at, to: null, error: { code: detail.code as ErrorCode, message: String(detail.error ?? '') } })
    // the first row there is may be the end of an outage whose beginning is no longer kept
    else if (open && open.to === null) outages[outages.length - 1] = { ...open, to: at }
  }
  return outages.reverse().slice(0, SHOWN)
}

export function Outages({ name }: { name: string }) {
  // under the key of deliveries: their outcomes are what opens and closes a breaker
  const outages = useQuery({ queryKey: ['deliveries', 'outages', name], queryFn: () => readOutages(name) })
  return (
    <Panel title={words.title}>
      <Loaded query={outages} rows={2}>
        {(all) =>
          all.length === 0 ? (
            <p className="padded quiet">{words.none}</p>
          ) : (
            <ol className="timeline">
              {all.map(({ seq, from, to, error }) => (
                <li key={seq} data-tone={to === null ? 'bad' : 'good'}>
                  <div className="line spread">
                    <span>{to === null ? words.lasts : words.lasted(formatDuration(Date.parse(to) - Date.parse(from)))}</span>
                    <span className="quiet">
                      <Moment at={from} exact />
                      {to === null ? null : (
                        <>
                          {' – '}
                          <Moment at={to} exact />
                        </>
                      )}
                    </span>
                  </div>
                  <Trouble error={error} />
                </li>
              ))}
            </ol>
          )
        }
      </Loaded>
    </Panel>
  )
}
