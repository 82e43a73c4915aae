// A small VirtualFilesystem on a real folder, and a gatekeeper that records what it is asked, for tests of the SFTP listener alone.
// Must not stand in for the real ones in any other test.
import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { FileFlowError } from '../../../src/core/errors.ts'
import type { Peer } from '../../../src/core/transfer.ts'
import type { Principal } from '../../../src/core/user.ts'
import { baseOf, nameFromBytes, nameToBytes, parentOf, type VirtualPath } from '../../../src/core/virtual-path.ts'
import { digestOf } from '../../../src/files/digest.ts'
import type {
  Attributes,
  DigestAlgorithm,
  DigestOptions,
  Download,
  FileDigest,
  FileEntry,
  Upload,
  UploadOptions,
  VirtualFilesystem,
} from '../../../src/files/virtual-filesystem.ts'
import type { Admission, Gatekeeper, LoginAttempt } from '../../../src/gatekeeper/messages.ts'

const CODES: Record<
  string,
  'path.not_found' | 'path.exists' | 'path.not_directory' | 'path.is_directory' | 'path.not_empty' | 'permission.denied'
> = {
  ENOENT: 'path.not_found',
  EEXIST: 'path.exists',
  ENOTDIR: 'path.not_directory',
  EISDIR: 'path.is_directory',
  ENOTEMPTY: 'path.not_empty',
  EACCES: 'permission.denied',
  EPERM: 'permission.denied',
}

async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    const code = CODES[(cause as NodeJS.ErrnoException).code ?? '']
    throw code ? new FileFlowError(code, undefined, { cause }) : cause
  }
}

export class FakeFiles implements VirtualFilesystem {
  readonly principal: Principal
  readonly sessionId: string
  /** What was done, as `commit /a.txt`. */
  readonly log: string[]
  closed = 0
  /** Runs before each write; may throw. */
  beforeWrite: () => Promise<void> | void = () => {}
  #serial = 0
  #why: Error | null = null

  constructor(principal: Principal, sessionId: string, log: string[]) {
    this.principal = principal
    this.sessionId = sessionId
    this.log = log
  }

  real(path: VirtualPath): Buffer {
    return Buffer.concat([Buffer.from(this.principal.home), nameToBytes(path)])
  }

