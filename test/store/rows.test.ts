// Group commit, guarded changes of state, and the audit chain.
// Must not use anything but a real store.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { test } from 'tap'
import { createAuditLog } from '../../src/store/audit.ts'
import { openDatabase } from '../../src/store/database.ts'
import { createGroupCommit } from '../../src/store/group-commit.ts'
import { openStore } from '../../src/store/store.ts'
import { LostRace } from '../../src/store/transfers.ts'
import { ADMIN, aCommit, aDueDelivery, anUpload, aSession, SHA256, START, tempDir, tempStore, until } from './temp-store.ts'

/** A database that counts its transactions and shows how each was synced. */
function counted(file: string, durability: 'power' | 'process') {
  const db = openDatabase(file)
  db.exec('CREATE TABLE notes (x TEXT NOT NULL) STRICT')
  const commits: string[] = []
  const group = createGroupCommit(
    new Proxy(db, {
      get(target, key) {
        if (key === 'prepare')
          return (sql: string) => {
            const statement = target.prepare(sql)
            if (sql !== 'COMMIT') return statement
            return {
              run() {
                commits.push(String(target.pragma('synchronous', { simple: true })))
                return statement.run()
              },
            }
          }
        const value = Reflect.get(target, key) as unknown
        return typeof value === 'function' ? value.bind(target) : value
      },
    }),
    durability,
  )
  const insert = db.prepare('INSERT INTO notes VALUES (?)')
  return {
    db,
    group,
    commits,
    add: (x: string) => insert.run(x).changes,
    all: () => db.prepare('SELECT x FROM notes ORDER BY x').pluck().all(),
  }
}

test('all that is asked in one turn shares one transaction', async (t) => {
  const { db, group, commits, add, all } = counted(`${tempDir(t)}/f.db`, 'power')
  t.teardown(() => db.close())
  const results = await Promise.all(Array.from({ length: 100 }, (_, i) => group.run(() => add(`n${i}`), i === 50)))
  t.same(results, Array(100).fill(1))
  t.equal(all().length, 100)
  t.same(commits, ['2'], 'one commit, synced because one of them asked for it')
  await group.run(() => add('later'), false)
  t.same(commits, ['2', '1'], 'none of them asked: not synced')
})

test('under durability process nothing is synced, durable or not', async (t) => {
  const { db, group, commits, add } = counted(`${tempDir(t)}/f.db`, 'process')
  t.teardown(() => db.close())
  await group.run(() => add('a'), true)
  t.same(commits, ['1'])
})

test('one that fails undoes its own writes and no others', async (t) => {
  const { db, group, commits, add, all } = counted(`${tempDir(t)}/f.db`, 'power')
  t.teardown(() => db.close())
  const results = await Promise.allSettled([
    group.run(() => add('before'), true),
    group.run(() => {
      add('undone')
      throw new Error('no')
    }, true),
    group.run(() => add(null as unknown as string), true),
    group.run(() => add('after'), true),
  ])
  t.same(
    results.map((r) => r.status),
    ['fulfilled', 'rejected', 'rejected', 'fulfilled'],
  )
  t.same(all(), ['after', 'before'])
  t.equal(commits.length, 1)
})

test('when the whole group cannot be written, nobody is told that it was', async (t) => {
  const { db, group, add, all } = counted(`${tempDir(t)}/f.db`, 'power')
  t.teardown(() => db.close())
  db.exec('CREATE TABLE p (id TEXT PRIMARY KEY) STRICT; CREATE TABLE c (p TEXT REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED) STRICT')
  const results = await Promise.allSettled([
    group.run(() => add('a'), true),
    group.run(() => db.exec("INSERT INTO c VALUES ('none')"), true),
  ])
  t.same(
    results.map((r) => r.status),
    ['rejected', 'rejected'],
    'the commit itself failed',
  )
  t.same(all(), [])
  t.equal(await group.run(() => add('b'), true), 1, 'the next one goes on')
})

test('a single act comes after what was asked before it, and joins a transaction it is called in', async (t) => {
  const { db, group, add, all } = counted(`${tempDir(t)}/f.db`, 'power')
  t.teardown(() => db.close())
  const waiting = group.run(() => add('a'), false)
  group.now(() => t.same(all(), ['a']))
  await waiting
  t.throws(() =>
    group.now(() => {
      group.now(() => add('b'))
      throw new Error('all of it')
    }),
  )
  t.same(all(), ['a'])
})

