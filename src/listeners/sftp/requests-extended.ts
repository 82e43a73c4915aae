// EXTENDED requests as OpenSSH defines them (its file PROTOCOL §4), home-directory, check-file and copy-data.
// Must not answer an extension that requests.ts does not name, but with OP_UNSUPPORTED.
import { FileFlowError } from '../../core/errors.ts'
import type { SpaceReport } from '../../files/virtual-filesystem.ts'
import { readAttributes } from './attributes.ts'
import type { Fields } from './fields.ts'
import { checkByHandle, checkByName } from './requests-check.ts'
import { copyData, copyHandles } from './requests-copy.ts'
import { changes } from './requests-files.ts'
import { answerName, move } from './requests-paths.ts'
import type { Request, SftpChannel } from './sftp-channel.ts'
import { MAX_DATA, MAX_PACKET } from './tuning.ts'

const EXTENDED_REPLY = 201
const MAX_NAME = 255
const MAX_IDS = 1000

type Extension = (channel: SftpChannel, request: Request) => Promise<void> | void

const BY_NAME: Readonly<Record<string, Extension>> = {
  'posix-rename@openssh.com': (channel, request) => move(channel, request, true),
  'statvfs@openssh.com': async (channel, request) => {
    const { session } = channel
    const path = await session.place(request.fields.text())
    await session.vfs.stat(path)
    answerSpace(channel, request, await session.vfs.space(path))
  },
  'fstatvfs@openssh.com': async (channel, request) => {
    const { file } = channel.handles.get(request.fields.bytes())
    const path = file.kind === 'folder' ? file.path : file.kind === 'upload' ? file.upload.path : file.download.path
    answerSpace(channel, request, await channel.session.vfs.space(path))
  },
  'hardlink@openssh.com': async (channel, request) => {
    const from = await channel.session.place(request.fields.text())
    await channel.session.vfs.link(from, await channel.session.place(request.fields.text()))
    channel.ok(request)
  },
  'copy-data': copyData,
  'check-file-name': checkByName,
  'check-file-handle': (channel, request) => checkByHandle(channel, request),
  'check-file': (channel, request) => checkByHandle(channel, request, 'check-file'),
  'fsync@openssh.com': fsync,
  'lsetstat@openssh.com': async (channel, request) => {
    const path = await channel.session.place(request.fields.text())
    const { vfs } = channel.session
    const changed = await changes(readAttributes(request.fields), () => vfs.lstat(path))
    if (changed) await vfs.setAttributes(path, changed, { followLink: false })
    channel.ok(request)
  },
  'limits@openssh.com': (channel, request) => {
    const { maxHandles } = channel.session.tuning
    channel.reply(request, EXTENDED_REPLY).u64(MAX_PACKET).u64(MAX_DATA).u64(MAX_DATA).u64(maxHandles).end()
  },
  'expand-path@openssh.com': expandPath,
  'home-directory': homeDirectory,
  'users-groups-by-id@openssh.com': usersAndGroups,
}

const ON_A_HANDLE = new Set(['fsync@openssh.com', 'fstatvfs@openssh.com', 'check-file-handle', 'check-file'])

/** The handle whose lane an EXTENDED request waits in: it comes after the writes before it. */
export function extendedHandle(fields: Fields): Uint8Array | null {
  const name = fields.text()
  if (name === 'copy-data') return copyHandles(fields).to
  return ON_A_HANDLE.has(name) ? fields.bytes() : null
}

/** A second handle, what was asked of which before must be done first. */
export function extendedSource(fields: Fields): Uint8Array | null {
  return fields.text() === 'copy-data' ? copyHandles(fields).from : null
}

export async function extended(channel: SftpChannel, request: Request): Promise<void> {
  const name = request.fields.text()
  const run = Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : undefined
  if (run === undefined) throw new FileFlowError('operation.unsupported')
  await run(channel, request)
}

async function fsync(channel: SftpChannel, request: Request): Promise<void> {
  const handle = channel.handles.get(request.fields.bytes())
  if (handle.file.kind === 'upload') {
    if (handle.file.failure !== null) throw handle.file.failure
    await handle.file.upload.sync()
  }
  channel.ok(request)
}

function answerSpace(channel: SftpChannel, request: Request, space: SpaceReport): void {
  const out = channel.reply(request, EXTENDED_REPLY)
  out.u64(space.blockSize).u64(space.blockSize).u64(space.totalBlocks).u64(space.freeBlocks).u64(space.freeBlocks)
  out.u64(space.totalFiles).u64(space.freeFiles).u64(space.freeFiles).u64(0).u64(0).u64(MAX_NAME).end()
}

async function expandPath(channel: SftpChannel, request: Request): Promise<void> {
  const typed = request.fields.text()
  const { principal, vfs } = channel.session
  const own = /^~([^/]*)(?:\/+(.*))?$/s.exec(typed)
  if (own && own[1] !== '' && own[1] !== principal.username) throw new FileFlowError('path.not_found', 'No such user.')
  const path = channel.session.path((own ? own[2] : typed) || '.')
  answerName(channel, request, await vfs.realpath(path))
}

function homeDirectory(channel: SftpChannel, request: Request): void {
  const username = request.fields.text()
  const { principal } = channel.session
  if (username !== '' && username !== principal.username) throw new FileFlowError('path.not_found', 'No such user.')
  answerName(channel, request, principal.startDirectory)
}

/** Files belong to the gateway; a client is shown its own name for every owner and no name for a group. */
function usersAndGroups(channel: SftpChannel, request: Request): void {
  const count = (ids: Buffer): number => {
    if (ids.length % 4 !== 0 || ids.length / 4 > MAX_IDS) throw new FileFlowError('request.invalid')
    return ids.length / 4
  }
  const users = count(request.fields.bytes())
  const groups = count(request.fields.bytes())
  const name = Buffer.from(channel.session.principal.username, 'utf8')
  const names = Buffer.alloc(users * (4 + name.length))
  for (let i = 0; i < users; i++) {
    names.writeUInt32BE(name.length, i * (4 + name.length))
    name.copy(names, i * (4 + name.length) + 4)
  }
  channel
    .reply(request, EXTENDED_REPLY)
    .bytes(names)
    .bytes(Buffer.alloc(groups * 4))
    .end()
}
