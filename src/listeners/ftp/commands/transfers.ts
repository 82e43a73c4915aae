// STOR, APPE, STOU, RETR (RFC 959 §4.1.3, RFC 3659 §5).
// Must not say 226 before the transfer is all it promises.
import { newId } from '../../../core/clock.ts'
import type { UploadOptions } from '../../../files/virtual-filesystem.ts'
import type { FtpConnection } from '../connection.ts'
import { Refusal } from '../replies.ts'
import { receiveUpload } from '../transfer-in.ts'
import { sendDownload } from '../transfer-out.ts'
import { type CommandRow, filePathOf } from './command.ts'
import { needsPrivateData } from './security.ts'

/** What every transfer needs before anything of it begins. */
export function readyForData(connection: FtpConnection): void {
  if (connection.channel === null) throw new Refusal(425, 'Use PASV or EPSV first.')
  if (connection.settings.protection === 'C' && needsPrivateData(connection)) {
    throw new Refusal(521, 'Data connections must be private here: use PROT P.')
  }
}

/** As {@link readyForData}, for a file. */
function readyForFile(connection: FtpConnection): void {
  readyForData(connection)
  const { type, restAt, rangeEnd } = connection.settings
  if (type === 'A' && (restAt > 0 || rangeEnd !== null)) throw new Refusal(504, 'REST and RANG count bytes: use TYPE I.')
}

interface Wanted {
  readonly name: string
  readonly options: UploadOptions
  /** What 150 says. */
  readonly opening: string
}

/** @param wanted asked within the transfer: whatever refuses it, REST, RANG and ALLO are used up */
function upload(connection: FtpConnection, verb: string, wanted: () => Wanted): Promise<void> {
  return connection.withTransfer(verb, async (transfer) => {
    readyForFile(connection)
    const { name, options, opening } = wanted()
    await receiveUpload(connection, transfer, filePathOf(connection, name), options, opening)
    await connection.reply(226, 'Transfer complete.')
  })
}

function stor(connection: FtpConnection, argument: string, verb: string): Promise<void> {
  const { restAt, rangeEnd } = connection.settings
  return upload(connection, verb, () => {
    if (rangeEnd !== null) throw new Refusal(504, 'RANG is for RETR and HASH.')
    return {
      name: argument,
      options: restAt > 0 ? { mode: 'resume', truncateTo: restAt } : { mode: 'replace' },
      opening: `Ready for ${argument}.`,
    }
  })
}

const appe = (connection: FtpConnection, argument: string, verb: string): Promise<void> =>
  upload(connection, verb, () => ({ name: argument, options: { mode: 'resume' }, opening: `Ready to append to ${argument}.` }))

/** RFC 1123 §4.1.2.9: the name that was chosen stands in the 150 reply as `FILE: name`. */
function stou(connection: FtpConnection, argument: string, verb: string): Promise<void> {
  const name = `${argument === '' ? 'upload' : argument}.${newId()}`
  return upload(connection, verb, () => ({ name, options: { mode: 'create' }, opening: `FILE: ${name}` }))
}

function retr(connection: FtpConnection, argument: string, verb: string): Promise<void> {
  return connection.withTransfer(verb, async (transfer) => {
    readyForFile(connection)
    await sendDownload(connection, transfer, filePathOf(connection, argument), argument)
    await connection.reply(226, 'Transfer complete.')
  })
}

export const TRANSFER_COMMANDS: readonly CommandRow[] = [
  { verb: 'STOR', syntax: 'STOR <file>', login: 'needed', argument: 'required', run: stor },
  { verb: 'APPE', syntax: 'APPE <file>', login: 'needed', argument: 'required', run: appe },
  { verb: 'STOU', syntax: 'STOU [name]', login: 'needed', argument: 'optional', run: stou },
  { verb: 'RETR', syntax: 'RETR <file>', login: 'needed', argument: 'required', run: retr },
]
