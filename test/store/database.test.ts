// The database: its schema, its migrations, what it refuses, and that it lasts.
// Must not use anything but real files.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'tap'
import { migrations, openDatabase, schemaOf } from '../../src/store/database.ts'
import { lockDataDir } from '../../src/store/lock.ts'
import { openSecretBox, secretBox } from '../../src/store/secret-box.ts'
import { tempDir } from './temp-store.ts'

const SCHEMA = join(import.meta.dirname, '../../src/store/schema.sql')

test('src/store/schema.sql is what the migrations make (FILEFLOW_WRITE_SCHEMA=1 writes it anew)', (t) => {
  const db = openDatabase(':memory:')
  const present = schemaOf(db)
  db.close()
  if (process.env.FILEFLOW_WRITE_SCHEMA === '1') writeFileSync(SCHEMA, present)
  t.equal(readFileSync(SCHEMA, 'utf8'), present)
  t.end()
})

test('every table is STRICT, keys are enforced, and writes go to a log that readers do not block', (t) => {
  const db = openDatabase(join(tempDir(t), 'f.db'))
  t.teardown(() => db.close())
  const tables = db.pragma('table_list') as { name: string; strict: number; type: string }[]
  for (const table of tables.filter(({ name, type }) => type === 'table' && !name.startsWith('sqlite_')))
    t.equal(table.strict, 1, table.name)
  t.equal(db.pragma('journal_mode', { simple: true }), 'wal')
  t.equal(db.pragma('foreign_keys', { simple: true }), 1)
  t.equal(db.pragma('synchronous', { simple: true }), 2)
  t.end()
})

test('states that cannot be are refused by the tables themselves', (t) => {
  const db = openDatabase(':memory:')
  t.teardown(() => db.close())
  const session = "INSERT INTO sessions VALUES ('s', 'u', 'sftp', 'a', 1, 'm', 'c', 'open', 1, NULL, NULL)"
  db.exec(session)
  db.exec(
    "INSERT INTO transfers (id, session_id, username, partner, protocol, address, direction, path, state, start_offset, started_at) VALUES ('t', 's', 'u', '', 'sftp', 'a', 'upload', '/x', 'open', 0, 1)",
  )
  const delivery = (id: string, state: string, nextAt: string) =>
    `INSERT INTO deliveries (id, transfer_id, rule, destination, username, path, remote_path, temp_name, on_conflict, after, size, sha256, state, retry_from, next_at, created_at, updated_at)
     VALUES ('${id}', 't', 'r', '${id}', 'u', '/x', 'x', 'p', 'overwrite', 'keep', 1, 'h', '${state}', 1, ${nextAt}, 1, 1)`
  const refused = [
    "INSERT INTO users VALUES ('u', NULL, 2, '{}', 0, 0, NULL, NULL, NULL, 1, 1)",
    "INSERT INTO users VALUES ('u', NULL, 1, 'not json', 0, 0, NULL, NULL, NULL, 1, 1)",
    "INSERT INTO users VALUES ('u', NULL, 1, '{}', 'many', 0, NULL, NULL, NULL, 1, 1)",
    "INSERT INTO admins (username, password_hash, role, created_at) VALUES ('a', 'h', 'root', 1)",
    "INSERT INTO admin_sessions VALUES ('h', 'nobody', 'c', 1, 2)",
    "UPDATE sessions SET state = 'closed'",
    'UPDATE sessions SET ended_at = 5',
    "UPDATE transfers SET state = 'committing'",
    "UPDATE transfers SET state = 'completed'",
    "UPDATE transfers SET state = 'lost', ended_at = 1",
    "UPDATE transfers SET session_id = 'other'",
    delivery('d', 'running', '5'),
    delivery('d', 'delivered', '5'),
    delivery('d', 'retrying', 'NULL'),
    delivery('d', 'done', 'NULL'),
    delivery('d', 'pending', '5').replace("'overwrite'", "'ask'"),
    "INSERT INTO attempts VALUES ('none', 1, 1, NULL, NULL, NULL, NULL)",
    "INSERT INTO receipts VALUES ('none', 'x', 1, 'h', 'size', NULL, 'sent', NULL, 1, NULL)",
    "INSERT INTO audit VALUES (1, 1, 'a', '', 'x', 'y', 'maybe', '{}', '', 'h')",
  ]
  for (const sql of refused) t.throws(() => db.exec(sql), /constraint|FOREIGN KEY|cannot store/, sql.slice(0, 90))
  t.doesNotThrow(() => db.exec(delivery('d', 'pending', '5')))
  t.throws(
    () => db.exec(delivery('d', 'pending', '5').replace("'d'", "'e'")),
    /UNIQUE/,
    'one delivery for a file, rule, destination and name',
  )
  t.end()
})

