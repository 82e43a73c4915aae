// What a client may type as a path, and that every name a disk can hold survives the way through the gateway.
// Must not touch a disk.
import { randomBytes } from 'node:crypto'
import { test } from 'tap'
import { randomBelow } from '../../src/core/clock.ts'
import {
  baseOf,
  child,
  isWithin,
  nameFromBytes,
  nameToBytes,
  parentOf,
  ROOT,
  toDisplay,
  toVirtualPath,
} from '../../src/core/virtual-path.ts'

const at = (cwd: string, typed: string): string => toVirtualPath(toVirtualPath(ROOT, cwd), typed)
const refused = { code: 'path.invalid' }

test('dots, double slashes and a missing slash lead where a shell would lead', (t) => {
  t.equal(at('/a/b', 'c'), '/a/b/c')
  t.equal(at('/a/b', '../c/./d//e/'), '/a/c/d/e')
  t.equal(at('/a/b', '/x'), '/x')
  t.equal(at('/a', ''), '/a')
  t.equal(at('/a', '...'), '/a/...', 'three dots are a name')
  t.equal(at('/', '.hidden'), '/.hidden')
  t.equal(at('/', 'back\\slash'), '/back\\slash', 'a backslash is a letter')
  t.end()
})

test('no number of dots leads above the root', (t) => {
  t.equal(at('/a/b', '../../../../etc/passwd'), '/etc/passwd')
  t.equal(at('/', '/../..'), '/')
  t.equal(at('/', 'a/../../b'), '/b')
  t.end()
})

test('NUL bytes, reserved names, and names or paths that no disk takes are refused', (t) => {
  t.throws(() => at('/', 'a\0b'), refused)
  t.throws(() => at('/', '.fileflow'), refused)
  t.throws(() => at('/a', 'b/.fileflow/c'), refused)
  t.equal(at('/', '.fileflow/../x'), '/x', 'only where it is still part of the path')
  t.equal(at('/', 'a'.repeat(255)).length, 256)
  t.throws(() => at('/', 'a'.repeat(256)), refused)
  t.throws(() => at('/', 'é'.repeat(128)), refused, 'bytes count, not letters')
  t.throws(() => at('/', '/123456789'.repeat(410)), refused)
  t.throws(() => child(ROOT, '..'), refused)
  t.throws(() => child(ROOT, 'a/b'), refused)
  t.throws(() => child(ROOT, ''), refused)
  t.end()
})

test('parents, names and folders', (t) => {
  t.equal(parentOf(toVirtualPath(ROOT, '/a/b')), '/a')
  t.equal(parentOf(toVirtualPath(ROOT, '/a')), '/')
  t.equal(parentOf(ROOT), '/')
  t.equal(baseOf(toVirtualPath(ROOT, '/a/b')), 'b')
  t.equal(baseOf(ROOT), '')
  t.ok(isWithin(toVirtualPath(ROOT, '/a/b'), toVirtualPath(ROOT, '/a')))
  t.ok(isWithin(toVirtualPath(ROOT, '/a'), ROOT))
  t.notOk(isWithin(toVirtualPath(ROOT, '/ab'), toVirtualPath(ROOT, '/a')), 'a common beginning is no folder')
  t.end()
})

const roundTrips = (bytes: Uint8Array): boolean => Buffer.compare(nameToBytes(nameFromBytes(bytes)), bytes) === 0

test('every one- and two-byte name survives, whatever its bytes', (t) => {
  let wrong = 0
  for (let a = 0; a < 256; a++) {
    if (!roundTrips(Uint8Array.of(a))) wrong++
    for (let b = 0; b < 256; b++) if (!roundTrips(Uint8Array.of(a, b))) wrong++
  }
  t.equal(wrong, 0)
  t.end()
})

test('overlong forms, surrogates, cut characters and too high ones survive', (t) => {
  const odd = [
    'c080',
    'c1bf',
    'e08080',
    'e09fbf',
    'eda080',
    'edbfbf',
    'eda080edb080',
    'f0808080',
    'f08fbfbf',
    'f4908080',
    'f5808080',
    'ff',
    'fe',
    'c3',
    'e282',
    'f09f98',
    'f09f9880f09f98',
    'efbbbf',
    'efbbbf61',
    'efbfbd',
    'c3a9e9',
    'f09f988080',
    '6180c3a9ff62',
  ]
  for (const hex of odd) t.ok(roundTrips(Buffer.from(hex, 'hex')), hex)
  t.end()
})

test('ten thousand random names survive, and are read as the platform reads UTF-8', (t) => {
  const pieces = ['a', 'é', '€', '😀', '\ufeff', '\uffff'].map((text) => Buffer.from(text))
  const loose = new TextDecoder('utf-8', { ignoreBOM: true })
  // with `u` a surrogate that is half of a pair is no match: `[...text]` gives pairs, and some end in this range
  const undecodable = /[\udc80-\udcff]/u
  let wrong = 0
  let differing = 0
  for (let i = 0; i < 10_000; i++) {
    const bytes = Buffer.concat(
      Array.from({ length: randomBelow(12) }, () => (randomBelow(2) ? randomBytes(1 + randomBelow(3)) : pieces[randomBelow(6)]!)),
    )
    if (!roundTrips(bytes)) wrong++
    // the decodable part is what a lenient decoder finds, too
    const strict = nameFromBytes(bytes)
    const kept = [...strict].filter((c) => !undecodable.test(c) && c !== '\ufffd').join('')
    if (kept !== [...loose.decode(bytes)].filter((c) => c !== '\ufffd').join('')) differing++
  }
  t.equal(wrong, 0)
  t.equal(differing, 0)
  t.end()
})

test('what is shown and stored is well-formed, with old Latin-1 names readable', (t) => {
  t.equal(toDisplay(nameFromBytes(Buffer.from('caf\xe9.txt', 'latin1'))), 'café.txt')
  t.equal(toDisplay('plain'), 'plain')
  t.ok(toDisplay(nameFromBytes(Buffer.from('f09f9880ff', 'hex'))).isWellFormed())
  t.equal(toDisplay('\ud800'), '\ufffd')
  t.end()
})

test('a whole packet of undecodable bytes is read without trying every length of every character', (t) => {
  const original = TextDecoder.prototype.decode
  let decoded = 0
  TextDecoder.prototype.decode = function (...args) {
    decoded++
    return original.apply(this, args)
  }
  t.teardown(() => {
    TextDecoder.prototype.decode = original
  })
  const name = nameFromBytes(Buffer.alloc(100_000, 0xff))
  t.equal(name.length, 100_000)
  t.ok(decoded < 10, `${decoded} decodings`)
  t.end()
})
