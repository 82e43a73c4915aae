// DELE, RNFR, RNTO, SIZE, MDTM, MFMT (RFC 959 §4.1.3, RFC 3659 §3 and §4, draft-somers-ftp-mfxx §3).
// Must not move file content.
import { FileFlowError } from '../../../core/errors.ts'
import { meansFolder } from '../../../core/virtual-path.ts'
import type { FtpConnection } from '../connection.ts'
import { fromFtpTime, toFtpTime } from '../listing-format.ts'
import { Refusal } from '../replies.ts'
import { type CommandRow, filePathOf, pathOf } from './command.ts'

async function dele(connection: FtpConnection, argument: string): Promise<void> {
  await connection.files.remove(filePathOf(connection, argument))
  await connection.reply(250, 'File removed.')
}

async function rnfr(connection: FtpConnection, argument: string): Promise<void> {
  const path = pathOf(connection, argument)
  connection.settings.renameFrom = null
  await connection.files.lstat(path)
  // the whole answer comes with RNTO; what cannot be is said here
  if (!connection.files.may('rename', path)) throw new FileFlowError('permission.denied')
  connection.settings.renameFrom = path
  await connection.reply(350, 'Send RNTO now.')
}

async function rnto(connection: FtpConnection, argument: string): Promise<void> {
  const from = connection.settings.renameFrom
  connection.settings.renameFrom = null
  if (from === null) throw new Refusal(503, 'Send RNFR first.')
  if (meansFolder(argument) && (await connection.files.lstat(from)).kind !== 'directory') throw new FileFlowError('path.is_directory')
  // As rename(2), vsftpd and the upload-then-rename of partners expect: an existing file is replaced, if the user may overwrite.
  await connection.files.rename(from, pathOf(connection, argument), { overwrite: true })
  await connection.reply(250, 'Renamed.')
}

async function size(connection: FtpConnection, argument: string): Promise<void> {
  // RFC 3659 §4: what a transfer would take, which in TYPE A only reading all of the file could tell. vsftpd and ProFTPD refuse it, too.
  if (connection.settings.type === 'A' && !connection.settings.listedInText) throw new Refusal(550, 'SIZE counts bytes: use TYPE I first.')
  const entry = await connection.files.stat(filePathOf(connection, argument))
  if (entry.kind !== 'file') throw new Refusal(550, 'Not a plain file.')
  await connection.reply(213, String(entry.size))
}

async function mdtm(connection: FtpConnection, argument: string): Promise<void> {
  const entry = await connection.files.stat(pathOf(connection, argument))
  await connection.reply(213, toFtpTime(entry.mtimeMs))
}

async function mfmt(connection: FtpConnection, argument: string): Promise<void> {
  const cut = argument.indexOf(' ')
  const mtimeMs = fromFtpTime(argument.slice(0, Math.max(cut, 0)))
  const typed = argument.slice(cut + 1)
  if (mtimeMs === null || typed === '') throw new Refusal(501, 'Syntax: MFMT <YYYYMMDDhhmmss> <file>')
  const path = pathOf(connection, typed)
  await connection.files.setAttributes(path, { mtimeMs })
  // not every volume holds every year; who may not look is told what was asked for
  const kept = await connection.files.stat(path).catch(() => ({ mtimeMs }))
  await connection.reply(213, `Modify=${toFtpTime(kept.mtimeMs)}; ${typed}`)
}

export const FILE_COMMANDS: readonly CommandRow[] = [
  { verb: 'DELE', syntax: 'DELE <file>', login: 'needed', argument: 'required', run: dele },
  { verb: 'RNFR', syntax: 'RNFR <name>', login: 'needed', argument: 'required', run: rnfr },
  { verb: 'RNTO', syntax: 'RNTO <name>', login: 'needed', argument: 'required', run: rnto },
  { verb: 'SIZE', syntax: 'SIZE <file>', login: 'needed', argument: 'required', run: size },
  { verb: 'MDTM', syntax: 'MDTM <file>', login: 'needed', argument: 'required', run: mdtm },
  { verb: 'MFMT', syntax: 'MFMT <YYYYMMDDhhmmss> <file>', login: 'needed', argument: 'required', run: mfmt },
]
