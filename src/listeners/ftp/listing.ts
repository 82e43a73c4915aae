// What a listing command shows: the entries that its argument means, and the way of their lines to a data connection.
// Must not keep a folder in memory.
import { systemClock } from '../../core/clock.ts'
import { codeOf, FileFlowError } from '../../core/errors.ts'
import { globMatcher } from '../../core/glob.ts'
import { baseOf, child, nameToBytes, parentOf, type VirtualPath } from '../../core/virtual-path.ts'
import type { FileEntry } from '../../files/virtual-filesystem.ts'
import type { FtpConnection } from './connection.ts'
import { DataWriter } from './data-writer.ts'
import { factsOf, listLine } from './listing-format.ts'
import type { RunningTransfer } from './transfer.ts'

/** Bytes of lines that are sent together. */
const BATCH = 64 * 1024

export interface Listed {
  readonly entry: FileEntry
  readonly path: VirtualPath
  /** What NLST calls it: relative to where the client typed from. */
  readonly typed: string
}

export interface Listing {
  readonly entries: AsyncIterable<Listed>
  /** Lets go of the folder, however far it was read. Idempotent. */
  close(): Promise<void>
}

/** `-la` and the like before a name (what ls-minded clients send) mean nothing here; the rest is the name. */
export const withoutFlags = (argument: string): string => argument.replace(/^(?:\s*-[a-zA-Z0-9]+(?=\s|$))+\s*/, '')

/**
 * The entries of a folder, a single file, or those that a glob in the last part of the name fits.
 * @throws FileFlowError of the filesystem, before anything was sent
 */
export async function findEntries(connection: FtpConnection, path: VirtualPath, typed: string): Promise<Listing> {
  const { files } = connection
  try {
    const entry = await files.stat(path)
    if (entry.kind !== 'directory') return { entries: only({ entry, path, typed }), close: async () => undefined }
    const prefix = typed === '' || typed === '.' ? '' : typed.endsWith('/') ? typed : `${typed}/`
    return await begun(within(connection, path, prefix, () => true))
  } catch (error) {
    if (codeOf(error) !== 'path.not_found' || !/[*?[]/.test(baseOf(path))) throw error
  }
  const fits = globMatcher(baseOf(path))
  const prefix = typed.slice(0, typed.lastIndexOf('/') + 1)
  // As in a shell: a star does not stand for a leading dot.
  const hidden = baseOf(path).startsWith('.')
  return begun(within(connection, parentOf(path), prefix, (name) => (hidden || !name.startsWith('.')) && fits(name)))
}

async function* only(listed: Listed): AsyncGenerator<Listed> {
  yield listed
}

async function* within(
  connection: FtpConnection,
  folder: VirtualPath,
  prefix: string,
  wanted: (name: string) => boolean,
): AsyncGenerator<Listed> {
  let unspeakable = 0
  for await (const entry of connection.files.list(folder)) {
    if (/[\r\n]/.test(entry.name)) unspeakable++
    else if (wanted(entry.name)) yield { entry, path: child(folder, entry.name), typed: prefix + entry.name }
  }
  if (unspeakable > 0) {
    connection.gateway.context.log.warn('ftp.names_skipped', 'names with line ends cannot be listed over FTP', {
      path: folder,
      names: unspeakable,
    })
  }
}

/** Takes the first entry, so that a refusal is known before 150. From then on the folder is open, also when nobody goes on: the caller closes it. */
async function begun(entries: AsyncGenerator<Listed>): Promise<Listing> {
  const first = await entries.next()
  return {
    entries: (async function* () {
      if (first.done) return
      yield first.value
      yield* entries
    })(),
    async close() {
      await entries.return(undefined)
    },
  }
}

export type LineOf = (listed: Listed) => string | Promise<string>

export function listLines(connection: FtpConnection): LineOf {
  const now = systemClock.now()
  return async ({ entry, path }) => {
    if (entry.kind !== 'link') return listLine(entry, now)
    const target = await connection.files.readlink(path).catch(passing)
    return listLine(entry, now, target)
  }
}

/** Links are shown as what they lead to: clients know no type for them. One that leads nowhere stays a link. */
export function factLines(connection: FtpConnection): LineOf {
  const { files } = connection
  const may = files.may.bind(files)
  return async ({ entry, path }) => {
    const shown = entry.kind === 'link' ? ((await files.stat(path).catch(passing)) ?? entry) : entry
    return `${factsOf(shown, path, connection.settings.facts, may)}${entry.name}`
  }
}

/** A name that changed or leads nowhere while it is listed is no error of the listing. */
function passing(error: unknown): undefined {
  if (!(error instanceof FileFlowError)) throw error
  return undefined
}

/** Sends all lines, in batches, as fast as the client takes them. */
export async function sendLines(connection: FtpConnection, transfer: RunningTransfer, listing: Listing, line: LineOf): Promise<void> {
  const socket = await connection.openData(transfer, false)
  const writer = new DataWriter(socket)
  transfer.watchStall(socket, connection.gateway.config.limits.transfer_stall_timeout, () => writer.busy)
  let batch = ''
  const flush = async () => {
    if (batch === '') return
    const bytes = nameToBytes(batch)
    batch = ''
    await writer.write(bytes)
    transfer.bytes += bytes.length
  }
  for await (const listed of listing.entries) {
    transfer.signal.throwIfAborted()
    batch += `${await line(listed)}\r\n`
    if (batch.length >= BATCH) await flush()
  }
  await flush()
  await writer.finish()
  transfer.signal.throwIfAborted()
}
