// The command lines of scp -t and scp -f. Anything else is not a command here.
// Must not run anything or touch files.
import type { Word } from './shell-words.ts'

export interface ScpCommand {
  readonly direction: 'sink' | 'source'
  readonly recursive: boolean
  readonly preserve: boolean
  /** `-d`: the target must be a folder. */
  readonly folder: boolean
  readonly paths: readonly Word[]
}

const FLAGS = /^-[rpdvtfq1-6]+$/

/** The command of these words, or null when it is not one of scp's own (`scp [-rpdvqtf] [--] path…`). */
export function parseScpCommand(line: readonly Word[]): ScpCommand | null {
  const words = line.map(({ text }) => text)
  if (!/^(?:\/usr\/bin\/|\/bin\/)?scp$/.test(words[0] ?? '')) return null
  let at = 1
  let flags = ''
  for (; at < words.length && words[at]!.startsWith('-') && words[at] !== '-'; at++) {
    if (words[at] === '--') {
      at++
      break
    }
    if (!FLAGS.test(words[at]!)) return null
    flags += words[at]!.slice(1)
  }
  const paths = line.slice(at)
  const sink = flags.includes('t')
  if (sink === flags.includes('f') || paths.length === 0 || (sink && paths.length !== 1)) return null
  return {
    direction: sink ? 'sink' : 'source',
    recursive: flags.includes('r'),
    preserve: flags.includes('p'),
    folder: flags.includes('d'),
    paths,
  }
}
