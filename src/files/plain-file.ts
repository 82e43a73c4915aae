// Opening and copying what must be a plain file, where another process may exchange the name at any moment.
// Must not follow a link in the last part, nor wait at a pipe or touch a device.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { isMissing, translated } from './file-io.ts'
import { hasProc, O_PATH } from './jail.ts'

/** @throws FileFlowError `path.not_found`, `path.is_directory`, `path.not_regular`, `path.link_loop` (a link stands there) */
export function openPlain(real: Buffer | string): { fd: number; stats: fs.Stats } {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = fs.constants
  return translated(() => {
    const fd = fs.openSync(real, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
    try {
      const stats = fs.fstatSync(fd)
      if (!stats.isFile()) throw new FileFlowError(stats.isDirectory() ? 'path.is_directory' : 'path.not_regular')
      return { fd, stats }
    } catch (error) {
      fs.closeSync(fd)
      throw error
    }
  })
}

/** Keeps hold of what stands there, be it a link, without opening it: as long as it is held, no other file gets its inode number. */
export function hold(real: Buffer | string): { stats: fs.Stats } & Disposable {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = fs.constants
  const fd = translated(() => fs.openSync(real, hasProc ? O_PATH | O_NOFOLLOW : O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY))
  return { stats: fs.fstatSync(fd), [Symbol.dispose]: () => fs.closeSync(fd) }
}

/** Copies the plain file that stands at `from` now to the free name `to`; cheap where the volume can share blocks. @returns what was copied */
export async function copyPlain(from: Buffer | string, to: string): Promise<fs.Stats> {
  const { fd, stats } = openPlain(from)
  try {
    // what was checked is what is copied: the open file, not its name
    const source = hasProc ? `/proc/self/fd/${fd}` : from
    await fs.promises.copyFile(source, to, fs.constants.COPYFILE_FICLONE | fs.constants.COPYFILE_EXCL)
    return stats
  } finally {
    fs.closeSync(fd)
  }
}

/** What link(2) says where it cannot make one: the volume has no hard links, or no more of this file. */
export const NO_HARD_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS'])

/** Renames a file to a free name; the kernel itself refuses a taken one: link(2) fails where rename(2) would replace. @throws errno EEXIST, or `path.exists` */
export function moveToFree(from: Buffer | string, to: Buffer | string): void {
  try {
    fs.linkSync(from, to)
  } catch (error) {
    if (!NO_HARD_LINKS.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    if (fs.lstatSync(to, { throwIfNoEntry: false })) throw new FileFlowError('path.exists')
    fs.renameSync(from, to)
    return
  }
  try {
    fs.unlinkSync(from)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}
