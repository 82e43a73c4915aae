// Notices of workers, written down: nobody waits for them, and yet none is dropped but what the tables never take.
// Must not know what a notice says.
import { errorFields, type Logger } from '../core/log.ts'
import type { GroupCommit } from '../store/group-commit.ts'
import { isHopeless } from '../store/hopeless.ts'

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 30_000

/** Runs `work` in a group; what the database could not take (a full disk, say) is tried again; what it refuses, or anything else, is logged with its cause. */
export type Note = <T>(work: () => T, what: string, then?: (value: T) => void) => void

export function createNotes(group: GroupCommit, log: Logger): Note {
  return function note<T>(work: () => T, what: string, then?: (value: T) => void, tries = 0): void {
    group
      .run(work, false)
      .then(then, (error: unknown) => {
        const again = !isHopeless(error)
        log.error('gatekeeper.failed', `A notice could not be recorded: ${what}.`, { again, ...errorFields(error) })
        if (again) setTimeout(() => note(work, what, then, tries + 1), Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries)).unref()
      })
      .catch((error: unknown) => log.error('gatekeeper.failed', `What follows a notice failed: ${what}.`, errorFields(error)))
  }
}
