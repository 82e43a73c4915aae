// Delivery into a folder of this machine (or a mount), with the same discipline as over a network, and synced to the disk.
// Must not follow a link out of the folder.
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, lstat, mkdir, open, realpath, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import type { DestinationSpec } from '../../core/destination.ts'
import { FileFlowError } from '../../core/errors.ts'
import { translatorFor } from './errors.ts'
import { asStream, type OpenHooks, type OpenSession, type RemoteEntry, type RemoteSession } from './remote-session.ts'

const CHUNK = 256 * 1024

export function openLocal(destination: DestinationSpec): OpenSession {
  const base = destination.base_path!.replace(/(?<=.)\/+$/, '')
  return async (hooks: OpenHooks) => {
    hooks.connected(base)
    return localSession(destination, base)
  }
}

function localSession(destination: DestinationSpec, base: string): RemoteSession {
  const translate = translatorFor(destination)
  let broken = false
  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    alive()
    try {
      return await work()
    } catch (error) {
      throw translate(error, 'work')
    }
  }
  const alive = () => {
    if (broken) throw translate.fail('remote.lost', 'broken off')
  }

  return {
    home: base,
    server: null,
    hashAlgorithm: 'sha256',
    get usable() {
      return !broken
    },
    stat: (path) => run(() => entryOf(path)),
    makeFolder: (path) => run(() => makeFolders(base, path)),
    copies: false,
    resumeSlack: null,
    async upload(path, source, options) {
      await run(() => write(path, asStream(source), alive, options?.mtimeMs))
      return null
    },
    hash: (path) =>
      run(async () => {
        const hash = createHash('sha256')
        await read(path, (chunk) => hash.update(chunk), alive)
        return { hex: hash.digest('hex'), method: 'read-back' }
      }),
    download: (path, take) => run(() => read(path, take, alive)),
    rename: (from, to, replace) =>
      run(async () => {
        if (replace) await rename(from, to)
        else await moveToFreeName(from, to)
        await syncFolder(dirname(to))
      }),
    remove: (path) => run(() => removeIfThere(path)),
    destroy() {
      broken = true
    },
    async end() {
      broken = true
    },
  }
}

async function entryOf(path: string): Promise<RemoteEntry | null> {
  try {
    const found = await lstat(path)
    return found.isFile() ? { kind: 'file', size: found.size } : { kind: 'other', size: 0 }
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

/** One level after the other, so that a link below the base that leads elsewhere is seen before anything is made behind it. */
async function makeFolders(base: string, path: string): Promise<void> {
  await mkdir(base, { recursive: true })
  const root = await realpath(base)
  let at = base
  for (const part of path.slice(base.length).split('/')) {
    if (part === '') continue
    at = at === '/' ? `/${part}` : `${at}/${part}`
    await mkdir(at).then(
      () => syncFolder(dirname(at)),
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      },
    )
    const real = await realpath(at)
    if (root !== '/' && !real.startsWith(`${root}/`))
      throw new FileFlowError('remote.denied', 'A link leads out of the destination folder.')
  }
}

/** A leftover is removed first: it is never written through, whatever it has become. */
async function write(path: string, source: Readable, alive: () => void, mtimeMs = 0): Promise<void> {
  await removeIfThere(path)
  const handle = await open(path, 'wx', 0o644)
  try {
    for await (const chunk of source) {
      alive()
      await writeAll(handle, chunk)
    }
    if (mtimeMs > 0) await handle.utimes(mtimeMs / 1000, mtimeMs / 1000)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten
}

async function read(path: string, take: (chunk: Uint8Array) => void, alive: () => void): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const into = Buffer.allocUnsafe(CHUNK)
    for (let at = 0; ; ) {
      alive()
      const { bytesRead } = await handle.read(into, 0, CHUNK, at)
      if (bytesRead === 0) return
      take(into.subarray(0, bytesRead))
      at += bytesRead
    }
  } finally {
    await handle.close()
  }
}

/** link(2) refuses a taken name in one step; file systems without links (FAT, some mounts) leave a small race. */
async function moveToFreeName(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    if (await entryOf(to)) throw new FileFlowError('remote.exists')
    await rename(from, to)
    return
  }
  await unlink(from)
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