test('a database of a newer version is refused and left as it is', (t) => {
  const file = join(tempDir(t), 'f.db')
  const db = openDatabase(file)
  db.pragma('user_version = 999')
  db.close()
  const before = readFileSync(file)
  t.throws(() => openDatabase(file), { code: 'database.newer', message: /version 999/ })
  t.same(readFileSync(file), before)
  t.end()
})

test('before a migration changes a database that is in use, a copy of it is made', (t) => {
  const file = join(tempDir(t), 'f.db')
  const known = migrations()
  const first = openDatabase(file, known)
  first.exec("INSERT INTO users VALUES ('u', NULL, 1, '{}', 0, 0, NULL, NULL, NULL, 1, 1)")
  first.close()
  t.notOk(existsSync(`${file}.before-001-initial`), 'a new one needs none')
  const version = known.length + 1
  const next = [...known, { version, name: `00${version}-more.sql`, sql: 'ALTER TABLE users ADD COLUMN more TEXT' }]
  const second = openDatabase(file, next)
  t.equal(second.pragma('user_version', { simple: true }), version)
  t.same(second.prepare('SELECT username, more FROM users').all(), [{ username: 'u', more: null }])
  second.close()
  const copy = `${file}.before-00${version}-more`
  const restored = `${file}.restored`
  copyFileSync(copy, restored)
  const old = openDatabase(restored, known)
  t.same(old.prepare('SELECT * FROM users').all().length, 1, 'the copy holds all that was written')
  old.close()
  const third = openDatabase(file, next)
  third.close()
  t.end()
})

test('an upgrade over several versions makes one copy, of what was there before; without it nothing is changed, and nothing is left of it', (t) => {
  const file = join(tempDir(t), 'f.db')
  const known = migrations()
  const first = openDatabase(file, known)
  first.exec("INSERT INTO users VALUES ('u', NULL, 1, '{}', 0, 0, NULL, NULL, NULL, 1, 1)")
  first.close()
  const next = [1, 2].map((n) => ({
    version: known.length + n,
    name: `00${known.length + n}-more.sql`,
    sql: `ALTER TABLE users ADD COLUMN more${n} TEXT`,
  }))
  const copy = `${file}.before-00${known.length + 1}-more`
  mkdirSync(copy)
  t.throws(() => openDatabase(file, [...known, ...next]), { code: 'storage.failed', message: /room for a copy/ })
  t.same(readdirSync(dirname(file)).sort(), ['f.db', basename(copy)].sort())
  rmSync(copy, { recursive: true })
  const unchanged = openDatabase(file, known)
  t.equal(unchanged.pragma('user_version', { simple: true }), known.length)
  unchanged.close()
  const upgraded = openDatabase(file, [...known, ...next])
  t.same(upgraded.prepare('SELECT username, more1, more2 FROM users').all(), [{ username: 'u', more1: null, more2: null }])
  upgraded.close()
  t.same(
    readdirSync(dirname(file)).filter((name) => name.includes('before')),
    [basename(copy)],
  )
  t.equal(statSync(copy).mode & 0o777, 0o600)
  const old = openDatabase(copy, known)
  t.equal(old.prepare('SELECT count(*) FROM users').pluck().get(), 1)
  old.close()
  t.end()
})

