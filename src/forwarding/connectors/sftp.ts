// Delivery over SFTP version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions where the far side has them.
// Must not know about connecting; sftp-connection.ts does.
import type { Stats } from 'ssh2'
import type { DestinationSpec } from '../../core/destination.ts'
import { FileFlowError, SFTP_STATUS } from '../../core/errors.ts'
import { checkFile, offersCheckFile } from './check-file.ts'
import { createCommands } from './commands.ts'
import { folderGone, folderOf, foldersTo, notRenamed } from './remote-path.ts'
import type { OpenSession, RemoteEntry, RemoteSession, UploadOptions, UploadSource } from './remote-session.ts'
import { connectSftp, type SftpConnection } from './sftp-connection.ts'
import { CHUNK } from './spool-source.ts'

/** Every server must take packets of this size (draft-ietf-secsh-filexfer-02 §3). */
const BLOCK = 32 * 1024
/** Servers that say how much they take in one WRITE, as OpenSSH does, get fewer and larger ones, at most what its own client sends. */
const LARGE_BLOCK = CHUNK
/** A server that takes less in one WRITE is no server: a gigabyte would be a million requests. */
const LEAST_BLOCK = 1024
/** Bytes under way: enough to fill a fast line over a continent, and little enough to stay within the 2 MiB that OpenSSH's window has (and its account of it lags behind). */
const AHEAD = 1.5 * 1024 * 1024
/** What may be missing in between at the end of a broken-off file: more than is under way, since earlier versions had 2.125 MiB. */
const SLACK = 2.25 * 1024 * 1024
const READS_AHEAD = 32
/** Their rename is the kernel's (or ours): another server's OK is believed once the old name is gone. */
const RENAMES = /^(OpenSSH|FileFlow)/
/** Servers that may run sha256sum for a login; FileFlow's own does so without a shell. */
const RUNS_SHA256SUM = /^(OpenSSH|FileFlow)/i
const MOST_REQUESTS = 64
/** So many short answers are the end of a file, or a line's whim. */
const PATIENCE = 64
const FROM_THE_START: UploadOptions = { from: 0, mtimeMs: 0 }

export function openSftp(destination: DestinationSpec): OpenSession {
  // Asked once: a far side that names no hash to us is not bothered with every file.
  const remembered = { noCommands: false, noCheckFile: false }
  return async (hooks) => {
    const connection = await connectSftp(destination, hooks)
    const { sftp } = connection
    try {
      const home = await connection.call<string>('name', (answer) => sftp.realpath('.', answer))
      return sftpSession(connection, home, remembered)
    } catch (error) {
      connection.destroy()
      throw error
    }
  }
}

