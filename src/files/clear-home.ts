// All files of one user go at once: moved out of the home first, so that nobody meets half a tree and no link can lead the removal elsewhere.
// Must not touch mounts: what hangs in a home but lies elsewhere belongs to others, too.
import fs from 'node:fs'
import { join } from 'node:path'
import { newId } from '../core/clock.ts'
import { RESERVED_NAME } from '../core/virtual-path.ts'
import { fromErrno } from './file-io.ts'
import { namesIn } from './spool.ts'
import { under } from './under.ts'

const TRASH = 'trash'

export interface Cleared {
  /** Plain files and links, by name. */
  readonly files: number
  readonly bytes: number
}

/**
 * Empties the folder `home`; the folder itself stays.
 * @param vaultRoot of the same volume
 * @throws FileFlowError `path.*`, `permission.denied`; what was moved out before is gone
 */
export async function clearHome(home: string, vaultRoot: string): Promise<Cleared> {
  const trash = join(vaultRoot, TRASH, newId())
  const total = { files: 0, bytes: 0 }
  try {
    await fs.promises.mkdir(trash, { recursive: true, mode: 0o700 })
    for (const name of await fs.promises.readdir(home, { encoding: 'buffer' })) {
      if (name.toString() === RESERVED_NAME) continue
      await fs.promises.rename(under(home, name), under(trash, name))
    }
    await measure(Buffer.from(trash), total)
  } catch (error) {
    throw fromErrno(error)
  } finally {
    await fs.promises.rm(trash, { recursive: true, force: true })
  }
  return total
}

/** What a removal left that was cut short by the end of the process. */
export async function emptyTrash(vaultRoot: string): Promise<void> {
  for (const name of await namesIn(join(vaultRoot, TRASH))) {
    await fs.promises.rm(under(join(vaultRoot, TRASH), name), { recursive: true, force: true })
  }
}

async function measure(folder: Buffer, total: { files: number; bytes: number }): Promise<void> {
  for (const name of await fs.promises.readdir(folder, { encoding: 'buffer' })) {
    const path = under(folder, name)
    const stats = await fs.promises.lstat(path)
    if (stats.isDirectory()) await measure(path, total)
    else {
      total.files++
      total.bytes += stats.size
    }
  }
}
