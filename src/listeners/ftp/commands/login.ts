// USER, PASS, ACCT, REIN, QUIT (RFC 959 §4.1.1).
// Must not judge a password; the control plane does.
import { systemClock } from '../../../core/clock.ts'
import { codeOf, ERRORS, FileFlowError } from '../../../core/errors.ts'
import { toDisplay } from '../../../core/virtual-path.ts'
import type { FtpConnection } from '../connection.ts'
import { openLogin } from '../login.ts'
import { freshSettings } from '../session-settings.ts'
import { clientCertificate } from '../tls.ts'
import type { CommandRow } from './command.ts'

/** Wrong passwords on one connection before it is closed; the login guard counts over all connections. */
const MOST_FAILURES = 5

async function user(connection: FtpConnection, argument: string): Promise<void> {
  await connection.logOut('user', new FileFlowError('auth.required'))
  const { gateway, peer, secure, settings } = connection
  settings.username = null
  if (gateway.config.ftp.tls.mode === 'required' && !secure)
    throw new FileFlowError('auth.tls_required', 'TLS is required here: use AUTH TLS first.')
  const username = toDisplay(argument)
  const admission = await gateway.context.gatekeeper.mayTry(peer, username, secure)
  if (!admission.allowed) throw new FileFlowError(admission.code, admission.message)
  if (await byCertificate(connection, username)) return connection.reply(232, 'Logged in by certificate.')
  settings.username = username
  await connection.reply(331, 'Password required.')
}

/** RFC 4217 §10.1: USER is all that a client needs to say whose certificate stands for the user. Any other is asked for the password. */
async function byCertificate(connection: FtpConnection, username: string): Promise<boolean> {
  if (!connection.gateway.config.ftp.tls.client_certificates) return false
  const fingerprint = clientCertificate(connection.commandSocket, systemClock.now())
  if (fingerprint === null) return false
  try {
    await openLogin(connection, username, { kind: 'certificate', fingerprint })
    return true
  } catch (error) {
    if (codeOf(error) !== 'auth.failed') throw error
    return false
  }
}

async function pass(connection: FtpConnection, argument: string): Promise<void> {
  const { username } = connection.settings
  if (connection.session !== null) return connection.reply(202, 'Logged in already.')
  if (username === null) return connection.reply(503, 'Send USER first.')
  connection.settings.username = null
  try {
    await connection.login(username, toDisplay(argument))
  } catch (error) {
    if (codeOf(error) !== 'auth.failed') throw error
    connection.failedLogins++
    if (connection.failedLogins >= MOST_FAILURES)
      return connection.terminate({ code: 421, text: 'Too many failed logins.' }, 'failed logins')
    return connection.reply(530, ERRORS['auth.failed'].text)
  }
  connection.failedLogins = 0
  await connection.reply(230, 'Logged in.')
}

async function rein(connection: FtpConnection): Promise<void> {
  await connection.logOut('rein', new FileFlowError('auth.required'))
  connection.replaceChannel(null)
  const { protection, bufferSizeSet } = connection.settings
  connection.settings = { ...freshSettings(), protection, bufferSizeSet }
  await connection.reply(220, 'Ready for a new user.')
}

export const LOGIN_COMMANDS: readonly CommandRow[] = [
  { verb: 'USER', syntax: 'USER <name>', login: 'open', argument: 'required', run: user },
  { verb: 'PASS', syntax: 'PASS <password>', login: 'open', argument: 'optional', run: pass },
  { verb: 'ACCT', syntax: 'ACCT <account>', login: 'open', argument: 'required', run: (c) => c.reply(202, 'No account is needed.') },
  { verb: 'REIN', syntax: 'REIN', login: 'open', argument: 'none', run: rein },
  { verb: 'QUIT', syntax: 'QUIT', login: 'open', argument: 'none', run: (c) => c.terminate({ code: 221, text: 'Goodbye.' }, 'quit') },
]
