// A real store in a folder of its own, a clock that stands still until told, and a log that can be read.
// Must not stand in for anything that the store does itself.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Clock } from '../../src/core/clock.ts'
import { createLogger, type LogLine } from '../../src/core/log.ts'
import type { Actor } from '../../src/core/views.ts'
import { openDatabase, type Sqlite } from '../../src/store/database.ts'
import { DATABASE } from '../../src/store/exchange.ts'
import { openStore } from '../../src/store/store.ts'
import type { CommitRow } from '../../src/store/transfers.ts'

export const ADMIN: Actor = { name: 'alice', address: '192.0.2.1', role: 'admin' }

/** 2026-03-04 05:06:07.089 UTC. */
export const START = Date.UTC(2026, 2, 4, 5, 6, 7, 89)

export interface FakeClock extends Clock {
  advance(ms: number): void
}

export function fakeClock(at = START): FakeClock {
  let now = at
  return {
    now: () => now,
    advance(ms) {
      now += ms
    },
  }
}

export function tempDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'fileflow-test-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export function tempStore(t: Test) {
  const dir = tempDir(t)
  const store = openStore(dir, 'process')
  let open = true
  const close = (): void => {
    if (open) store.close()
    open = false
  }
  t.teardown(close)
  return { dir, store, file: join(dir, DATABASE), close }
}

export function recordedLog() {
  const lines: LogLine[] = []
  return { lines, log: createLogger('test', (line) => lines.push(line)) }
}

/** Until `holds`; each turn of the event loop asks again. The test's own timeout ends a wait for ever. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((go) => setImmediate(go))
}

/** As {@link until}: what was found. */
export async function untilFound<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    await new Promise<void>((go) => setImmediate(go))
  }
}

type TestStore = ReturnType<typeof tempStore>['store']

export function aSession(store: TestStore, id = 'session-1', username = 'customer1'): string {
  store.transfers.openSession({
    id,
    username,
    protocol: 'sftp',
    address: '203.0.113.7',
    port: 40000,
    method: 'password',
    client: 'test',
    started_at: START,
  })
  return id
}

/** An open upload of the session. */
export function anUpload(store: TestStore, id: string, { session = 'session-1', path = '/in/a.txt' } = {}): string {
  store.transfers.begin({
    id,
    session_id: session,
    partner: 'Customer One',
    direction: 'upload',
    path,
    path_bytes: null,
    start_offset: 0,
    started_at: START,
  })
  return id
}

export const SHA256 = 'ab'.repeat(32)

/** What is recorded of an upload as it is committed: five bytes that lie nowhere. */
export function aCommit(id: string, path: string, changes: Partial<CommitRow> = {}): CommitRow {
  const bytes = Buffer.from(`/nowhere/${id}`)
  return {
    id,
    path,
    path_bytes: null,
    bytes: 5,
    sha256: SHA256,
    staging: bytes,
    final: bytes,
    spool: bytes,
    evidence: [],
    at: START,
    ...changes,
  }
}

/** A published upload that has its content spooled, and one delivery that is due. */
export function aDueDelivery(store: TestStore, id: string, destination: string, at = START, remotePath = id): string {
  const transfer = `t-${id}`
  if (!store.transfers.getSession('session-1')) aSession(store)
  anUpload(store, transfer, { path: `/in/${id}` })
  const bytes = Buffer.from(`/nowhere/${id}`)
  store.transfers.commit(aCommit(transfer, `/in/${id}`, { staging: bytes, final: bytes, spool: bytes, at }))
  store.deliveries.insert({
    id,
    transfer_id: transfer,
    rule: 'r',
    destination,
    username: 'customer1',
    path: `/in/${id}`,
    remote_path: remotePath,
    temp_name: `.${id}.part`,
    on_conflict: 'overwrite',
    after: 'keep',
    size: 5,
    sha256: SHA256,
    shadow: 0,
    dedupe: 0,
    error: null,
    at,
  })
  store.transfers.publish(transfer, at)
  store.deliveries.release(transfer, at)
  return id
}

/** The statements that `create` prepares, and how SQLite goes about each on a database that was never analysed. */
export function preparedBy(t: Test, create: (db: Sqlite) => unknown) {
  const db = openDatabase(':memory:')
  t.teardown(() => db.close())
  const statements: string[] = []
  const prepare = db.prepare.bind(db)
  db.prepare = ((sql: string) => {
    statements.push(sql)
    return prepare(sql)
  }) as typeof db.prepare
  create(db)
  const planOf = (sql: string): string[] =>
    (prepare(`EXPLAIN QUERY PLAN ${sql.replace(/@\w+|\?/g, '1')}`).all() as { detail: string }[]).map(({ detail }) => detail)
  return { statements, planOf }
}
