// Delivery over FTP and FTPS (RFC 959, 2228, 3659, 4217).
// Must not know about connecting and TLS; ftp-connection.ts does.
import { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, FTPError, type FTPResponse } from 'basic-ftp'
import type { DestinationSpec } from '../../core/destination.ts'
import { FileFlowError } from '../../core/errors.ts'
import { connectFtp, type FtpConnection, SILENCE_MS } from './ftp-connection.ts'
import { folderGone, folderOf, foldersTo, notRenamed } from './remote-path.ts'
import {
  asStream,
  type HASH_ALGORITHMS,
  type OpenSession,
  type RemoteEntry,
  type RemoteSession,
  type UploadOptions,
} from './remote-session.ts'

const FROM_THE_START: UploadOptions = { from: 0, mtimeMs: 0 }

/** A time-val (RFC 3659 §2.3), in UTC. */
const timeVal = (ms: number): string => new Date(ms).toISOString().replace(/\D/g, '').slice(0, 14)

export function openFtp(destination: DestinationSpec): OpenSession {
  return async (hooks) => ftpSession(await connectFtp(destination, hooks))
}

const HEX_LENGTH: Record<(typeof HASH_ALGORITHMS)[number], number> = { sha256: 64, sha512: 128, sha1: 40, md5: 32 }
/** The command is not known here at all (RFC 959 §4.2.1). */
const UNKNOWN = new Set([500, 501, 502, 504])

function ftpSession(connection: FtpConnection): RemoteSession {
  const { client, translate } = connection
  let hash = connection.hash
  let ended = false
  /** Folders that were seen over this connection. */
  const known = new Set<string>()
  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw translate(error, 'work')
    }
  }
  const end = () => {
    if (ended) return
    ended = true
    client.close()
  }

  return {
    home: connection.home,
    server: connection.server,
    get hashAlgorithm() {
      return hash?.algorithm ?? null
    },
    get usable() {
      return !ended && !client.closed
    },
    stat: (path) => run(() => entryOf(connection, path)),
    async makeFolder(path) {
      if (known.has(path)) return
      await run(() => makeFolders(connection, path))
      known.add(path)
    },
    // the socket holds on to what it has not sent
    copies: false,
    // one stream, in order: what is there is the beginning
    resumeSlack: 0,
    async upload(path, source, { from, mtimeMs } = FROM_THE_START) {
      await run(() => upload(connection, path, asStream(source), from)).catch(async (error: unknown) => {
        const folder = folderOf(path)
        const asked = known.delete(folder) && !client.closed
        throw asked && (await run(() => client.sendIgnoringError(`CWD ${folder}`))).code >= 400 ? folderGone(error) : error
      })
      if (mtimeMs > 0 && connection.features.has('MFMT')) await run(() => client.sendIgnoringError(`MFMT ${timeVal(mtimeMs)} ${path}`))
      return null
    },
    hash: (path, size) =>
      run(async () => {
        if (!hash) return null
        // The far side reads the whole file before it answers: 20 MB/s is a slow disk.
        Object.assign(client.ftp, { timeout: SILENCE_MS + size / 20_000 })
        const reply = await client.sendIgnoringError(`${hash.command} ${path}`)
        Object.assign(client.ftp, { timeout: SILENCE_MS })
        const found = new RegExp(`\\b[0-9a-f]{${HEX_LENGTH[hash.algorithm]}}\\b`, 'i').exec(reply.message)?.[0]
        if (isDone(reply) && found) return { hex: found.toLowerCase(), method: hash.command }
        hash = null
        return null
      }),
    download: (path, take) => run(() => download(connection, path, take)),
    rename: (from, to, replace) => run(() => rename(connection, from, to, replace)),
    remove: (path) => run(() => removeIfThere(connection, path)),
    destroy: end,
    async end() {
      end()
    },
  }
}

/** Done: neither "not yet" nor "and now?" (RFC 959 §4.2). */
const isDone = ({ code }: FTPResponse): boolean => code >= 200 && code < 300

/** The word that a thing is done, or an error: whatever else a server says to the command, it has not said that. */
const done = async (client: Client, command: string): Promise<void> => demandDone(await client.send(command))

function demandDone(reply: FTPResponse): void {
  if (!isDone(reply)) throw new FTPError(reply)
}

/** MLST tells files from folders (RFC 3659 §7); without it SIZE is the answer, and a folder looks like nothing. */
async function entryOf({ client, features }: FtpConnection, path: string): Promise<RemoteEntry | null> {
  if (features.has('MLST')) {
    const reply = await client.sendIgnoringError(`MLST ${path}`)
    const facts = /^\s(?=\S*;)(\S+) /m.exec(reply.message)?.[1]?.toLowerCase()
    if (isDone(reply) && facts) {
      if (/(^|;)type=file;/.test(facts)) {
        const size = /(?:^|;)size=(\d+);/.exec(facts)?.[1]
        if (size !== undefined) return { kind: 'file', size: Number(size) }
      } else if (facts.includes('type=')) return { kind: 'other', size: 0 }
    } else if (reply.code === 550) return null
  }
  const reply = await client.sendIgnoringError(`SIZE ${path}`)
  const size = /^213 +(\d+)/.exec(reply.message)?.[1]
  if (size !== undefined) return { kind: 'file', size: Number(size) }
  if (reply.code === 550) return null
  if (UNKNOWN.has(reply.code)) return listed({ client }, path)
  demandDone(reply)
  throw new FileFlowError('remote.failed', 'The server tells no size.')
}

/**
 * The last resort for servers of RFC 959 alone: the folder's listing. A name in it may hold a line break and a whole line more, so the listing alone does not say
 * that there is such a file: RNFR does, which every server that renames answers for the very path.
 */
