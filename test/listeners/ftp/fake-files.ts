// A VirtualFilesystem over a real folder, just enough to see what the FTP listener asks of it.
// Must not be taken for the real one: it has no jail, no permissions and no quota beyond `maxSize`.
import * as fs from 'node:fs/promises'
import { FileFlowError } from '../../../src/core/errors.ts'
import type { Verdict } from '../../../src/core/transfer.ts'
import type { Principal } from '../../../src/core/user.ts'
import { baseOf, nameFromBytes, nameToBytes, parentOf, type VirtualPath } from '../../../src/core/virtual-path.ts'
import { digestOf } from '../../../src/files/digest.ts'
import type { Download, FileEntry, Upload, UploadOptions, VirtualFilesystem } from '../../../src/files/virtual-filesystem.ts'

export interface Trace {
  readonly committed: { path: string; id: string; verdict: Verdict }[]
  readonly aborted: { path: string; why: string }[]
  readonly downloads: { path: string; sent: number; error: string | undefined }[]
  closed: number
  /** Called before each commit ends; lets a test look in. */
  beforeCommit: () => Promise<void>
}

const CODES: Record<string, 'path.not_found' | 'path.exists' | 'path.not_empty' | 'path.not_directory' | 'path.is_directory'> = {
  ENOENT: 'path.not_found',
  EEXIST: 'path.exists',
  ENOTEMPTY: 'path.not_empty',
  ENOTDIR: 'path.not_directory',
  EISDIR: 'path.is_directory',
}

function translated(error: unknown): never {
  const code = CODES[(error as NodeJS.ErrnoException).code ?? '']
  throw code ? new FileFlowError(code, undefined, { cause: error }) : error
}

let transfers = 0

