// LIST, NLST, MLSD, MLST (RFC 959 §4.1.3, RFC 3659 §7).
// Must not format lines; listing-format.ts does.
import type { FtpConnection } from '../connection.ts'
import { factLines, findEntries, type LineOf, type Listing, listLines, sendLines, withoutFlags } from '../listing.ts'
import { Refusal } from '../replies.ts'
import type { RunningTransfer } from '../transfer.ts'
import { type CommandRow, pathOf } from './command.ts'
import { readyForData } from './transfers.ts'

const listing =
  (lineOf: (connection: FtpConnection) => LineOf) =>
  (connection: FtpConnection, argument: string, verb: string): Promise<void> =>
    connection.withTransfer(verb, async (transfer) => {
      readyForData(connection)
      const typed = withoutFlags(argument)
      await send(connection, transfer, await findEntries(connection, pathOf(connection, typed), typed), lineOf(connection))
    })

async function send(connection: FtpConnection, transfer: RunningTransfer, found: Listing, line: LineOf): Promise<void> {
  try {
    await connection.reply(150, 'Here comes the listing.')
    connection.settings.listedInText = connection.settings.type === 'A'
    await sendLines(connection, transfer, found, line)
  } finally {
    await found.close()
  }
  await connection.reply(226, 'Listing complete.')
}

/** Unlike LIST it takes a folder only, by its exact name (RFC 3659 §7.2.1). */
function mlsd(connection: FtpConnection, argument: string, verb: string): Promise<void> {
  return connection.withTransfer(verb, async (transfer) => {
    readyForData(connection)
    const path = pathOf(connection, argument)
    const entry = await connection.files.stat(path)
    if (entry.kind !== 'directory') throw new Refusal(501, 'Not a directory: use MLST.')
    await send(connection, transfer, await findEntries(connection, path, argument), factLines(connection))
  })
}

async function mlst(connection: FtpConnection, argument: string): Promise<void> {
  const path = pathOf(connection, argument)
  const entry = await connection.files.stat(path)
  const facts = await factLines(connection)({ entry: { ...entry, name: path }, path, typed: argument })
  await connection.reply(250, `Listing ${argument || path}`, facts, 'End')
}

export const LISTING_COMMANDS: readonly CommandRow[] = [
  { verb: 'LIST', syntax: 'LIST [name]', login: 'needed', argument: 'optional', run: listing(listLines) },
  {
    verb: 'NLST',
    syntax: 'NLST [name]',
    login: 'needed',
    argument: 'optional',
    run: listing(
      () =>
        ({ typed }) =>
          typed,
    ),
  },
  { verb: 'MLSD', syntax: 'MLSD [directory]', login: 'needed', argument: 'optional', run: mlsd },
  { verb: 'MLST', syntax: 'MLST [name]', login: 'needed', argument: 'optional', run: mlst },
]
