// From a line to its handler: one table, one place that enforces it, carried by ftp-srv's registry and command class.
// Must not make exceptions for any verb.
import type { FtpConnection } from '../connection.ts'
import { fillRegistry, type RegistryEntry, registered, ShellCommands } from '../ftp-srv.ts'
import type { Line } from '../line-reader.ts'
import { type Command, type CommandRow, parseCommand } from './command.ts'
import { DATA_COMMANDS } from './data.ts'
import { DIGEST_COMMANDS } from './digests.ts'
import { DIRECTORY_COMMANDS } from './directories.ts'
import { FILE_COMMANDS } from './files.ts'
import { helpCommand, INFORMATION_COMMANDS } from './information.ts'
import { LISTING_COMMANDS } from './listings.ts'
import { LOGIN_COMMANDS } from './login.ts'
import { SECURITY_COMMANDS } from './security.ts'
import { SETTING_COMMANDS } from './settings.ts'
import { SITE_COMMAND } from './site.ts'
import { TRANSFER_COMMANDS } from './transfers.ts'
import { UNSUPPORTED_COMMANDS } from './unsupported.ts'

export type { Command } from './command.ts'

const ROWS: readonly CommandRow[] = [
  ...LOGIN_COMMANDS,
  ...SECURITY_COMMANDS,
  ...SETTING_COMMANDS,
  ...DIRECTORY_COMMANDS,
  ...FILE_COMMANDS,
  ...DATA_COMMANDS,
  ...TRANSFER_COMMANDS,
  ...LISTING_COMMANDS,
  ...DIGEST_COMMANDS,
  ...INFORMATION_COMMANDS,
  SITE_COMMAND,
]
const TABLE: ReadonlyMap<string, CommandRow> = new Map(
  [...ROWS, helpCommand(ROWS), ...UNSUPPORTED_COMMANDS].flatMap((row) => [row.verb, ...(row.aliases ?? [])].map((verb) => [verb, row])),
)

/** Once a worker, before its first connection. */
export function installCommands(): void {
  fillRegistry([...TABLE].map(([verb, row]) => entryOf(verb, row)))
}

function entryOf(verb: string, row: CommandRow): RegistryEntry {
  return {
    directive: verb,
    syntax: row.syntax,
    description: row.syntax,
    flags: { no_auth: row.login === 'open' },
    handler(input) {
      return row.run(this as FtpConnection, (input.command as Command).argument, verb)
    },
  }
}

export function runsAtOnce(command: Command): boolean {
  const atOnce = TABLE.get(command.verb)?.atOnce
  return atOnce === 'always' || (atOnce === 'bare' && command.argument === '')
}

/** Spaces behind a verb that takes no argument are no argument. */
const argumentFits = (row: CommandRow, argument: string): boolean =>
  row.argument === 'required' ? argument !== '' : row.argument === 'optional' || argument.trim() === ''

/** Whether it stops the transfer that runs. */
export const interrupts = (command: Command): boolean => TABLE.get(command.verb)?.interrupts === true && command.argument.trim() === ''

export class FtpCommands extends ShellCommands {
  override parse(line: unknown): Command {
    return parseCommand(line as Line)
  }

  /** Rejects with what the handler threw; the connection makes the reply of it. */
  override async handle(input: unknown): Promise<void> {
    const connection = this.connection as FtpConnection
    const command = input as Command
    const entry = registered(command.verb)
    const row = TABLE.get(command.verb)
    if (command.fault !== null) await connection.reply(500, 'The line is too long.')
    else if (entry === undefined || row === undefined) await connection.reply(500, 'Unknown command.')
    else if (!entry.flags.no_auth && connection.session === null) await connection.reply(530, 'Log in first.')
    else if (!argumentFits(row, command.argument)) await connection.reply(501, `Syntax: ${row.syntax}`)
    else await entry.handler.call(connection, { command })
  }
}
