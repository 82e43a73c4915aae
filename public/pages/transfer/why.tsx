// "Why was this not forwarded?": each rule's answer about this very file, from the simulator.
// Must not guess: the gateway's own matching says it.
import { Button, Collapse } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import type { TransferView } from '../../../src/core/movement-views.ts'
import type { SimulateResult } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { Empty, Loaded } from '../../parts/panel.tsx'
import { State, Word } from '../../parts/words.tsx'
import { Link } from '../../router.tsx'
import { strings } from '../../strings.ts'

const words = strings.why

export function Why({ transfer }: { transfer: TransferView }) {
  const [open, { toggle }] = useDisclosure(transfer.deliveries.length === 0)
  const why = useQuery({
    queryKey: ['rules', 'why', transfer.id],
    queryFn: () => api<SimulateResult>('GET', `/transfers/${encodeURIComponent(transfer.id)}/why`),
    enabled: open,
  })
  return (
    <div className="why">
      <Button variant="subtle" size="compact-sm" onClick={toggle} aria-expanded={open}>
        {transfer.deliveries.length > 0 ? words.whyOthers : transfer.state === 'completed' ? words.whyNot : words.whatIf}
      </Button>
      <Collapse expanded={open} keepMounted={false}>
        <Loaded query={why} rows={2}>
          {({ rules }) =>
            rules.length === 0 ? (
              <Empty title={words.noRules}>
                <Link href="/rules">{words.toRules}</Link>
              </Empty>
            ) : (
              <ul className="rows">
                {rules.map((rule) => (
                  <li key={rule.rule} className="row">
                    <div className="grow">
                      <div className="line spread">
                        <Link href={`/rules/${encodeURIComponent(rule.rule)}`}>{rule.rule}</Link>
                        <State state={rule.matched ? 'completed' : 'none'} label={rule.matched ? words.matches : words.matchesNot} />
                      </div>
                      {rule.because === null ? null : (
                        <p className="quiet">
                          <Word>{strings.recorded.misses[rule.because.kind](rule.because.what)}</Word>
                        </p>
                      )}
                      {rule.deliveries.map((delivery) => (
                        <p key={`${delivery.destination} ${delivery.remote_path}`} className="quiet">
                          → {delivery.destination} <Word>{delivery.remote_path}</Word>
                        </p>
                      ))}
                    </div>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
        <p className="quiet padded">{words.present}</p>
      </Collapse>
    </div>
  )
}
