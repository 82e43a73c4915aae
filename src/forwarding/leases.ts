// What the forwarder's thread has at this moment: claimed from the journal by guarded UPDATEs, counted by destination.
// Must not choose what is claimed, nor record how it ended.
import type { Clock } from '../core/clock.ts'
import type { DeliveryRow } from '../store/deliveries.ts'
import type { Store } from '../store/store.ts'
import { LostRace } from '../store/transfers.ts'
import type { Breakers } from './breakers.ts'

export interface LeasesOptions {
  readonly store: Store
  readonly clock: Clock
  readonly breakers: Breakers
}

export function createLeases({ store, clock, breakers }: LeasesOptions) {
  const running = new Map<string, DeliveryRow>()
  const perDestination = new Map<string, number>()
  let workers = 0

  const countOf = (destination: string): number => perDestination.get(destination) ?? 0

  function begin(row: DeliveryRow): void {
    running.set(row.id, row)
    perDestination.set(row.destination, countOf(row.destination) + 1)
    breakers.started(row.destination, row.id)
  }

  function end(row: DeliveryRow): void {
    if (running.get(row.id) !== row) return
    running.delete(row.id)
    const left = countOf(row.destination) - 1
    if (left > 0) perDestination.set(row.destination, left)
    else perDestination.delete(row.destination)
    breakers.ended(row.destination, row.id)
  }

  /** None when it was cancelled since it was looked at. */
  function start({ id }: DeliveryRow, at: number): DeliveryRow[] {
    try {
      return [store.deliveries.start(id, at, `${process.pid}.${workers}`)]
    } catch (error) {
      if (error instanceof LostRace) return []
      throw error
    }
  }

  return {
    /** What is leased from now on, another thread has. */
    anew: (): void => void workers++,
    get size(): number {
      return running.size
    },
    countOf,
    get: (id: string): DeliveryRow | undefined => running.get(id),
    all: (): DeliveryRow[] => [...running.values()],
    end,
    /**
     * A claim outlives this process, but is not synced by itself: whatever is recorded next syncs it, too. When the machine goes down in between, it and a few
     * before it wait again as if they had never run; recover() has those looked for at the far side before they are sent.
     * @returns what is leased now; rejects when nothing is
     */
    async claim(picked: readonly DeliveryRow[]): Promise<DeliveryRow[]> {
      const at = clock.now()
      let started: DeliveryRow[] = []
      try {
        await store.group.run(() => {
          started = picked.flatMap((row) => start(row, at))
          // from here on they can be cancelled and given back like any other
          for (const row of started) begin(row)
        }, false)
      } catch (error) {
        // undone with their transaction
        for (const row of started) end(row)
        throw error
      }
      return started
    },
  }
}