test('what was asked is written before the store closes', async (t) => {
  const { store, file, close } = tempStore(t)
  const asked = store.group.run(
    () => store.accounts.users.put({ username: 'u', password_hash: null, enabled: 1, spec_json: '{}' }, 1),
    false,
  )
  close()
  await asked
  const db = new SqliteDatabase(file, { readonly: true })
  t.equal(db.prepare('SELECT count(*) FROM users').pluck().get(), 1)
  db.close()
})

test('every change of a state from a state that is not there loses visibly', (t) => {
  const { store } = tempStore(t)
  const { transfers, deliveries } = store
  const lost = (work: () => unknown, what: string) => {
    try {
      work()
      t.fail(what)
    } catch (error) {
      t.ok(error instanceof LostRace, what)
    }
  }
  lost(() => anUpload(store, 't0'), 'a transfer without an open session')
  aSession(store)
  anUpload(store, 't1')
  const bytes = Buffer.from('/x')
  const row = aCommit('t1', '/in/a', { bytes: 1, staging: bytes, final: bytes, spool: null })
  lost(() => transfers.publish('t1', START), 'published before it was committed')
  transfers.commit(row)
  lost(() => transfers.commit(row), 'committed twice')
  transfers.publish('t1', START)
  lost(() => transfers.publish('t1', START), 'published twice')
  t.equal(transfers.abort('t1', START, 0, {}), false, 'a completed one cannot be aborted')
  t.equal(transfers.endSession('session-1', 'closed', START, ''), true)
  t.equal(transfers.endSession('session-1', 'closed', START, ''), false)
  lost(() => anUpload(store, 't2'), 'the session is closed')

  const id = 'd'
  deliveries.insert({
    id,
    transfer_id: 't1',
    rule: 'r',
    destination: 'hq',
    username: 'u',
    path: '/in/a',
    remote_path: 'a',
    temp_name: 'p',
    on_conflict: 'overwrite',
    after: 'keep',
    size: 1,
    sha256: SHA256,
    shadow: 0,
    dedupe: 0,
    error: null,
    at: START,
  })
  const receipt = {
    remote_path: '/a',
    size: 1,
    sha256: SHA256,
    verified: 'size',
    algorithm: null,
    method: null,
    outcome: 'sent',
    server: null,
  }
  const error = { code: 'remote.lost', message: 'x' } as const
  lost(() => deliveries.start(id, START, '1.1'), 'held until its file is published')
  deliveries.release('t1', START)
  t.equal(deliveries.start(id, START, '1.1').attempt, 1)
  lost(() => deliveries.start(id, START, '1.1'), 'started twice')
  lost(() => deliveries.delivered(id, 2, START, receipt), 'another attempt')
  deliveries.failed(id, 1, START, error, true, START + 5)
  lost(() => deliveries.failed(id, 1, START, error, false, null), 'settled twice')
  lost(() => deliveries.giveBack(id, 1, START, false), 'given back after it was settled')
  t.match(deliveries.start(id, START, '1.1'), { attempt: 2, unclear: 1 }, 'unclear stays')
  t.ok(deliveries.cancel(id, START))
  lost(() => deliveries.delivered(id, 2, START, receipt), 'delivered after it was cancelled')
  t.equal(deliveries.receipt(id), undefined)
  t.notOk(deliveries.cancel(id, START), 'cancelled twice')
  t.ok(deliveries.again(id, START))
  deliveries.start(id, START, '1.1')
  deliveries.delivered(id, 3, START, receipt)
  t.notOk(deliveries.cancel(id, START) || deliveries.again(id, START), 'delivered is delivered')
  t.same(
    deliveries.attempts(id).map((a) => a.ok),
    [0, 0, 1],
    'every attempt has its end',
  )
  t.end()
})

