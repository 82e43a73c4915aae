// OPENDIR, READDIR and CLOSE of folders: names are streamed, memory does not grow with the folder.
// Must not sort or filter.
import { systemClock } from '../../core/clock.ts'
import { FileFlowError, SFTP_STATUS } from '../../core/errors.ts'
import type { FileEntry } from '../../files/virtual-filesystem.ts'
import { longName, writeAttributes } from './attributes.ts'
import { notOpen, type OpenFolder } from './handles.ts'
import { answerHandle } from './requests-files.ts'
import type { Request, SftpChannel } from './sftp-channel.ts'

const NAME = 104
const MAX_NAMES = 200
const MAX_BYTES = 24 * 1024

export async function openFolder(channel: SftpChannel, request: Request): Promise<void> {
  const { session } = channel
  const path = session.path(request.fields.text())
  session.takeHandle()
  let folder: OpenFolder
  try {
    const entries = session.vfs.list(path)[Symbol.asyncIterator]()
    // The first name is fetched now, so that a folder that may not be read is refused here and not in READDIR.
    const first = await entries.next()
    folder = { kind: 'folder', path, entries, ahead: first.done ? null : first.value }
  } catch (error) {
    session.releaseHandle()
    throw error
  }
  answerHandle(channel, request, folder)
}

export async function nextNames(channel: SftpChannel, request: Request): Promise<void> {
  const { file } = request.handle!
  if (file.kind !== 'folder') throw new FileFlowError('state.conflict', 'The handle is not one of a folder.')
  const names = await gather(file)
  if (names.length === 0) return channel.status(request, SFTP_STATUS.EOF, 'End of folder')
  const now = systemClock.now()
  const out = channel.reply(request, NAME).u32(names.length)
  for (const entry of names) {
    out.text(entry.name).text(longName(entry, now))
    writeAttributes(out, entry)
  }
  out.end()
}

async function gather(folder: OpenFolder): Promise<FileEntry[]> {
  const names: FileEntry[] = []
  let bytes = 0
  while (names.length < MAX_NAMES && bytes < MAX_BYTES) {
    const entry = folder.ahead ?? (await folder.entries.next()).value
    folder.ahead = null
    if (entry === undefined) break
    names.push(entry)
    bytes += 2 * entry.name.length + 100
  }
  return names
}

export async function closeFolderOrFile(
  channel: SftpChannel,
  request: Request,
  closeFile: (channel: SftpChannel, request: Request) => Promise<void>,
): Promise<void> {
  const handle = request.handle!
  if (handle.file.kind !== 'folder') return closeFile(channel, request)
  if (!channel.handles.remove(handle)) throw notOpen('path.not_found')
  await handle.file.entries.return?.()
  channel.ok(request)
}
