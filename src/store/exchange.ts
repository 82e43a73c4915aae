// A restored state takes the place of the present one: decided by one rename, finished by whoever opens the folder next, whatever is cut short.
// Must not judge what is restored; that is done before.
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { AUDIT_HEAD } from './audit-head.ts'

export const DATABASE = 'fileflow.db'
export const KEYS = 'keys'

/** Where a state stands that was decided upon and is not wholly in place. */
const DECIDED = 'restoring'
/** In it: the name of the folder that what was there before goes to. */
const ASIDE = 'aside'
const GOES_WITH: readonly (readonly [placed: string, before: readonly string[]])[] = [
  [KEYS, [KEYS]],
  // a log of the old database beside the new one would be played into it
  [DATABASE, [`${DATABASE}-wal`, `${DATABASE}-shm`, AUDIT_HEAD, DATABASE]],
]

/**
 * Puts the database and keys in `from`, a folder in `dataDir` that is wholly on disk, in the place of those that are there.
 * Only for the one who holds the lock of `dataDir`.
 * @returns where the former state is now; null when there was none
 */
export function exchange(dataDir: string, from: string, aside: string): string | null {
  writeFileSync(join(from, ASIDE), aside, { mode: 0o600, flush: true })
  for (const folder of [join(from, KEYS), from]) sync(folder)
  renameSync(from, join(dataDir, DECIDED))
  sync(dataDir)
  return finishExchange(dataDir)
}

/** Finishes what a kill or a power loss cut short; does nothing where nothing was decided. Before the database is opened. @throws what the disk says */
export function finishExchange(dataDir: string): string | null {
  const decided = join(dataDir, DECIDED)
  if (!existsSync(decided)) return null
  const aside = join(dataDir, basename(nameOf(decided)))
  // what is still in the decided folder has not been placed, so what stands under its name is the former state's
  const left = GOES_WITH.filter(([placed]) => existsSync(join(decided, placed)))
  const former = left.flatMap(([, before]) => before).filter((name) => existsSync(join(dataDir, name)))
  if (former.length > 0) {
    mkdirSync(aside, { recursive: true, mode: 0o700 })
    writeFileSync(join(aside, 'README'), 'What was here before a backup was restored. Delete it when all is well.\n')
    for (const name of former) renameSync(join(dataDir, name), join(aside, name))
    sync(aside)
    sync(dataDir)
  }
  for (const [placed] of left) renameSync(join(decided, placed), join(dataDir, placed))
  sync(dataDir)
  rmSync(decided, { recursive: true, force: true })
  return existsSync(aside) ? aside : null
}

/** Without its name, the decided folder was about to be removed and holds nothing more. */
function nameOf(decided: string): string {
  try {
    return readFileSync(join(decided, ASIDE), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'before-restore'
    throw error
  }
}

function sync(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