test('an aborted upload does not stand in the way of an earlier one to its name', (t) => {
  const { store } = tempStore(t)
  aSession(store)
  const final = Buffer.from('/x')
  for (const id of ['a', 'b']) {
    anUpload(store, id)
    store.transfers.commit(aCommit(id, '/x', { bytes: 1, staging: Buffer.from(id), final, spool: null, at: 1 }))
  }
  const order = store.transfers.get('a')!.commit_order!
  t.ok(store.transfers.hasLaterAt(final, order))
  store.transfers.abort('b', 2, 1, { code: 'path.exists' })
  t.notOk(store.transfers.hasLaterAt(final, order))
  t.end()
})

test('the next moment of work is one that is still to come', (t) => {
  const { store } = tempStore(t)
  aDueDelivery(store, 'd1', 'hq', START)
  aDueDelivery(store, 'd2', 'hq', START + 500)
  t.equal(store.deliveries.nextDue(START), START + 500)
  t.equal(store.deliveries.nextDue(START + 500), null)
  t.end()
})

const event = (object: string, actor = ADMIN.name) => ({
  at: START,
  actor,
  address: '192.0.2.1',
  action: 'test',
  object,
  outcome: 'ok' as const,
  detail: { n: 1 },
})

test('of watched files only those are forgotten that a scan of their very folder misses, and none below what it could not look into', (t) => {
  const { watched } = tempStore(t).store
  watched.addFolder('/out', START)
  const scan = (root: string): number => watched.enter('/out', root).scan
  const put = (path: string, root: string): void =>
    watched.put('/out', Buffer.from(path), { identity: '1:2:3', state: 'taken', transfer_id: null, scan: scan(root), root })
  const WEEK = 7 * 24 * 3600_000
  const known = () =>
    ['/a', '/locked', '/locked/b', '/locked/deep/c', '/locked0', '/other'].filter((path) => watched.file('/out', Buffer.from(path)))
  for (const path of ['/a', '/locked', '/locked/b', '/locked/deep/c', '/locked0']) put(path, 'volume')
  put('/other', 'mount point')
  const FIRST = START + 5 * WEEK
  t.equal(
    watched.prune('/out', scan('volume'), 'volume', [], FIRST),
    0,
    'a volume may be mounted late, also when the gateway was off for weeks',
  )
  t.equal(watched.prune('/out', scan('volume'), 'volume', [], FIRST + WEEK - 1), 0, 'and be away for days')
  t.equal(watched.prune('/out', scan('volume'), 'volume', [new Uint8Array()], FIRST + WEEK), 0, 'the folder itself cannot be looked into')
  for (const path of ['/a', '/other']) watched.seen('/out', Buffer.from(path), scan('volume'), 'volume')
  t.equal(watched.prune('/out', scan('volume'), 'volume', [], FIRST + 2 * WEEK), 0, 'what was there meanwhile is gone from now on')
  put('/other', 'mount point')
  for (const path of ['/a', '/locked', '/locked/b', '/locked/deep/c', '/locked0']) put(path, 'volume')
  t.equal(watched.prune('/out', scan('volume'), 'volume', [Buffer.from('/locked')], FIRST + WEEK), 0)
  t.equal(watched.prune('/out', scan('volume'), 'volume', [Buffer.from('/locked')], FIRST + 2 * WEEK), 3)
  t.same(known(), ['/locked/b', '/locked/deep/c', '/other'])
  watched.reconciled('/out')
  watched.prune('/out', scan('mount point'), 'mount point', [], FIRST)
  t.equal(watched.prune('/out', scan('mount point'), 'mount point', [], FIRST + WEEK), 1)
  t.same(known(), ['/locked/b', '/locked/deep/c'])
  t.match(watched.folder('/out'), { inode: 'mount point', reconciled: 0 }, 'what lies in another folder is history again')
  t.end()
})

test('a watched folder is another one when it has the number of the last one and was made at another time, as the topmost folders of two volumes', (t) => {
  const { watched } = tempStore(t).store
  watched.addFolder('/out', START)
  const file = Buffer.from('/a')
  watched.put('/out', file, {
    identity: '1:2:3',
    state: 'taken',
    transfer_id: null,
    scan: watched.enter('/out', '2').scan,
    root: '2',
  })
  watched.reconciled('/out')
  t.equal(watched.enter('/out', '2:1000').other, false, 'noted before the time was: the same')
  t.match(watched.folder('/out'), { reconciled: 1 })
  t.equal(watched.file('/out', file)?.root, '2:1000')
  t.equal(watched.enter('/out', '2:1000').other, false)
  t.match(watched.folder('/out'), { reconciled: 1 })
  const { scan, other } = watched.enter('/out', '2:2000')
  t.equal(other, true)
  t.match(watched.folder('/out'), { reconciled: 0 })
  t.equal(watched.prune('/out', scan, '2:2000', [], Date.now()), 0, 'what is known of the first one stays')
  t.end()
})

