// Delivery over SFTP version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions where the far side has them.
// Must not know about connecting; sftp-connection.ts does.
import type { Readable } from 'node:stream'
import type { Stats } from 'ssh2'
import type { DestinationSpec } from '../../core/destination.ts'
import { FileFlowError, SFTP_STATUS } from '../../core/errors.ts'
import { foldersTo } from './remote-path.ts'
import type { OpenSession, RemoteEntry, RemoteSession } from './remote-session.ts'
import { connectSftp, type SftpConnection } from './sftp-connection.ts'

/** Every server must take packets of this size (draft-ietf-secsh-filexfer-02 §3). */
const BLOCK = 32 * 1024
/** Requests under way: 2 MiB fill a fast line over a continent. */
const WRITES_AHEAD = 64
const READS_AHEAD = 32

export function openSftp(destination: DestinationSpec): OpenSession {
  // Asked once: a far side that runs no sha256sum for us is not bothered with every file.
  const remembered = { noCommands: false }
  return async (hooks) => {
    const connection = await connectSftp(destination, hooks)
    const { sftp } = connection
    try {
      const home = await connection.call<string>((answer) => sftp.realpath('.', answer))
      return sftpSession(connection, home, remembered)
    } catch (error) {
      connection.destroy()
      throw error
    }
  }
}

function sftpSession(connection: SftpConnection, home: string, remembered: { noCommands: boolean }): RemoteSession {
  const { sftp } = connection
  const stat = async (path: string): Promise<RemoteEntry | null> => {
    try {
      const found = await connection.raw<Stats>((answer) => sftp.stat(path, answer))
      return found.isFile() ? { kind: 'file', size: found.size } : { kind: 'other', size: 0 }
    } catch (error) {
      if (statusOf(error) === SFTP_STATUS.NO_SUCH_FILE) return null
      throw connection.failure(error)
    }
  }

  return {
    home,
    server: connection.server,
    get hashAlgorithm() {
      return !remembered.noCommands && /^OpenSSH/i.test(connection.server ?? '') ? 'sha256' : null
    },
    get usable() {
      return connection.usable
    },
    stat,
    async makeFolder(path) {
      const missing: string[] = []
      // From below: the folders above may not be this login's to see.
      for (const folder of foldersTo(path).reverse()) {
        if (await stat(folder)) break
        missing.unshift(folder)
      }
      for (const folder of missing) {
        try {
          await connection.call((answer) => sftp.mkdir(folder, answer))
        } catch (error) {
          // Another delivery made it meanwhile.
          if (!connection.usable || !(await stat(folder))) throw error
        }
      }
    },
    upload: (path, source) => upload(connection, path, source),
    async hash(path, size) {
      // 20 MB/s is a slow disk; beyond that a stuck command is given up.
      const printed = await connection.run(`sha256sum ${shellWord(path)}`, 30_000 + size / 20_000)
      const hex = /^\\?([0-9a-f]{64})\s/.exec(printed ?? '')?.[1] ?? null
      if (hex === null && connection.usable) remembered.noCommands = true
      return hex
    },
    download: (path, take) => download(connection, path, take),
    async rename(from, to, replace) {
      if (replace && connection.offers('posix-rename@openssh.com')) {
        return connection.call((answer) => sftp.ext_openssh_rename(from, to, answer))
      }
      // Version 3 RENAME refuses a taken name (§6.5). Where it must be replaced, the old one goes first: a moment without either.
      if (replace) await remove(connection, to)
      try {
        await connection.call((answer) => sftp.rename(from, to, answer))
      } catch (error) {
        if (!replace && connection.usable && (await stat(to))) throw new FileFlowError('remote.exists', undefined, { cause: error })
        throw error
      }
    },
    remove: (path) => remove(connection, path),
    destroy: () => connection.destroy(),
    end: () => connection.end(),
  }
}

const statusOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code

async function remove(connection: SftpConnection, path: string): Promise<void> {
  try {
    await connection.raw((answer) => connection.sftp.unlink(path, answer))
  } catch (error) {
    if (statusOf(error) !== SFTP_STATUS.NO_SUCH_FILE) throw connection.failure(error)
  }
}

async function upload(connection: SftpConnection, path: string, source: Readable): Promise<void> {
  const { sftp } = connection
  const handle = await connection.call<Buffer>((answer) => sftp.open(path, 'w', answer))
  try {
    await writeAll(connection, handle, source)
    if (connection.offers('fsync@openssh.com')) await connection.call((answer) => sftp.ext_openssh_fsync(handle, answer))
  } catch (error) {
    if (!connection.usable) throw error
    const full = statusOf(error) === 'remote.failed' && (await isFull(connection, path))
    await connection.call((answer) => sftp.close(handle, answer)).catch(() => undefined)
    throw full ? new FileFlowError('remote.full', undefined, { cause: error }) : error
  }
  await connection.call((answer) => sftp.close(handle, answer))
}

async function writeAll(connection: SftpConnection, handle: Buffer, source: Readable): Promise<void> {
  const running = new Set<Promise<void>>()
  let failed: unknown
  let at = 0
  for await (const chunk of source as AsyncIterable<Buffer>) {
    for (let from = 0; from < chunk.length; from += BLOCK) {
      const length = Math.min(BLOCK, chunk.length - from)
      const position = at
      at += length
      const write: Promise<void> = connection
        .call((answer) => connection.sftp.write(handle, chunk, from, length, position, (error) => answer(error, undefined)))
        .catch((error: unknown) => {
          failed ??= error
        })
        .finally(() => running.delete(write))
      running.add(write)
      if (running.size >= WRITES_AHEAD) await Promise.race(running)
      if (failed) throw failed
    }
  }
  await Promise.all(running)
  if (failed) throw failed
}

/** Version 3 has no status for a full disk: after a plain failure the free space is asked for, where that can be asked. */
async function isFull(connection: SftpConnection, path: string): Promise<boolean> {
  if (!connection.offers('statvfs@openssh.com')) return false
  try {
    const space = await connection.call<{ f_bavail?: number }>((answer) => connection.sftp.ext_openssh_statvfs(path, answer))
    return space.f_bavail === 0
  } catch {
    return false
  }
}

async function download(connection: SftpConnection, path: string, take: (chunk: Uint8Array) => void): Promise<void> {
  const { sftp } = connection
  const handle = await connection.call<Buffer>((answer) => sftp.open(path, 'r', answer))
  /** Bytes read; 0 at the end of the file. */
  const readAt = async (into: Buffer, position: number): Promise<number> => {
    try {
      return await connection.raw<number>((answer) =>
        sftp.read(handle, into, 0, into.length, position, (error, count) => answer(error, count)),
      )
    } catch (error) {
      if (statusOf(error) === SFTP_STATUS.EOF) return 0
      throw connection.failure(error)
    }
  }
  try {
    for (let at = 0; ; ) {
      const blocks = Array.from({ length: READS_AHEAD }, () => Buffer.allocUnsafe(BLOCK))
      const counts = await Promise.all(blocks.map((block, i) => readAt(block, at + i * BLOCK)))
      for (const [i, count] of counts.entries()) {
        take(blocks[i]!.subarray(0, count))
        at += count
        if (count === 0) return
        // A short answer is no end (§6.4): what came after it does not fit, so it is asked for again from here.
        if (count < BLOCK) break
      }
    }
  } finally {
    if (connection.usable) await connection.call((answer) => sftp.close(handle, answer)).catch(() => undefined)
  }
}

/** A path as one word of a POSIX shell. */
const shellWord = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
