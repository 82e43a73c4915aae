// What retention promises: old records go, what is still owed or young stays, and a receipt is kept as long as it was said.
// Must not wait for real days.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { newId } from '../../src/core/clock.ts'
import { enforceRetention } from '../../src/intake/retention.ts'
import { openDatabase } from '../../src/store/database.ts'
import { openStore } from '../../src/store/store.ts'

const DAY = 86_400_000
const NOW = Date.parse('2026-11-24T10:00:00Z')

function make(t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'fileflow-retention-'))
  const store = openStore(dir, 'process')
  const db = openDatabase(join(dir, 'fileflow.db'))
  t.teardown(() => {
    db.close()
    store.close()
    rmSync(dir, { recursive: true, force: true })
  })
  /** A file of so many days ago with one delivery. */
  const file = (days: number, delivery: string | null, spool: string | null = null, receiptDays = days): string => {
    const at = NOW - days * DAY
    const id = newId(at)
    const row = { id, at, spool: spool === null ? null : Buffer.from(spool), delivery }
    db.prepare("INSERT INTO sessions VALUES (@id, 'u', 'sftp', '192.0.2.1', 1, 'password', '', 'closed', @at, @at, 'over')").run({ id, at })
    db.prepare(
      `INSERT INTO transfers (id, session_id, username, partner, protocol, address, direction, path, state, start_offset, started_at, ended_at, spool)
       VALUES (@id, @id, 'u', '', 'sftp', '192.0.2.1', 'upload', '/a', 'completed', 0, @at, @at, @spool)`,
    ).run({ id, at, spool: row.spool })
    if (delivery !== null) {
      db.prepare(
        `INSERT INTO deliveries (id, transfer_id, rule, destination, username, path, remote_path, temp_name, on_conflict, after, size, sha256, state, retry_from, created_at, updated_at)
         VALUES (@id, @id, 'r', 'd', 'u', '/a', '/a', 't', 'overwrite', 'keep', 0, '', @delivery, @at, @at, @at)`,
      ).run({ id, at, delivery })
      db.prepare('INSERT INTO attempts (delivery_id, number, started_at) VALUES (?, 1, ?)').run(id, at)
      if (delivery === 'delivered')
        db.prepare(
          "INSERT INTO receipts (delivery_id, remote_path, size, sha256, verified, outcome, at) VALUES (?, '/a', 0, '', 'size', 'sent', ?)",
        ).run(id, NOW - receiptDays * DAY)
    }
    return id
  }
  const count = (table: string) => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get()
  const enforce = (transfers: number, receipts: number) =>
    enforceRetention(
      {
        store,
        clock: { now: () => NOW },
        keep: () => ({ transfers: transfers * DAY, receipts: receipts * DAY, audit: 400 * DAY, logs: DAY }),
      },
      new AbortController().signal,
    )
  return { store, db, file, count, enforce }
}

test('old transfers go with their deliveries, attempts, receipts and sessions; what is owed or young stays', async (t) => {
  const { store, file, count, enforce } = make(t)
  for (let i = 0; i < 450; i++) file(100, i % 2 === 0 ? 'delivered' : null)
  file(100, 'dead', '/spool/a')
  file(100, 'pending')
  file(100, 'cancelled', '/spool/b')
  file(10, 'delivered')
  file(10, null)
  t.equal(count('transfers'), 455)
  t.match(await enforce(50, 50), { transfers: 450, sessions: 450 })
  t.equal(count('transfers'), 5)
  t.equal(count('sessions'), 5)
  t.equal(count('deliveries'), 4)
  t.equal(count('attempts'), 4)
  t.equal(count('receipts'), 1)
  t.match(store.audit.list({ limit: 1 }), [{ action: 'retention', actor: 'gateway', detail: { transfers: 450 } }])
  t.same(await enforce(50, 50), { transfers: 0, sessions: 0, receipts: 0, audit: 0 }, 'and then there is nothing to do')
})

test('a transfer stays as long as its receipt has to; a receipt may go before it', async (t) => {
  const { file, count, enforce } = make(t)
  file(100, 'delivered')
  t.match(await enforce(50, 200), { transfers: 0, receipts: 0 })
  t.equal(count('receipts'), 1)
  t.match(await enforce(200, 50), { transfers: 0, receipts: 1 })
  t.equal(count('transfers'), 1)
  t.equal(count('deliveries'), 1)
})