test('an untouched audit log verifies, whatever text came in', (t) => {
  const { store } = tempStore(t)
  t.same(store.audit.verify(), { ok: true, rows: 0, broken: null, first: 1 })
  for (const text of ['plain', '', 'new\nline', 'nul\0', '\ud800', `${'a'.repeat(63)}😀`.slice(0, 64), 'é', '"\'\\']) {
    store.audit.append(event(text))
    store.audit.append(event('by', text))
    store.audit.append({ ...event('detail'), address: text, detail: { text } })
  }
  t.same(store.audit.verify(), { ok: true, rows: 24, broken: null, first: 1 })
  t.end()
})

for (const [what, sql, broken] of [
  ['edited', "UPDATE audit SET object = 'other' WHERE seq = 3", 3],
  ['edited in its time', 'UPDATE audit SET at = at + 1 WHERE seq = 5', 5],
  ['removed', 'DELETE FROM audit WHERE seq = 3', 4],
  ['removed at the beginning', 'DELETE FROM audit WHERE seq = 1', 2],
  [
    'inserted',
    'INSERT INTO audit SELECT 6, at, actor, address, action, object, outcome, detail_json, hash, hash FROM audit WHERE seq = 5',
    6,
  ],
  ['renumbered', 'DELETE FROM audit WHERE seq = 3; UPDATE audit SET seq = seq - 1 WHERE seq > 3', 3],
] as const) {
  test(`a row of the audit log that was ${what} is found`, (t) => {
    const { store, file } = tempStore(t)
    for (let i = 0; i < 5; i++) store.audit.append(event(`row ${i}`))
    const intruder = new SqliteDatabase(file)
    intruder.exec(sql)
    intruder.close()
    t.match(store.audit.verify(), { ok: false, broken })
    t.end()
  })
}

test('the audit log is found by actor, action, time and text, with wildcards taken literally', (t) => {
  const db = openDatabase(':memory:')
  t.teardown(() => db.close())
  const log = createAuditLog(db)
  for (let i = 0; i < 3; i++) log.append({ ...event(`file_${i}%`), at: START + i, action: i === 1 ? 'login' : 'test' })
  t.same(
    log.list({ limit: 10 }).map((r) => r.seq),
    [3, 2, 1],
  )
  t.same(
    log.list({ limit: 10, action: 'login' }).map((r) => r.seq),
    [2],
  )
  t.same(
    log.list({ limit: 10, since: START + 2 }).map((r) => r.seq),
    [3],
  )
  t.same(
    log.list({ limit: 1, before: 3 }).map((r) => r.seq),
    [2],
  )
  t.same(
    log.list({ limit: 10, q: '_1%' }).map((r) => r.seq),
    [2],
  )
  t.same(log.list({ limit: 10, q: 'file%2' }), [])
  t.same(log.list({ limit: 10, actor: 'nobody' }), [])
  t.end()
})

test('a wait in the queue does not outlive its turn', async (t) => {
  const { store } = tempStore(t)
  let ran = false
  void store.group.run(() => {
    ran = true
  }, false)
  await until(() => ran)
  t.ok(ran)
})

test('what a killed backup or restore left, with its copies of keys and passwords, is gone at the next start', (t) => {
  const dir = tempDir(t)
  for (const name of ['.backup-aB3dE6', '.restore-aB3dE6', 'before-restore-2026']) {
    mkdirSync(join(dir, name))
    writeFileSync(join(dir, name, 'fileflow.db'), 'copy')
  }
  openStore(dir, 'process').close()
  t.same(
    readdirSync(dir).filter((name) => !name.startsWith('fileflow.db') && name !== 'keys'),
    ['before-restore-2026'],
  )
  t.end()
})
