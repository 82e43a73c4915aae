// Commands of an exec request: scp, served here without a shell; all others are refused with a message.
// Must not run anything.
import type { ServerChannel } from 'ssh2'
import { codeOf } from '../../core/errors.ts'
import { errorFields } from '../../core/log.ts'
import { answerDigests, parseDigestCommand } from './digest-command.ts'
import { parseScpCommand } from './scp-command.ts'
import { scpSink } from './scp-sink.ts'
import { scpSource } from './scp-source.ts'
import { ScpStream } from './scp-stream.ts'
import type { Session } from './session.ts'
import { splitWords } from './shell-words.ts'

/** Runs on an accepted channel until the command is done. Never throws. @returns the stream, to be aborted with the connection */
export function startCommand(session: Session, channel: ServerChannel, text: string): ScpStream {
  const stream = new ScpStream(channel)
  run(session, stream, channel, text)
    .catch((error: unknown) => {
      if (codeOf(error) === 'internal') session.log.error('scp.failed', 'a copy failed', errorFields(error))
      return 1
    })
    .then((status) => stream.finish(status))
    .catch((error: unknown) => session.log.error('scp.failed', 'a channel could not be closed', errorFields(error)))
  return stream
}

/** What whoever asks for a shell, or for another command, is told. */
export const FILES_ONLY = 'This server serves sftp and scp only.\r\n'

async function run(session: Session, stream: ScpStream, channel: ServerChannel, text: string): Promise<number> {
  const words = splitWords(text)
  const digests = words && parseDigestCommand(words)
  if (digests) return answerDigests(session, stream, channel, digests)
  const command = words && parseScpCommand(words)
  if (command === null) {
    channel.stderr.write(FILES_ONLY)
    return 1
  }
  return command.direction === 'sink' ? scpSink(session, stream, command) : scpSource(session, stream, command)
}
