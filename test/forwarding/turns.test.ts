// Whose turn it is in the forwarder, and how places are shared out: pure, so with plain numbers.
// Must not start a forwarder.
import { test } from 'tap'
import { createPaces, shareOut } from '../../src/forwarding/shares.ts'
import { createTurns } from '../../src/forwarding/turns.ts'

const PLACES = { concurrency: 4, per_destination: 3 }

function setUp(placeOf: (item: string) => number = () => 1) {
  const begun: string[] = []
  return { begun, turns: createTurns<string>((item) => begun.push(item), placeOf) }
}

test('nothing begins beyond the limits, but each destination has one place', async (t) => {
  const { begun, turns } = setUp()
  turns.add('a', ['a1', 'a2', 'a3', 'a4', 'a5'], 4, PLACES)
  t.same(begun, ['a1', 'a2', 'a3'], 'no more than one destination may have')
  turns.add('b', ['b1', 'b2'], 4, PLACES)
  t.same(begun.slice(3), ['b1'], 'no more than there are in all')
  turns.add('c', ['c1', 'c2'], 4, PLACES)
  t.same(begun.slice(4), ['c1'], 'the first of each in any case')
  turns.ended('a', 'a1')
  t.same(begun.slice(5), [], 'what was too much is worked off first')
  turns.ended('a', 'a2')
  t.equal(begun.length, 6)
})

test('destinations take turns', async (t) => {
  const { begun, turns } = setUp()
  const one = { concurrency: 2, per_destination: 2 }
  turns.add('a', ['a1', 'a2', 'a3', 'a4'], 4, one)
  turns.add('b', ['b1', 'b2', 'b3', 'b4'], 4, one)
  for (let i = 0; i < begun.length; i++) turns.ended(begun[i]![0]!, begun[i]!)
  t.same([...begun].sort(), ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'b3', 'b4'], 'each once')
  t.ok(begun.indexOf('b4') < 8 && begun.indexOf('b1') <= 3, 'and none after all of another')
})

test('small ones share a place', async (t) => {
  const { begun, turns } = setUp((item) => (item.startsWith('s') ? 0.25 : 1))
  turns.add('a', ['s1', 's2', 's3', 's4', 's5', 's6', 's7', 's8', 's9'], 2, PLACES)
  t.equal(begun.length, 8, 'four in each of its two')
  turns.add('b', ['l1', 'l2', 'l3'], 4, PLACES)
  t.same(begun.slice(8), ['l1', 'l2'])
})

test('what has not begun can be had back, by any mark', async (t) => {
  const { begun, turns } = setUp()
  turns.add('a', ['a1', 'a2', 'a3', 'a4', 'a5'], 1, PLACES)
  t.same(
    turns.withdraw((item) => item === 'a1' || item === 'a3'),
    ['a3'],
    'a1 has begun',
  )
  t.same(
    turns.withdraw((_, name) => name === 'a'),
    ['a2', 'a4', 'a5'],
  )
  t.equal(turns.waiting(), 0)
  turns.ended('a', 'a1')
  t.same(begun, ['a1'])
})

test('places are shared out evenly, each wish at most, and nobody goes without', async (t) => {
  const share = (wants: Record<string, number>, places: number, turn = 0) =>
    Object.fromEntries(shareOut(new Map(Object.entries(wants)), places, turn))
  t.same(share({ a: 4, b: 4 }, 8), { a: 4, b: 4 })
  t.same(share({ a: 4, b: 4, c: 4 }, 8), { a: 3, b: 3, c: 2 })
  t.same(share({ a: 4, b: 4, c: 4 }, 8, 1), { a: 2, b: 3, c: 3 }, 'the rest goes round')
  t.same(share({ a: 1, b: 4, c: 0 }, 4), { a: 1, b: 3 })
  t.same(share({ a: 4, b: 4, c: 4 }, 2), { a: 1, b: 1, c: 1 })
  t.same(share({}, 8), {})
})

test('the faster a destination, the more waits for it, within bounds', async (t) => {
  const paces = createPaces()
  t.equal(paces.ahead('hq', 4), 0, 'nothing is known yet')
  paces.took('hq', 100)
  t.equal(paces.ahead('hq', 4), 8)
  for (let i = 0; i < 100; i++) paces.took('hq', 0)
  t.equal(paces.ahead('hq', 4), 160)
  for (let i = 0; i < 100; i++) paces.took('hq', 60_000)
  t.equal(paces.ahead('hq', 4), 0)
  paces.forget('hq')
  t.equal(paces.ahead('hq', 4), 0)
})
