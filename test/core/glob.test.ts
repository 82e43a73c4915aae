// Patterns of rules, excludes and listings: what they match, and that none of them costs more than its length allows.
// Must not read a disk.
import { test } from 'tap'
import { globMatcher } from '../../src/core/glob.ts'

const table: [pattern: string, matches: string[], others: string[]][] = [
  ['/in/*', ['/in/a', '/in/.a', '/in/a b'], ['/in/a/b', '/in', '/inn/a']],
  ['/in/**', ['/in/a', '/in/a/b/c'], ['/in', '/other/in/a']],
  ['/in/**/*.csv', ['/in/a.csv', '/in/x/a.csv', '/in/x/y/a.csv'], ['/in/a.txt', '/ina.csv', '/in/x/a.csv/b']],
  ['/**/x/**/y', ['/x/y', '/a/x/b/c/y', '/x/a/y'], ['/xy', '/x', '/a/xy']],
  ['/a/**/**/b', ['/a/b', '/a/c/b', '/a/c/d/b'], ['/ab', '/a/xb/c']],
  ['**', ['/', '/a', '/a/b'], []],
  ['*.tmp', ['a.tmp', '.tmp'], ['a.tmp.x', 'd/a.tmp']],
  ['.~*', ['.~lock.a#'], ['~lock', 'a.~b']],
  ['/a?c', ['/abc', '/a😀c', '/aéc'], ['/ac', '/a/c', '/abbc']],
  ['/[a-c]x', ['/ax', '/cx'], ['/dx', '/-x', '//x']],
  ['/[!a-c]x', ['/dx', '/-x'], ['/ax', '//x']],
  ['/[^a]', ['/b'], ['/a', '/']],
  ['/[]a]', ['/]', '/a'], ['/b']],
  ['/{in,out}/*.{csv,txt}', ['/in/a.csv', '/out/b.txt'], ['/in/a.pdf', '/x/a.csv']],
  ['/{a,{b,c}d}', ['/a', '/bd', '/cd'], ['/b', '/d']],
  ['/a.b+(c)$', ['/a.b+(c)$'], ['/aXb+(c)$']],
  ['', [''], ['a']],
]

for (const [pattern, matches, others] of table) {
  test(`the pattern ${pattern || '(empty)'} takes what it says and nothing else`, (t) => {
    const fits = globMatcher(pattern)
    for (const text of matches) t.ok(fits(text), text)
    for (const text of others) t.notOk(fits(text), text)
    t.end()
  })
}

test('a pattern without its end is refused with its name', (t) => {
  for (const pattern of ['/a{b', '/a[b', '/[']) t.throws(() => globMatcher(pattern), { code: 'request.invalid', message: /pattern/ })
  t.end()
})

test('patterns that would multiply without end are refused', (t) => {
  t.throws(() => globMatcher('{a,b}'.repeat(20)), { code: 'request.invalid', message: /too many/ })
  t.throws(() => globMatcher(`{${'a,'.repeat(300)}}`), { code: 'request.invalid' })
  t.end()
})

/** Steps of the matcher, counted where it looks at a set of positions. */
function steps(pattern: string, text: string): number {
  const fits = globMatcher(pattern)
  const original = Set.prototype.add
  let count = 0
  Set.prototype.add = function (value) {
    count++
    return original.call(this, value)
  }
  try {
    fits(text)
  } finally {
    Set.prototype.add = original
  }
  return count
}

test('no pattern costs more steps than its length times the length of the path', (t) => {
  const evil: [string, string][] = [
    [`${'*a'.repeat(50)}b`, 'a'.repeat(500)],
    [`${'**/'.repeat(50)}b`, 'a/'.repeat(250)],
    [`${'/**'.repeat(30)}/x`, '/a'.repeat(250)],
    [`${'/**/a'.repeat(30)}/x`, '/a'.repeat(250)],
    [`${'?*'.repeat(50)}`, 'a'.repeat(500)],
  ]
  for (const [pattern, text] of evil) t.ok(steps(pattern, text) <= 4 * (pattern.length + 1) * (text.length + 1), pattern.slice(0, 20))
  t.end()
})

test('folders in between do not multiply a pattern', (t) => {
  t.doesNotThrow(() => globMatcher(`${'/**/a'.repeat(200)}/x`))
  t.ok(globMatcher(`${'/**/a'.repeat(60)}/x`)(`${'/a'.repeat(60)}/x`))
  t.end()
})