test('where admins logged in from before the upgrade is known after it', (t) => {
  const file = join(tempDir(t), 'f.db')
  const before = migrations().filter(({ version }) => version < 8)
  const first = openDatabase(file, before)
  first.exec("INSERT INTO admins (username, password_hash, role, created_at) VALUES ('admin', 'h', 'admin', 1)")
  const row = first.prepare("INSERT INTO audit VALUES (?, ?, ?, ?, 'admin.login', 'session', ?, '{}', '', '')")
  for (const [seq, actor, address, outcome] of [
    [1, 'admin', '192.0.2.1', 'ok'],
    [2, 'admin', '192.0.2.1', 'ok'],
    [3, 'admin', '192.0.2.2', 'refused'],
    [4, 'gone', '192.0.2.3', 'ok'],
    [5, 'admin', '2001:db8::1', 'ok'],
  ] as const)
    row.run(seq, seq * 10, actor, address, outcome)
  first.close()
  const upgraded = openDatabase(file)
  t.same(upgraded.prepare('SELECT * FROM admin_places').all(), [{ username: 'admin', place: '192.0.2.1', last_at: 20 }])
  upgraded.exec("DELETE FROM admins WHERE username = 'admin'")
  t.same(upgraded.prepare('SELECT * FROM admin_places').all(), [], 'and goes with its admin')
  upgraded.close()
  t.end()
})

test('a migration that fails changes nothing', (t) => {
  const file = join(tempDir(t), 'f.db')
  const known = migrations()
  openDatabase(file, known).close()
  const version = known.length + 1
  const broken = { version, name: `00${version}-broken.sql`, sql: 'CREATE TABLE half (x TEXT) STRICT; SELECT nonsense;' }
  t.throws(() => openDatabase(file, [...known, broken]))
  const db = openDatabase(file, known)
  t.equal(db.pragma('user_version', { simple: true }), known.length)
  t.equal(db.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").pluck().get(), 0)
  db.close()
  t.end()
})

test('a data directory has one gateway, and the next may come when it is gone', (t) => {
  const dir = tempDir(t)
  const release = lockDataDir(dir)
  t.throws(() => lockDataDir(dir), { code: 'service.unavailable', message: /Another FileFlow/ })
  release()
  lockDataDir(dir)()
  writeFileSync(join(dir, 'gateway.lock'), 'no database at all, but long enough to be read as one'.repeat(100))
  t.throws(() => lockDataDir(dir), { code: 'SQLITE_NOTADB' }, 'another fault is not called another gateway')
  t.end()
})

test('sealed secrets open only with their key and for their owner', (t) => {
  const file = join(tempDir(t), 'keys', 'secrets.key')
  const box = openSecretBox(file)
  const sealed = box.seal({ password: 'hunter2' }, 'destination hq')
  t.notOk(sealed.includes('hunter2'))
  t.same(openSecretBox(file).open(sealed, 'destination hq'), { password: 'hunter2' }, 'after a restart, too')
  t.notSame(box.seal({ password: 'hunter2' }, 'destination hq'), sealed, 'never sealed alike')
  t.equal(statSync(file).mode & 0o777, 0o600)
  const wrong = { code: 'config.invalid' }
  t.throws(() => box.open(sealed, 'destination other'), wrong)
  t.throws(() => secretBox(Buffer.alloc(32)).open(sealed, 'destination hq'), wrong)
  t.throws(() => box.open(sealed.subarray(0, 20), 'destination hq'), wrong)
  for (const at of [0, 13, sealed.length - 1]) {
    const bent = Buffer.from(sealed)
    bent[at]! ^= 1
    t.throws(() => box.open(bent, 'destination hq'), wrong)
  }
  writeFileSync(file, 'short')
  t.throws(() => openSecretBox(file), { code: 'config.invalid', message: /damaged/ })
  t.end()
})

test('the native binding survives many garbage collections', (t) => {
  v8.setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const file = join(tempDir(t), 'f.db')
  for (let round = 0; round < 60; round++) {
    const db = openDatabase(file)
    for (let i = 0; i < 20; i++) db.prepare('SELECT ? AS x').all(Buffer.alloc(1024))
    const row = db.prepare('SELECT zeroblob(65536) AS x').get() as { x: Buffer }
    t.equal(row.x.length, 65536)
    // half of them are left to the collector
    if (round % 2) db.close()
    collect()
  }
  t.end()
})
