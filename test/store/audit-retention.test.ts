// What retention promises of the audit log: the old rows go, the chain of the rest can still be checked, and nobody else can shorten it unseen.
// Must not wait for real years.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createAuditLog } from '../../src/store/audit.ts'
import { openDatabase } from '../../src/store/database.ts'

const DAY = 86_400_000

function make(t: Test, rows: number) {
  const dir = mkdtempSync(join(tmpdir(), 'fileflow-audit-'))
  const db = openDatabase(join(dir, 'a.db'))
  t.teardown(() => {
    db.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const audit = createAuditLog(db)
  db.transaction(() => {
    for (let day = 1; day <= rows; day++)
      audit.append({
        at: day * DAY,
        actor: `user:${day % 7}`,
        address: '192.0.2.1',
        action: 'login',
        object: `file-${day}.xml`,
        outcome: 'ok',
      })
  })()
  return { db, audit }
}

test('pruning removes the old, a batch at a time, and the rest still fits', async (t) => {
  const { audit } = make(t, 100)
  t.equal(audit.prune(61 * DAY, 100 * DAY, 40), 40)
  t.match(audit.verify(), { ok: true, first: 41, broken: null })
  t.equal(audit.prune(61 * DAY, 100 * DAY, 40), 20)
  t.equal(audit.prune(61 * DAY, 100 * DAY, 40), 0, 'nothing is left to remove')
  t.same(await audit.verifyInSteps(), { ok: true, rows: 42, broken: null, first: 61 })
  t.match(audit.list({ limit: 1 }), [{ action: 'audit.prune', actor: 'gateway', detail: { through: 60, rows: 20 } }])
  audit.append({ at: 101 * DAY, actor: 'a', address: '', action: 'x', object: 'y', outcome: 'ok' })
  t.ok(audit.verify().ok)
  audit.prune(1000 * DAY, 1000 * DAY, 1000)
  t.match(audit.verify(), { ok: true, rows: 1 }, 'even when all of it is old')
})

test('rows that were removed by hand, or an anchor moved by hand, are found', async (t) => {
  const { audit, db } = make(t, 50)
  audit.prune(11 * DAY, 50 * DAY, 100)
  t.ok(audit.verify().ok)
  db.prepare('DELETE FROM audit WHERE seq = 11').run()
  t.match(audit.verify(), { ok: false, broken: 12 })
  const next = db.prepare('SELECT hash FROM audit WHERE seq = 20').pluck().get()
  db.prepare('DELETE FROM audit WHERE seq <= 20').run()
  db.prepare('UPDATE audit_anchor SET seq = 20, hash = ?').run(next)
  t.match(audit.verify(), { ok: false, broken: 21 }, 'no row of the chain tells of this anchor')
})

test('text and times are searched in steps between which others get their turn', async (t) => {
  const { audit } = make(t, 12_000)
  let turns = 0
  let over = false
  const turn = () => {
    turns++
    if (!over) setImmediate(turn)
  }
  turn()
  const found = await audit.search({ q: 'FILE-17.xml', limit: 10 })
  over = true
  t.ok(turns > 1)
  t.same(
    found.map((row) => row.object),
    ['file-17.xml'],
  )
  const window = await audit.search({ since: 100 * DAY, until: 102 * DAY, limit: 10 })
  t.same(
    window.map((row) => row.seq),
    [102, 101, 100],
  )
  t.same(await audit.search({ outcome: 'failed', limit: 10 }), [], 'a rare outcome is searched in steps, too')
  const [first, second] = [await audit.search({ q: 'user:3', limit: 2 }), await audit.search({ q: 'user:3', before: 11_000, limit: 2 })]
  t.equal(first.length, 2)
  t.ok(second[0]!.seq < 11_000)
  t.match(await audit.verifyInSteps(), { ok: true, rows: 12_000 })
})
