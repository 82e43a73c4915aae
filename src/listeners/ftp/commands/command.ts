// What a command is: a row of data, and the form of its handler.
// Must not hold any command.
import { FileFlowError } from '../../../core/errors.ts'
import { meansFolder, nameFromBytes, toVirtualPath, type VirtualPath } from '../../../core/virtual-path.ts'
import type { FtpConnection } from '../connection.ts'
import type { Line } from '../line-reader.ts'
import { Refusal } from '../replies.ts'

/** A command as it came. `argument` is everything behind the first space, untouched: quotes, dashes and spaces are parts of names. */
export interface Command {
  readonly verb: string
  readonly argument: string
  readonly fault: 'too long' | null
}

export interface CommandRow {
  readonly verb: string
  readonly aliases?: readonly string[]
  readonly syntax: string
  readonly login: 'needed' | 'open'
  readonly argument: 'none' | 'optional' | 'required'
  /** Runs beside a transfer instead of after it; `bare`: without an argument only. */
  readonly atOnce?: 'always' | 'bare'
  /** Stops the transfer that runs when it comes in; its own reply waits for its turn. */
  readonly interrupts?: true
  readonly run: (connection: FtpConnection, argument: string, verb: string) => Promise<void> | void
}

export function parseCommand(line: Line): Command {
  if (line.tooLong) return { verb: '', argument: '', fault: 'too long' }
  const text = nameFromBytes(line.bytes)
  const cut = text.indexOf(' ')
  const verb = (cut === -1 ? text : text.slice(0, cut)).toUpperCase()
  return { verb, argument: cut === -1 ? '' : text.slice(cut + 1), fault: null }
}

/** As {@link pathOf}, where a file is meant. @throws FileFlowError `path.is_directory` for a name that can only be a folder's */
export function filePathOf(connection: FtpConnection, typed: string): VirtualPath {
  if (meansFolder(typed)) throw new FileFlowError('path.is_directory')
  return pathOf(connection, typed)
}

/** A name that a client typed, as a path. A CR or LF in one could not be told from a line's end in any reply. @throws FileFlowError `path.invalid` */
export function pathOf(connection: FtpConnection, typed: string): VirtualPath {
  if (/[\r\n]/.test(typed)) throw new Refusal(553, 'The name is not allowed.')
  return toVirtualPath(connection.settings.cwd, typed)
}
