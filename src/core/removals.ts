// What was removed a while ago, kept so that a slip can be taken back: the row as it was, with its hash or sealed secrets.
// Must not outlive the process or reach a disk: what is removed is gone from there at once.
import type { Clock } from './clock.ts'
import { FileFlowError } from './errors.ts'
import type { Actor } from './views.ts'

export const REMOVED_KINDS = ['user', 'destination', 'rule'] as const
export type RemovedKind = (typeof REMOVED_KINDS)[number]

/** What was removed and can still be restored. */
export interface RemovedView {
  readonly kind: RemovedKind
  readonly name: string
  readonly by: string
  readonly removed_at: string
  /** From then on it is gone for good. */
  readonly until: string
}

/** ms; as long as somebody may take it back. */
export const KEPT_MS = 30 * 60_000
/** Of one kind; when more are removed at once, by a state file say, the last ones are kept. */
const MOST = 1000

/** The removed rows of one kind. */
export interface Removals<Row> {
  /** After the removal is committed. */
  keep(actor: Actor, name: string, row: Row): void
  /** @throws FileFlowError `resource.not_found` when nothing of that name is kept any more */
  get(name: string): { readonly row: Row; readonly at: number }
  /** It is back. */
  forget(name: string): void
  /** Newest first. */
  list(): RemovedView[]
}

export function createRemovals<Row>(kind: RemovedKind, clock: Clock): Removals<Row> {
  /** Oldest first. */
  const kept = new Map<string, { row: Row; at: number; by: string }>()
  const expire = (): void => {
    for (const [name, { at }] of kept) {
      if (kept.size <= MOST && at + KEPT_MS > clock.now()) break
      kept.delete(name)
    }
  }
  const iso = (at: number): string => new Date(at).toISOString()
  return {
    keep(actor, name, row) {
      kept.delete(name)
      kept.set(name, { row, at: clock.now(), by: actor.name })
      expire()
    },
    get(name) {
      expire()
      const found = kept.get(name)
      if (!found)
        throw new FileFlowError(
          'resource.not_found',
          `There is no removed ${kind} ${name} that could be restored: they are kept for 30 minutes.`,
        )
      return found
    },
    forget: (name) => void kept.delete(name),
    list() {
      expire()
      return [...kept].reverse().map(([name, { at, by }]) => ({ kind, name, by, removed_at: iso(at), until: iso(at + KEPT_MS) }))
    },
  }
}
