// Commands that other servers know and this one does not: 502 tells a client to go on without, where 500 could mean a slip of the line (RFC 959 §4.2).
// Must not do anything.
import type { CommandRow } from './command.ts'

/** SMNT (RFC 959); ADAT, MIC, CONF, ENC (RFC 2228: nothing to say in TLS); LPRT, LPSV (RFC 1639); LANG (RFC 2640); HOST (RFC 7151). */
const VERBS = ['SMNT', 'ADAT', 'MIC', 'CONF', 'ENC', 'LPRT', 'LPSV', 'LANG', 'HOST']

export const UNSUPPORTED_COMMANDS: readonly CommandRow[] = VERBS.map((verb) => ({
  verb,
  syntax: verb,
  login: 'open',
  argument: 'optional',
  run: (connection) => connection.reply(502, `${verb} is not supported.`),
}))
