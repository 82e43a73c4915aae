// The control connection as a stranger speaks on it: whole lines, one reply to one command, nothing that nobody asked for.
// Must not know any command. All that it changes inside basic-ftp is here.
import type { FTPContext, FTPResponse } from 'basic-ftp'

/** basic-ftp's own bound for one reply. */
const LONGEST_REPLY = 2 ** 16

interface Insides {
  readonly _task: unknown
  _onControlSocketData(chunk: string): void
  _passToHandler(response: FTPResponse | Error): void
}

/**
 * basic-ftp reads each piece that arrives as if it ended with a line: a reply that is cut by the network would be lost. And it drops what comes while it waits for
 * nothing: the answers to all later commands would then be taken for one another's, and one of them says that a file is in its place. So the connection ends
 * there, as it does after 421 (RFC 959 §4.2: the service closes the control connection).
 */
export function guardReplies(ftp: FTPContext): void {
  const inside = ftp as unknown as Insides
  const take = inside._onControlSocketData.bind(ftp)
  const pass = inside._passToHandler.bind(ftp)
  let rest = ''
  let spokenOn = ftp.socket
  inside._onControlSocketData = (chunk) => {
    // what came before the TLS handshake is not said under its protection
    if (spokenOn !== ftp.socket) rest = ''
    spokenOn = ftp.socket
    const end = chunk.lastIndexOf('\n') + 1
    const whole = end === 0 ? '' : rest + chunk.slice(0, end)
    rest = end === 0 ? rest + chunk : chunk.slice(end)
    if (whole.length > LONGEST_REPLY || rest.length > LONGEST_REPLY) {
      rest = ''
      ftp.closeWithError(new Error('Connection closed: a reply of the server has no end'))
    } else if (whole !== '') take(whole)
  }
  inside._passToHandler = (response) => {
    const asked = inside._task !== undefined
    const code = codeOf(response)
    pass(response)
    if (code === 421) ftp.closeWithError(new Error(`Connection closed by the server: ${textOf(response)}`))
    else if (code !== null && !asked) ftp.closeWithError(new Error(`Connection closed, as the server said unasked: ${textOf(response)}`))
  }
}

/** null for what no server said. */
const codeOf = (response: FTPResponse | Error): number | null => {
  const { code } = response as { code?: unknown }
  return typeof code === 'number' ? code : null
}

const textOf = (response: FTPResponse | Error): string => response.message.slice(0, 200)
