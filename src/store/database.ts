// Opens the database: pragmas, migrations (with a copy made before), and the refusal of a newer one. The only importer of better-sqlite3.
// Must not hold queries of any table; the files beside it do.
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { FileFlowError } from '../core/errors.ts'

export type Sqlite = SqliteDatabase.Database
export type Statement = SqliteDatabase.Statement

const MIGRATIONS = join(import.meta.dirname, 'migrations')

export interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
}

export function migrations(): Migration[] {
  return readdirSync(MIGRATIONS)
    .filter((name) => /^\d{3}-[a-z-]+\.sql$/.test(name))
    .sort()
    .map((name) => ({ version: Number(name.slice(0, 3)), name, sql: readFileSync(join(MIGRATIONS, name), 'utf8') }))
}

/**
 * Opens or makes the database at `file` (`:memory:` for a passing one) and brings it to the present version.
 * @throws FileFlowError `database.newer` when a later FileFlow wrote it; `storage.failed` when no copy can be made before a migration
 */
export function openDatabase(file: string, known: readonly Migration[] = migrations()): Sqlite {
  const memory = file === ':memory:'
  if (!memory) mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const fresh = memory || !existsSync(file)
  const db = new SqliteDatabase(file)
  try {
    // hashes and sessions are in it; the files beside it (-wal, -shm) take the same mode
    if (!memory) chmodSync(file, 0o600)
    db.pragma('busy_timeout = 5000')
    db.pragma('journal_mode = WAL')
    db.pragma('foreign_keys = ON')
    db.pragma('synchronous = FULL')
    db.pragma('cache_size = -16000')
    db.pragma('temp_store = MEMORY')
    migrate(db, file, fresh, known)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function migrate(db: Sqlite, file: string, fresh: boolean, all: readonly Migration[]): void {
  const newest = all.at(-1)?.version ?? 0
  const present = db.pragma('user_version', { simple: true }) as number
  if (present > newest) {
    throw new FileFlowError(
      'database.newer',
      `${file} was written by a newer FileFlow (version ${present}, this one knows ${newest}). Start that one, or restore a backup.`,
    )
  }
  const wanted = all.filter(({ version }) => version > present)
  if (wanted.length > 0 && !fresh) backUp(db, file, wanted[0]!)
  for (const migration of wanted) {
    db.transaction(() => {
      db.exec(migration.sql)
      db.pragma(`user_version = ${migration.version}`)
    }).immediate()
  }
}

/** A copy beside the database, whole or not at all; consistent because everything of the log is written back first and nobody else has it open yet. */
function backUp(db: Sqlite, file: string, next: Migration): void {
  const copy = `${file}.before-${next.name.replace('.sql', '')}`
  const part = `${copy}.part`
  try {
    db.pragma('wal_checkpoint(TRUNCATE)')
    copyFileSync(file, part)
    const fd = openSync(part, 'r')
    fsyncSync(fd)
    closeSync(fd)
    renameSync(part, copy)
  } catch (cause) {
    rmSync(part, { force: true })
    throw new FileFlowError(
      'storage.failed',
      `${file} is of an earlier version, and before it is brought to this one there must be room for a copy of it beside it: ${(cause as Error).message}`,
      { cause },
    )
  }
}

/** The schema as text, one statement after another, sorted; what schema.sql holds. */
export function schemaOf(db: Sqlite): string {
  const rows = db
    .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name")
    .all() as { sql: string }[]
  return `-- Made from the migrations; test/store/database.test.ts compares. Do not edit.\n\n${rows.map((row) => `${row.sql};\n`).join('\n')}`
}
