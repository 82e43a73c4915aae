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
    else if (!archive(jail, place, parentOf(path), ['archive', date], (real) => sameFile(fs.lstatSync(real), spooled))) return 'changed'
    return 'done'
  } catch (error) {
    if (isMissing(error) || (error as { code?: string }).code === 'path.not_found') return 'changed'
    throw error
  }
}

/** What link(2) says of a file of another user that may not be written (fs.protected_hardlinks), and on volumes that have no links. */
const NO_LINK = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK'])

/**
 * Moves what stands at `place` into folders of the jail, made where they are missing; a taken name gets a number. Where link(2), which refuses a taken name in one
 * step, may not be used, a small race is left.
 * @returns whether it was the very file
 */
function archive(
  jail: Jail,
  place: Place,
  from: VirtualPath,
  into: readonly string[],
  isTheOne: (real: Place['real']) => boolean,
): boolean {
  let folder = from
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
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') continue
      if (!NO_LINK.has(code ?? '')) throw fromErrno(error)
      if (target.lstat()) continue
      if (!isTheOne(place.real)) return false
      translated(() => fs.renameSync(place.real, target.real))
      return true
    }
    // the name may have changed hands since it was looked at
    const same = isTheOne(target.real)
    translated(() => fs.unlinkSync(same ? place.real : target.real))
    return same
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
    else {
      const into = ['archive', date, ...split(parentOf(path))]
      if (!archive(jail, place, ROOT, into, (real) => isTheOne(fs.lstatSync(real, { bigint: true })))) return 'changed'
    }
    return 'done'
  } catch (error) {
    if (isMissing(error) || (error as { code?: string }).code === 'path.not_found') return 'changed'
    throw error
  }
}
