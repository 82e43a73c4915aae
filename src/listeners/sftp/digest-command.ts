// md5sum, sha1sum, sha256sum and sha512sum as a command: rclone asks so for hashes. Answered as coreutils would, without a shell or a program.
// Must not know more of their options than the few that change nothing.
import { createHash } from 'node:crypto'
import type { ServerChannel } from 'ssh2'
import { codeOf, ERRORS, FileFlowError } from '../../core/errors.ts'
import { errorFields } from '../../core/log.ts'
import { nameToBytes } from '../../core/virtual-path.ts'
import { whileBusy } from './requests-check.ts'
import type { ScpStream } from './scp-stream.ts'
import type { Session } from './session.ts'
import { expandWords, type Word } from './shell-words.ts'

const CHUNK = 256 * 1024
const ALGORITHMS = { md5sum: 'md5', sha1sum: 'sha1', sha256sum: 'sha256', sha512sum: 'sha512' } as const
const FLAGS = new Set(['-b', '-t', '--binary', '--text'])

export interface DigestCommand {
  readonly program: keyof typeof ALGORITHMS
  /** Empty: standard input. */
  readonly paths: readonly Word[]
}

/** The command, or null when it is another one. */
export function parseDigestCommand(line: readonly Word[]): DigestCommand | null {
  const words = line.map(({ text }) => text)
  const program = (words[0] ?? '').replace(/^(?:\/usr)?\/bin\//, '')
  if (!Object.hasOwn(ALGORITHMS, program)) return null
  let at = 1
  while (FLAGS.has(words[at] ?? '')) at++
  if (words[at] === '--') at++
  else if (words[at]?.startsWith('-') && words[at] !== '-') return null
  const paths = line.slice(at)
  return { program: program as DigestCommand['program'], paths: paths.length === 1 && paths[0]!.text === '-' ? [] : paths }
}

/** @returns the exit status */
export async function answerDigests(session: Session, stream: ScpStream, channel: ServerChannel, command: DigestCommand): Promise<number> {
  const algorithm = ALGORITHMS[command.program]
  if (command.paths.length === 0) {
    const hash = createHash(algorithm)
    for (let chunk = await stream.read(CHUNK); chunk !== null; chunk = await stream.read(CHUNK)) {
      hash.update(chunk)
      session.touch()
    }
    await stream.text(`${hash.digest('hex')}  -\n`)
    return 0
  }
  let status = 0
  for (const typed of await expandWords(session, command.paths)) {
    try {
      const path = await session.place(typed)
      const { digest } = await whileBusy({ session }, () => session.vfs.digest(path, algorithm, { signal: stream.over }))
      await stream.text(lineOf(Buffer.from(digest).toString('hex'), typed))
    } catch (error) {
      if (codeOf(error) === 'transfer.aborted') throw error
      if (codeOf(error) === 'internal') session.log.error('digest.failed', 'a digest could not be made', errorFields(error))
      channel.stderr.write(
        nameToBytes(`${command.program}: ${typed}: ${error instanceof FileFlowError ? error.message : ERRORS.internal.text}\n`),
      )
      status = 1
    }
  }
  return status
}

/** A name that would break the line is escaped, and the line begins with a backslash to say so. */
function lineOf(digest: string, name: string): string {
  const escaped = name.replace(/[\\\n\r]/g, (char) => (char === '\\' ? '\\\\' : char === '\n' ? '\\n' : '\\r'))
  return `${escaped === name ? '' : '\\'}${digest}  ${escaped}\n`
}