async function listed({ client }: Pick<FtpConnection, 'client'>, path: string): Promise<RemoteEntry | null> {
  const cut = path.lastIndexOf('/')
  const entries = await client.list(path.slice(0, cut) || '/').catch((error: unknown) => {
    if (error instanceof FTPError && error.code === 550) return []
    throw error
  })
  const found = entries.filter((entry) => entry.name === path.slice(cut + 1))
  if (found.length === 0 || (await client.sendIgnoringError(`RNFR ${path}`)).code >= 400) return null
  if (found.length > 1) throw new FileFlowError('remote.failed', 'The listing at the destination names the file more than once.')
  return found[0]!.isFile ? { kind: 'file', size: found[0]!.size } : { kind: 'other', size: 0 }
}

/** CWD is the one command all servers answer truly about a folder. All our paths are absolute, so it does not matter where it leads. */
async function makeFolders({ client }: FtpConnection, path: string): Promise<void> {
  const isThere = async (folder: string) => {
    const reply = await client.sendIgnoringError(`CWD ${folder}`)
    if (reply.code < 400) demandDone(reply)
    return isDone(reply)
  }
  const missing: string[] = []
  for (const folder of foldersTo(path).reverse()) {
    if (await isThere(folder)) break
    missing.unshift(folder)
  }
  for (const folder of missing) {
    const reply = await client.sendIgnoringError(`MKD ${folder}`)
    // Another delivery may have made it meanwhile.
    if (!isDone(reply) && !(await isThere(folder))) demandDone(reply)
  }
}

/**
 * Node ends a TLS connection that nothing was written to before the last message of its handshake is out: an empty file then looks like a broken
 * handshake to the server (seen with vsftpd 3.0.3: `SSL_accept failed: unexpected eof`).
 */
const HANDSHAKE_REST_MS = 50

async function upload({ client }: FtpConnection, path: string, source: Readable, from: number): Promise<void> {
  const send = (stream: Readable) => (from > 0 ? client.appendFrom(stream, path) : client.uploadFrom(stream, path))
  if (!client.ftp.hasTLS) {
    await answered(client, () => send(source))
    return
  }
  const stream = Readable.from(endingLateWhenEmpty(source), { objectMode: false })
  // What breaks the transfer is reported by the transfer; the stream's own event comes after that.
  stream.on('error', () => undefined)
  await answered(client, () => send(stream))
}

/** How long a server that reset the data connection has to say why. */
const REASON_MS = 2000

/**
 * A server whose disk is full resets the data connection first and says so then (seen with vsftpd 3.0.3: `451 Failure writing to local file.`). basic-ftp
 * closes all at the reset and never hears it: so that is held back until the server has said more, or keeps silent.
 * @throws what the server said, or else what the data connection ended with
 */
async function answered(client: Client, send: () => Promise<unknown>): Promise<void> {
  const { ftp } = client
  const close = ftp.closeWithError.bind(ftp)
  let reset: Error | undefined
  ftp.closeWithError = (error) => {
    if (isReset(error)) reset ??= error
    else close(error)
  }
  try {
    await send()
  } catch (error) {
    if (error instanceof FTPError || !(reset || isReset(error as Error)) || client.closed) throw error
    const silence = setTimeout(() => close(reset ?? (error as Error)), REASON_MS)
    await ftp
      .handle(undefined, (reply, task) => {
        if (reply instanceof Error) task.reject(reply)
        else if (reply.code >= 200) task.resolve(reply)
      })
      .finally(() => clearTimeout(silence))
    // it says that it has all, but it cannot: what went wrong is the connection
    throw error
  } finally {
    ftp.closeWithError = close
  }
}

const isReset = (error: Error): boolean =>
  ['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '') || /transmission error \(data socket\)/.test(error.message)

async function* endingLateWhenEmpty(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let empty = true
  for await (const chunk of source) {
    empty = false
    yield chunk
  }
  if (empty) await sleep(HANDSHAKE_REST_MS)
}

async function download({ client }: FtpConnection, path: string, take: (chunk: Uint8Array) => void): Promise<void> {
  let refused: unknown
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        take(chunk)
        done()
      } catch (error) {
        refused = error
        done(error as Error)
      }
    },
  })
  sink.on('error', () => undefined)
  try {
    await client.downloadTo(sink, path)
  } catch (error) {
    throw refused ?? error
  }
}

/** Most servers replace a taken name at RNTO; one that refuses has the old file removed first: a moment without either. */
async function rename(connection: FtpConnection, from: string, to: string, replace: boolean): Promise<void> {
  const { client } = connection
  if (!replace && (await entryOf(connection, to)) !== null) throw new FileFlowError('remote.exists')
  await renameFrom(client, from)
  const first = await client.sendIgnoringError(`RNTO ${to}`)
  if (first.code >= 400) {
    if (!replace || (await entryOf(connection, to)) === null) throw new FTPError(first)
    await done(client, `DELE ${to}`)
    await renameFrom(client, from)
    await done(client, `RNTO ${to}`)
  } else demandDone(first)
  // the word for it is not enough; and whoever waits for the file may have taken it away already, so it is the old name that is asked for
  // (a server that closes after each file has given its word, and no more is to be had)
  if ((await entryOf(connection, from).catch(() => null)) !== null) throw notRenamed()
}

/** 350 and nothing else (RFC 959 §5.4). */
async function renameFrom(client: Client, path: string): Promise<void> {
  const reply = await client.send(`RNFR ${path}`)
  if (reply.code !== 350) throw new FTPError(reply)
}

async function removeIfThere(connection: FtpConnection, path: string): Promise<void> {
  const reply = await connection.client.sendIgnoringError(`DELE ${path}`)
  if (!isDone(reply) && (await entryOf(connection, path)) !== null) demandDone(reply)
}
