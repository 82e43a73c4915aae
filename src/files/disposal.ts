// What becomes of a partner's file after its last delivery: deleted, or moved into an archive folder beside it.
// Must not touch a file that is not the very one that was delivered (same inode as its spooled content).
import fs from 'node:fs'
import type { Principal } from '../core/user.ts'
import { baseOf, child, parentOf, ROOT, split, type VirtualPath } from '../core/virtual-path.ts'
import { fromErrno, isMissing, translated } from './file-io.ts'
import { Jail, type Place } from './jail.ts'
import { sameFile } from './spool-link.ts'

export type Disposal = 'done' | 'changed'

/** @returns `changed` when the name holds something else by now, which stays */
export function disposeOf(principal: Principal, path: VirtualPath, spool: Uint8Array, how: 'delete' | 'archive', date: string): Disposal {
  const jail = new Jail(principal.home, principal.mounts, null)
  const spooled = fs.lstatSync(Buffer.from(spool), { throwIfNoEntry: false })
  try {
    using place = jail.resolve(path, false)
    const found = place.lstat()
    if (!found || !spooled || !sameFile(found, spooled)) return 'changed'
    if (how === 'delete') translated(() => fs.unlinkSync(place.real))
    else if (!archive(jail, place, spooled, date)) return 'changed'
    return 'done'
  } catch (error) {
    if (isMissing(error) || (error as { code?: string }).code === 'path.not_found') return 'changed'
    throw error
  }
}

/** `archive/DATE` in the file's own folder; a taken name gets a number. @returns whether it was the very file */
function archive(jail: Jail, place: Place, spooled: fs.Stats, date: string): boolean {
  let folder = parentOf(place.path)
  for (const name of ['archive', date]) {
    folder = child(folder, name)
    using made = jail.resolve(folder, true)
    if (made.name !== null && !made.lstat()) translated(() => fs.mkdirSync(made.real, { mode: 0o755 }))
  }
  const name = baseOf(place.path)
  for (let n = 0; ; n++) {
    using target = jail.resolve(child(folder, n === 0 ? name : `${name}.${n}`), false)
    try {
      fs.linkSync(place.real, target.real)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
      throw fromErrno(error)
    }
    // the name may have changed hands since it was looked at
    const archived = fs.lstatSync(target.real)
    if (!sameFile(archived, spooled)) {
      fs.unlinkSync(target.real)
      return false
    }
    translated(() => fs.unlinkSync(place.real))
    return true
  }
}

/**
 * The same for a file that was taken in from a watched folder; archived ones go to `archive/DATE` directly below that folder, in folders like their own.
 * @param isTheOne whether what stands there is the very file that was taken in
 */
export function disposeOfWatched(
  folder: string,
  path: VirtualPath,
  isTheOne: (stats: fs.BigIntStats) => boolean,
  how: 'delete' | 'archive',
  date: string,
): Disposal {
  const jail = new Jail(folder, [], null)
  try {
    using place = jail.resolve(path, false)
    const found = fs.lstatSync(place.real, { bigint: true, throwIfNoEntry: false })
    if (!found?.isFile() || !isTheOne(found)) return 'changed'
    if (how === 'delete') translated(() => fs.unlinkSync(place.real))
    else if (!archiveIn(jail, place, ['archive', date, ...split(parentOf(path))], isTheOne)) return 'changed'
    return 'done'
  } catch (error) {
    if (isMissing(error) || (error as { code?: string }).code === 'path.not_found') return 'changed'
    throw error
  }
}

/** Moves what stands at `place` into a folder of the jail, made where it is missing; a taken name gets a number. @returns whether it was the very file */
function archiveIn(jail: Jail, place: Place, into: readonly string[], isTheOne: (stats: fs.BigIntStats) => boolean): boolean {
  let folder = ROOT
  for (const name of into) {
    folder = child(folder, name)
    using made = jail.resolve(folder, true)
    if (made.name !== null && !made.lstat()) translated(() => fs.mkdirSync(made.real, { mode: 0o755 }))
  }
  const name = baseOf(place.path)
  for (let n = 0; ; n++) {
    using target = jail.resolve(child(folder, n === 0 ? name : `${name}.${n}`), false)
    try {
      fs.linkSync(place.real, target.real)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
      throw fromErrno(error)
    }
    // the name may have changed hands since it was looked at
    const same = isTheOne(fs.lstatSync(target.real, { bigint: true }))
    fs.unlinkSync(same ? place.real : target.real)
    return same
  }
}
