// Housekeeping of the vaults on the control thread's behalf: finishing what a killed process left, and dropping what nobody needs.
// Must not block: promises only, but for the one rename that must follow its question at once. Paths come from rows the gateway itself wrote.
import fs from 'node:fs'
import { nameFromBytes, nameToBytes } from '../core/virtual-path.ts'
import { digestOf } from './digest.ts'
import { isMissing } from './file-io.ts'
import { hasProc, O_PATH } from './jail.ts'
import { holeMark, partialSize } from './kept-partials.ts'
import { makeSpoolLink } from './spool-link.ts'
import { under } from './under.ts'

export interface Unpublished {
  readonly staging: Buffer
  readonly size: number
  /** Lower-case hex. */
  readonly sha256: string
  readonly final: Buffer
  /** null when nothing is owed. */
  readonly spool: Buffer | null
  /** A later upload to the same name was committed: the name is its. */
  readonly superseded: () => boolean
}

/**
 * Rolls a committed upload forward: spool link, final name. Safe to repeat.
 * @returns `published`; `lost` when the content is nowhere to be found, or its folder was exchanged for a link; `torn` when the power went before all of the content
 * was on the disk: then the upload was not acknowledged, and nothing of it is left
 */
export async function rollForward(
  { staging, size, sha256, final, spool, superseded }: Unpublished,
  durable: boolean,
): Promise<'published' | 'lost' | 'torn'> {
  const staged = await exists(staging)
  // content and row go to the disk side by side (upload.ts)
  if (staged && durable && !(await isWhole(staging, size, sha256))) {
    await fs.promises.rm(staging, { force: true })
    return 'torn'
  }
  if (spool && !(await exists(spool))) {
    // the staging name is gone only when the final one has its content
    const source = staged ? staging : final
    if (!(await exists(source)) || !(staged || (await isWhole(final, size, sha256)))) return 'lost'
    await makeSpoolLink(source, spool.toString(), durable)
  }
  // only publishing takes the staging name away; what the partner did with the file since is the partner's business
  if (!staged) {
    // whoever renamed it may have died before the folder's sync (folder-sync.ts): a power loss after the row's end would bring the staging name back, as an orphan
    if (durable) await syncNamesOf(final, spool)
    return 'published'
  }
  if (superseded()) {
    await fs.promises.rm(staging, { force: true })
    return 'published'
  }
  // partners may be logged in already: a folder on the way that became a link must not lead outside
  const folder = await enterAgain(final)
  if (folder === null) return 'lost'
  try {
    const target = Buffer.concat([Buffer.from(`${folder.path}/`), final.subarray(final.lastIndexOf(0x2f) + 1)])
    // asked again with nothing between the answer and the act: the partner may have sent it anew meanwhile
    if (!superseded()) fs.renameSync(staging, target)
    // rename(2) does nothing when both names are the same file already
    await fs.promises.rm(staging, { force: true })
    if (durable) await syncPath(`${folder.path}/.`)
  } finally {
    await folder.close()
  }
  return 'published'
}

/** Whether the file has this content; then it is also made durable, which it may not be yet when only its thread died. */
async function isWhole(path: Buffer, size: number, sha256: string): Promise<boolean> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants
  const handle = await fs.promises.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const stats = await handle.stat()
    if (!stats.isFile() || stats.size !== size) return false
    const { digest } = await digestOf(handle.fd, size, 'sha256', {}, () => {})
    if (Buffer.from(digest).toString('hex') !== sha256) return false
    await handle.sync()
    return true
  } finally {
    await handle.close()
  }
}

