// OPEN, CLOSE, FSTAT and FSETSTAT of files. CLOSE of an upload is its commit, and its status is the acknowledgement.
// Must not touch data; reading.ts and writing.ts do.
import { codeOf, FileFlowError } from '../../core/errors.ts'
import { meansFolder, type VirtualPath } from '../../core/virtual-path.ts'
import type { Attributes, FileEntry, Upload, UploadOptions } from '../../files/virtual-filesystem.ts'
import { readAttributes, type SentAttributes, writeAttributes } from './attributes.ts'
import type { Fields } from './fields.ts'
import { notOpen, type OpenFile } from './handles.ts'
import type { Session } from './session.ts'
import type { Request, SftpChannel } from './sftp-channel.ts'

const ATTRS = 105
const HANDLE = 102
/** draft-ietf-secsh-filexfer-02 §6.3. */
const FLAG = { READ: 1, WRITE: 2, APPEND: 4, CREAT: 8, TRUNC: 16, EXCL: 32 } as const

export async function openFile(channel: SftpChannel, request: Request): Promise<void> {
  const { session } = channel
  const typed = request.fields.text()
  const path = session.path(typed)
  const flags = request.fields.u32()
  const attributes = readAttributes(request.fields)
  if (meansFolder(typed)) await refuseFolder(session, path, flags)
  session.mayBegin()
  session.takeHandle()
  let file: OpenFile
  try {
    file = flags & FLAG.WRITE ? await beginUpload(channel, path, flags, attributes) : await beginDownload(channel, path, flags, attributes)
  } catch (error) {
    session.releaseHandle()
    throw error
  }
  answerHandle(channel, request, file)
}

/** With a slash behind it, a name is a folder's: it is not made a file (EISDIR), nor read as one (ENOTDIR). */
async function refuseFolder(session: Session, path: VirtualPath, flags: number): Promise<never> {
  if (!(flags & (FLAG.WRITE | FLAG.CREAT))) await session.needFolder(await session.vfs.realpath(path))
  throw new FileFlowError('path.is_directory')
}

/** Of an OPEN: the path that is to be written; null for reading, and where the request cannot be read. */
export function pathToWrite(session: Session, fields: Fields): VirtualPath | null {
  try {
    const path = session.path(fields.text())
    return fields.u32() & FLAG.WRITE ? path : null
  } catch {
    return null
  }
}

/** Gives the file a handle, unless the channel ended while it was being opened. */
export function answerHandle(channel: SftpChannel, request: Request, file: OpenFile): void {
  const handle = channel.handles.add(file)
  channel.endIfOver()
  channel.reply(request, HANDLE).u32(4).u32(handle.number).end()
}

async function beginDownload({ session }: SftpChannel, path: VirtualPath, flags: number, attributes: SentAttributes): Promise<OpenFile> {
  if (flags & FLAG.CREAT) await createEmpty(session, path, (flags & FLAG.EXCL) !== 0, modeOf(attributes))
  if (flags & FLAG.TRUNC) await makeEmpty(session, path)
  const download = await session.vfs.openDownload(path)
  return { kind: 'download', download, moving: session.begin(download.transferId) }
}

/** O_CREAT of a file that is only read (flock(1) over sshfs): what is missing becomes an empty file, an upload of its own. */
async function createEmpty(session: Session, path: VirtualPath, exclusive: boolean, mode: Pick<UploadOptions, 'fileMode'>): Promise<void> {
  if (!exclusive && (await isThere(session.vfs, path))) return
  // where a link leads to nothing, that is made
  await putEmpty(session, exclusive ? path : await session.vfs.realpath(path), { mode: 'create', ...mode })
}

/** O_RDONLY|O_TRUNC empties a file on Linux, and so on OpenSSH: an upload of its own, for who may overwrite. One that is empty stays. */
async function makeEmpty(session: Session, path: VirtualPath): Promise<void> {
  const { kind, size } = await session.vfs.stat(path)
  if (kind === 'file' && size > 0) await putEmpty(session, path, { mode: 'replace' })
}

async function putEmpty(session: Session, path: VirtualPath, options: UploadOptions): Promise<void> {
  const upload = await session.vfs.beginUpload(path, options)
  const moving = session.begin(upload.transferId)
  try {
    await commit(upload, 'sftp open')
  } finally {
    session.end(moving)
  }
}

/** One that fails has ended when this throws: nothing holds its file any longer. */
async function commit(upload: Upload, evidence: string): Promise<void> {
  try {
    await upload.commit({ confidence: 'certain', evidence: [evidence] })
  } catch (error) {
    await upload.abort(error instanceof Error ? error : new FileFlowError('internal'))
    throw error
  }
}

