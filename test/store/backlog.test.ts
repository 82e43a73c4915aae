// Very many deliveries wait: what that costs, as the plans of the queries say and as the rows show. No time is measured.
// Must not take long: rows are made by SQL.
import { type Test, test } from 'tap'
import { openDatabase } from '../../src/store/database.ts'
import { createDeliveryRows } from '../../src/store/deliveries.ts'
import { createTransferRows } from '../../src/store/transfers.ts'

/** The promise is for a million; FILEFLOW_TEST_BACKLOG=1000000 takes a quarter of a minute of one core to make them. */
const COUNT = Number(process.env.FILEFLOW_TEST_BACKLOG ?? 200_000)

function million(t: Test, count: number, remote: string, bulk: boolean) {
  const db = openDatabase(':memory:')
  t.teardown(() => db.close())
  db.pragma('foreign_keys = OFF')
  db.pragma('synchronous = OFF')
  db.exec(`INSERT INTO sessions VALUES ('s', 'u', 'sftp', 'a', 1, 'password', 'c', 'closed', 1, 1, NULL)`)
  // triggers and indexes are made anew afterwards: row by row they would take most of the test's time
  const made = db
    .prepare("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'deliveries' AND type IN ('trigger', 'index') AND sql IS NOT NULL")
    .all() as {
    type: string
    name: string
    sql: string
  }[]
  if (bulk) for (const { type, name } of made) db.exec(`DROP ${type} ${name}`)
  db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
    INSERT INTO deliveries (id, transfer_id, rule, destination, username, path, remote_path, temp_name, on_conflict, after, size, sha256, state, next_at, created_at, updated_at)
    SELECT printf('%020d', i), printf('t%019d', i), 'r', 'd' || (i % 10), 'u', '/p', ${remote}, 'p', 'overwrite', 'keep', 1, 'x', 'pending', 1000 + i, i, i FROM n`)
  if (bulk) {
    for (const { sql } of made) db.exec(sql)
    db.exec('INSERT INTO delivery_counts SELECT destination, state, count(*) FROM deliveries GROUP BY 1, 2')
  }
  return { db, rows: createDeliveryRows(db) }
}

/** Statements that the queue runs for each delivery, as they are in the code. */
function plansOf(db: ReturnType<typeof openDatabase>): { sql: string; plan: string }[] {
  const asked: string[] = []
  const real = db.prepare.bind(db)
  const spy = new Proxy(db, {
    get(target, key) {
      if (key === 'prepare')
        return (sql: string) => {
          asked.push(sql)
          return real(sql)
        }
      const value = Reflect.get(target, key) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  createDeliveryRows(spy)
  return asked.map((sql) => {
    const holes = [...new Set(sql.match(/@\w+/g) ?? [])].map((name) => name.slice(1))
    const explained = real(`EXPLAIN QUERY PLAN ${sql}`)
    const values = holes.length > 0 ? [Object.fromEntries(holes.map((name) => [name, null]))] : (sql.match(/\?/g) ?? []).map(() => null)
    return { sql, plan: (explained.all(...values) as { detail: string }[]).map(({ detail }) => detail).join('; ') }
  })
}

test('no question that the queue asks of a long backlog goes through all of it or sorts it', (t) => {
  const db = openDatabase(':memory:')
  t.teardown(() => db.close())
  const plans = plansOf(db)
  t.ok(plans.length > 30, 'every statement of the queue')
  for (const { sql, plan } of plans) {
    // these tables hold a row per destination and state
    if (/FROM (delivery_counts|breakers)\b/.test(sql)) continue
    t.notMatch(plan, /SCAN (?!.*CONSTANT ROW)/, `${sql}\n${plan}`)
    if (/dueAt|ORDER BY next_at/.test(sql)) t.notMatch(plan, /TEMP B-TREE/, `${sql}\n${plan}`)
  }
  const due = plans.find(({ sql }) => sql.includes('ORDER BY next_at, id'))!
  t.match(due.plan, /SEARCH deliveries USING INDEX deliveries_due \(destination=\? AND next_at<\?\)/)
  t.match(plans.find(({ sql }) => sql.includes('min(next_at)'))!.plan, /USING (COVERING )?INDEX deliveries_next/)
  t.end()
})

test('with very many waiting the next one is found, claimed and settled by its index, and the counts are at hand', (t) => {
  const { db, rows } = million(t, COUNT, "'f' || i", true)
  t.same(rows.counts(), { pending: COUNT, running: 0, retrying: 0, dead: 0, oldest: 1 })
  t.equal(rows.countWaitingFor('d3'), COUNT / 10)
  // a claim that looked at every row would need minutes for these
  for (let i = 0; i < 1000; i++) {
    const [row] = rows.due('d3', 2e9, 1)
    const started = rows.start(row!.id, 2e9, '1.1')
    rows.failed(started.id, started.attempt, 2e9, { code: 'remote.lost', message: '' }, false, null)
  }
  t.same(rows.counts(), { pending: COUNT - 1000, running: 0, retrying: 0, dead: 1000, oldest: 1 })
  t.match(rows.health('d3'), { pending: COUNT / 10 - 1000, dead: 1000 })
  t.same(createTransferRows(db).spooledForNothing(), [])
  t.end()
})

test('a long line for one remote name moves one by one, in order, and is as fast', (t) => {
  const { rows } = million(t, 20_000, "'same'", false)
  const order: string[] = []
  for (let i = 0; i < 500; i++) {
    const found = rows.due('d3', 2e9, 4)
    t.equal(found.length, 1, 'only the first of the line')
    const started = rows.start(found[0]!.id, 2e9, '1.1')
    if (i < 3) t.same(rows.due('d3', 2e9, 4), [], 'nothing while it runs')
    rows.failed(started.id, started.attempt, 2e9, { code: 'remote.lost', message: '' }, false, null)
    order.push(started.id)
  }
  t.same(order, [...order].sort())
  t.equal(new Set(order).size, 500)
  // one that comes back by hand is older than the line: it goes first
  rows.again(order[0]!, 2e9)
  t.equal(rows.due('d3', 2e9, 4)[0]!.id, order[0])
  t.end()
})