export function fakeFiles(
  root: string,
  principal: Principal,
  sessionId: string,
  trace: Trace,
  maxSize = Number.POSITIVE_INFINITY,
): VirtualFilesystem {
  const real = (path: VirtualPath) => Buffer.concat([Buffer.from(root), nameToBytes(path)])
  const partial = (path: VirtualPath) => Buffer.concat([Buffer.from(`${root}.partials/`), Buffer.from(nameToBytes(path).toString('hex'))])
  let closedBy: Error | null = null
  const open = () => {
    if (closedBy) throw closedBy
  }

  async function entryOf(path: VirtualPath, follow: boolean): Promise<FileEntry> {
    open()
    const stats = await (follow ? fs.stat(real(path)) : fs.lstat(real(path))).catch(translated)
    return {
      name: baseOf(path),
      kind: stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'link' : stats.isFile() ? 'file' : 'other',
      size: stats.size,
      mode: stats.mode & 0o7777,
      mtimeMs: stats.mtimeMs,
      atimeMs: stats.atimeMs,
      uid: stats.uid,
      gid: stats.gid,
      links: stats.nlink,
      unique: `${stats.dev.toString(16)}g${stats.ino.toString(16)}`,
      partial: false,
    }
  }

  const exists = (path: Buffer) =>
    fs.access(path).then(
      () => true,
      () => false,
    )

  async function beginUpload(path: VirtualPath, options: UploadOptions): Promise<Upload> {
    open()
    await fs.stat(real(parentOf(path))).catch(translated)
    await fs.mkdir(`${root}.partials`, { recursive: true })
    if (options.mode === 'create' && (await exists(real(path)))) throw new FileFlowError('path.exists')
    const staging = partial(path)
    if (options.mode === 'resume') {
      if (!(await exists(staging)) && (await exists(real(path)))) await fs.copyFile(real(path), staging)
    } else await fs.rm(staging, { force: true })
    const handle = await fs.open(staging, (await exists(staging)) ? 'r+' : 'w+')
    let size = (await handle.stat()).size
    if (options.truncateTo !== undefined && options.truncateTo < size) {
      await handle.truncate(options.truncateTo)
      size = options.truncateTo
    }
    const transferId = `t${++transfers}`
    let over = false
    const upload: Upload = {
      transferId,
      path,
      get size() {
        return size
      },
      write(chunk, at) {
        return upload.writev([chunk], at)
      },
      async writev(chunks, at, release) {
        open()
        const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
        if (at + bytes > maxSize) throw new FileFlowError('quota.exceeded')
        await handle.writev([...chunks], at)
        size = Math.max(size, at + bytes)
        release?.()
      },
      append: (chunks) => upload.writev(chunks, upload.size),
      read: async (into, at) => (await handle.read(into, 0, into.length, at)).bytesRead,
      digest: (algorithm, options = {}) => digestOf(handle.fd, size, algorithm, options, open),
      truncate: (length) => handle.truncate(length),
      stat: () => entryOf(path, true),
      setAttributes: async () => undefined,
      sync: () => handle.sync(),
      async commit(verdict) {
        await trace.beforeCommit()
        open()
        await handle.close()
        await fs.rename(staging, real(path))
        over = true
        trace.committed.push({ path, id: transferId, verdict })
        return { deliveries: 0 }
      },
      async abort(why) {
        if (over) return
        over = true
        await handle.close()
        trace.aborted.push({ path, why: why.message })
      },
    }
    return upload
  }

  async function openDownload(path: VirtualPath): Promise<Download> {
    open()
    const entry = await entryOf(path, true)
    if (entry.kind !== 'file') throw new FileFlowError('path.is_directory')
    const handle = await fs.open(real(path), 'r')
    let over = false
    return {
      transferId: `t${++transfers}`,
      path,
      size: entry.size,
      read: async (into, at) => {
        open()
        return (await handle.read(into, 0, into.length, at)).bytesRead
      },
      readv: async (into, at) => (await handle.readv([...into], at)).bytesRead,
      digest: (algorithm, options = {}) => digestOf(handle.fd, entry.size, algorithm, options, open),
      stat: () => entryOf(path, true),
      async end(sent, error) {
        if (over) return
        over = true
        await handle.close()
        trace.downloads.push({ path, sent, error: error?.message })
      },
    }
  }

  return {
    principal,
    sessionId,
    async *list(path) {
      open()
      const names = await fs.readdir(real(path), { encoding: 'buffer' }).catch(translated)
      for (const name of names) {
        const text = nameFromBytes(name)
        yield { ...(await entryOf(`${path === '/' ? '' : path}/${text}` as VirtualPath, false)), name: text }
      }
    },
    stat: (path) => entryOf(path, true),
    lstat: (path) => entryOf(path, false),
    async mustBeFolder(path) {
      if ((await entryOf(path, true)).kind !== 'directory') throw new FileFlowError('path.not_directory')
    },
    may: () => true,
    openDownload,
    beginUpload,
    async digest(path, algorithm, options) {
      const download = await openDownload(path)
      return download.digest(algorithm, options).finally(() => download.end(0))
    },
    link: (from, to) => fs.link(real(from), real(to)).catch(translated),
    mkdir: (path) => fs.mkdir(real(path)).catch(translated),
    rmdir: (path) => fs.rmdir(real(path)).catch(translated),
    remove: (path) => fs.unlink(real(path)).catch(translated),
    rename: (from, to) => fs.rename(real(from), real(to)).catch(translated),
    async setAttributes(path, attributes) {
      if (attributes.mode !== undefined) await fs.chmod(real(path), attributes.mode)
      if (attributes.mtimeMs !== undefined)
        await fs.utimes(real(path), (attributes.atimeMs ?? attributes.mtimeMs) / 1000, attributes.mtimeMs / 1000)
    },
    readlink: (path) => fs.readlink(real(path)).catch(translated),
    symlink: (target, path) => fs.symlink(target, real(path)),
    realpath: async (path) => path,
    space: async () => ({ blockSize: 4096, totalBlocks: 1, freeBlocks: 1, totalFiles: 1, freeFiles: 1 }),
    async close(why) {
      trace.closed++
      closedBy = why
    },
  }
}
