// The form of replies (RFC 959 §4.2) and the translation of errors into them.
// Must not send anything.
import { ERRORS, FileFlowError } from '../../core/errors.ts'
import { nameToBytes, type VirtualPath } from '../../core/virtual-path.ts'

export interface Reply {
  readonly code: number
  readonly text: string
}

/** One line: `code text`. Several: `code-first`, ` middle`, `code last`, so that no inner line looks like an end. */
export function formatReply(code: number, lines: readonly string[]): Buffer {
  const texts = (lines.length === 0 ? ['OK'] : lines).map((line) => line.replace(/[\r\n\0]/g, '?'))
  const last = texts.length - 1
  return nameToBytes(texts.map((text, i) => `${i === last ? `${code} ` : i === 0 ? `${code}-` : ' '}${text}\r\n`).join(''))
}

/** The reply of an expected error; `undefined` for any other, which is ours to log. */
export function replyOf(error: unknown): Reply | undefined {
  return error instanceof FileFlowError ? { code: ERRORS[error.code].ftp, text: error.message } : undefined
}

/** A path as RFC 959 appendix II wants it in 257: in quotes, quotes in it doubled. */
export const quoted = (path: VirtualPath): string => `"${path.replaceAll('"', '""')}"`

/** An order of commands that makes no sense, a wrong argument: a reply that is not an error of any file. */
export class Refusal extends Error {
  readonly reply: Reply

  constructor(code: number, text: string) {
    super(text)
    this.name = 'Refusal'
    this.reply = { code, text }
  }
}
