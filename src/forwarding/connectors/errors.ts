// What libraries, sockets and servers say, as the catalogue's remote.* errors. Server text is cut and cleaned of secrets.
// Must not decide about retries: the code's retry class does.
import { FTPError } from 'basic-ftp'
import type { DestinationSpec } from '../../core/destination.ts'
import { type ErrorCode, FileFlowError, SFTP_STATUS } from '../../core/errors.ts'
import { visible } from '../../core/visible-text.ts'

/** The failure of an attempt that knows whether the far side may have the file all the same. */
export class AttemptError extends FileFlowError {
  readonly unclear: boolean

  constructor(error: FileFlowError, unclear: boolean) {
    super(error.code, error.message, { cause: error.cause, ...(error.detail ? { detail: { ...error.detail } } : {}) })
    this.unclear = unclear
  }
}

/** `connect` is everything before the login is done: trouble there is the whole destination's. */
export type Phase = 'connect' | 'work'

/** Translates for one destination: knows its address for messages and its secrets, to keep them out. */
export interface Translator {
  (error: unknown, phase: Phase): FileFlowError
  fail(code: ErrorCode, detail: string, cause?: unknown): FileFlowError
}

export function translatorFor(destination: DestinationSpec): Translator {
  const where = destination.host ?? destination.name
  const secrets = [destination.password, destination.passphrase, destination.private_key].filter((s) => s !== undefined && s !== '')
  const fail = (code: ErrorCode, detail: string, cause?: unknown) => {
    const text = clean(detail, secrets)
    const kept = cause instanceof Error && secrets.some((secret) => cause.message.includes(secret!)) ? undefined : cause
    return new FileFlowError(code, text === '' ? where : `${where}: ${text}`, { cause: kept })
  }
  const translate = (error: unknown, phase: Phase): FileFlowError => {
    if (error instanceof FileFlowError) return error
    const message = error instanceof Error ? error.message : String(error)
    // A disk's message names real paths; those stay in the cause.
    const { path, code, syscall } = (error ?? {}) as NodeJS.ErrnoException
    return fail(codeFor(error, message, phase), path === undefined ? message : `${code} (${syscall})`, error)
  }
  return Object.assign(translate, { fail })
}

/** A shorter secret is in many words by chance, and a hole in a known word tells it. */
const LEAST_SEARCHED = 4

/** One line, at most 300 characters, without secrets, control characters shown as what they are. A text that has a short secret for a word of its own is left out whole. */
function clean(text: string, secrets: readonly (string | undefined)[]): string {
  let out = text
  for (const secret of secrets) {
    if (secret!.length >= LEAST_SEARCHED) out = out.replaceAll(secret!, '***')
    else if (isWordOf(text, secret!)) return 'what was said is left out, as a secret may be in it'
  }
  return visible(
    out
      .slice(0, 1000)
      .replace(/[\t\r\n\0]+/g, ' ')
      .trim(),
  ).slice(0, 300)
}

function isWordOf(text: string, word: string): boolean {
  const inner = /[\p{L}\p{N}]/u
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + 1)) {
    if (!inner.test(text[at - 1] ?? ' ') && !inner.test(text[at + word.length] ?? ' ')) return true
  }
  return false
}

function codeFor(error: unknown, message: string, phase: Phase): ErrorCode {
  if (error instanceof FTPError) return ftpCode(error.code, message, phase)
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code === 'number') return SFTP_CODES[code] ?? 'remote.failed'
  if (typeof code === 'string' && CERTIFICATE_TROUBLE.test(code)) return 'remote.tls'
  // A record that makes no sense: at the start another protocol is spoken there, later it is line trouble.
  if (typeof code === 'string' && code.startsWith('ERR_SSL_')) return phase === 'connect' ? 'remote.tls' : 'remote.lost'
  if (typeof code === 'string' && Object.hasOwn(SYSTEM_CODES, code)) return SYSTEM_CODES[code]!
  if (/authentication methods failed|authentication failed/i.test(message)) return 'remote.auth'
  if (phase === 'connect') return 'remote.unreachable'
  if (/time(d )?out/i.test(message)) return 'remote.timeout'
  return LOST.test(message) || (typeof code === 'string' && SOCKET_CODES.has(code)) ? 'remote.lost' : 'remote.failed'
}

const CERTIFICATE_TROUBLE = /^(CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH)/
const SOCKET_CODES = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNREFUSED',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ECONNABORTED',
])
const LOST = /closed|FIN packet|No response from server|not connected|Socket|reset|premature/i

/** Of a local disk, or a network mount behind one. */
const SYSTEM_CODES: Record<string, ErrorCode> = {
  ENOSPC: 'remote.full',
  EDQUOT: 'remote.full',
  EACCES: 'remote.denied',
  EPERM: 'remote.denied',
  EROFS: 'remote.denied',
  ENOENT: 'remote.denied',
  ENOTDIR: 'remote.denied',
  EISDIR: 'remote.denied',
  ELOOP: 'remote.denied',
  ENAMETOOLONG: 'remote.denied',
  EEXIST: 'remote.exists',
  ESTALE: 'remote.unreachable',
  EHOSTDOWN: 'remote.unreachable',
  EIO: 'remote.failed',
}

const SFTP_CODES: Record<number, ErrorCode> = {
  [SFTP_STATUS.NO_SUCH_FILE]: 'remote.denied',
  [SFTP_STATUS.PERMISSION_DENIED]: 'remote.denied',
  [SFTP_STATUS.NO_CONNECTION]: 'remote.lost',
  [SFTP_STATUS.CONNECTION_LOST]: 'remote.lost',
}

/** The last is vsftpd's, which does not tell a full disk from a broken one: either way the destination cannot store anything. */
const FULL = /no space|disk (is )?full|quota|failure writing to local file/i

/** Reply codes of RFC 959 §4.2; servers disagree on 550, so its text counts too. */
function ftpCode(code: number, message: string, phase: Phase): ErrorCode {
  if (code === 421) return phase === 'connect' ? 'remote.unreachable' : 'remote.lost'
  if (code === 452 || code === 552) return 'remote.full'
  if (code === 530 || code === 430 || code === 532 || code === 332) {
    return /too many|maximum|limit reached/i.test(message) ? 'remote.unreachable' : 'remote.auth'
  }
  if (phase === 'connect') return code === 534 || code === 431 ? 'remote.tls' : 'remote.unreachable'
  if ((code === 451 || code >= 550) && FULL.test(message)) return 'remote.full'
  if (code === 425 || code === 426) return 'remote.lost'
  if (code >= 550 && code <= 553) {
    return /exists/i.test(message) && !/no such|not exist/i.test(message) ? 'remote.exists' : 'remote.denied'
  }
  return 'remote.failed'
}