/** The folder of a path that had no links when it was written down, made again where it is missing; null when there are links now. */
async function enterAgain(final: Buffer): Promise<{ path: string; close(): Promise<void> } | null> {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants
  const parts = nameFromBytes(final).split('/').slice(1, -1)
  if (!hasProc) {
    const path = `/${parts.join('/')}`
    await fs.promises.mkdir(path, { recursive: true })
    return { path, close: async () => {} }
  }
  let handle = await fs.promises.open('/', O_RDONLY | O_DIRECTORY)
  for (const part of parts) {
    const name = Buffer.concat([Buffer.from(`/proc/self/fd/${handle.fd}/`), nameToBytes(part)])
    try {
      const open = () => fs.promises.open(name as unknown as string, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      const next = await open().catch(async (error: unknown) => {
        if (!isMissing(error)) throw error
        await fs.promises.mkdir(name, { mode: 0o755 })
        return open()
      })
      await handle.close()
      handle = next
    } catch (error) {
      await handle.close()
      if (['ELOOP', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
      throw error
    }
  }
  return { path: `/proc/self/fd/${handle.fd}`, close: () => handle.close() }
}

/** Whether the name holds this very file. */
export async function holdsInode(path: Buffer, inode: string): Promise<boolean> {
  const stats = await fs.promises.lstat(path).catch(nothing)
  return stats !== null && `${stats.dev}:${stats.ino}` === inode
}

/** Turns the staging file of a dead upload into a partial. @returns its length, 0 when nothing was kept. */
export async function keepAsPartial(staging: string, partial: Buffer, durable: boolean): Promise<number> {
  const stats = await fs.promises.lstat(staging).catch(nothing)
  if (!stats) return 0
  const mark = await fs.promises.readFile(holeMark(staging), 'utf8').catch(nothing)
  // a mark that a full disk cut off says nothing
  const size = mark === null ? partialSize(stats.size) : Math.min(partialSize(stats.size), /^\d+$/.test(mark) ? Number(mark) : 0)
  if (mark !== null) await fs.promises.rm(holeMark(staging), { force: true })
  if (size === 0) {
    await fs.promises.rm(staging, { force: true })
    return 0
  }
  const handle = await fs.promises.open(staging, fs.constants.O_RDWR | fs.constants.O_NOFOLLOW)
  try {
    await handle.truncate(size)
    if (durable) await handle.sync()
  } finally {
    await handle.close()
  }
  await fs.promises.mkdir(partial.subarray(0, partial.lastIndexOf(0x2f)), { recursive: true, mode: 0o700 })
  await fs.promises.rename(staging, partial)
  return size
}

/**
 * Removes spooled content.
 * @param partial the unfinished next version of the file. The removal is the last change of the published file too, which has the same inode: a partial that was newer
 * must stay the newer one (partials.ts), or its uploader would go on behind the end of the old version
 */
export async function dropSpooled(spool: Uint8Array, partial: Buffer | null = null): Promise<void> {
  const next = partial && (await fs.promises.lstat(partial).catch(nothing))
  const before = next && (await fs.promises.lstat(Buffer.from(spool)).catch(nothing))
  await fs.promises.unlink(Buffer.from(spool)).catch((error: unknown) => {
    if (!isMissing(error)) throw error
  })
  // any change will do: it sets ctime
  if (partial && before && next.ctimeMs >= before.ctimeMs) await fs.promises.lutimes(partial, next.atime, next.mtime).catch(nothing)
}

/** Removes what is older than `before` (ms) below a vault's `partials`, and folders that became empty. @returns how many. */
export async function expirePartials(vaultRoot: string, before: number): Promise<number> {
  let dropped = 0
  for (const user of await namesIn(`${vaultRoot}/partials`)) {
    for (const group of await namesIn(`${vaultRoot}/partials/${user}`)) {
      const folder = `${vaultRoot}/partials/${user}/${group}`
      for (const name of await namesIn(folder)) {
        const file = under(folder, name)
        const stats = await fs.promises.lstat(file).catch(nothing)
        if (stats && stats.ctimeMs < before) {
          await fs.promises.rm(file, { force: true })
          dropped++
        }
      }
      await fs.promises.rmdir(folder).catch(nothing)
    }
  }
  return dropped
}

/** Removes all that is kept of one user's unfinished uploads. */
export const dropPartialsOf = (vaultRoot: string, username: string): Promise<void> =>
  fs.promises.rm(`${vaultRoot}/partials/${username}`, { recursive: true, force: true })

/** Names in a vault's `staging` or `spool` folder, which the gateway itself gave, for finding what no row speaks of. */
export async function* namesInSteps(folder: string, step: number): AsyncIterable<string[]> {
  const dir = await fs.promises.opendir(folder, { bufferSize: step }).catch(nothing)
  let names: string[] = []
  for await (const { name } of dir ?? []) {
    if (names.push(name) < step) continue
    yield names
    names = []
  }
  if (names.length > 0) yield names
}

/** At once; for the few that have to be asked about at the start. */
export const isThere = (path: Uint8Array): boolean => fs.existsSync(Buffer.from(path))

/** Whether both paths lead to one file. */
export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  const [a, b] = [one, other].map((path) => fs.lstatSync(Buffer.from(path), { throwIfNoEntry: false, bigint: true }))
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino
}

/** Where spooled content of that name lies now, in the folders that there are; null when in none. */
export async function findSpooled(name: string, folders: readonly string[]): Promise<Buffer | null> {
  for (const folder of folders) {
    const path = Buffer.from(`${folder}/${name}`)
    if (await exists(path)) return path
  }
  return null
}

/** All names in a folder of a vault. */
export async function namesIn(folder: string): Promise<Buffer[]> {
  return (await fs.promises.readdir(folder, { encoding: 'buffer' }).catch(nothing)) ?? []
}

async function exists(path: Buffer): Promise<boolean> {
  return (await fs.promises.lstat(path).catch(nothing)) !== null
}

async function syncNamesOf(...files: readonly (Buffer | null)[]): Promise<void> {
  for (const file of files) {
    const handle = file && (await fs.promises.open(folderOf(file), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY).catch(nothing))
    if (handle) await handle.sync().finally(() => handle.close())
  }
}

const folderOf = (file: Buffer): Buffer => file.subarray(0, file.lastIndexOf(0x2f) + 1)

async function syncPath(path: string): Promise<void> {
  const handle = await fs.promises.open(path, 'r')
  await handle.sync().finally(() => handle.close())
}

/** What is missing is missing; any other fault is not ours to hide. */
function nothing(error: unknown): null {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENOTEMPTY') return null
  throw error
}
