// Real folders, sessions on them and a ledger in memory, for tests of the door to partner files.
// Must not stand in for anything in src/files: what is tried here is the very code that partners meet.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { codeOf, type ErrorCode, FileFlowError } from '../../src/core/errors.ts'
import { PERMISSIONS, type PermissionEntry } from '../../src/core/permission.ts'
import type {
  NewTransfer,
  Operation,
  RefusedOperation,
  RenamedFile,
  StagedUpload,
  TransferEnd,
  TransferGrant,
  TransferLedger,
} from '../../src/core/transfer.ts'
import type { Principal } from '../../src/core/user.ts'
import { nameFromBytes, ROOT, toVirtualPath, type VirtualPath } from '../../src/core/virtual-path.ts'
import { AuditedFilesystem } from '../../src/files/audited-filesystem.ts'
import type { Arrivals } from '../../src/files/beginnings.ts'
import { Hasher } from '../../src/files/hasher.ts'
import type { SessionFilesystem } from '../../src/files/session-filesystem.ts'
import { Vaults } from '../../src/files/vaults.ts'
import type { Download, FileEntry, Upload, UploadOptions } from '../../src/files/virtual-filesystem.ts'

export const SURE = { confidence: 'certain', evidence: ['test'] } as const

/** Keeps what it is told; `meanwhile` runs while the session waits for the control plane, which is when an attacker strikes. */
export class MemoryLedger implements TransferLedger {
  readonly begun: NewTransfer[] = []
  readonly committed: StagedUpload[] = []
  readonly renames: (RenamedFile & { id: string })[] = []
  readonly ended = new Map<string, TransferEnd>()
  readonly done: string[] = []
  readonly renamedAs = new Map<string, boolean>()
  readonly operations: Operation[] = []
  readonly told: [string, number][] = []
  meanwhile: Partial<Record<'beginTransfer' | 'commitUpload' | 'commitRename' | 'uploadsRenamed' | 'isUploadedInto', () => unknown>> = {}
  grant: TransferGrant = { maxSize: null, maxSizeCode: 'file.too_large' }
  deliveries = 0
  #next = 0

  async #pause(what: keyof MemoryLedger['meanwhile']): Promise<void> {
    await null
    await this.meanwhile[what]?.()
  }

  async beginTransfer(transfer: NewTransfer): Promise<TransferGrant> {
    this.begun.push(transfer)
    await this.#pause('beginTransfer')
    return this.grant
  }

  async commitUpload(upload: StagedUpload): Promise<{ deliveries: number }> {
    await this.#pause('commitUpload')
    this.committed.push(upload)
    return { deliveries: this.deliveries }
  }

  readonly replaced = new Map<string, number | null>()
  published(id: string, replaced: number | null): void {
    this.done.push(id)
    this.replaced.set(id, replaced)
  }

  readonly names: (readonly [string, VirtualPath])[] = []
  async uploadsRenamed(ids: readonly string[], to: VirtualPath): Promise<void> {
    for (const id of ids) this.names.push([id, to])
    await this.#pause('uploadsRenamed')
  }

  endTransfer(id: string, end: TransferEnd): void {
    this.ended.set(id, end)
  }

  progress(id: string, bytes: number): void {
    this.told.push([id, bytes])
  }

  async commitRename(file: RenamedFile) {
    const renameId = `rename${this.#next++}`
    this.renames.push({ ...file, id: renameId })
    await this.#pause('commitRename')
    return { deliveries: this.deliveries, renameId, spool: Buffer.concat([file.spoolFolder, Buffer.from(`/${renameId}`)]) }
  }

  async commitRenames(_: string, files: readonly RenamedFile[]) {
    return Promise.all(files.map((file) => this.commitRename(file)))
  }

  renamed(id: string, done: boolean): void {
    this.renamedAs.set(id, done)
  }

  used = { bytes: 0, files: 0 }
  async endHanging() {}
  uploadedInto: string[] = []
  async isUploadedInto(_: string, folder: string) {
    await this.#pause('isUploadedInto')
    return this.uploadedInto.includes(folder)
  }
  async usage() {
    return this.used
  }

  readonly refusals: (RefusedOperation | number)[] = []
  refused(operation: RefusedOperation): void {
    this.refusals.push(operation)
  }
  refusedMore(_: string, count: number): void {
    this.refusals.push(count)
  }

  operation(operation: Operation): void {
    this.operations.push(operation)
  }
}

export interface PartnerOptions {
  readonly username?: string
  readonly permissions?: readonly PermissionEntry[]
  readonly mounts?: readonly { path: string; target: string; readOnly?: boolean }[]
  readonly quota?: Partial<Principal['quota']>
  readonly limits?: Partial<Principal['limits']>
  readonly home?: string
  readonly durable?: boolean
  /** As in a worker with a journal. */
  readonly arrivals?: Arrivals
}

export const everything = (path = '/'): PermissionEntry => ({ path: v(path), allow: PERMISSIONS })

export function principal(home: string, options: PartnerOptions = {}): Principal {
  return {
    username: options.username ?? 'partner',
    partner: '',
    home,
    startDirectory: ROOT,
    permissions: options.permissions ?? [everything()],
    mounts: (options.mounts ?? []).map((m) => ({ path: v(m.path), target: m.target, readOnly: m.readOnly ?? false })),
    protocols: ['sftp', 'ftp'],
    requireTls: true,
    sshAuth: 'any',
    quota: { bytes: null, files: null, ...options.quota },
    limits: { sessions: null, uploadRate: null, downloadRate: null, maxFileSize: null, ...options.limits },
  }
}

