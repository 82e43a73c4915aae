// One gateway for a data directory: a lock that the kernel drops when its holder dies, however it dies.
// Must not be held by a reader; commands that find it taken speak to the gateway instead.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { FileFlowError } from '../core/errors.ts'

/** @returns the way to let go. @throws FileFlowError `service.unavailable` when another process holds it */
export function lockDataDir(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const db = new SqliteDatabase(join(dataDir, 'gateway.lock'), { timeout: 0 })
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
