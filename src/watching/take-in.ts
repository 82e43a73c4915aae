// Taking a file in: a copy of its content in the spool, hashed, so that deliveries send just this, whatever the application does next.
// Must not take a file that changes while it is copied, nor follow a link out of the watched folder.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import { newId } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { VirtualPath } from '../core/virtual-path.ts'
import { fromErrno, readAt, sync } from '../files/file-io.ts'
import { hasProc, Jail } from '../files/jail.ts'
import { openPlain } from '../files/plain-file.ts'
import { identityOf, realOf } from './look.ts'
import type { TakenIn } from './messages.ts'

const CHUNK = 1024 * 1024

/**
 * A copy and no hard link: the application that wrote the file may write into it again, and a link would show that. Volumes that share blocks (btrfs, XFS)
 * copy without copying.
 * @returns null when the file is no longer the one that was seen
 * @throws FileFlowError `disk.full`, `storage.failed`, `permission.denied`
 */
export async function takeIn(
  folder: string,
  path: VirtualPath,
  identity: string,
  spoolFolder: string,
  durable: boolean,
): Promise<TakenIn | null> {
  const source = openSource(folder, path)
  if (source === null) return null
  const transferId = newId()
  const spool = join(spoolFolder, transferId)
  let kept = false
  try {
    const unchanged = (): boolean => identityOf(fs.fstatSync(source.fd, { bigint: true })) === identity
    if (!unchanged()) return null
    await fs.promises
      .copyFile(hasProc ? `/proc/self/fd/${source.fd}` : source.real, spool, fs.constants.COPYFILE_FICLONE | fs.constants.COPYFILE_EXCL)
      .catch((error: unknown) => {
        throw fromErrno(error)
      })
    const { size, sha256 } = await seal(spool, durable)
    if (!unchanged()) return null
    kept = true
    return { transferId, path, identity, size, sha256, spool: Buffer.from(spool), real: realOf(folder, path) }
  } finally {
    fs.closeSync(source.fd)
    if (!kept) await fs.promises.rm(spool, { force: true })
  }
}

function openSource(folder: string, path: VirtualPath): { fd: number; real: Buffer | string } | null {
  try {
    using place = new Jail(folder, [], null).resolve(path, false)
    return { fd: openPlain(place.real).fd, real: place.real }
  } catch (error) {
    if (error instanceof FileFlowError && error.code.startsWith('path.')) return null
    throw error
  }
}

/** The copy is ours alone from now on; what it holds is what is sent. */
async function seal(spool: string, durable: boolean): Promise<{ size: number; sha256: string }> {
  fs.chmodSync(spool, 0o600)
  const fd = fs.openSync(spool, 'r+')
  try {
    const hash = createHash('sha256')
    const size = fs.fstatSync(fd).size
    const into = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(1, size)))
    for (let at = 0; at < size; ) {
      const count = await readAt(fd, into, at)
      if (count === 0) throw new FileFlowError('storage.failed')
      hash.update(into.subarray(0, count))
      at += count
    }
    if (durable) await sync(fd)
    return { size, sha256: hash.digest('hex') }
  } finally {
    fs.closeSync(fd)
  }
}
