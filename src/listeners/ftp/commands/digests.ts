// HASH with OPTS HASH and RANG, and the older XCRC, XMD5, XSHA… (draft-peterson-streamlined-ftp-command-extensions; the X forms as Serv-U and mod_digest have them).
// Must not compute anything; the filesystem does, and says who may.
import { codeOf } from '../../../core/errors.ts'
import type { DigestAlgorithm, DigestOptions, FileDigest } from '../../../files/virtual-filesystem.ts'
import type { FtpConnection } from '../connection.ts'
import { Refusal } from '../replies.ts'
import { type CommandRow, filePathOf } from './command.ts'

/** The names that IANA gives FTP's hash algorithms, the best one first. */
export const HASHES: Readonly<Record<string, DigestAlgorithm>> = {
  'SHA-256': 'sha256',
  'SHA-512': 'sha512',
  'SHA-1': 'sha1',
  MD5: 'md5',
  CRC32: 'crc32',
}

const hex = ({ digest }: FileDigest): string => Buffer.from(digest).toString('hex')

/** ABOR and the end of the session stop it. */
function digestOf(connection: FtpConnection, verb: string, typed: string, algorithm: DigestAlgorithm, part: DigestOptions) {
  const path = filePathOf(connection, typed)
  return connection.interruptible(verb, ({ signal }) => connection.files.digest(path, algorithm, { ...part, signal }))
}

async function hash(connection: FtpConnection, argument: string): Promise<void> {
  const { hash: name, restAt, rangeEnd } = connection.settings
  connection.settings.restAt = 0
  connection.settings.rangeEnd = null
  const part = rangeEnd === null ? {} : { start: restAt, length: rangeEnd - restAt }
  const found = await digestOf(connection, 'HASH', argument, HASHES[name]!, part)
  // a range as RANG names it, by its last byte; of the whole file its length, as other servers say it
  const end = rangeEnd === null ? found.end : Math.max(found.start, found.end - 1)
  await connection.reply(213, `${name} ${found.start}-${end} ${hex(found)} ${argument}`)
}

/** `OPTS HASH [name]`: which one is used from here on. */
export function optsHash(connection: FtpConnection, value: string): Promise<void> {
  const wanted = value === '' ? connection.settings.hash : value.toUpperCase()
  if (!Object.hasOwn(HASHES, wanted)) throw new Refusal(501, `Known are ${Object.keys(HASHES).join(', ')}.`)
  connection.settings.hash = wanted
  return connection.reply(200, wanted)
}

/** Both ends count. `RANG 1 0` takes it back. */
function rang(connection: FtpConnection, argument: string): Promise<void> {
  const match = /^(\d{1,15}) (\d{1,15})$/.exec(argument.trim())
  if (match === null) throw new Refusal(501, 'Syntax: RANG <first byte> <last byte>')
  const [first, last] = [Number(match[1]), Number(match[2])]
  if (first > last && !(first === 1 && last === 0)) throw new Refusal(501, 'The last byte comes before the first.')
  const reset = first > last
  connection.settings.restAt = reset ? 0 : first
  connection.settings.rangeEnd = reset ? null : last + 1
  return connection.reply(350, reset ? 'No range.' : `The next RETR or HASH is of bytes ${first} to ${last}.`)
}

/** `name`, or `"name" [start [end]]` with `end` not included. A file of exactly the typed name comes first. */
async function older(connection: FtpConnection, argument: string, verb: string, algorithm: DigestAlgorithm): Promise<void> {
  const found = await digestOf(connection, verb, argument, algorithm, {}).catch((error: unknown) => {
    const match = /^(?:"((?:[^"]|"")+)"|(.+?))(?: (\d{1,15})(?: (\d{1,15}))?)?$/s.exec(argument)
    if (codeOf(error) !== 'path.not_found' || match === null) throw error
    const [, quoted, bare, start, end] = match
    const name = quoted === undefined ? bare! : quoted.replaceAll('""', '"')
    if (name === argument) throw error
    const from = Number(start ?? 0)
    if (end !== undefined && Number(end) < from) throw new Refusal(501, 'The end comes before the start.')
    return digestOf(connection, verb, name, algorithm, { start: from, ...(end === undefined ? {} : { length: Number(end) - from }) })
  })
  await connection.reply(250, hex(found).toUpperCase())
}

const OLDER = { XCRC: 'crc32', XMD5: 'md5', XSHA1: 'sha1', XSHA256: 'sha256', XSHA512: 'sha512' } as const satisfies Record<
  string,
  DigestAlgorithm
>

/** What FEAT says of them. */
export const digestFeatures = (connection: FtpConnection): string[] => [
  `HASH ${Object.keys(HASHES)
    .map((name) => `${name}${name === connection.settings.hash ? '*' : ''}`)
    .join(';')}`,
  'RANG STREAM',
  ...Object.keys(OLDER),
]

export const DIGEST_COMMANDS: readonly CommandRow[] = [
  { verb: 'HASH', syntax: 'HASH <file>', login: 'needed', argument: 'required', run: hash },
  { verb: 'RANG', syntax: 'RANG <first byte> <last byte>', login: 'needed', argument: 'required', run: rang },
  ...Object.entries(OLDER).map(
    ([verb, algorithm]): CommandRow => ({
      verb,
      syntax: `${verb} <file> [start [end]]`,
      login: 'needed',
      argument: 'required',
      run: (connection, argument) => older(connection, argument, verb, algorithm),
    }),
  ),
]
