// The words of a command line, as a shell would make them: quotes and backslashes taken off, globs and the home put in.
// Must not expand variables, nor run anything.
import { codeOf, FileFlowError } from '../../core/errors.ts'
import { nameMatcher } from '../../core/glob.ts'
import type { Session } from './session.ts'

/** A word with its quotes taken off, by character, and which of them were quoted: those mean themselves. */
export interface Word {
  readonly text: string
  readonly chars: readonly string[]
  readonly literal: readonly boolean[]
}

const MAX_COMMAND = 8192
const MAX_WORDS = 200
/** That globs make of one command. */
const MAX_NAMES = 10_000

/** Words with quotes and backslashes taken off (POSIX shell §2.2); null when it is too long or a quote is open. */
export function splitWords(line: string): Word[] | null {
  if (line.length > MAX_COMMAND) return null
  const words: Word[] = []
  let word: { chars: string[]; literal: boolean[] } | null = null
  let quote = ''
  const add = (char: string, literal: boolean): void => {
    word ??= { chars: [], literal: [] }
    word.chars.push(char)
    word.literal.push(literal)
  }
  const end = (): void => {
    if (word !== null) words.push({ ...word, text: word.chars.join('') })
    word = null
  }
  const chars = [...line]
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i]!
    if (quote === "'") {
      if (char === "'") quote = ''
      else add(char, true)
    } else if (char === '\\' && (quote === '' || '"\\$`'.includes(chars[i + 1] ?? '"'))) {
      if (++i >= chars.length) return null
      add(chars[i]!, true)
    } else if (quote === '"') {
      if (char === '"') quote = ''
      else add(char, true)
    } else if (char === "'" || char === '"') {
      quote = char
      word ??= { chars: [], literal: [] }
    } else if (char === ' ' || char === '\t') end()
    else add(char, false)
  }
  end()
  return quote === '' && words.length <= MAX_WORDS ? words : null
}

/** What a shell would put in the place of the words: names that match, sorted; a word that matches nothing stays as it is. @throws FileFlowError `request.invalid` for too many */
export async function expandWords(session: Session, words: readonly Word[]): Promise<string[]> {
  const all: string[] = []
  for (const word of words) {
    for (const one of await expand(session, word, MAX_NAMES - all.length)) all.push(one)
  }
  return all
}

interface Part {
  readonly chars: string[]
  readonly literal: boolean[]
}

async function expand(session: Session, word: Word, most: number): Promise<string[]> {
  const home = tilde(session, word)
  const parts = split(home ?? word)
  const isPattern = ({ chars, literal }: Part): boolean => chars.some((char, i) => !literal[i] && '*?['.includes(char))
  if (!parts.some(isPattern)) return [home === null ? word.text : home.chars.join('')]
  let found = ['']
  for (const [i, part] of parts.entries()) {
    const behind = i < parts.length - 1 ? '/' : ''
    if (!isPattern(part)) {
      found = found.map((before) => `${before}${part.chars.join('')}${behind}`)
      continue
    }
    const fits = nameMatcher(part.chars, part.literal)
    const next: string[] = []
    for (const before of found) {
      for (const name of await namesIn(session, before || '.', fits, most - next.length)) next.push(`${before}${name}${behind}`)
    }
    found = next
  }
  const there: string[] = []
  for (const one of found) if (await isThere(session, one)) there.push(one)
  return there.length > 0 ? there.sort() : [word.text]
}

/** `~` and `~/…` where they are not quoted: the home of the user, who is the only one here. */
function tilde(session: Session, { chars, literal }: Word): Part | null {
  if (chars[0] !== '~' || literal[0] || (chars.length > 1 && chars[1] !== '/')) return null
  const home = [...session.principal.startDirectory.replace(/\/$/, chars.length > 1 ? '' : '/')]
  return { chars: [...home, ...chars.slice(1)], literal: [...home.map(() => true), ...literal.slice(1)] }
}

function split({ chars, literal }: Pick<Word, 'chars' | 'literal'>): Part[] {
  const parts: Part[] = [{ chars: [], literal: [] }]
  for (const [i, char] of chars.entries()) {
    if (char === '/') parts.push({ chars: [], literal: [] })
    else {
      parts.at(-1)!.chars.push(char)
      parts.at(-1)!.literal.push(literal[i]!)
    }
  }
  return parts
}

async function namesIn(session: Session, folder: string, fits: (name: string) => boolean, most: number): Promise<string[]> {
  const names: string[] = []
  try {
    for await (const { name } of session.vfs.list(session.path(folder))) {
      if (!fits(name)) continue
      if (names.length >= most) throw new FileFlowError('request.invalid', 'Too many names match.')
      names.push(name)
    }
  } catch (error) {
    // what cannot be listed holds no name that matches
    if (codeOf(error) === 'internal' || codeOf(error) === 'request.invalid') throw error
  }
  return names
}

async function isThere(session: Session, typed: string): Promise<boolean> {
  try {
    await session.vfs.lstat(session.path(typed))
    return true
  } catch (error) {
    if (codeOf(error) === 'internal') throw error
    return false
  }
}
