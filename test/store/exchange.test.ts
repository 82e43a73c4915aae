// What is promised of a restore that is cut short, and of the end of the audit log.
// Must not look away from the disk: each state is made there, opened, and read there.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { type Test, test } from 'tap'
import { openStore } from '../../src/store/store.ts'
import { tempDir } from './temp-store.ts'

const event = (object: string) => ({ at: 1, actor: 'a', address: '', action: 'login', object, outcome: 'ok' as const })

/** A data folder whose audit log has those rows. */
function aState(folder: string, ...objects: string[]): void {
  const store = openStore(folder, 'process')
  for (const object of objects) store.group.now(() => store.audit.append(event(object)))
  store.close()
}

function opened(folder: string): { objects: string[]; whole: boolean } {
  const store = openStore(folder, 'process')
  try {
    return { objects: store.audit.list({ limit: 10 }).map((row) => row.object), whole: store.audit.verify().ok }
  } finally {
    store.close()
  }
}

test('a restore that a power loss cuts short at any step is finished at the next start, with the former state aside', (t) => {
  const steps: ((dir: string, aside: string) => void)[] = [
    (_, aside) => mkdirSync(aside),
    (dir, aside) => renameSync(join(dir, 'keys'), join(aside, 'keys')),
    (dir, aside) => renameSync(join(dir, 'fileflow.db-wal'), join(aside, 'fileflow.db-wal')),
    (dir, aside) => renameSync(join(dir, 'audit.head'), join(aside, 'audit.head')),
    (dir, aside) => renameSync(join(dir, 'fileflow.db'), join(aside, 'fileflow.db')),
    (dir) => renameSync(join(dir, 'restoring', 'keys'), join(dir, 'keys')),
    (dir) => renameSync(join(dir, 'restoring', 'fileflow.db'), join(dir, 'fileflow.db')),
    (dir) => rmSync(join(dir, 'restoring', 'aside')),
  ]
  for (let cut = 0; cut <= steps.length; cut++) {
    const dir = tempDir(t)
    aState(dir, 'old', 'older')
    writeFileSync(join(dir, 'fileflow.db-wal'), '')
    const oldKey = readFileSync(join(dir, 'keys', 'secrets.key'))
    const restored = join(dir, 'restoring')
    aState(restored, 'new')
    rmSync(join(restored, 'audit.head'))
    const newKey = readFileSync(join(restored, 'keys', 'secrets.key'))
    writeFileSync(join(restored, 'aside'), 'before-restore-then')
    const aside = join(dir, 'before-restore-then')
    for (const step of steps.slice(0, cut)) step(dir, aside)
    t.same(
      opened(dir),
      { objects: ['new'], whole: true },
      `cut after step ${cut}: the restored database, its log not held against the former one's end`,
    )
    t.same(readFileSync(join(dir, 'keys', 'secrets.key')), newKey, 'with its keys')
    t.same(readFileSync(join(aside, 'keys', 'secrets.key')), oldKey, 'the former keys are aside')
    t.ok(existsSync(join(aside, 'fileflow.db')), 'and the former database')
    t.notOk(existsSync(restored))
  }
  t.end()
})

function cutEnd(t: Test, sql: string): { ok: boolean; broken: number | null } {
  const dir = tempDir(t)
  aState(dir, 'one', 'two', 'three')
  const db = new SqliteDatabase(join(dir, 'fileflow.db'))
  db.exec(sql)
  db.close()
  // whoever opens it in between must not put down the shorter end as the right one
  aState(dir)
  aState(dir, 'four', 'five')
  const store = openStore(dir, 'process')
  const verdict = store.audit.verify()
  store.close()
  return verdict
}

test('rows cut off the end of the audit log, or written anew with hashes that fit, are found', (t) => {
  t.match(cutEnd(t, ''), { ok: true, broken: null })
  t.match(cutEnd(t, 'DELETE FROM audit WHERE seq = 3'), { ok: false, broken: 3 })
  t.match(cutEnd(t, 'DELETE FROM audit WHERE seq >= 2'), { ok: false, broken: 3 }, 'the row that is known to have been another')
  t.match(cutEnd(t, 'DELETE FROM audit'), { ok: false })
  const dir = tempDir(t)
  aState(dir, 'one', 'two')
  const db = new SqliteDatabase(join(dir, 'fileflow.db'))
  db.exec('DELETE FROM audit WHERE seq = 2')
  db.close()
  const store = openStore(dir, 'process')
  t.match(store.audit.verify(), { ok: false, rows: 1, broken: 2 }, 'the first row that is missing')
  store.close()
  writeFileSync(join(dir, 'audit.head'), 'not sealed with the key of this gateway')
  const again = openStore(dir, 'process')
  t.match(again.audit.verify(), { ok: false })
  again.close()
  t.notOk(readdirSync(dir).includes('audit.head.new'))
  t.end()
})

test('where the audit log ends is put down only once no power loss can take that end back', (t) => {
  const dir = tempDir(t)
  const store = openStore(dir, 'process')
  store.group.now(() => store.audit.append(event('one')))
  store.audit.noteHead(() => false)
  t.notOk(existsSync(join(dir, 'audit.head')))
  store.noteAuditHead()
  t.ok(existsSync(join(dir, 'audit.head')))
  t.match(store.audit.verify(), { ok: true, rows: 1 })
  store.close()
  t.end()
})
