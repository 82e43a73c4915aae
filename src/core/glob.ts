// Globs: `*` one level, `**` any depth, `?` one character, `[abc]` a class, `{a,b}` alternatives. Matching takes linear-ish time: no backtracking regex is built.
// Must not read a disk.
import { FileFlowError } from './errors.ts'

type Token =
  | { kind: 'char'; char: string }
  | { kind: 'any' }
  | { kind: 'star' }
  | { kind: 'deep' }
  /** Before a `deep` and its slash: both may be left out. */
  | { kind: 'maybe' }
  | { kind: 'class'; not: boolean; ranges: [string, string][] }

/** A test for whole paths. @throws FileFlowError `request.invalid` for a pattern that never ends or explodes. */
export function globMatcher(pattern: string): (text: string) => boolean {
  const alternatives = expandBraces(pattern).map(tokenize)
  return (text) => {
    const chars = [...text]
    return alternatives.some((tokens) => matches(tokens, chars))
  }
}

/**
 * A test for single names, as a shell matches them (POSIX shell §2.13): `*`, `?` and `[…]` alone, and none of them where `literal` says that the character at that place is meant as itself.
 * A dot at the beginning has to be named.
 */
export function nameMatcher(pattern: readonly string[], literal: readonly boolean[]): (name: string) => boolean {
  const tokens: Token[] = []
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!
    const end = char === '[' && !literal[i] ? pattern.findIndex((one, at) => at > i + 1 && one === ']' && !literal[at]) : -1
    if (end !== -1) {
      tokens.push(charClass(pattern.slice(i + 1, end)))
      i = end
    } else tokens.push(literal[i] || (char !== '*' && char !== '?') ? { kind: 'char', char } : { kind: char === '*' ? 'star' : 'any' })
  }
  return (name) => (!name.startsWith('.') || pattern[0] === '.') && matches(tokens, [...name])
}

const MOST_ALTERNATIVES = 256

function expandBraces(pattern: string): string[] {
  const open = pattern.indexOf('{')
  if (open === -1) return [pattern]
  let depth = 0
  const cuts: number[] = [open]
  for (let i = open; i < pattern.length; i++) {
    const c = pattern[i]
    if (c === '{') depth++
    else if (c === ',' && depth === 1) cuts.push(i)
    else if (c === '}' && --depth === 0) {
      cuts.push(i)
      const head = pattern.slice(0, open)
      const tail = pattern.slice(i + 1)
      const all = cuts.slice(1).flatMap((cut, k) => expandBraces(head + pattern.slice(cuts[k]! + 1, cut) + tail))
      if (all.length > MOST_ALTERNATIVES) throw new FileFlowError('request.invalid', `pattern ${pattern}: too many alternatives`)
      return all
    }
  }
  throw new FileFlowError('request.invalid', `pattern ${pattern}: a { without its }`)
}

function tokenize(pattern: string): Token[] {
  const chars = [...pattern]
  const tokens: Token[] = []
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i]!
    if (char === '*' && chars[i + 1] === '*') {
      while (chars[i + 1] === '*') i++
      tokens.push({ kind: 'deep' })
    } else if (char === '*') tokens.push({ kind: 'star' })
    else if (char === '?') tokens.push({ kind: 'any' })
    else if (char === '[') {
      const end = chars.indexOf(']', i + 2)
      if (end === -1) throw new FileFlowError('request.invalid', `pattern ${pattern}: a [ without its ]`)
      tokens.push(charClass(chars.slice(i + 1, end)))
      i = end
    } else {
      tokens.push({ kind: 'char', char })
      // `/a/**\/x` also means `/a/x`: each `/**\/` may stand for no folder at all
      while (char === '/' && chars[i + 1] === '*' && chars[i + 2] === '*' && chars[i + 3] === '/') {
        tokens.push({ kind: 'maybe' }, { kind: 'deep' }, { kind: 'char', char })
        i += 3
      }
    }
  }
  return tokens
}

function charClass(body: string[]): Token {
  const not = body[0] === '!' || body[0] === '^'
  const ranges: [string, string][] = []
  for (let i = not ? 1 : 0; i < body.length; i++) {
    if (body[i + 1] === '-' && body[i + 2] !== undefined) {
      ranges.push([body[i]!, body[i + 2]!])
      i += 2
    } else ranges.push([body[i]!, body[i]!])
  }
  return { kind: 'class', not, ranges }
}

/** Set-of-positions simulation: pattern length times text length at the worst, whatever the pattern. */
function matches(tokens: readonly Token[], chars: readonly string[]): boolean {
  let at = new Set<number>([0])
  spread(tokens, at)
  for (const char of chars) {
    const next = new Set<number>()
    for (const i of at) {
      const token = tokens[i]
      if (token === undefined) continue
      if (token.kind === 'deep' || (token.kind === 'star' && char !== '/')) next.add(i)
      else if (accepts(token, char)) next.add(i + 1)
    }
    if (next.size === 0) return false
    spread(tokens, next)
    at = next
  }
  return at.has(tokens.length)
}

function spread(tokens: readonly Token[], at: Set<number>): void {
  for (const i of at) {
    const kind = tokens[i]?.kind
    if (kind === 'star' || kind === 'deep' || kind === 'maybe') at.add(i + 1)
    if (kind === 'maybe') at.add(i + 3)
  }
}

function accepts(token: Token, char: string): boolean {
  if (token.kind === 'char') return token.char === char
  if (char === '/') return false
  if (token.kind === 'any') return true
  return token.kind === 'class' && token.ranges.some(([from, to]) => char >= from && char <= to) !== token.not
}
