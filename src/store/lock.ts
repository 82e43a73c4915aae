// One gateway for a data directory: a lock that the kernel drops when its holder dies, however it dies.
// Must not be held by a reader; commands that find it taken speak to the gateway instead.
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import SqliteDatabase from 'better-sqlite3'
import { monotonic } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'

/** @returns the way to let go. @throws FileFlowError `service.unavailable` when another process holds it */
export function lockDataDir(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const file = join(dataDir, 'gateway.lock')
  // whoever may read it may lock it, and keep the gateway from starting
  closeSync(openSync(file, 'a', 0o600))
  const db = new SqliteDatabase(file, { timeout: 0 })
  try {
    db.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    db.close()
    if ((cause as { code?: string }).code !== 'SQLITE_BUSY') throw cause
    throw new FileFlowError(
      'service.unavailable',
      `Another FileFlow works in ${dataDir}. Stop it first, or give this one another data_dir.`,
      { cause },
    )
  }
  return () => db.close()
}

/**
 * The same, but waits up to `ms` for a holder that is about to go: a command at work on the database, a gateway that was killed a moment ago.
 * @throws FileFlowError `service.unavailable` when it is still held then
 */
export async function awaitDataDir(dataDir: string, ms: number): Promise<() => void> {
  const end = monotonic() + ms
  for (;;) {
    try {
      return lockDataDir(dataDir)
    } catch (error) {
      if (!(error instanceof FileFlowError) || monotonic() >= end) throw error
    }
    await sleep(50)
  }
}
