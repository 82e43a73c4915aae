// Where a file went, in one line: a tick and the name where all is well, the state in words where it is not.
// Must not hide a state behind a colour: screen readers and print read it in full.
import { VisuallyHidden } from '@mantine/core'
import { Check, Clock, Eye, RotateCw, X } from 'lucide-react'
import type { TransferView } from '../../src/core/movement-views.ts'
import { strings } from '../strings.ts'
import { TONE } from './words.tsx'

const words = strings.deliveries
/** What needs a look comes first; else by name, so that the eye finds the same one in each row. */
const RANK = { dead: 0, retrying: 1, cancelled: 2, running: 3, pending: 4, delivered: 5 } as const
const ICON = { delivered: Check, dead: X, cancelled: X, retrying: RotateCw, pending: Clock, running: Clock } as const

const inOrder = (deliveries: TransferView['deliveries']): TransferView['deliveries'] =>
  deliveries.toSorted((a, b) => RANK[a.state] - RANK[b.state] || a.destination.localeCompare(b.destination))

export function WentTo({ deliveries }: { deliveries: TransferView['deliveries'] }) {
  return (
    <ul className="went-to">
      {inOrder(deliveries).map(({ id, destination, state, shadow }) => {
        const label = shadow ? words.shadow : words.states[state]
        const Icon = shadow ? Eye : ICON[state]
        return (
          <li key={id} className="went" data-tone={shadow ? undefined : TONE[state]} title={`${destination}: ${label}`}>
            <Icon size={13} strokeWidth={2.5} aria-hidden="true" />
            <span>{destination}</span>
            {state === 'delivered' && !shadow ? <VisuallyHidden>{label}</VisuallyHidden> : <strong>{label}</strong>}
          </li>
        )
      })}
    </ul>
  )
}