  async #entry(path: VirtualPath, follow: boolean): Promise<FileEntry> {
    this.alive()
    const stats = await translated(follow ? fs.stat(this.real(path)) : fs.lstat(this.real(path)))
    return {
      name: baseOf(path),
      kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'link' : 'other',
      size: stats.size,
      mode: stats.mode & 0o7777,
      mtimeMs: stats.mtimeMs,
      atimeMs: stats.atimeMs,
      uid: stats.uid,
      gid: stats.gid,
      links: stats.nlink,
      unique: `${stats.dev}-${stats.ino}`,
      partial: false,
    }
  }

  alive(): void {
    if (this.#why) throw this.#why
  }

  async *list(path: VirtualPath): AsyncIterable<FileEntry> {
    const names = await translated(fs.readdir(this.real(path), { encoding: 'buffer' }))
    for (const name of names) yield await this.#entry(`${path === '/' ? '' : path}/${nameFromBytes(name)}` as VirtualPath, false)
  }
  stat(path: VirtualPath): Promise<FileEntry> {
    return this.#entry(path, true)
  }
  lstat(path: VirtualPath): Promise<FileEntry> {
    return this.#entry(path, false)
  }
  async mustBeFolder(path: VirtualPath): Promise<void> {
    if ((await this.#entry(path, true)).kind !== 'directory') throw new FileFlowError('path.not_directory')
  }
  may(): boolean {
    return true
  }

  /** Of all downloads. */
  bytesRead = 0

  #count(bytes: number): number {
    this.bytesRead += bytes
    return bytes
  }

  async openDownload(path: VirtualPath): Promise<Download> {
    this.alive()
    if ((await this.stat(path)).kind !== 'file') throw new FileFlowError('path.not_regular')
    const file = await translated(fs.open(this.real(path), 'r'))
    const { size } = await file.stat()
    let ended = false
    const { log } = this
    return {
      transferId: `down-${++this.#serial}`,
      path,
      size,
      read: async (into, at) => this.#count((await file.read(into, 0, into.length, at)).bytesRead),
      readv: async (into, at) => this.#count((await file.readv([...into], at)).bytesRead),
      digest: (algorithm, options = {}) => digestOf(file.fd, size, algorithm, options, () => this.alive()),
      stat: () => this.stat(path),
      async end(sent, error) {
        if (ended) return
        ended = true
        log.push(`end ${path} ${sent}${error ? ' failed' : ''}`)
        await file.close()
      },
    }
  }

  async beginUpload(path: VirtualPath, options: UploadOptions): Promise<Upload> {
    this.alive()
    const final = this.real(path)
    const exists = await fs.lstat(final).catch(() => null)
    if (exists?.isDirectory()) throw new FileFlowError('path.is_directory')
    if (exists && options.mode === 'create') throw new FileFlowError('path.exists')
    if (!exists && options.mustExist) throw new FileFlowError('path.not_found')
    await this.stat(parentOf(path))
    const id = `up-${++this.#serial}`
    const staging = `${this.principal.home}.staging.${this.sessionId}.${id}`
    if (options.mode === 'resume' && exists) await fs.copyFile(final, staging)
    const file = await fs.open(staging, constants.O_RDWR | constants.O_CREAT, options.fileMode ?? 0o644)
    let size = (await file.stat()).size
    let over = false
    const { log } = this
    log.push(`begin ${path} ${options.mode}`)
    const alive = (): void => this.alive()
    const before = (): Promise<void> | void => this.beforeWrite()
    const folder = (): Promise<FileEntry> => this.#entry(parentOf(path), true)
    const upload: Upload = {
      transferId: id,
      path,
      get size() {
        return size
      },
      async write(chunk, at) {
        await upload.writev([chunk], at)
      },
      async writev(chunks, at) {
        await before()
        alive()
        const { bytesWritten } = await file.writev([...chunks], at)
        size = Math.max(size, at + bytesWritten)
      },
      append: (chunks) => upload.writev(chunks, upload.size),
      read: async (into, at) => (await file.read(into, 0, into.length, at)).bytesRead,
      digest: (algorithm, options = {}) => digestOf(file.fd, size, algorithm, options, alive),
      truncate: async (to) => {
        await file.truncate(to)
        size = to
      },
      stat: async () => ({ ...(await folder()), name: baseOf(path), kind: 'file', size, mode: 0o644 }),
      setAttributes: (attributes) => applyTo(file, attributes),
      sync: () => file.sync(),
      async commit() {
        alive()
        if (over) throw new FileFlowError('state.conflict')
        over = true
        await file.close()
        await fs.rename(staging, final)
        log.push(`commit ${path}`)
        return { deliveries: 0 }
      },
      async abort() {
        if (over) return
        over = true
        log.push(`abort ${path}`)
        await file.close()
      },
    }
    return upload
  }

  async digest(path: VirtualPath, algorithm: DigestAlgorithm, options?: DigestOptions): Promise<FileDigest> {
    const download = await this.openDownload(path)
    return download.digest(algorithm, options).finally(() => download.end(0))
  }
  link(from: VirtualPath, to: VirtualPath): Promise<void> {
    return translated(fs.link(this.real(from), this.real(to)))
  }

  mkdir(path: VirtualPath, mode?: number): Promise<void> {
    return translated(fs.mkdir(this.real(path), mode))
  }
  rmdir(path: VirtualPath): Promise<void> {
    return translated(fs.rmdir(this.real(path)))
  }
  remove(path: VirtualPath): Promise<void> {
    return translated(fs.unlink(this.real(path)))
  }
  async rename(from: VirtualPath, to: VirtualPath, options: { overwrite: boolean }): Promise<void> {
    if (!options.overwrite && (await fs.lstat(this.real(to)).catch(() => null))) throw new FileFlowError('path.exists')
    await translated(fs.rename(this.real(from), this.real(to)))
  }
  async setAttributes(path: VirtualPath, attributes: Attributes): Promise<void> {
    const file = await translated(fs.open(this.real(path), 'r+').catch(() => fs.open(this.real(path), 'r')))
    await applyTo(file, attributes).finally(() => file.close())
  }
  async readlink(path: VirtualPath): Promise<string> {
    return nameFromBytes(await translated(fs.readlink(this.real(path), { encoding: 'buffer' })))
  }
  symlink(target: string, path: VirtualPath): Promise<void> {
    return translated(fs.symlink(nameToBytes(target), this.real(path)))
  }
  async realpath(path: VirtualPath): Promise<VirtualPath> {
    return path
  }
  async space() {
    return { blockSize: 4096, totalBlocks: 1000, freeBlocks: 500, totalFiles: 100, freeFiles: 50 }
  }
  async close(why: Error): Promise<void> {
    this.closed++
    this.#why = why
  }
}

async function applyTo(file: fs.FileHandle, { mode, atimeMs, mtimeMs, size }: Attributes): Promise<void> {
  if (size !== undefined) await file.truncate(size)
  if (mode !== undefined) await file.chmod(mode)
  if (mtimeMs !== undefined) await file.utimes((atimeMs ?? mtimeMs) / 1000, mtimeMs / 1000)
}

export interface FakeUser {
  readonly password?: string
  readonly keyBlob?: Buffer
  readonly principal: Principal
}

export class FakeGatekeeper implements Gatekeeper {
  readonly users = new Map<string, FakeUser>()
  readonly attempts: LoginAttempt[] = []
  readonly closed: string[] = []
  readonly progressed: string[] = []
  readonly clients: string[] = []
  /** How each of the closed sessions ended. */
  readonly reasons: string[] = []
  readonly methods: string[] = []
  banned = false
  admission: Admission = { allowed: true }
  #serial = 0

  async admit(_peer: Peer): Promise<Admission> {
    return this.admission
  }
  readonly dropped: Peer[] = []
  droppedUnheard(peer: Peer): void {
    this.dropped.push(peer)
  }
  departed(): void {}
  async mayTry(): Promise<Admission> {
    return this.banned ? { allowed: false, code: 'auth.banned', message: 'Too many failed logins from this address.' } : { allowed: true }
  }
  async authenticate(attempt: LoginAttempt): Promise<Principal | null> {
    this.attempts.push(attempt)
    const user = this.users.get(attempt.username)
    if (!user) return null
    const { credential } = attempt
    const good =
      credential.kind === 'password'
        ? user.password !== undefined && credential.password === user.password
        : credential.kind === 'publickey' && user.keyBlob?.equals(Buffer.from(credential.blob))
    const { sshAuth } = user.principal
    if (sshAuth === 'key+password' && credential.kind === 'password' && !credential.keyProven) return null
    return good ? user.principal : null
  }
  async openSession(username: string, peer: Peer, method: string, client: string) {
    this.methods.push(method)
    this.clients.push(client)
    return { id: `s${++this.#serial}`, principal: this.users.get(username)!.principal, peer }
  }
  closeSession(sessionId: string, reason: string): void {
    this.closed.push(sessionId)
    this.reasons.push(reason)
  }
  async beginTransfer(): Promise<never> {
    throw new Error('the fake filesystem does not ask')
  }
  async commitUpload(): Promise<never> {
    throw new Error('the fake filesystem does not ask')
  }
  async commitRename(): Promise<never> {
    throw new Error('the fake filesystem does not ask')
  }
  async isUploadedInto(): Promise<never> {
    throw new Error('the fake filesystem does not ask')
  }
  async commitRenames(): Promise<never> {
    throw new Error('the fake filesystem does not ask')
  }
  published(): void {}
  journaled(): void {}
  confirmUpload(): void {}
  endTransfer(): void {}
  activity(): void {}
  progress(transferId: string): void {
    this.progressed.push(transferId)
  }
  renamed(): void {}
  async endHanging() {}
  async uploadsRenamed() {}
  async usage() {
    return { bytes: 0, files: 0 }
  }
  operation(): void {}
  refused(): void {}
  refusedMore(): void {}
}
