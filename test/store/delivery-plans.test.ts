// How SQLite goes about the statements that run for every finished file, on a database that was never analysed.
// Must not measure time: the plan says whether the cost grows with the backlog.
import { test } from 'tap'
import { openDatabase } from '../../src/store/database.ts'
import { createDeliveryRows } from '../../src/store/deliveries.ts'

test('what is done for one file’s deliveries looks at these alone, however many others wait', (t) => {
  const db = openDatabase(':memory:')
  t.teardown(() => db.close())
  const statements: string[] = []
  const prepare = db.prepare.bind(db)
  db.prepare = ((sql: string) => {
    statements.push(sql)
    return prepare(sql)
  }) as typeof db.prepare
  createDeliveryRows(db)
  const ofOneFile = statements.filter((sql) => /\b(FROM|UPDATE) deliveries\b[^;]*WHERE transfer_id = /.test(sql))
  t.ok(ofOneFile.length >= 7)
  for (const sql of ofOneFile) {
    const [first] = prepare(`EXPLAIN QUERY PLAN ${sql.replace(/@\w+|\?/g, '1')}`).all() as { detail: string }[]
    t.match(first!.detail, /SEARCH deliveries .*\(transfer_id=\?/, sql)
  }
  const [overtaken] = statements.filter((sql) => /AS newer\b/.test(sql))
  const details = (prepare(`EXPLAIN QUERY PLAN ${overtaken!.replace('?', '1')}`).all() as { detail: string }[]).map(({ detail }) => detail)
  t.match(details[1], /SEARCH newer USING INDEX deliveries_arrived \(destination=\? AND remote_path=\?/)
  t.end()
})
