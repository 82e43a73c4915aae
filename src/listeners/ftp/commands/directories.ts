// CWD, CDUP, PWD, MKD, RMD and their X forms (RFC 959 §4.1.1 and appendix II, RFC 775).
// Must not show a real path.
import { parentOf } from '../../../core/virtual-path.ts'
import type { FtpConnection } from '../connection.ts'
import { quoted } from '../replies.ts'
import { type CommandRow, pathOf } from './command.ts'

async function cwd(connection: FtpConnection, argument: string): Promise<void> {
  const path = pathOf(connection, argument)
  await connection.files.mustBeFolder(path)
  connection.settings.cwd = path
  await connection.reply(250, `${quoted(path)} is the current directory.`)
}

async function cdup(connection: FtpConnection): Promise<void> {
  connection.settings.cwd = parentOf(connection.settings.cwd)
  await connection.reply(250, `${quoted(connection.settings.cwd)} is the current directory.`)
}

async function mkd(connection: FtpConnection, argument: string): Promise<void> {
  const path = pathOf(connection, argument)
  await connection.files.mkdir(path)
  await connection.reply(257, `${quoted(path)} created.`)
}

async function rmd(connection: FtpConnection, argument: string): Promise<void> {
  await connection.files.rmdir(pathOf(connection, argument))
  await connection.reply(250, 'Directory removed.')
}

export const DIRECTORY_COMMANDS: readonly CommandRow[] = [
  { verb: 'CWD', aliases: ['XCWD'], syntax: 'CWD <directory>', login: 'needed', argument: 'required', run: cwd },
  { verb: 'CDUP', aliases: ['XCUP'], syntax: 'CDUP', login: 'needed', argument: 'none', run: cdup },
  {
    verb: 'PWD',
    aliases: ['XPWD'],
    syntax: 'PWD',
    login: 'needed',
    argument: 'none',
    run: (c) => c.reply(257, `${quoted(c.settings.cwd)} is the current directory.`),
  },
  { verb: 'MKD', aliases: ['XMKD'], syntax: 'MKD <directory>', login: 'needed', argument: 'required', run: mkd },
  { verb: 'RMD', aliases: ['XRMD'], syntax: 'RMD <directory>', login: 'needed', argument: 'required', run: rmd },
]