const modeOf = ({ mode }: SentAttributes): Pick<UploadOptions, 'fileMode'> => (mode === undefined ? {} : { fileMode: mode & 0o777 })

async function beginUpload({ session }: SftpChannel, path: VirtualPath, flags: number, attributes: SentAttributes): Promise<OpenFile> {
  // O_TRUNC without O_CREAT (sshfs)
  if (flags & FLAG.TRUNC && !(flags & FLAG.CREAT) && !(await isThere(session.vfs, path))) throw new FileFlowError('path.not_found')
  const upload = await session.vfs.beginUpload(path, { ...uploadMode(flags), ...modeOf(attributes), expected: attributes.size })
  return {
    kind: 'upload',
    upload,
    moving: session.begin(upload.transferId),
    readable: (flags & FLAG.READ) !== 0,
    append: (flags & FLAG.APPEND) !== 0,
    failure: null,
  }
}

/** What the flags of an OPEN for writing mean for an upload. */
export function uploadMode(flags: number): UploadOptions {
  const create = (flags & FLAG.CREAT) !== 0
  if (create && flags & FLAG.EXCL) return { mode: 'create' }
  if (flags & FLAG.TRUNC) return { mode: 'replace' }
  return { mode: 'resume', mustExist: !create }
}

/** Who may not list a folder is spared the question. */
async function isThere(vfs: Session['vfs'], path: VirtualPath): Promise<boolean> {
  try {
    await vfs.stat(path)
  } catch (error) {
    if (codeOf(error) === 'path.not_found') return false
    if (codeOf(error) !== 'permission.denied') throw error
  }
  return true
}

export async function closeFile(channel: SftpChannel, request: Request): Promise<void> {
  const { session } = channel
  const handle = request.handle!
  const { file } = handle
  if (file.kind === 'folder' || !channel.handles.remove(handle)) throw notOpen('path.not_found')
  try {
    if (file.kind === 'download') {
      await file.download.end(file.moving.bytes)
    } else if (file.failure !== null) {
      const why = file.failure instanceof Error ? file.failure : new FileFlowError('upload.incomplete')
      await file.upload.abort(why)
      throw why
    } else {
      await commit(file.upload, 'sftp close')
    }
  } finally {
    session.end(file.moving)
  }
  channel.ok(request)
}

const statOf = ({ session }: SftpChannel, file: OpenFile): Promise<FileEntry> =>
  file.kind === 'folder' ? session.vfs.stat(file.path) : file.kind === 'upload' ? file.upload.stat() : file.download.stat()

export async function fileAttributes(channel: SftpChannel, request: Request): Promise<void> {
  const entry = await statOf(channel, request.handle!.file)
  const out = channel.reply(request, ATTRS)
  writeAttributes(out, entry)
  out.end()
}

export async function setFileAttributes(channel: SftpChannel, request: Request): Promise<void> {
  const { file } = request.handle!
  const changed = await changes(readAttributes(request.fields), () => statOf(channel, file))
  if (changed === null) return channel.ok(request)
  const { size, ...rest } = changed
  if (file.kind === 'upload') {
    if (size !== undefined) await file.upload.truncate(size)
    if (Object.keys(rest).length > 0) await file.upload.setAttributes(rest)
  } else {
    if (size !== undefined) throw new FileFlowError('permission.denied', 'The file is not open for writing.')
    const { vfs } = channel.session
    const path = file.kind === 'folder' ? file.path : file.download.path
    // a name that another file has by now is not this one's any more
    if (file.kind === 'download' && vfs.may('list', path) && (await vfs.stat(path)).unique !== (await file.download.stat()).unique)
      throw new FileFlowError('path.not_found')
    await vfs.setAttributes(path, rest)
  }
  channel.ok(request)
}

/** chown(2): this one stays. */
const UNCHANGED = 0xffffffff

/**
 * What is to be changed, or null for nothing: an owner that is given alone may be the one that is shown (`cp -p` over sshfs), as for a user without rights on OpenSSH.
 * Beside other attributes it is passed over: some clients send back all that they have.
 * @throws FileFlowError `permission.denied` for another owner
 */
export async function changes({ owner, ...attributes }: SentAttributes, stat: () => Promise<FileEntry>): Promise<Attributes | null> {
  if (owner === undefined || Object.keys(attributes).length > 0) return attributes
  const { uid, gid } = await stat()
  const keeps = [uid, UNCHANGED].includes(owner.uid) && [gid, UNCHANGED].includes(owner.gid)
  if (!keeps) throw new FileFlowError('permission.denied', 'Owners cannot be changed.')
  return null
}
