// scp -f: files go out, folders too with -r.
// Must not follow links out of what was asked; the virtual filesystem keeps to the root.
import { codeOf, FileFlowError } from '../../core/errors.ts'
import { errorFields } from '../../core/log.ts'
import { baseOf, child, type VirtualPath } from '../../core/virtual-path.ts'
import type { FileEntry } from '../../files/virtual-filesystem.ts'
import type { ScpCommand } from './scp-command.ts'
import type { ScpStream } from './scp-stream.ts'
import type { Session } from './session.ts'
import { expandWords } from './shell-words.ts'

const CHUNK = 256 * 1024
const MAX_DEPTH = 100

/** @returns the exit status */
export async function scpSource(session: Session, stream: ScpStream, command: ScpCommand): Promise<number> {
  if ((await stream.answer()) !== null) return 1
  let failed = false
  for (const typed of await expandWords(session, command.paths)) {
    if (!(await send(session, stream, command, () => session.place(typed), typed, []))) failed = true
  }
  return failed ? 1 : 0
}

async function send(
  session: Session,
  stream: ScpStream,
  command: ScpCommand,
  where: () => VirtualPath | Promise<VirtualPath>,
  shown: string,
  above: readonly VirtualPath[],
): Promise<boolean> {
  try {
    session.touch()
    const path = await where()
    const entry = await session.vfs.stat(path)
    const name = baseOf(path) || '.'
    if (/[\r\n]/.test(name)) throw new FileFlowError('path.invalid', 'scp cannot carry this name.')
    if (entry.kind === 'directory') {
      if (!command.recursive) throw new FileFlowError('path.is_directory', 'not a regular file')
      // links are followed, as scp does, but not round in a circle
      const folder = await session.vfs.realpath(path)
      if (above.includes(folder) || above.length >= MAX_DEPTH) throw new FileFlowError('path.link_loop')
      return await sendFolder(session, stream, command, path, entry, name, [...above, folder])
    }
    return await sendFile(session, stream, command, path, entry, name)
  } catch (error) {
    if (codeOf(error) === 'transfer.aborted') throw error
    if (codeOf(error) === 'internal') session.log.error('scp.failed', 'a file could not be sent', errorFields(error))
    await stream.warn(`${shown}: ${error instanceof FileFlowError ? error.message : 'Internal error.'}`)
    return false
  }
}

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, '0')
const seconds = (ms: number): number => Math.max(0, Math.floor(ms / 1000))

async function sendTimes(stream: ScpStream, entry: FileEntry): Promise<void> {
  await stream.text(`T${seconds(entry.mtimeMs)} 0 ${seconds(entry.atimeMs)} 0\n`)
  await stream.answer()
}

async function sendFolder(
  session: Session,
  stream: ScpStream,
  command: ScpCommand,
  path: VirtualPath,
  entry: FileEntry,
  name: string,
  above: readonly VirtualPath[],
): Promise<boolean> {
  if (command.preserve) await sendTimes(stream, entry)
  await stream.text(`D${octal(entry.mode)} 0 ${name}\n`)
  if ((await stream.answer()) !== null) return false
  let sent = true
  for await (const inside of session.vfs.list(path)) {
    if (!(await send(session, stream, command, () => child(path, inside.name), inside.name, above))) sent = false
  }
  await stream.text('E\n')
  return (await stream.answer()) === null && sent
}

async function sendFile(
  session: Session,
  stream: ScpStream,
  command: ScpCommand,
  path: VirtualPath,
  entry: FileEntry,
  name: string,
): Promise<boolean> {
  session.mayBegin()
  session.takeHandle()
  let sent = 0
  try {
    const download = await session.vfs.openDownload(path)
    const moving = session.begin(download.transferId)
    let failure: Error | undefined = new FileFlowError('transfer.aborted', 'The client did not take the file.')
    try {
      if (command.preserve) await sendTimes(stream, entry)
      await stream.text(`C${octal(entry.mode)} ${download.size} ${name}\n`)
      if ((await stream.answer()) !== null) return false
      while (sent < download.size) {
        const chunk = Buffer.allocUnsafe(Math.min(CHUNK, download.size - sent))
        const got = await download.read(chunk, sent)
        // The announced size cannot be taken back: a file that shrank ends the connection.
        if (got === 0) throw new FileFlowError('transfer.aborted', 'The file became shorter.')
        await stream.write(chunk.subarray(0, got))
        sent += got
        session.moved(moving, got)
      }
      await stream.ok()
      if ((await stream.answer()) !== null) return false
      failure = undefined
      return true
    } catch (error) {
      if (error instanceof FileFlowError) failure = error
      throw error
    } finally {
      await download.end(sent, failure)
      session.end(moving)
    }
  } finally {
    session.releaseHandle()
  }
}