function sftpSession(connection: SftpConnection, home: string, remembered: { noCommands: boolean; noCheckFile: boolean }): RemoteSession {
  const { sftp, server } = connection
  const renames = RENAMES.test(server ?? '')
  /** Folders that were seen over this connection. */
  const known = new Set<string>()
  const runInTurn = createCommands((command, ms) => connection.run(command, ms))
  const checksFiles = () => !remembered.noCheckFile && offersCheckFile(sftp)
  const runsCommands = () => !remembered.noCommands && RUNS_SHA256SUM.test(server ?? '')
  const stat = async (path: string): Promise<RemoteEntry | null> => {
    try {
      const found = await connection.raw<Stats>('attrs', (answer) => sftp.stat(path, answer))
      return found.isFile() ? { kind: 'file', size: sizeIn(found) } : { kind: 'other', size: 0 }
    } catch (error) {
      if (statusOf(error) === SFTP_STATUS.NO_SUCH_FILE) return null
      throw connection.failure(error)
    }
  }
  /** The word for it is not enough: the old name must be gone. It is asked for in the same breath; a server that answers out of turn is asked again. */
  const renamed = async (rename: Promise<void>, from: string): Promise<void> => {
    if (renames) return rename
    // a folder that may be written and not seen tells nothing
    const isThere = () =>
      stat(from).then(
        (entry) => entry !== null,
        () => false,
      )
    const [, there] = await Promise.all([rename, isThere()])
    if (there && (await isThere())) throw notRenamed()
  }

  return {
    home,
    server,
    get hashAlgorithm() {
      return checksFiles() || runsCommands() ? 'sha256' : null
    },
    get usable() {
      return connection.usable
    },
    stat,
    async makeFolder(path) {
      if (known.has(path)) return
      const missing: string[] = []
      // From below: the folders above may not be this login's to see.
      for (const folder of foldersTo(path).reverse()) {
        if (await stat(folder)) break
        missing.unshift(folder)
      }
      for (const folder of missing) {
        try {
          await connection.call('status', (answer) => sftp.mkdir(folder, answer))
        } catch (error) {
          // Another delivery made it meanwhile.
          if (!connection.usable || !(await stat(folder))) throw error
        }
      }
      known.add(path)
    },
    // each piece is copied to the packets that carry it at once
    copies: true,
    resumeSlack: SLACK,
    async upload(path, source, options = FROM_THE_START) {
      try {
        return await upload(connection, path, source, options)
      } catch (error) {
        const folder = folderOf(path)
        if (known.delete(folder) && connection.usable && (await stat(folder)) === null) throw folderGone(error)
        throw error
      }
    },
    async hash(path, size) {
      // 20 MB/s is a slow disk; beyond that it is stuck, and given up.
      const ms = 30_000 + size / 20_000
      if (checksFiles()) {
        const checked = await checkFile(connection, path, ms)
        if (checked.digest !== null) return { hex: checked.digest, method: 'check-file' }
        if (!checked.never) return null
        remembered.noCheckFile = true
      }
      if (!runsCommands()) return null
      const printed = await runInTurn(`sha256sum ${shellWord(path)}`, ms, () => connection.usable && runsCommands())
      const hex = /^\\?([0-9a-f]{64})\s/.exec(printed ?? '')?.[1] ?? null
      if (hex !== null) return { hex, method: 'sha256sum' }
      if (connection.usable) remembered.noCommands = true
      return null
    },
    download: (path, take) => download(connection, path, take),
    async rename(from, to, replace) {
      if (replace && connection.offers('posix-rename@openssh.com')) {
        return renamed(
          connection.call('status', (answer) => sftp.ext_openssh_rename(from, to, answer)),
          from,
        )
      }
      // Version 3 RENAME refuses a taken name (§6.5). Where it must be replaced, the old one goes first: a moment without either.
      if (replace) await remove(connection, to)
      const plain = connection
        .call('status', (answer) => sftp.rename(from, to, answer))
        .catch(async (error: unknown) => {
          if (!replace && connection.usable && (await stat(to))) throw new FileFlowError('remote.exists', undefined, { cause: error })
          throw error
        })
      // a server that copies has made the new name itself: what follows the OK is never a name that was taken
      await renamed(plain, from)
    },
    remove: (path) => remove(connection, path),
    destroy: () => connection.destroy(),
    end: () => connection.end(),
  }
}

/** A server need not tell it (§5). */
function sizeIn({ size }: { readonly size?: number }): number {
  if (size === undefined) throw new FileFlowError('remote.failed', 'The server tells no size.')
  return size
}

const statusOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code

async function remove(connection: SftpConnection, path: string): Promise<void> {
  try {
    await connection.raw('status', (answer) => connection.sftp.unlink(path, answer))
  } catch (error) {
    if (statusOf(error) !== SFTP_STATUS.NO_SUCH_FILE) throw connection.failure(error)
  }
}

/**
 * Never more than it says it takes: that would be cut up by ssh2, later, when the chunk holds other bytes. Who takes less than a chunk (OpenSSH before 8.5 does by
 * a kilobyte) gets it in equal parts.
 */
const blockFor = (longest: number): number =>
  longest < 2 * BLOCK ? Math.min(BLOCK, longest) : Math.ceil(LARGE_BLOCK / Math.ceil(LARGE_BLOCK / longest))

