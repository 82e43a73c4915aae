// One upload: staged outside every virtual root, hashed as it passes, synced, committed, and only then published under its name.
// Must not modify a published file: a name changes hands by rename, and what was published stays as it was for whoever holds it.
import fs from 'node:fs'
import { codeOf, type ErrorCode, FileFlowError } from '../core/errors.ts'
import { testPoint } from '../core/test-point.ts'
import type { Obligations, Verdict } from '../core/transfer.ts'
import type { VirtualPath } from '../core/virtual-path.ts'
import { applyAttributes, entryAt } from './attributes.ts'
import { digestOf } from './digest.ts'
import { AT_ONCE_BYTES, fromErrno, readAt, sync, translated, truncate, writeAt, writeNow, writevAt } from './file-io.ts'
import { holeMark, keepPartial, partialSize } from './kept-partials.ts'
import { publish } from './publish.ts'
import { fitsVolume } from './space.ts'
import { UploadDigest } from './upload-digest.ts'
import type { StagedFile, UploadHost } from './upload-host.ts'
import type { Vault } from './vaults.ts'
import type { Attributes, DigestAlgorithm, DigestOptions, FileDigest, FileEntry, Upload } from './virtual-filesystem.ts'

/** The gateway itself ended the session. */
const SENT_AWAY: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['session.revoked', 'service.draining'])

export class StagedUpload implements Upload {
  readonly transferId: string
  readonly #host: UploadHost
  #file: StagedFile
  #size: number
  readonly #sha256: UploadDigest
  #state: 'open' | 'committing' | 'ending' | 'done' = 'open'
  /** A commit or abort that is under way, or is over. */
  #ending: Promise<void> = Promise.resolve()
  #published = false
  #attributes: Attributes = {}
  #busy: Promise<unknown> = Promise.resolve()
  #failure: FileFlowError | undefined
  /** One after the other: each begins where the one before ended. */
  #appending: Promise<void> = Promise.resolve()
  /** Length without a hole: what a client may go on from. */
  #whole: number
  /** Changes of the content that were begun, and those of them that have not ended. */
  #begun = 0
  #pending = 0
  #discarded = false
  /** There is a mark on the disk that says how much is whole. */
  #holed = false
  #marked = 0
  /** Bytes came. */
  #wrote = false
  /** What the session's other uploads held when this one was granted its size. */
  readonly #othersThen: number
  /** The control plane knows of it. */
  #recorded = false

  constructor(host: UploadHost, file: StagedFile) {
    this.#host = host
    this.#file = file
    this.transferId = file.transferId
    this.#size = file.size
    this.#othersThen = host.othersNow(this)
    this.#whole = file.size
    this.#sha256 = new UploadDigest(host.hasher, file.fd, file.size)
    testPoint('upload.begun')
  }

  get path(): VirtualPath {
    return this.#file.path
  }

  get size(): number {
    return this.#size
  }

  /** It may still be written. */
  get going(): boolean {
    return this.#state === 'open'
  }

  /** Resolves when a commit or abort that is under way has ended it. */
  get ended(): Promise<void> {
    return this.#ending
  }

  get vault(): Vault {
    return this.#file.vault
  }

  /** Where its content is until it is published. */
  get staging(): string {
    return this.#file.staging
  }

  async write(chunk: Uint8Array, at: number): Promise<void> {
    this.#usable()
    await this.#store([chunk], at)
  }

  async writev(chunks: readonly Uint8Array[], at: number, release?: () => void): Promise<void> {
    this.#usable()
    await this.#store(chunks, at, release)
  }

