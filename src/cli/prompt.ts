// Passwords from a person or a pipe: never shown, never an argument.
// Must not keep what it read.
import type { Readable } from 'node:stream'
import { FileFlowError } from '../core/errors.ts'
import { type CommandIo, UsageError } from './command.ts'

const LONGEST = 1024

/** A new password: the first line of stdin, or typed twice without echo. @throws UsageError without a terminal */
export async function readPassword(io: CommandIo, fromStdin: boolean, what: string, option = '--password-stdin'): Promise<string> {
  if (fromStdin) return checked(await firstLine(io.stdin))
  if (!io.isTTY) throw new UsageError(`there is no terminal to ask at: pass it with ${option}`)
  const password = checked(await hidden(io, `${what}: `))
  if ((await hidden(io, 'Again: ')) !== password) throw new FileFlowError('request.invalid', 'The two passwords differ.')
  return password
}

/** A secret that is known already: the first line of stdin, or typed once without echo. @throws UsageError without a terminal */
export async function readSecret(io: CommandIo, fromStdin: boolean, what: string, option: string): Promise<string> {
  if (fromStdin) return checked(await firstLine(io.stdin))
  if (!io.isTTY) throw new UsageError(`there is no terminal to ask at: pass the ${what.toLowerCase()} with ${option}`)
  return checked(await hidden(io, `${what}: `))
}

function checked(password: string): string {
  if (password === '') throw new FileFlowError('request.invalid', 'The password is empty.')
  if (password.length > LONGEST) throw new FileFlowError('request.invalid', `The password is longer than ${LONGEST} characters.`)
  return password
}

async function firstLine(stdin: Readable): Promise<string> {
  let text = ''
  for await (const chunk of stdin) {
    text += String(chunk)
    if (text.includes('\n') || text.length > LONGEST + 2) break
  }
  return text.split('\n', 1)[0]!.replace(/\r$/, '')
}

async function hidden(io: CommandIo, label: string): Promise<string> {
  const stdin = io.stdin as Readable & { setRawMode?: (raw: boolean) => void }
  io.stderr.write(label)
  stdin.setRawMode?.(true)
  stdin.resume()
  try {
    return await new Promise<string>((resolve, reject) => {
      let typed = ''
      const onData = (chunk: Buffer | string) => {
        for (const char of String(chunk)) {
          if (char === '\r' || char === '\n') return done(() => resolve(typed))
          if (char === '\u0003' || char === '\u0004') return done(() => reject(new FileFlowError('request.invalid', 'Cancelled.')))
          if (char === '\u007f' || char === '\b') typed = [...typed].slice(0, -1).join('')
          else if (typed.length < LONGEST + 1) typed += char
        }
      }
      const onEnd = () => done(() => resolve(typed))
      const done = (settle: () => void) => {
        stdin.off('data', onData)
        stdin.off('end', onEnd)
        settle()
      }
      stdin.on('data', onData)
      stdin.once('end', onEnd)
    })
  } finally {
    stdin.setRawMode?.(false)
    stdin.pause()
    io.stderr.write('\n')
  }
}
