// Backup and restore: database, keys and certificates as one file, consistent while the gateway runs, checked before it counts.
// Must not hold partners' files, nor replace anything before all of the backup was checked.
import { createHash, type Hash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync, readdirSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import SqliteDatabase from 'better-sqlite3'
import { FileFlowError } from '../core/errors.ts'
import { type ArchiveEntry, packArchive, type ReadEntry, unpackArchive } from './archive.ts'
import { createAuditLog } from './audit.ts'
import { migrations, type Sqlite } from './database.ts'
import { DATABASE, exchange, finishExchange } from './exchange.ts'
import { lockDataDir } from './lock.ts'

const MANIFEST = 'manifest.json'
const BEGUN = ['.backup-', '.restore-']
const KEY_NAME = /^keys\/[A-Za-z0-9_][A-Za-z0-9._-]{0,90}$/
const KEY_MOST = 2 ** 20
const MOST_KEYS = 200

export interface Manifest {
  readonly format: 1
  readonly fileflow: string
  readonly made_at: string
  /** Of the database's tables. */
  readonly schema: number
  readonly files: readonly { readonly name: string; readonly size: number; readonly sha256: string }[]
}

/**
 * The present state as a stream; what it needs beside is removed when the stream ends or breaks.
 * @param now ms
 */
export async function makeBackup(db: Sqlite, dataDir: string, fileflow: string, now: number): Promise<Readable> {
  const folder = await mkdtemp(join(dataDir, BEGUN[0]!))
  try {
    const copy = join(folder, DATABASE)
    // page after page in turns of the event loop; what is written meanwhile is in it
    await db.backup(copy)
    const schema = settleCopy(copy)
    const entries: ArchiveEntry[] = [
      { name: DATABASE, size: (await stat(copy)).size, content: { file: copy } },
      ...(await keyEntries(dataDir)),
    ]
    const files: { name: string; size: number; sha256: string }[] = []
    for (const { name, size, content } of entries) files.push({ name, size, sha256: await hashOf(content) })
    const manifest: Manifest = { format: 1, fileflow, made_at: new Date(now).toISOString(), schema, files }
    const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)
    const stream = packArchive([{ name: MANIFEST, size: text.length, content: text }, ...entries], now)
    stream.once('close', () => void rm(folder, { recursive: true, force: true }).catch(() => undefined))
    return stream
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** Copies of database and keys that a process left which was killed over them. Only for the one who holds the lock of `dataDir`. */
export function dropRemains(dataDir: string): void {
  for (const name of readdirSync(dataDir))
    if (BEGUN.some((start) => name.startsWith(start))) rmSync(join(dataDir, name), { recursive: true, force: true })
}

/** A copy is one file, and lets no browser in that was logged in when it was made. */
function settleCopy(file: string): number {
  const copy = new SqliteDatabase(file)
  try {
    copy.pragma('journal_mode = DELETE')
    copy.exec('DELETE FROM admin_sessions')
    return copy.pragma('user_version', { simple: true }) as number
  } finally {
    copy.close()
  }
}

async function keyEntries(dataDir: string): Promise<ArchiveEntry[]> {
  const folder = join(dataDir, 'keys')
  const entries: ArchiveEntry[] = []
  for (const found of await readdir(folder, { withFileTypes: true })) {
    const name = `keys/${found.name}`
    if (!found.isFile() || !KEY_NAME.test(name) || name.endsWith('.tmp')) continue
    const content = await readFile(join(folder, found.name))
    entries.push({ name, size: content.length, content })
  }
  return entries
}

async function hashOf(content: ArchiveEntry['content']): Promise<string> {
  const hash = createHash('sha256')
  if (Buffer.isBuffer(content)) hash.update(content)
  else for await (const chunk of createReadStream(content.file)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

const refuse = (why: string): never => {
  throw new FileFlowError('request.invalid', `This backup cannot be used: ${why}.`)
}

/** Reads all of a backup and compares every file with the list in it. @throws FileFlowError `request.invalid` */
export const checkBackup = (file: string): Promise<Manifest> =>
  eachFile(file, async (entry, hash) => {
    for await (const chunk of entry.content) hash.update(chunk)
  })

async function eachFile(file: string, take: (entry: ReadEntry, hash: Hash) => Promise<void>): Promise<Manifest> {
  let manifest: Manifest | undefined
  const seen = new Set<string>()
  for await (const entry of unpackArchive(file)) {
    if (!manifest) {
      if (entry.name !== MANIFEST || entry.size > KEY_MOST) refuse('it does not begin with its list of files')
      const chunks: Buffer[] = []
      for await (const chunk of entry.content) chunks.push(chunk)
      manifest = parseManifest(Buffer.concat(chunks).toString('utf8'))
      continue
    }
    const listed = manifest.files.find((one) => one.name === entry.name)
    if (!listed || listed.size !== entry.size || seen.has(entry.name))
      return refuse(`${JSON.stringify(entry.name)} is not as its list says`)
    const hash = createHash('sha256')
    await take(entry, hash)
    if (hash.digest('hex') !== listed.sha256) refuse(`${entry.name} is damaged`)
    seen.add(entry.name)
  }
  if (!manifest || manifest.files.some(({ name }) => !seen.has(name))) return refuse('files are missing')
  return manifest
}

function parseManifest(text: string): Manifest {
  let value: Manifest
  try {
    value = JSON.parse(text) as Manifest
  } catch {
    return refuse('its list of files cannot be read')
  }
  const files = Array.isArray(value?.files) ? value.files : refuse('its list of files cannot be read')
  if (value.format !== 1) refuse('it is of a newer FileFlow')
  const known = files.every(
    (f) => (f?.name === DATABASE || (KEY_NAME.test(f?.name) && f.size <= KEY_MOST)) && /^[0-9a-f]{64}$/.test(f.sha256),
  )
  if (!known || files.length > MOST_KEYS || files.filter((f) => f.name === DATABASE).length !== 1)
    refuse('its list names what no backup holds')
  return value
}

export interface Restored {
  readonly manifest: Manifest
  /** Where the former state is now; null when there was none. */
  readonly aside: string | null
}

/**
 * Puts a backup in the place of what is in `dataDir`, which is moved aside.
 * @param now ms
 * @throws FileFlowError `service.unavailable` while a gateway runs, `state.conflict` where data is and `force` is not said, `request.invalid`, `database.newer`
 */
export async function restoreBackup(file: string, dataDir: string, force: boolean, now: number): Promise<Restored> {
  const unlock = lockDataDir(dataDir)
  try {
    finishExchange(dataDir)
    const occupied = existsSync(join(dataDir, DATABASE))
    if (occupied && !force) {
      throw new FileFlowError('state.conflict', `${dataDir} holds a database already. With --force it is moved aside, not deleted.`)
    }
    const folder = await mkdtemp(join(dataDir, BEGUN[1]!))
    try {
      await mkdir(join(folder, 'keys'), { mode: 0o700 })
      const manifest = await eachFile(file, async (entry, hash) => {
        const to = createWriteStream(join(folder, entry.name), { flags: 'wx', mode: 0o600, flush: true })
        await pipeline(
          entry.content,
          async function* (chunks: AsyncIterable<Buffer>) {
            for await (const chunk of chunks) {
              hash.update(chunk)
              yield chunk
            }
          },
          to,
        )
      })
      checkDatabase(join(folder, DATABASE))
      const aside = exchange(dataDir, folder, `before-restore-${new Date(now).toISOString().replaceAll(':', '')}`)
      return { manifest, aside }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  } finally {
    unlock()
  }
}

/** Whole, of a version we know, its audit chain unbroken. */
function checkDatabase(file: string): void {
  const db = new SqliteDatabase(file, { readonly: true })
  try {
    const answer = db.pragma('integrity_check(1)', { simple: true })
    if (answer !== 'ok') refuse(`its database is damaged (${String(answer)})`)
    const version = db.pragma('user_version', { simple: true }) as number
    if (version > (migrations().at(-1)?.version ?? 0)) throw new FileFlowError('database.newer', 'This backup is of a newer FileFlow.')
    const audit = createAuditLog(db).verify()
    if (!audit.ok) refuse(`its audit log is broken at row ${audit.broken}`)
  } catch (error) {
    if (error instanceof FileFlowError) throw error
    refuse(`its database is damaged (${(error as Error).message})`)
  } finally {
    db.close()
  }
}
