// AUTH, PBSZ, PROT, CCC (RFC 2228, RFC 4217).
// Must not run anything in TLS that was sent before it.
import { FileFlowError } from '../../../core/errors.ts'
import type { FtpConnection } from '../connection.ts'
import { Refusal } from '../replies.ts'
import type { CommandRow } from './command.ts'

async function auth(connection: FtpConnection, argument: string): Promise<void> {
  const mechanism = argument.trim().toUpperCase()
  if (connection.gateway.secureContext === null) throw new Refusal(502, 'TLS is not available here.')
  if (!['TLS', 'TLS-C', 'SSL', 'TLS-P'].includes(mechanism)) throw new Refusal(504, 'Only AUTH TLS is known.')
  if (connection.secure) throw new Refusal(503, 'The connection is encrypted already.')
  await connection.logOut('auth', new FileFlowError('auth.required'))
  await connection.output.drained()
  // Commands behind AUTH came in clear, from whoever: they must neither run in TLS nor be mistaken for its handshake.
  if (connection.hasMore) throw new Refusal(503, 'Send nothing behind AUTH before its reply.')
  if (connection.ended) return
  connection.replaceChannel(null)
  connection.settings.username = null
  connection.settings.bufferSizeSet = false
  // RFC 4217 §16: AUTH SSL and TLS-P mean private data connections without PROT.
  connection.settings.protection = mechanism === 'SSL' || mechanism === 'TLS-P' ? 'P' : 'C'
  connection.startTls({ code: 234, text: 'Begin TLS.' })
}

function pbsz(connection: FtpConnection, argument: string): Promise<void> {
  if (!connection.secure) throw new Refusal(503, 'Send AUTH TLS first.')
  if (!/^\d{1,10}$/.test(argument.trim())) throw new Refusal(501, 'Syntax: PBSZ 0')
  connection.settings.bufferSizeSet = true
  return connection.reply(200, 'PBSZ=0')
}

function prot(connection: FtpConnection, argument: string): Promise<void> {
  if (!connection.secure) throw new Refusal(503, 'Send AUTH TLS first.')
  if (!connection.settings.bufferSizeSet) throw new Refusal(503, 'Send PBSZ first.')
  const level = argument.trim().toUpperCase()
  if (level === 'S' || level === 'E') throw new Refusal(536, 'Only PROT C and PROT P are possible in TLS.')
  if (level !== 'C' && level !== 'P') throw new Refusal(504, 'Only PROT C and PROT P are known.')
  if (level === 'C' && needsPrivateData(connection)) throw new Refusal(534, 'Data connections must be private here: use PROT P.')
  connection.settings.protection = level
  return connection.reply(200, level === 'P' ? 'Data connections are private.' : 'Data connections are in clear.')
}

/** Where TLS is demanded, files may not travel in clear either. */
export function needsPrivateData(connection: FtpConnection): boolean {
  return connection.gateway.config.ftp.tls.mode === 'required' || (connection.session?.files.principal.requireTls ?? false)
}

export const SECURITY_COMMANDS: readonly CommandRow[] = [
  { verb: 'AUTH', syntax: 'AUTH TLS', login: 'open', argument: 'required', run: auth },
  { verb: 'PBSZ', syntax: 'PBSZ 0', login: 'open', argument: 'required', run: pbsz },
  { verb: 'PROT', syntax: 'PROT C|P', login: 'open', argument: 'required', run: prot },
  {
    verb: 'CCC',
    syntax: 'CCC',
    login: 'open',
    argument: 'none',
    run: (c) => c.reply(c.secure ? 534 : 533, 'The control connection stays as it is.'),
  },
]