/** @returns the size that the server tells at the end */
async function upload(connection: SftpConnection, path: string, source: UploadSource, { from, mtimeMs }: UploadOptions): Promise<number> {
  const { sftp } = connection
  const longest = connection.longestWrite
  const block = blockFor(longest)
  if (block < LEAST_BLOCK) throw new FileFlowError('remote.failed', `The server takes only ${block} bytes at a time.`)
  const ahead = Math.min(MOST_REQUESTS, Math.floor(AHEAD / block))
  const handle = await connection.call<Buffer>('handle', (answer) => sftp.open(path, from > 0 ? 'r+' : 'w', answer))
  const requests = new Requests()
  const close = () => connection.call('status', (answer) => sftp.close(handle, answer))
  let closing = false
  let at = from
  const write = async (chunk: Buffer): Promise<void> => {
    for (let start = 0; start < chunk.length; start += block) {
      const length = Math.min(block, chunk.length - start)
      const position = at
      at += length
      requests.add(connection.write(handle, chunk.subarray(start, start + length), position))
      if (requests.count > ahead) await requests.atMost(ahead)
    }
  }
  try {
    if (typeof source === 'function') await write(source())
    else for await (const chunk of source) await write(chunk)
    // what ends a file goes out with its last bytes: one answer's time for all of it
    if (connection.offers('fsync@openssh.com')) requests.add(connection.call('status', (answer) => sftp.ext_openssh_fsync(handle, answer)))
    if (mtimeMs > 0) requests.add(setTime(connection, handle, mtimeMs))
    const stats = connection.call<Stats>('attrs', (answer) => sftp.fstat(handle, answer))
    requests.add(stats)
    closing = true
    requests.add(close())
    await requests.atMost(0)
    return sizeIn(await stats)
  } catch (error) {
    if (!connection.usable) throw error
    const full = statusOf(error) === 'remote.failed' && (await isFull(connection, path))
    if (!closing) await close().catch(() => undefined)
    throw full ? new FileFlowError('remote.full', undefined, { cause: error }) : error
  }
}

/** A time that the server will not set is no fault of the file's. */
async function setTime(connection: SftpConnection, handle: Buffer, mtimeMs: number): Promise<void> {
  const seconds = Math.floor(mtimeMs / 1000)
  await connection.raw('status', (answer) => connection.sftp.futimes(handle, seconds, seconds, answer)).catch(() => undefined)
}

/** Requests under way, waited for in order: what is missing in a file that broke off lies within the last of them. */
class Requests {
  readonly #running: Promise<unknown>[] = []

  add(request: Promise<unknown>): void {
    // it is waited for later: until then a failure is nobody's surprise
    request.catch(() => undefined)
    this.#running.push(request)
  }

  get count(): number {
    return this.#running.length
  }

  /** @throws the first failure */
  async atMost(count: number): Promise<void> {
    while (this.#running.length > count) await this.#running.shift()
  }
}

/** Version 3 has no status for a full disk: after a plain failure the free space is asked for, where that can be asked. */
async function isFull(connection: SftpConnection, path: string): Promise<boolean> {
  if (!connection.offers('statvfs@openssh.com')) return false
  try {
    const space = await connection.call<{ f_bavail?: number }>('extended', (answer) => connection.sftp.ext_openssh_statvfs(path, answer))
    return space.f_bavail === 0
  } catch {
    return false
  }
}

async function download(connection: SftpConnection, path: string, take: (chunk: Uint8Array) => void): Promise<void> {
  const { sftp } = connection
  const handle = await connection.call<Buffer>('handle', (answer) => sftp.open(path, 'r', answer))
  /** Bytes read; 0 at the end of the file. */
  const readAt = async (into: Buffer, position: number): Promise<number> => {
    try {
      return await connection.raw<number>('data', (answer) =>
        sftp.read(handle, into, 0, into.length, position, (error, count) => answer(error, count)),
      )
    } catch (error) {
      if (statusOf(error) === SFTP_STATUS.EOF) return 0
      throw connection.failure(error)
    }
  }
  try {
    let block = Math.min(BLOCK, connection.longestRead)
    let ahead = READS_AHEAD
    for (let at = 0, turns = 0; ; turns++) {
      if (turns > PATIENCE + at / LEAST_BLOCK) throw new FileFlowError('remote.failed', 'The server gives only a few bytes at a time.')
      const blocks = Array.from({ length: ahead }, () => Buffer.allocUnsafe(block))
      const counts = await Promise.all(blocks.map((into, i) => readAt(into, at + i * block)))
      ahead = READS_AHEAD
      for (const [i, count] of counts.entries()) {
        take(blocks[i]!.subarray(0, count))
        at += count
        if (count === 0) return
        if (count === block) continue
        // A short answer is no end (§6.4): what came after it does not fit, so it is asked for again from here, in pieces as the server gives them.
        if (count >= LEAST_BLOCK) block = count
        else ahead = 1
        break
      }
    }
  } finally {
    if (connection.usable) await connection.call('status', (answer) => sftp.close(handle, answer)).catch(() => undefined)
  }
}

/** A path as one word of a POSIX shell. */
const shellWord = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
