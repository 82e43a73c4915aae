// The command lines of scp -t and scp -f, split as a shell would, without a shell. Anything else is not a command here.
// Must not expand variables, run anything or touch files.

export interface ScpCommand {
  readonly direction: 'sink' | 'source'
  readonly recursive: boolean
  readonly preserve: boolean
  /** `-d`: the target must be a folder. */
  readonly folder: boolean
  readonly paths: readonly string[]
}

const MAX_COMMAND = 8192
const MAX_WORDS = 200
const FLAGS = /^-[rpdvtfq1-6]+$/

/** The command of these words, or null when it is not one of scp's own (`scp [-rpdvqtf] [--] path…`). */
export function parseScpCommand(words: readonly string[]): ScpCommand | null {
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
  const paths = words.slice(at)
  const sink = flags.includes('t')
  if (sink === flags.includes('f') || paths.length === 0 || (sink && paths.length !== 1)) return null
  return {
    direction: sink ? 'sink' : 'source',
    recursive: flags.includes('r'),
    preserve: flags.includes('p'),
    folder: flags.includes('d'),
    // What the shell would have done; scp has no use for a file of this name.
    paths: paths.map((path) => path.replace(/^~(?=\/|$)/, '.')),
  }
}

/** Words with quotes and backslashes taken off (POSIX shell §2.2); null when it is too long or a quote is open. */
export function splitWords(text: string): string[] | null {
  if (text.length > MAX_COMMAND) return null
  const words: string[] = []
  let word: string | null = null
  let quote = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if (quote === "'") {
      if (char === "'") quote = ''
      else word += char
    } else if (char === '\\' && (quote === '' || '"\\$`'.includes(text[i + 1] ?? ''))) {
      if (++i >= text.length) return null
      word = (word ?? '') + text[i]
    } else if (quote === '"') {
      if (char === '"') quote = ''
      else word += char
    } else if (char === "'" || char === '"') {
      quote = char
      word ??= ''
    } else if (char === ' ' || char === '\t') {
      if (word !== null) words.push(word)
      word = null
    } else {
      word = (word ?? '') + char
    }
  }
  if (word !== null) words.push(word)
  return quote === '' && words.length <= MAX_WORDS ? words : null
}
