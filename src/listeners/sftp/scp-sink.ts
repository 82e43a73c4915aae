// scp -t: files come in. Each is an upload that is committed when its bytes and the sender's closing word are there.
// Must not publish a file whose sender said it could not read it.
import { codeOf, FileFlowError } from '../../core/errors.ts'
import { errorFields } from '../../core/log.ts'
import { child, meansFolder, parentOf, type VirtualPath } from '../../core/virtual-path.ts'
import type { Attributes, Upload } from '../../files/virtual-filesystem.ts'
import type { ScpCommand } from './scp-command.ts'
import type { ScpStream } from './scp-stream.ts'
import type { Session } from './session.ts'
import { expandWords } from './shell-words.ts'

const CHUNK = 1024 * 1024
const MAX_DEPTH = 100

interface Times {
  readonly mtimeMs: number
  readonly atimeMs: number
}

/** @returns the exit status */
export async function scpSink(session: Session, stream: ScpStream, command: ScpCommand): Promise<number> {
  const [typed = '', ...more] = await expandWords(session, command.paths)
  if (more.length > 0) {
    await stream.warn('ambiguous target')
    return 1
  }
  const target = session.path(typed)
  const isFolder = await folderExists(session, target)
  if (command.folder && !isFolder) {
    await stream.warn(`${typed}: Not a directory.`)
    return 1
  }
  await stream.ok()
  // Where the next name goes: into the folder, or, at the top, to the target itself.
  const folders: { path: VirtualPath; inside: boolean; after: Attributes | null }[] = [{ path: target, inside: isFolder, after: null }]
  let times: Times | null = null
  let failed = false
  for (let line = await stream.line(); line !== null; line = await stream.line()) {
    session.touch()
    const here = folders.at(-1)!
    const [kind, rest] = [line[0], line.slice(1)]
    if (kind === '\x01' || kind === '\x02') {
      failed = true
      if (kind === '\x02') return 1
      continue
    }
    try {
      if (kind === 'T') {
        times = parseTimes(rest)
        await stream.ok()
      } else if (kind === 'E') {
        if (folders.length < 2) throw new FileFlowError('request.invalid')
        folders.pop()
        if (here.after) await session.vfs.setAttributes(here.path, here.after)
        await stream.ok()
      } else if (kind === 'C' || kind === 'D') {
        const entry = parseEntry(rest)
        const path = here.inside ? child(here.path, entry.name) : here.path
        const kept = times
        times = null
        const after = command.preserve ? { ...kept, mode: entry.mode & 0o777 } : null
        if (kind === 'C') {
          if (!here.inside && meansFolder(typed)) throw new FileFlowError('path.is_directory', `${typed}: Is a directory.`)
          if (!(await receive(session, stream, path, entry, after))) failed = true
        } else {
          if (!command.recursive || folders.length > MAX_DEPTH) throw new FileFlowError('request.invalid', 'Not a recursive copy.')
          if (!(await folderExists(session, path))) await session.vfs.mkdir(path, entry.mode & 0o777)
          folders.push({ path, inside: true, after: after && allowed(session, path, after) })
          await stream.ok()
        }
      } else throw new FileFlowError('request.invalid', 'Unexpected scp message.')
    } catch (error) {
      if (codeOf(error) === 'transfer.aborted') throw error
      if (codeOf(error) === 'internal') session.log.error('scp.failed', 'a file could not be received', errorFields(error))
      failed = true
      await stream.warn(messageOf(error))
      // A folder that cannot be entered is followed by its content, which has no place to go.
      if (kind === 'D' || codeOf(error) === 'request.invalid') return 1
    }
  }
  return failed ? 1 : 0
}

/** Of a folder, which is there before its attributes are set: what the user may not set is left as it is. */
const allowed = (session: Session, path: VirtualPath, { mode, ...times }: Attributes): Attributes => ({
  ...(session.vfs.may('utime', path) ? times : {}),
  ...(mode !== undefined && session.vfs.may('chmod', path) ? { mode } : {}),
})

const messageOf = (error: unknown): string => (error instanceof FileFlowError ? error.message : 'Internal error.')

async function folderExists(session: Session, path: VirtualPath): Promise<boolean> {
  try {
    return (await session.vfs.stat(path)).kind === 'directory'
  } catch (error) {
    if (codeOf(error) === 'permission.denied' && path === parentOf(path)) return true
    if (error instanceof FileFlowError) return false
    throw error
  }
}

/** `0644 12345 name` */
function parseEntry(text: string): { mode: number; size: number; name: string } {
  const found = /^([0-7]{4,5}) (\d{1,16}) (.+)$/s.exec(text)
  const size = Number(found?.[2])
  if (!found || !Number.isSafeInteger(size)) throw new FileFlowError('request.invalid', 'Unexpected scp message.')
  return { mode: Number.parseInt(found[1]!, 8) & 0o7777, size, name: found[3]! }
}

/** `mtime 0 atime 0` */
function parseTimes(text: string): Times {
  const found = /^(\d{1,12}) \d{1,6} (\d{1,12}) \d{1,6}$/.exec(text)
  if (!found) throw new FileFlowError('request.invalid', 'Unexpected scp message.')
  return { mtimeMs: Number(found[1]) * 1000, atimeMs: Number(found[2]) * 1000 }
}

/** False when the file was not kept and the sender was told; its bytes are read to their end all the same, so that the next file can follow. */
async function receive(
  session: Session,
  stream: ScpStream,
  path: VirtualPath,
  entry: { mode: number; size: number },
  after: Attributes | null,
): Promise<boolean> {
  session.mayBegin()
  session.takeHandle()
  let upload: Upload
  try {
    upload = await session.vfs.beginUpload(path, { mode: 'replace', fileMode: entry.mode & 0o777, expected: entry.size })
  } catch (error) {
    session.releaseHandle()
    throw error
  }
  const moving = session.begin(upload.transferId)
  try {
    await stream.ok()
    let failure: unknown = null
    for (let at = 0; at < entry.size; ) {
      const chunk = await stream.read(Math.min(CHUNK, entry.size - at))
      if (chunk === null) throw stream.cut
      if (failure === null) {
        try {
          await upload.write(chunk, at)
        } catch (error) {
          failure = error
        }
      }
      at += chunk.length
      session.moved(moving, chunk.length)
    }
    const complaint = await stream.answer()
    if (complaint !== null) failure ??= new FileFlowError('upload.incomplete', 'The sender could not read the file.')
    if (failure !== null) throw failure
    if (after) await upload.setAttributes(after)
    await upload.commit({ confidence: 'certain', evidence: ['scp end'] })
  } catch (error) {
    await upload.abort(error instanceof Error ? error : new FileFlowError('internal'))
    if (codeOf(error) === 'transfer.aborted' || codeOf(error) === 'request.invalid') throw error
    if (codeOf(error) === 'internal') session.log.error('scp.failed', 'a file could not be received', errorFields(error))
    await stream.warn(messageOf(error))
    return false
  } finally {
    session.releaseHandle()
    session.end(moving)
  }
  await stream.ok()
  return true
}
