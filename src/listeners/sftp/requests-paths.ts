// Requests about a path: attributes, names, folders and links.
// Must not follow or resolve anything itself; the virtual filesystem does.
import { meansFolder } from '../../core/virtual-path.ts'
import { readAttributes, writeAttributes } from './attributes.ts'
import { changes } from './requests-files.ts'
import type { Request, SftpChannel } from './sftp-channel.ts'

const NAME = 104
const ATTRS = 105

export async function stat(channel: SftpChannel, request: Request): Promise<void> {
  const entry = await channel.session.vfs.stat(await channel.session.place(request.fields.text()))
  const out = channel.reply(request, ATTRS)
  writeAttributes(out, entry)
  out.end()
}

export async function lstat(channel: SftpChannel, request: Request): Promise<void> {
  const entry = await channel.session.vfs.lstat(await channel.session.place(request.fields.text()))
  const out = channel.reply(request, ATTRS)
  writeAttributes(out, entry)
  out.end()
}

export async function setAttributes(channel: SftpChannel, request: Request): Promise<void> {
  const path = await channel.session.place(request.fields.text())
  const { vfs } = channel.session
  const changed = await changes(readAttributes(request.fields), () => vfs.stat(path))
  if (changed) await vfs.setAttributes(path, changed)
  channel.ok(request)
}

export async function remove(channel: SftpChannel, request: Request): Promise<void> {
  await channel.session.vfs.remove(await channel.session.place(request.fields.text()))
  channel.ok(request)
}

export async function mkdir(channel: SftpChannel, request: Request): Promise<void> {
  const path = channel.session.path(request.fields.text())
  const { mode } = readAttributes(request.fields)
  await channel.session.vfs.mkdir(path, mode === undefined ? undefined : mode & 0o777)
  channel.ok(request)
}

export async function rmdir(channel: SftpChannel, request: Request): Promise<void> {
  await channel.session.vfs.rmdir(channel.session.path(request.fields.text()))
  channel.ok(request)
}

export async function realpath(channel: SftpChannel, request: Request): Promise<void> {
  const path = await channel.session.vfs.realpath(channel.session.path(request.fields.text() || '.'))
  answerName(channel, request, path)
}

/** The v3 RENAME never replaces a file (draft §6.5); posix-rename does. */
export async function rename(channel: SftpChannel, request: Request): Promise<void> {
  await move(channel, request, false)
}

/** With a slash behind the new name, only a folder takes it. */
export async function move(channel: SftpChannel, request: Request, overwrite: boolean): Promise<void> {
  const { session } = channel
  const from = await session.place(request.fields.text())
  const typed = request.fields.text()
  const to = session.path(typed)
  if (meansFolder(typed)) await session.needFolder(from)
  await session.vfs.rename(from, to, { overwrite })
  channel.ok(request)
}

export async function readlink(channel: SftpChannel, request: Request): Promise<void> {
  const target = await channel.session.vfs.readlink(await channel.session.place(request.fields.text()))
  answerName(channel, request, target)
}

/** Target first, then the link: OpenSSH's order, against the draft's, and what every client sends. */
export async function symlink(channel: SftpChannel, request: Request): Promise<void> {
  const target = request.fields.text()
  await channel.session.vfs.symlink(target, await channel.session.place(request.fields.text()))
  channel.ok(request)
}

/** A NAME reply with one name and no attributes. */
export function answerName(channel: SftpChannel, request: Request, name: string): void {
  channel.reply(request, NAME).u32(1).text(name).text(name).u32(0).end()
}
