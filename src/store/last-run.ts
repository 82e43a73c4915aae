// Whether the last run ended with the machine: then what was written without a sync may be gone. One row while a run lasts, with the boot it belongs to.
// Must not judge what is in doubt; the tables' owners do.
import { readFileSync } from 'node:fs'
import type { Sqlite } from './database.ts'

const BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** Another one after each start of the machine; empty where the system does not tell. */
function bootId(): string {
  try {
    return readFileSync(BOOT_ID, 'utf8').trim()
  } catch {
    return ''
  }
}

export function createLastRun(db: Sqlite) {
  const get = db.prepare('SELECT boot FROM last_run').pluck()
  const remove = db.prepare('DELETE FROM last_run')
  const put = db.prepare('INSERT INTO last_run VALUES (?)')
  let begun = false
  const wasCut = (boot: string = bootId()): boolean => {
    const before = get.get() as string | undefined
    return before !== undefined && (before === '' || before !== boot)
  }
  return {
    /** Whether the last run ended without a word, and the machine may have ended with it. Before {@link begin}. */
    wasCut,
    /** Whether the last run ended without a word and, as far as the system tells, not with the machine. Before {@link begin}. */
    died: (boot: string = bootId()): boolean => get.get() === boot,
    /** Joins the caller's transaction. @returns as {@link wasCut} */
    begin(boot: string = bootId()): boolean {
      const cut = wasCut(boot)
      remove.run()
      put.run(boot)
      begun = true
      return cut
    },
    /** All that was begun is in its rows. Joins the caller's transaction. Who did not begin says nothing about the run before. */
    end(): void {
      if (begun) remove.run()
    },
  }
}
