// SITE CHMOD, SITE UTIME, SITE HELP: what RFC 959 leaves to each server and clients expect of a Unix one.
// Must not run anything on the host.
import type { FtpConnection } from '../connection.ts'
import { fromFtpTime } from '../listing-format.ts'
import { Refusal } from '../replies.ts'
import { type CommandRow, pathOf } from './command.ts'

async function chmod(connection: FtpConnection, rest: string): Promise<void> {
  const match = /^([0-7]{3,4}) (.+)$/s.exec(rest)
  if (match === null) throw new Refusal(501, 'Syntax: SITE CHMOD <octal mode> <name>')
  await connection.files.setAttributes(pathOf(connection, match[2]!), { mode: Number.parseInt(match[1]!, 8) })
  await connection.reply(200, 'Mode changed.')
}

/** Two forms are in use: `SITE UTIME time name`, and ncftp's and lftp's `SITE UTIME name atime mtime ctime UTC`. */
async function utime(connection: FtpConnection, rest: string): Promise<void> {
  const long = /^(.+) (\d{12,14}) (\d{12,14}) (\d{12,14}) UTC$/is.exec(rest)
  const short = /^(\d{12,14}) (.+)$/s.exec(rest)
  const [name, mtime, atime] = long ? [long[1], long[3], long[2]] : [short?.[2], short?.[1], undefined]
  const mtimeMs = fromFtpTime(mtime ?? '')
  const atimeMs = atime === undefined ? null : fromFtpTime(atime)
  if (name === undefined || mtimeMs === null) throw new Refusal(501, 'Syntax: SITE UTIME <YYYYMMDDhhmm[ss]> <name>')
  await connection.files.setAttributes(pathOf(connection, name), atimeMs === null ? { mtimeMs } : { mtimeMs, atimeMs })
  await connection.reply(200, 'Times changed.')
}

const help = (connection: FtpConnection): Promise<void> =>
  connection.reply(214, 'SITE commands:', ...Object.keys(SITE).filter((word) => word !== 'WHO'), 'End')

/** Who else is connected is the operator's to know. */
const who = (): Promise<void> => Promise.reject(new Refusal(502, 'SITE WHO is not available.'))

const SITE: Readonly<Record<string, (connection: FtpConnection, rest: string) => Promise<void>>> = {
  CHMOD: chmod,
  UTIME: utime,
  HELP: help,
  WHO: who,
}

export const SITE_COMMAND: CommandRow = {
  verb: 'SITE',
  syntax: 'SITE CHMOD|UTIME|HELP …',
  login: 'needed',
  argument: 'required',
  run(connection, argument) {
    const [word = ''] = argument.split(' ', 1)
    const verb = word.toUpperCase()
    const run = Object.hasOwn(SITE, verb) ? SITE[verb] : undefined
    if (run === undefined) throw new Refusal(500, 'Unknown SITE command.')
    return run(connection, argument.slice(word.length + 1))
  },
}
