// What a search among many transfers promises: it finds all that fit, page after page, and lets others have their turn.
// Must not measure time.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { newId } from '../../src/core/clock.ts'
import { createAuditLog } from '../../src/store/audit.ts'
import { openDatabase } from '../../src/store/database.ts'
import { createDeliveryRows } from '../../src/store/deliveries.ts'
import { createTransferRows } from '../../src/store/transfers.ts'

const NOW = Date.parse('2026-11-24T10:00:00Z')
const ROWS = 12_000

test('a text search finds every transfer that fits, newest first, page after page, in steps', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'fileflow-search-'))
  const db = openDatabase(join(dir, 'a.db'))
  t.teardown(() => {
    db.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const rows = createTransferRows(db)
  db.exec("INSERT INTO sessions VALUES ('s', 'u', 'sftp', '192.0.2.1', 1, 'password', '', 'closed', 1, 1, 'over')")
  const insert = db.prepare(
    `INSERT INTO transfers (id, session_id, username, partner, protocol, address, direction, path, state, start_offset, started_at, ended_at)
     VALUES (?, 's', ?, '', 'sftp', '192.0.2.1', 'upload', ?, 'completed', 0, ?, ?)`,
  )
  db.transaction(() => {
    for (let n = 0; n < ROWS; n++) {
      const at = NOW + n * 1000
      insert.run(newId(at), n % 2 === 0 ? 'even' : 'odd', n % 1000 === 7 ? `/in/Rare_${n}.xml` : `/in/${n}.xml`, at, at)
    }
  })()
  const found: string[] = []
  for (let before: string | undefined; ; ) {
    const page = await rows.list({ q: 'rare_', before, limit: 5 })
    found.push(...page.map((row) => row.path))
    before = page.at(-1)?.id
    if (page.length < 5) break
  }
  t.same(
    found,
    Array.from({ length: 12 }, (_, i) => `/in/Rare_${(11 - i) * 1000 + 7}.xml`),
  )
  let turns = 0
  let over = false
  const turn = (): void => {
    turns++
    if (!over) setImmediate(turn)
  }
  turn()
  t.same(await rows.list({ q: 'in no name', limit: 5 }), [])
  over = true
  t.ok(turns > 1, 'others had their turn')
  const paths = async (query: Parameters<typeof rows.list>[0]) => (await rows.list(query)).map((row) => row.path)
  t.same(await paths({ q: 'rare', since: NOW + 10_500_000, limit: 50 }), ['/in/Rare_11007.xml'])
  t.same(await paths({ q: 'rare', until: NOW + 1_500_000, limit: 50 }), ['/in/Rare_1007.xml', '/in/Rare_7.xml'])
  t.same(await paths({ q: 'rare', user: 'even', limit: 50 }), [])
  t.same(await paths({ q: '100%', limit: 50 }), [], 'wildcards are taken literally')
  const filters: Partial<Parameters<typeof rows.list>[0]>[] = [
    { protocol: 'ftp' },
    { direction: 'download' },
    { state: 'completed', user: 'nobody' },
    { state: 'completed', protocol: 'ftp' },
    { user: 'odd', direction: 'download' },
    { protocol: 'ftp', since: NOW },
    { session: 's', protocol: 'ftp' },
  ]
  for (const filter of filters) {
    let turned = false
    setImmediate(() => (turned = true))
    t.same(await rows.list({ ...filter, limit: 5 }), [])
    t.ok(turned, `others had their turn: ${Object.keys(filter).join()}`)
  }
  t.same(await paths({ user: 'odd', state: 'completed', protocol: 'sftp', limit: 2 }), ['/in/11999.xml', '/in/11997.xml'])
})

test('a text search among many deliveries finds all that fit in steps, too', async (t) => {
  const db = openDatabase(':memory:')
  t.teardown(() => db.close())
  const rows = createDeliveryRows(db)
  db.pragma('foreign_keys = OFF')
  const insert = db.prepare(
    `INSERT INTO deliveries (id, transfer_id, rule, destination, username, path, remote_path, temp_name, on_conflict, after, size, sha256, state, created_at, updated_at)
     VALUES (@id, @id, 'r', @to, 'u', @path, @path, 't', 'overwrite', 'keep', 1, '', @state, 1, 1)`,
  )
  db.transaction(() => {
    for (let n = 0; n < ROWS; n++)
      insert.run({
        id: newId(NOW + n * 1000),
        to: n % 2 === 0 ? 'even' : 'odd',
        state: n % 3 === 0 ? 'dead' : 'delivered',
        path: n % 1000 === 7 ? `/in/Rare_${n}.xml` : `/in/${n}.xml`,
      })
  })()
  const found: string[] = []
  for (let before: string | undefined; ; ) {
    const page = await rows.list({ q: 'rare_', destination: 'odd', before, limit: 5 })
    found.push(...page.map((row) => row.path))
    before = page.at(-1)?.id
    if (page.length < 5) break
  }
  t.same(
    found,
    Array.from({ length: 12 }, (_, i) => `/in/Rare_${(11 - i) * 1000 + 7}.xml`),
  )
  let turned = false
  setImmediate(() => (turned = true))
  t.same(await rows.list({ q: 'in no name', limit: 5 }), [])
  t.ok(turned, 'others had their turn')
  const pages: string[] = []
  for (let before: string | undefined; ; ) {
    const page = await rows.list({ destination: 'odd', before, limit: 1000 })
    pages.push(...page.map((row) => row.path))
    before = page.at(-1)?.id
    if (page.length < 1000) break
  }
  t.same(
    pages.map((path) => Number(/\d+/.exec(path))),
    Array.from({ length: ROWS / 2 }, (_, i) => ROWS - 1 - 2 * i),
    'of one destination, in all states, newest first',
  )
  for (const filter of [
    { rule: 'r', state: 'cancelled' },
    { rule: 'r', destination: 'none' },
  ]) {
    turned = false
    setImmediate(() => (turned = true))
    t.same(await rows.list({ ...filter, limit: 5 }), [])
    t.ok(turned, `others had their turn: ${Object.keys(filter).join()}`)
  }
})

test('what somebody did of one kind is looked for in the audit log in steps', async (t) => {
  const db = openDatabase(':memory:')
  t.teardown(() => db.close())
  const log = createAuditLog(db)
  db.transaction(() => {
    for (let at = 1; at <= 3000; at++)
      log.append({ at, actor: 'alice', address: '', action: at === 5 ? 'rare' : 'login', object: '', outcome: 'ok' })
  })()
  let turned = false
  setImmediate(() => (turned = true))
  t.same(
    (await log.search({ actor: 'alice', action: 'rare', limit: 5 })).map(({ seq }) => seq),
    [5],
  )
  t.ok(turned, 'others had their turn')
})
