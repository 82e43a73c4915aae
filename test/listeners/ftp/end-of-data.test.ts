// How long the end of an upload is doubted that nothing but a live control connection speaks for.
// Must not wait for anything.
import { test } from 'tap'
import { type DataEnd, doubtMs } from '../../../src/listeners/ftp/end-of-data.ts'

test('the end of a plain upload is doubted longer the longer it took and the more processes wait; on a quiet machine a short one loses nothing', (t) => {
  const quiet = { runnable: 2, processors: 2 }
  const doubted = (what: Partial<DataEnd>, queue = quiet): number => doubtMs({ tookMs: 10, unmarked: false, ...what }, queue)
  t.ok(doubted({}) < 1, 'on a quiet machine')
  t.ok(doubted({ tookMs: 400 }) > doubted({ tookMs: 100 }), 'by the time it took')
  t.ok(doubted({ tookMs: 3_600_000 }) < 100, 'within bounds')
  t.ok(doubted({}, { runnable: 14, processors: 2 }) > 40, 'fourteen processes on two processors')
  t.ok(doubted({}, { runnable: 14, processors: 16 }) < 1, 'fourteen on sixteen')
  t.ok(doubted({}, { runnable: 100_000, processors: 1 }) < 500, 'within bounds')
  t.ok(doubted({ unmarked: true }) > 10, 'over TLS without its end mark')
  t.end()
})
