// What a file looks like to a partner, and the attributes a partner may set.
// Must not let a partner take the gateway's own access away, nor set bits that make files dangerous on the server.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { baseOf, type VirtualPath } from '../core/virtual-path.ts'
import { hasProc, O_PATH } from './jail.ts'
import type { Attributes, FileEntry, FileKind } from './virtual-filesystem.ts'

export function toEntry(name: string, stats: fs.Stats, partial = false): FileEntry {
  return {
    name,
    kind: kindOf(stats),
    size: stats.size,
    mode: stats.mode & 0o7777,
    mtimeMs: stats.mtimeMs,
    atimeMs: stats.atimeMs,
    uid: stats.uid,
    gid: stats.gid,
    links: stats.nlink,
    unique: `${stats.dev.toString(16)}g${stats.ino.toString(16)}`,
    partial,
  }
}

export const entryAt = (path: VirtualPath, stats: fs.Stats, partial = false): FileEntry => toEntry(baseOf(path), stats, partial)

function kindOf(stats: fs.Stats): FileKind {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  return stats.isSymbolicLink() ? 'link' : 'other'
}

/** No setuid, setgid, sticky; and the owner, who is the gateway, keeps reading and writing: a spooled file must stay readable. */
export const safeMode = (mode: number, kind: 'file' | 'directory'): number => (mode & 0o777) | (kind === 'file' ? 0o600 : 0o700)

/** As Node's utimes take it: a negative number would mean now. */
export const timeOf = (ms: number): number | Date => (ms < 0 ? new Date(ms) : ms / 1000)

/** Sets mode and times of an open file; what is absent stays. */
export function applyAttributes(fd: number, attributes: Attributes): void {
  if (attributes.mode !== undefined) fs.fchmodSync(fd, safeMode(attributes.mode, 'file'))
  if (attributes.mtimeMs !== undefined || attributes.atimeMs !== undefined) {
    const now = fs.fstatSync(fd)
    fs.futimesSync(fd, timeOf(attributes.atimeMs ?? now.atimeMs), timeOf(attributes.mtimeMs ?? now.mtimeMs))
  }
}

/** Sets mode and times on exactly the file that stands there, never through a link that took its place. */
export function setAttributesAt(real: Buffer | string, { mode, mtimeMs, atimeMs }: Attributes): void {
  const { O_NOFOLLOW, O_RDONLY, O_NONBLOCK } = fs.constants
  const fd = fs.openSync(real, hasProc ? O_PATH | O_NOFOLLOW : O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const held = hasProc ? `/proc/self/fd/${fd}` : real
    const stats = fs.fstatSync(fd)
    if (!stats.isFile() && !stats.isDirectory()) throw new FileFlowError('path.not_regular')
    if (mode !== undefined) fs.chmodSync(held, safeMode(mode, stats.isDirectory() ? 'directory' : 'file'))
    if (mtimeMs !== undefined || atimeMs !== undefined)
      fs.utimesSync(held, timeOf(atimeMs ?? stats.atimeMs), timeOf(mtimeMs ?? stats.mtimeMs))
  } finally {
    fs.closeSync(fd)
  }
}
