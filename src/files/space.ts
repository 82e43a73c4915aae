// How much room a user has: the disk's, or what the quota leaves of it.
// Must not tell a user with a quota anything of the disk behind it.
import fs from 'node:fs'
import type { Principal } from '../core/user.ts'
import { translated } from './file-io.ts'
import type { Folder } from './jail.ts'
import type { SpaceReport } from './virtual-filesystem.ts'

/** Not worth asking about. */
const SMALL = 2 ** 30

/** Whether a file of that length can be anything but holes there: such a one would cost nothing to make, and hours to digest. @param path on the volume */
export function fitsVolume(size: number, path: string): boolean {
  if (size < SMALL) return true
  const { blocks, bsize } = translated(() => fs.statfsSync(path))
  // some volumes do not say how large they are
  return blocks === 0 || size <= blocks * bsize
}

/** @param used what counts for the quota already */
export function spaceIn(folder: Folder, quota: Principal['quota'], used: { bytes: number; files: number }): SpaceReport {
  const disk = translated(() => fs.statfsSync(folder.at(null)))
  const blocks = quota.bytes === null ? disk.blocks : Math.min(disk.blocks, Math.floor(quota.bytes / disk.bsize))
  const blocksLeft = quota.bytes === null ? disk.bavail : Math.max(0, Math.floor((quota.bytes - used.bytes) / disk.bsize))
  const files = quota.files ?? disk.files
  const filesLeft = quota.files === null ? disk.ffree : Math.max(0, quota.files - used.files)
  return {
    blockSize: disk.bsize,
    totalBlocks: blocks,
    freeBlocks: Math.min(disk.bavail, blocksLeft),
    totalFiles: files,
    freeFiles: Math.min(disk.ffree, filesLeft),
  }
}
