// The sums behind the throughput chart.
// Must not wait for real time.
import { test } from 'tap'
import { createThroughput } from '../../src/admin/throughput.ts'

test('the chart shows what passed in each step, and forgets after ten minutes', async (t) => {
  let now = Date.parse('2026-11-24T12:00:01Z')
  const meter = createThroughput({ now: () => now })
  t.equal(meter.view().series.length, 120)
  meter.moved('upload', 5000)
  meter.moved('upload', 5000)
  meter.moved('download', 500)
  meter.moved('download', -3)
  t.same(meter.view().series.at(-1), { at: '2026-11-24T11:59:55.000Z', in: 0, out: 0 }, 'a step that still runs is not shown')
  now += 5000
  t.same(meter.view().series.at(-1), { at: '2026-11-24T12:00:00.000Z', in: 2000, out: 100 })
  now += 119 * 5000
  t.same(meter.view().series[0], { at: '2026-11-24T12:00:00.000Z', in: 2000, out: 100 })
  now += 5000
  t.notOk(meter.view().series.some((step) => step.in > 0))
  now += 5000
  meter.moved('upload', 5)
  now += 5000
  t.same(meter.view().series.at(-1), { at: '2026-11-24T12:10:10.000Z', in: 1, out: 0 }, 'a slot that is used again begins anew')
})
