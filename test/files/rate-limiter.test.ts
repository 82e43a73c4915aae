// The token bucket by a clock of our own: how much passes in any stretch of time, whatever the sizes and pauses of what asks.
// Must not wait.
import fc from 'fast-check'
import { test } from 'tap'
import { RateLimiter } from '../../src/files/rate-limiter.ts'

/** Time that only passes while somebody waits. */
function standing() {
  let now = 0
  return {
    now: () => now,
    wait: async (ms: number) => {
      now += ms
    },
    pause: (ms: number) => {
      now += ms
    },
  }
}

test('in no stretch of time more passes than the rate gives, a tenth of a second of burst, and the piece that was under way', async (t) => {
  const step = fc.record({ bytes: fc.integer({ min: 1, max: 40_000 }), pause: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5000 })) })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1000, max: 1_000_000 }), fc.array(step, { minLength: 1, maxLength: 60 }), async (rate, steps) => {
      const time = standing()
      const limiter = new RateLimiter(rate, time.now, time.wait)
      const passed: { at: number; bytes: number }[] = []
      for (const { bytes, pause } of steps) {
        time.pause(pause)
        passed.push({ at: time.now(), bytes })
        await limiter.take(bytes)
      }
      for (let from = 0; from < passed.length; from++) {
        let sum = 0
        for (const { at, bytes } of passed.slice(from)) {
          // the last piece goes before it is waited for: that is what comes on top
          const most = ((at - passed[from]!.at) / 1000) * rate + rate / 10 + bytes
          sum += bytes
          if (sum > most + 1) return false
        }
      }
      return true
    }),
  )
  t.end()
})

test('what is asked for without a pause flows at the rate, evenly', async (t) => {
  const time = standing()
  const limiter = new RateLimiter(100_000, time.now, time.wait)
  const seconds = new Map<number, number>()
  while (time.now() < 20_000) {
    const second = Math.floor(time.now() / 1000)
    seconds.set(second, (seconds.get(second) ?? 0) + 12_500)
    await limiter.take(12_500)
  }
  for (const bytes of seconds.values()) t.ok(Math.abs(bytes - 100_000) <= 12_500, `${bytes}`)
  t.end()
})

test('a rate that changes counts at once, and none holds nobody', async (t) => {
  const waits: number[] = []
  const limiter = new RateLimiter(
    1000,
    () => 0,
    async (ms) => void waits.push(ms),
  )
  await limiter.take(1000)
  limiter.setRate(10_000)
  await limiter.take(1000)
  limiter.setRate(null)
  t.equal(limiter.take(1_000_000), undefined)
  t.same(waits, [1000, 100])
  t.end()
})
