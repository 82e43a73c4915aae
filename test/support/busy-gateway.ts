// A gateway with a past, for tests of what its pages show.
// Must not be used where it matters how the rows came to be.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { newId } from '../../src/core/clock.ts'
import { DATABASE } from '../../src/store/exchange.ts'
import { openStore } from '../../src/store/store.ts'
import type { TearsDown } from './far-process.ts'
import { startGateway, type TestGateway } from './gateway.ts'

/** As a partner could name a file to fool or attack whoever looks at it. */
const HOSTILE = '/in/\u202Egpj.exe\u0007<img src=x onerror=alert(1)>.xml'

const timeOf = (at: number): string => newId(at).slice(0, 10)
/** The transfer of that file. */
export const HOSTILE_ID = `${timeOf(Date.now() - 30_000)}0000000001`

/** A gateway that has taken `many` files, one with a hostile name whose delivery is dead: its rows are made by SQL, as uploading them would take hours. */
export async function busyGateway(t: TearsDown, many: number): Promise<TestGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const data = join(folder, 'data')
  openStore(data, 'process').close()
  const db = new SqliteDatabase(join(data, DATABASE))
  db.pragma('synchronous = OFF')
  const row = `'s', 'customer' || (n % 40), '', 'sftp', '203.0.113.7', 'upload', @path, 'completed', 0, n * 7, @at + n, @at + n + 5, '[]'`
  const columns =
    'id, session_id, username, partner, protocol, address, direction, path, state, start_offset, bytes, started_at, ended_at, evidence_json'
  const at = Date.now() - many - 60_000
  db.prepare(
    "INSERT INTO sessions VALUES ('s', 'customer1', 'sftp', '203.0.113.7', 22, 'password', 'SSH-2.0-Test', 'closed', ?, ?, 'client left')",
  ).run(at, at + many)
  // ids begin with their time, as the gateway's own do: what is too old would be cleared away
  db.prepare(
    `WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < ${many})
     INSERT INTO transfers (${columns}) SELECT '${timeOf(at)}' || printf('%010d', n), ${row.replace('@path', "'/in/2026/file-' || n || '.xml'")} FROM seq`,
  ).run({ at })
  db.prepare(`INSERT INTO transfers (${columns}) SELECT '${HOSTILE_ID}', ${row} FROM (SELECT 1 AS n)`).run({ at, path: HOSTILE })
  db.prepare(
    `INSERT INTO deliveries (id, transfer_id, rule, destination, username, path, remote_path, temp_name, on_conflict, after, size, sha256, state, attempt, retry_from, error_json, created_at, updated_at)
     VALUES ('d1', '${HOSTILE_ID}', 'all', 'hq', 'customer1', @path, @path, 't', 'fail', 'keep', 7, '', 'dead', 3, @at, '{"code":"remote.exists","message":"<b>552</b> it is there\u202e already"}', @at, @at)`,
  ).run({ at, path: HOSTILE })
  db.close()
  return startGateway(t, { folder })
}
