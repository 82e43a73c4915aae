// Writing down what became of deliveries that ran, until it is written: many outcomes in one transaction, and what follows from each told afterwards.
// Must not choose what runs next.
import type { Clock } from '../core/clock.ts'
import { errorFields, type Logger } from '../core/log.ts'
import { testPoint } from '../core/test-point.ts'
import type { DeliveryRow } from '../store/deliveries.ts'
import type { Store } from '../store/store.ts'
import { LostRace } from '../store/transfers.ts'
import type { Breakers } from './breakers.ts'
import type { Outcome } from './connector.ts'
import { createHeld } from './held.ts'
import type { createOutcomes, Recorded } from './outcomes.ts'

const RECORD_AGAIN_MS = 5000
/** Outcomes share a transaction, as far as they come together. */
const HELD_MS = 5
const HELD = 32

export interface SettlementOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly breakers: Breakers
  readonly outcomes: ReturnType<typeof createOutcomes>
  readonly changed: (event: Recorded['event'] | 'cancelled', id: string, destination: string) => void
  readonly destinationChanged: (name: string) => void
  readonly finished: (transferId: string) => void
  /** Rows may be due that were not. */
  readonly kick: () => void
}

export function createSettlement({
  store,
  clock,
  log,
  breakers,
  outcomes,
  changed,
  destinationChanged,
  finished,
  kick,
}: SettlementOptions) {
  const rows = store.deliveries
  const held = createHeld(HELD_MS, HELD)

  function write(row: DeliveryRow, outcome: Outcome): void {
    let told: Recorded | undefined
    store.group
      .run(
        () => {
          told = outcomes.record(row, outcome)
          // a success that a power cut takes back is found at the far side; only what is done to the partner's file cannot wait for the next sync
        },
        !outcome.ok || row.after !== 'keep',
      )
      .then(
        () => {
          testPoint('delivery.settled')
          if (!outcome.ok) breakers.decided(row.destination)
          changed(told!.event, row.id, row.destination)
          for (const id of told!.expired) changed('dead', id, row.destination)
          if (told!.breaker) destinationChanged(row.destination)
          if (told!.event === 'delivered') finished(row.transfer_id)
          // given back or to be tried again: its time may be now
          kick()
        },
        (error: unknown) => {
          if (error instanceof LostRace) {
            if (!outcome.ok) breakers.decided(row.destination)
            kick()
            return changed('cancelled', row.id, row.destination)
          }
          // a full disk, say: the row is `running` still, and nobody but this outcome can end that
          log.error('delivery.settle_failed', 'The outcome of a delivery could not be recorded; it is tried again.', {
            delivery: row.id,
            ...errorFields(error),
          })
          setTimeout(() => write(row, outcome), RECORD_AGAIN_MS).unref()
        },
      )
      .catch((error: unknown) =>
        log.error('delivery.failed', 'What follows a delivery failed.', { delivery: row.id, ...errorFields(error) }),
      )
  }

  function giveBack(given: readonly DeliveryRow[]): void {
    store.group
      .run(() => {
        // cancelled meanwhile, perhaps
        for (const row of given) if (rows.get(row.id)?.state === 'running') rows.giveBack(row.id, row.attempt, clock.now(), false)
      }, false)
      .then(
        () => {
          for (const row of given) changed('pending', row.id, row.destination)
          kick()
        },
        (error: unknown) => {
          log.error(
            'delivery.settle_failed',
            'Deliveries that were not begun could not be given back; it is tried again.',
            errorFields(error),
          )
          setTimeout(() => giveBack(given), RECORD_AGAIN_MS).unref()
        },
      )
  }

  return {
    /** @param others run: a process that ends before it is written finds the file at the far side, so an outcome can wait for theirs */
    add(row: DeliveryRow, outcome: Outcome, others: boolean): void {
      if (!outcome.ok) breakers.undecided(row.destination)
      held.add(() => write(row, outcome), !outcome.ok || !others)
    },
    /** They were claimed and never begun: as if nothing had been. */
    giveBack,
    /** Nothing is held any longer. */
    release: held.release,
  }
}
