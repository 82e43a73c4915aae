// The last deliveries that failed, each with its cause in words and a way to try again beside it.
// Must not hide the ones that are tried again by themselves: they failed, too.
import { useQuery } from '@tanstack/react-query'
import { CheckCircle2 } from 'lucide-react'
import type { DeliveryView } from '../../../src/core/movement-views.ts'
import type { Page } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import type { Question } from '../../parts/confirm.tsx'
import { DeliveryActs } from '../../parts/delivery-card.tsx'
import { Loaded, Panel } from '../../parts/panel.tsx'
import { Moment, Path, State, Trouble, Word } from '../../parts/words.tsx'
import { Link } from '../../router.tsx'
import { strings } from '../../strings.ts'

const words = strings.failures
const SHOWN = 6

async function readFailures(): Promise<readonly DeliveryView[]> {
  const lists = await Promise.all(
    (['dead', 'retrying'] as const).map((state) => api<Page<DeliveryView>>('GET', `/deliveries?state=${state}&limit=${SHOWN}`)),
  )
  // Dead ones first: nobody tries them again unless asked.
  return lists.flatMap(({ items }) => items).slice(0, SHOWN)
}

/** Read once for all who look, as the first page waits for it. */
export const useFailures = () => useQuery({ queryKey: ['deliveries', 'failures'], queryFn: readFailures })

export function Failures({ mayAct, confirm }: { mayAct: boolean; confirm: (question: Question) => void }) {
  const failures = useFailures()
  return (
    <Panel title={words.title} aside={<Link href="/deliveries?state=dead">{words.all}</Link>}>
      <Loaded query={failures} rows={2}>
        {(deliveries) =>
          deliveries.length === 0 ? (
            <p className="nothing-wrong">
              <CheckCircle2 size={18} aria-hidden="true" /> {words.none}
            </p>
          ) : (
            <ul className="rows">
              {deliveries.map((delivery) => (
                <li key={delivery.id} className="row">
                  <div className="grow">
                    <div className="line spread">
                      <Link href={`/transfers/${delivery.transfer}`} className="plain">
                        <Path path={delivery.path} />
                      </Link>
                      <State state={delivery.state} label={strings.deliveries.states[delivery.state]} />
                    </div>
                    {delivery.error ? <Trouble error={delivery.error} /> : null}
                    <div className="facts">
                      <span>
                        {strings.deliveries.to} <strong>{delivery.destination}</strong>
                      </span>
                      <span>
                        <Word>{delivery.user}</Word>
                      </span>
                      <span>{strings.deliveries.tries(delivery.attempts)}</span>
                      <Moment at={delivery.updated_at} />
                      {mayAct ? <DeliveryActs delivery={delivery} confirm={confirm} /> : null}
                    </div>
                  </div>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Panel>
  )
}
