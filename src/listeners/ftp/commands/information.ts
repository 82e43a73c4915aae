// FEAT, SYST, STAT, HELP (RFC 959 §4.1.3, RFC 2389 §3).
// Must not tell the program's name or version.
import { FileFlowError } from '../../../core/errors.ts'
import { ROOT } from '../../../core/virtual-path.ts'
import type { FtpConnection } from '../connection.ts'
import { findEntries, listLines, withoutFlags } from '../listing.ts'
import { quoted } from '../replies.ts'
import { ALL_FACTS } from '../session-settings.ts'
import { type CommandRow, pathOf } from './command.ts'
import { digestFeatures } from './digests.ts'

function feat(connection: FtpConnection): Promise<void> {
  const { gateway, settings } = connection
  const facts = ALL_FACTS.map((fact) => `${fact === 'unix.mode' ? 'UNIX.mode' : fact}${settings.facts.includes(fact) ? '*' : ''};`)
  const features = [
    ...(gateway.secureContext === null ? [] : ['AUTH TLS', 'PBSZ', 'PROT']),
    'CLNT',
    ...(gateway.config.ftp.active ? ['EPRT'] : []),
    'EPSV',
    'MDTM',
    'MFMT',
    `MLST ${facts.join('')}`,
    'REST STREAM',
    'SITE CHMOD',
    'SITE UTIME',
    'SIZE',
    'TVFS',
    'UTF8',
    ...digestFeatures(connection),
  ]
  return connection.reply(211, 'Features:', ...features, 'End')
}

/** Bare: how the session stands, also while a transfer runs. With a name: its listing over the control connection. */
async function stat(connection: FtpConnection, argument: string): Promise<void> {
  if (argument !== '' && connection.session !== null) return statListing(connection, argument)
  const { transfer, settings, session } = connection
  await connection.reply(
    211,
    'Status:',
    session === null ? 'Not logged in.' : `Logged in as ${session.files.principal.username}, in ${quoted(settings.cwd ?? ROOT)}.`,
    `The control connection is ${connection.secure ? 'encrypted' : 'in clear'}, data connections are ${settings.protection === 'P' ? 'private' : 'in clear'}.`,
    `TYPE ${settings.type}, MODE S, STRU F.`,
    transfer === null ? 'No transfer.' : `${transfer.verb} runs: ${transfer.bytes} bytes so far.`,
    'End',
  )
}

async function statListing(connection: FtpConnection, argument: string): Promise<void> {
  const typed = withoutFlags(argument)
  const found = await findEntries(connection, pathOf(connection, typed), typed)
  const line = listLines(connection)
  try {
    await connection.output.write(Buffer.from('213-Listing:\r\n'))
    for await (const listed of found.entries) {
      if (connection.ended) return
      await connection.output.line(` ${await line(listed)}`)
    }
  } catch (error) {
    if (!(error instanceof FileFlowError)) throw error
    // The reply has begun: only its own last line may end it.
    await connection.output.line(` The listing ends early: ${error.message}`)
  } finally {
    await found.close()
  }
  await connection.reply(213, 'End')
}

export const INFORMATION_COMMANDS: readonly CommandRow[] = [
  { verb: 'FEAT', syntax: 'FEAT', login: 'open', argument: 'none', run: feat },
  { verb: 'SYST', syntax: 'SYST', login: 'open', argument: 'none', run: (c) => c.reply(215, 'UNIX Type: L8') },
  { verb: 'STAT', syntax: 'STAT [name]', login: 'open', argument: 'optional', atOnce: 'bare', run: stat },
]

/** HELP knows all rows, itself included. */
export function helpCommand(rows: readonly CommandRow[]): CommandRow {
  const help: CommandRow = {
    verb: 'HELP',
    syntax: 'HELP [command]',
    login: 'open',
    argument: 'optional',
    run(connection, argument) {
      const verb = argument.trim().toUpperCase()
      const all = [...rows, help]
      if (verb !== '') {
        const row = all.find((candidate) => candidate.verb === verb || candidate.aliases?.includes(verb))
        return row === undefined ? connection.reply(502, 'Unknown command.') : connection.reply(214, `Syntax: ${row.syntax}`)
      }
      const verbs = all.map((row) => row.verb).sort()
      const lines = Array.from({ length: Math.ceil(verbs.length / 8) }, (_, i) => verbs.slice(i * 8, i * 8 + 8).join(' '))
      return connection.reply(214, 'Commands:', ...lines, 'End')
    },
  }
  return help
}