/** A disk with a home, the gateway's own folders, and something outside that nobody may reach. */
export function disk(t: Test, at: string = t.testdir()) {
  const root = fs.realpathSync(at)
  const home = join(root, 'files/partner')
  const dataDir = join(root, 'data')
  const outside = join(root, 'outside')
  for (const folder of [home, dataDir, outside]) fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(join(outside, 'secret'), 'top secret')
  const ledger = new MemoryLedger()
  const vaults = new Vaults(dataDir, join(root, 'files'))
  const hasher = new Hasher((error) => t.fail('the hashing thread failed', { error }))
  let sessions = 0
  return {
    root,
    home,
    dataDir,
    outside,
    ledger,
    vaults,
    /** A new session, closed with the test. */
    session(options: PartnerOptions = {}): SessionFilesystem {
      const session = new AuditedFilesystem({
        session: { id: `session${sessions++}`, principal: principal(options.home ?? home, options) },
        ledger,
        vaults,
        durable: options.durable ?? false,
        hasher,
        arrivals: options.arrivals,
      })
      t.teardown(() => session.close(new FileFlowError('session.revoked')))
      return session
    },
    /** Everything outside the home, as name → kind, mode, time, content: what no partner may change. */
    outsideState: () => stateOf(outside),
    read: (name: string) => fs.readFileSync(join(home, name), 'utf8'),
    has: (name: string) => fs.lstatSync(join(home, name), { throwIfNoEntry: false }) !== undefined,
    put(name: string, text: string) {
      fs.mkdirSync(join(home, name, '..'), { recursive: true })
      fs.writeFileSync(join(home, name), text)
    },
    /** Files below a folder of the gateway's own. */
    kept: (part: 'staging' | 'spool' | 'partials') => filesBelow(join(dataDir, part)),
  }
}

export type Disk = ReturnType<typeof disk>

/** Never through a link. */
export function filesBelow(folder: string): string[] {
  if (!fs.existsSync(folder)) return []
  return fs
    .readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)]))
}

function stateOf(path: string): string {
  const s = fs.lstatSync(path)
  const line = `${path} ${s.mode.toString(8)} ${s.mtimeMs} ${s.nlink}`
  if (s.isFile()) return `${line} ${fs.readFileSync(path, 'utf8')}`
  return s.isDirectory()
    ? [
        line,
        ...fs
          .readdirSync(path)
          .sort()
          .map((name) => stateOf(join(path, name))),
      ].join('\n')
    : line
}

export const v = (text: string): VirtualPath => toVirtualPath(ROOT, text)
export const raw = (...bytes: number[]): string => nameFromBytes(Buffer.from(bytes))
export const bytes = (text: string): Buffer => Buffer.from(text)
export const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex')

/** The code a promise fails with, or `ok`. */
export async function outcome(work: Promise<unknown>): Promise<ErrorCode | 'ok' | `not ours: ${string}`> {
  try {
    await work
    return 'ok'
  } catch (error) {
    return error instanceof FileFlowError ? codeOf(error) : `not ours: ${error}`
  }
}

export async function names(session: SessionFilesystem, path = '/'): Promise<string[]> {
  return (await entries(session, path)).map((entry) => entry.name).sort()
}

export async function entries(session: SessionFilesystem, path = '/'): Promise<FileEntry[]> {
  const found: FileEntry[] = []
  for await (const entry of session.list(v(path))) found.push(entry)
  return found
}

export async function begin(
  session: SessionFilesystem,
  path: string,
  text = '',
  options: UploadOptions = { mode: 'replace' },
): Promise<Upload> {
  const upload = await session.beginUpload(v(path), options)
  if (text !== '') await upload.write(bytes(text), upload.size)
  return upload
}

export async function put(session: SessionFilesystem, path: string, text: string, options?: UploadOptions): Promise<Upload> {
  const upload = await begin(session, path, text, options)
  await upload.commit(SURE)
  return upload
}

/** Leaves a partial of that text: one byte less than what came is kept. */
export async function cut(session: SessionFilesystem, path: string, text: string, options?: UploadOptions): Promise<void> {
  await (await begin(session, path, `${text}~`, options)).abort(new FileFlowError('transfer.aborted'))
}

export async function textOf(download: Download): Promise<string> {
  const into = Buffer.alloc(1024 * 1024)
  const n = await download.read(into, 0)
  return into.toString('utf8', 0, n)
}

export async function get(session: SessionFilesystem, path: string): Promise<string> {
  const download = await session.openDownload(v(path))
  const text = await textOf(download)
  await download.end(text.length)
  return text
}

/** Open descriptors of this process, but for the one that counts. */
export const descriptors = (): number => fs.readdirSync('/proc/self/fd').length - 1

/** Waits until no more are open than `before`: a session keeps its last folder open for a moment. The test's own timeout ends a wait for ever. */
export async function closedAgain(before: number): Promise<void> {
  while (descriptors() > before) await new Promise((go) => setTimeout(go, 50))
}
