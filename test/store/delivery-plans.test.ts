// How SQLite goes about the statements that run for every finished file, on a database that was never analysed.
// Must not measure time: the plan says whether the cost grows with the backlog.
import { test } from 'tap'
import { createDeliveryRows } from '../../src/store/deliveries.ts'
import { preparedBy } from './temp-store.ts'

test('what is done for one file’s deliveries looks at these alone, however many others wait', (t) => {
  const { statements, planOf } = preparedBy(t, createDeliveryRows)
  const ofOneFile = statements.filter((sql) => /\b(FROM|UPDATE) deliveries\b[^;]*WHERE transfer_id = /.test(sql))
  t.ok(ofOneFile.length >= 7)
  for (const sql of ofOneFile) {
    t.match(planOf(sql)[0]!, /SEARCH deliveries .*\(transfer_id=\?/, sql)
  }
  const [overtaken] = statements.filter((sql) => /AS newer\b/.test(sql))
  const details = planOf(overtaken!)
  t.match(details[1], /SEARCH newer USING INDEX deliveries_arrived \(destination=\? AND remote_path=\?/)
  t.end()
})
