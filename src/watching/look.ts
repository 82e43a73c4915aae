// Looking at files below a watched folder: which plain files are there, and what tells one version of a file from another.
// Must not follow a link, and must not open a file.
import fs from 'node:fs'
import { baseOf, child, isReservedName, isWithin, nameFromBytes, nameToBytes, ROOT, type VirtualPath } from '../core/virtual-path.ts'
import type { Seen } from './messages.ts'

/** Where `after: archive` puts files: directly below the watched folder. Never looked into. */
export const ARCHIVE = child(ROOT, 'archive')

export const isOff = (path: VirtualPath): boolean => isWithin(path, ARCHIVE) || isReservedName(baseOf(path))

export const identityOf = (stats: fs.BigIntStats): string => `${stats.ino}:${stats.size}:${stats.mtimeNs}`

/** The real path, as bytes. */
export const realOf = (folder: string, path: VirtualPath): Buffer => (path === ROOT ? Buffer.from(folder) : nameToBytes(folder + path))

/** What stands at `path` now; null for what is gone, or is neither a plain file nor a folder. */
export async function look(folder: string, path: VirtualPath): Promise<Seen | 'folder' | null> {
  let stats: fs.BigIntStats
  try {
    stats = await fs.promises.lstat(realOf(folder, path), { bigint: true })
  } catch (error) {
    if (isGone(error)) return null
    throw error
  }
  if (stats.isDirectory()) return 'folder'
  return stats.isFile() ? { path, identity: identityOf(stats), changedMs: Number(stats.ctimeNs / 1_000_000n) } : null
}

const ABREAST = 32

/** All plain files at and below `from`, some at a time. Folders that vanish or may not be read are passed over; `unreadable` is told of the latter. */
export async function* filesBelow(
  folder: string,
  from: VirtualPath,
  unreadable: (path: VirtualPath, error: unknown) => void,
): AsyncGenerator<Seen[]> {
  const folders: VirtualPath[] = [from]
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    let dir: fs.Dir
    try {
      dir = await fs.promises.opendir(realOf(folder, at), { encoding: 'buffer' as BufferEncoding, bufferSize: 256 })
    } catch (error) {
      if (!isGone(error)) unreadable(at, error)
      continue
    }
    let group: VirtualPath[] = []
    for await (const entry of dir) {
      const path = within(at, entry.name as unknown as Uint8Array)
      if (path === null || isOff(path)) continue
      // some volumes do not tell the kind: look() does
      if (entry.isDirectory()) folders.push(path)
      else if (entry.isFile() || !knownKind(entry)) group.push(path)
      if (group.length < ABREAST) continue
      yield await seen(folder, group, folders)
      group = []
    }
    if (group.length > 0) yield await seen(folder, group, folders)
  }
}

const knownKind = (entry: fs.Dirent): boolean =>
  entry.isSymbolicLink() || entry.isFIFO() || entry.isSocket() || entry.isBlockDevice() || entry.isCharacterDevice()

async function seen(folder: string, paths: readonly VirtualPath[], folders: VirtualPath[]): Promise<Seen[]> {
  const found = await Promise.all(paths.map((path) => look(folder, path)))
  for (const [i, what] of found.entries()) if (what === 'folder') folders.push(paths[i]!)
  return found.filter((what): what is Seen => what !== null && what !== 'folder')
}

/** A name as it lies on the disk; null when it is too long for a virtual path. */
export function within(parent: VirtualPath, name: Uint8Array | string): VirtualPath | null {
  try {
    return child(parent, typeof name === 'string' ? name : nameFromBytes(name))
  } catch {
    return null
  }
}

export function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes((error as NodeJS.ErrnoException | null)?.code ?? '')
}
