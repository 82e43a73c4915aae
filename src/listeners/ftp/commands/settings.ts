// TYPE, STRU, MODE, REST, ALLO, OPTS, CLNT, NOOP: what later commands go by (RFC 959 §4.1.2, RFC 2389 §4, RFC 3659 §5).
// Must not start a transfer.
import type { FtpConnection } from '../connection.ts'
import { Refusal } from '../replies.ts'
import { ALL_FACTS } from '../session-settings.ts'
import type { CommandRow } from './command.ts'
import { optsHash } from './digests.ts'

function type(connection: FtpConnection, argument: string): Promise<void> {
  const wanted = argument.trim().toUpperCase()
  if (/^A( N)?$/.test(wanted)) connection.settings.type = 'A'
  else if (/^(I|L ?8)$/.test(wanted)) connection.settings.type = 'I'
  else throw new Refusal(/^([AE]( [NTC])?|L ?\d{1,3})$/.test(wanted) ? 504 : 501, 'Only TYPE A, TYPE I and TYPE L 8 are known.')
  connection.settings.listedInText = false
  return connection.reply(200, `Type is ${connection.settings.type === 'A' ? 'ASCII' : 'binary'}.`)
}

const onlyOne =
  (only: string, what: string) =>
  (connection: FtpConnection, argument: string): Promise<void> => {
    const wanted = argument.trim().toUpperCase()
    if (wanted === only) return connection.reply(200, `${what} is ${only}.`)
    throw new Refusal(/^[A-Z]$/.test(wanted) ? 504 : 501, `Only ${what} ${only} is known.`)
  }

function rest(connection: FtpConnection, argument: string): Promise<void> {
  const offset = Number(argument.trim())
  if (!/^\d{1,16}$/.test(argument.trim()) || !Number.isSafeInteger(offset)) throw new Refusal(501, 'Syntax: REST <bytes>')
  connection.settings.restAt = offset
  connection.settings.rangeEnd = null
  return connection.reply(350, `The next transfer begins at ${offset}.`)
}

function allo(connection: FtpConnection, argument: string): Promise<void> {
  const match = /^(\d{1,15})( R \d+)?$/i.exec(argument.trim())
  if (match === null) throw new Refusal(501, 'Syntax: ALLO <bytes>')
  connection.settings.allocated = Number(match[1])
  return connection.reply(200, 'The size will be checked.')
}

function opts(connection: FtpConnection, argument: string): Promise<void> {
  const [name = '', ...rest] = argument.trim().split(' ')
  const value = rest.join(' ').trim()
  switch (name.toUpperCase()) {
    case 'UTF8':
    case 'UTF-8':
      if (/^off$/i.test(value)) throw new Refusal(504, 'Names are always UTF-8.')
      if (!/^(on)?$/i.test(value)) throw new Refusal(501, 'Syntax: OPTS UTF8 [ON]')
      return connection.reply(200, 'Names are UTF-8.')
    case 'MLST': {
      const wanted = value.toLowerCase().split(';')
      connection.settings.facts = ALL_FACTS.filter((fact) => wanted.includes(fact))
      return connection.reply(200, `MLST OPTS ${connection.settings.facts.map((fact) => `${fact};`).join('')}`.trimEnd())
    }
    case 'HASH':
      return optsHash(connection, value)
    default:
      throw new Refusal(501, 'No such option.')
  }
}

function clnt(connection: FtpConnection, argument: string): Promise<void> {
  connection.settings.client = argument.toWellFormed().slice(0, 100)
  return connection.reply(200, 'Noted.')
}

export const SETTING_COMMANDS: readonly CommandRow[] = [
  { verb: 'TYPE', syntax: 'TYPE A|I', login: 'needed', argument: 'required', run: type },
  { verb: 'STRU', syntax: 'STRU F', login: 'needed', argument: 'required', run: onlyOne('F', 'STRU') },
  { verb: 'MODE', syntax: 'MODE S', login: 'needed', argument: 'required', run: onlyOne('S', 'MODE') },
  { verb: 'REST', syntax: 'REST <bytes>', login: 'needed', argument: 'required', run: rest },
  { verb: 'ALLO', syntax: 'ALLO <bytes>', login: 'needed', argument: 'required', run: allo },
  { verb: 'OPTS', syntax: 'OPTS UTF8 ON | MLST <facts> | HASH <algorithm>', login: 'open', argument: 'required', run: opts },
  { verb: 'CLNT', syntax: 'CLNT <program>', login: 'open', argument: 'required', run: clnt },
  { verb: 'NOOP', syntax: 'NOOP', login: 'open', argument: 'optional', atOnce: 'always', run: (c) => c.reply(200, 'OK') },
]