  async append(chunks: readonly Uint8Array[]): Promise<void> {
    this.#usable()
    const appended = this.#appending.then(() => {
      // a commit that was asked for meanwhile waits for it
      if (this.#state !== 'committing') this.#usable()
      return this.#store(chunks, this.#size)
    })
    this.#appending = appended.catch(() => {})
    await appended
  }

  async #store(chunks: readonly Uint8Array[], at: number, release?: () => void): Promise<void> {
    this.#host.need('upload', this.path)
    const { fd } = this.#file
    let length = 0
    for (const chunk of chunks) length += chunk.length
    const end = at + length
    if (!Number.isSafeInteger(end) || this.#tooLarge(end)) throw this.#fail(new FileFlowError(this.#file.maxSizeCode))
    if (at > this.#size && !fitsVolume(end, this.#file.vault.root)) throw this.#fail(new FileFlowError('disk.full'))
    if (at > this.#whole && length > 0) this.#markHole(this.#whole)
    if (at <= this.#whole && end > this.#whole) this.#whole = end
    const failed = (error: unknown): never => {
      this.#whole = Math.min(this.#whole, at)
      throw this.#fail(fromErrno(error))
    }
    let hashing: Promise<void> | undefined
    if (end <= AT_ONCE_BYTES) {
      this.#begun++
      try {
        writeNow(fd, chunks, at)
      } catch (error) {
        failed(error)
      }
      hashing = this.#sha256.take(chunks, at, end)
    } else {
      const written = this.#change(() => (chunks.length === 1 ? writeAt(fd, chunks[0]!, at) : writevAt(fd, chunks, at))).catch(failed)
      hashing = this.#sha256.take(chunks, at, end)
      await written
    }
    if (length > 0) this.#wrote = true
    if (length > 0 && end > this.#size) this.#size = end
    this.#host.progress(this.transferId, this.#size)
    const behind = this.#sha256.wrote(at, end)
    if (behind) await behind
    if (!hashing) release?.()
    else if (release) void hashing.then(release)
    else await hashing
    const wait = this.#host.limiter.take(length)
    if (wait) await wait
    // another handle that ended it meanwhile has told of it
    if (end <= AT_ONCE_BYTES || this.#state !== 'open') return
    // from here on there is something to lose: what was taken is found again after a kill
    if (!this.#recorded) await this.#announced()
    testPoint('upload.written')
  }

  async #announced(): Promise<void> {
    try {
      await this.#file.announce()
      this.#recorded = true
    } catch (error) {
      throw this.#fail(fromErrno(error))
    }
  }

  /** Uploads side by side were each granted the same rest of a quota. */
  #tooLarge(size: number): boolean {
    const { maxSize, maxSizeCode } = this.#file
    if (maxSize === null) return false
    const grown = maxSizeCode === 'quota.exceeded' ? Math.max(0, this.#host.othersNow(this) - this.#othersThen) : 0
    return size + grown > maxSize
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    this.#usable()
    // a resumed upload holds what was published before
    this.#host.need('download', this.path)
    const reading = readAt(this.#file.fd, into, at)
    this.#wait(reading)
    return reading
  }

  async digest(algorithm: DigestAlgorithm, options: DigestOptions = {}): Promise<FileDigest> {
    const check = (): void => {
      this.#usable()
      this.#host.need('download', this.path)
    }
    check()
    return this.#host.digest(async () => {
      // of what was written before it was asked
      await this.#busy
      check()
      const digesting = digestOf(this.#file.fd, this.#size, algorithm, options, check)
      this.#wait(digesting)
      return digesting
    })
  }

  /** It does not end before that has: its name is about to change. */
  hold(until: Promise<unknown>): void {
    this.#wait(until)
  }

  /** From now on it goes by another name. Only while it is held. @param frees what the quota gets back there when it is published */
  moveTo(name: Pick<StagedFile, 'path' | 'partial' | 'foundInode' | 'doomed'>, frees: number): void {
    const { maxSize, maxSizeCode, mustBeNew } = this.#file
    const raised = maxSizeCode === 'quota.exceeded' && maxSize !== null ? this.#host.atMost(maxSize + frees) : {}
    // whoever asked for a free name once has said since that this one may be taken
    const tookName = this.#file.tookName || name.doomed !== null
    this.#file = { ...this.#file, ...name, ...raised, tookName, replacesPartial: true, mustBeNew: mustBeNew && !tookName }
  }

  /** Whether the client has said, by a rename, that this is to go for the upload; what others put there since, or touched, is not. Its ctime says nothing: a spool link that goes sets it. */
  dooms({ ino, birthtimeMs, mtimeMs }: fs.Stats): boolean {
    const { doomed } = this.#file
    return doomed?.ino === ino && doomed.birthtimeMs === birthtimeMs && doomed.mtimeMs === mtimeMs
  }

  /** Whoever ends the upload waits for all that is under way. */
  #wait(work: Promise<unknown>): void {
    const before = this.#busy
    this.#busy = work.then(
      () => before,
      () => before,
    )
  }

  async #change(work: () => Promise<void>): Promise<void> {
    this.#begun++
    this.#pending++
    const running = work().finally(() => this.#pending--)
    this.#wait(running)
    return running
  }

  /** A file that misses a piece must never be published, even if the client goes on and closes it. */
  #fail(error: FileFlowError): FileFlowError {
    this.#failure ??= error
    return error
  }

  async truncate(size: number): Promise<void> {
    this.#usable()
    if (this.#tooLarge(size)) throw new FileFlowError(this.#file.maxSizeCode)
    if (size > this.#size && !fitsVolume(size, this.#file.vault.root)) throw new FileFlowError('disk.full')
    const alone = this.#pending === 0
    const change = this.#begun + 1
    const digestGoesOn = this.#sha256.cut()
    if (size > this.#whole || this.#holed) this.#markHole(Math.min(this.#whole, size))
    this.#whole = Math.min(this.#whole, size)
    await this.#change(() => truncate(this.#file.fd, size))
    this.#size = size
    // in step again only when no write went on meanwhile: nobody can say which came first
    if (alone && this.#begun === change) digestGoesOn(size)
  }

  async stat(): Promise<FileEntry> {
    this.#usable()
    return this.entry()
  }

  entry(): FileEntry {
    const stats = translated(() => fs.fstatSync(this.#file.fd))
    return entryAt(this.path, stats, true)
  }

  async setAttributes(attributes: Attributes): Promise<void> {
    this.#usable()
    if (attributes.size !== undefined) await this.truncate(attributes.size)
    const { size: _, ...rest } = attributes
    // written again at commit: every write in between moves the time
    this.#attributes = { ...this.#attributes, ...rest }
    translated(() => applyAttributes(this.#file.fd, rest))
  }

  async sync(): Promise<void> {
    this.#usable()
    const syncing = sync(this.#file.fd)
    this.#wait(syncing)
    await syncing
  }

  async commit(verdict: Verdict, mustStand?: () => void): Promise<Obligations> {
    this.#usable()
    this.#state = 'committing'
    const committed = this.#commit(verdict, mustStand)
    const over = (): void => {}
    this.#ending = committed.then(over, over)
    return committed
  }

  async #commit(verdict: Verdict, mustStand?: () => void): Promise<Obligations> {
    try {
      await this.#appending
      await this.#busy
      if (this.#failure) throw this.#failure
      this.#host.need('upload', this.path)
      const owed = await this.#publish(verdict, mustStand)
      this.#finish()
      return owed
    } catch (error) {
      const why = fromErrno(error)
      // past the rename there is no way back: the file is there, only its acknowledgement failed
      if (this.#published) this.#finish()
      else await this.#abort(why)
      throw why
    }
  }

  async #publish(verdict: Verdict, mustStand?: () => void): Promise<Obligations> {
    const { size } = fs.fstatSync(this.#file.fd)
    const sha256 = await this.#sha256.end(size)
    mustStand?.()
    return publish(this.#host, this.#file, {
      size,
      sha256,
      verdict,
      attributes: this.#attributes,
      underWay: (work) => this.#wait(work),
      published: () => {
        this.#published = true
      },
    })
  }

  abort(why: Error): Promise<void> {
    if (this.#state !== 'open') {
      // the digest of a large file takes long: who was sent away is not waited for; who only lost the line has sent all
      if (SENT_AWAY.has(codeOf(why))) this.#sha256.giveUp(why)
      return this.#ending
    }
    this.#state = 'ending'
    this.#ending = this.#abort(why, this.#overtaken())
    return this.#ending
  }

  /** Something else was published under the name since this began: what is left of this would stand before it in its uploader's eyes. */
  #overtaken(): boolean {
    try {
      using place = this.#host.place(this.path)
      const now = place.lstat()
      return now !== null && now.ino !== this.#file.foundInode
    } catch {
      // the session or the folder is gone: nothing can be said
      return false
    }
  }

  /** @param worthless what came is not kept */
  async #abort(why: Error, worthless = false): Promise<void> {
    await this.#busy
    let kept = false
    let bytes = this.#size
    try {
      // behind a hole, resuming would publish zeros; nor is a copy of what is published worth anything by itself: its uploader would see it in the place of the file
      const nothing = worthless || this.#discarded || (this.#file.isCopy && !this.#wrote)
      bytes = nothing ? 0 : partialSize(Math.min(this.#whole, fs.fstatSync(this.#file.fd).size))
      if (bytes > 0) fs.ftruncateSync(this.#file.fd, bytes)
      // what is gone on with after a power loss must be there
      if (bytes > 0 && this.#host.durable) await sync(this.#file.fd)
      kept = bytes > 0 && this.#host.mayKeep(this.#file.vault) && keepPartial(this.#file.staging, this.#file.partial)
      if (!kept) fs.rmSync(this.#file.staging, { force: true })
    } catch (cause) {
      this.#host.aborted(this.transferId, bytes, new FileFlowError('storage.failed', undefined, { cause }), false)
      this.#finish()
      return
    }
    this.#host.aborted(this.transferId, bytes, why, kept)
    this.#finish()
  }

  /** For whoever finds the staging file after a kill: up to here it may be gone on with. */
  #markHole(whole: number): void {
    if (this.#holed && whole >= this.#marked) return
    this.#holed = true
    this.#marked = whole
    translated(() => fs.writeFileSync(holeMark(this.#file.staging), String(whole), { mode: 0o600 }))
  }

  /** Ends without publishing, and keeps nothing: its name was removed. */
  async discard(): Promise<void> {
    this.#discarded = true
    await this.abort(new FileFlowError('transfer.aborted', 'The file was removed during its upload.'))
  }

  #finish(): void {
    this.#state = 'done'
    this.#sha256.drop()
    fs.closeSync(this.#file.fd)
    if (this.#holed) fs.rmSync(holeMark(this.#file.staging), { force: true })
    this.#host.gone(this)
  }

  #usable(): void {
    if (this.#state !== 'open') throw new FileFlowError('transfer.aborted')
    this.#host.need('upload', this.path)
  }
}
