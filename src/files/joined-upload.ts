// What a session writes to one file through several handles is one upload, as on a disk it is one file. Each handle that ends publishes what is there by then,
// so that its acknowledgement is true; who goes on after that, goes on from it, in a new upload. Must not change a published file, nor lose what one handle wrote to the end of another.
import { FileFlowError } from '../core/errors.ts'
import type { Obligations, Verdict } from '../core/transfer.ts'
import type { VirtualPath } from '../core/virtual-path.ts'
import type { StagedUpload } from './upload.ts'
import type { Attributes, DigestAlgorithm, DigestOptions, FileDigest, FileEntry, Upload } from './virtual-filesystem.ts'

export interface JoinedHost {
  /** What is published. */
  stat(): FileEntry
  /** Another upload that goes on from what is published. @param mustStand throws when the name has another file: asked right before that is taken */
  again(mustStand: () => void): Promise<StagedUpload>
  /** Its last handle has ended. */
  gone(): void
}

const NOTHING_NEW: Obligations = { deliveries: 0 }

export class JoinedUpload {
  readonly #host: JoinedHost
  #path: VirtualPath
  readonly #handles = new Set<UploadHandle>()
  #latest: StagedUpload
  /** Was published by another handle: what is written next goes to a new upload. */
  #detached = false
  /** There is something in the latest that is published nowhere; the first upload is published even when nothing came. */
  #changed = true
  #several = false
  #failure: unknown = null
  /** Which file was published last: whatever else has the name since (it was renamed, replaced by another session) is none of these handles'. */
  #published: string | null = null
  /** And it has its name. */
  #standing = false
  #publishing: Promise<void> = Promise.resolve()
  #opening: Promise<StagedUpload> | null = null

  constructor(first: StagedUpload, host: JoinedHost) {
    this.#latest = first
    this.#path = first.path
    this.#host = host
  }

  get path(): VirtualPath {
    return this.#path
  }

  get latest(): StagedUpload {
    return this.#latest
  }

  /** What its handles write, or have published, has another name by now. */
  moveTo(path: VirtualPath): void {
    this.#path = path
  }

  /** Whether another handle may go on with it. */
  get going(): boolean {
    if (this.#failure !== null) return false
    return this.#detached ? !this.#standing || this.#opening !== null || this.#stands() : this.#latest.going
  }

  /** Whoever opens the name now means what is there now. */
  #stands(): boolean {
    try {
      this.#ours()
      return true
    } catch {
      return false
    }
  }

  handle(): UploadHandle {
    const handle = new UploadHandle(this)
    this.#handles.add(handle)
    this.#several ||= this.#handles.size > 1
    return handle
  }

  /** The upload that takes what is written now, at once unless it must be begun. */
  toChange(): StagedUpload | Promise<StagedUpload> {
    if (this.#detached) return this.#again()
    this.#changed = true
    return this.#latest
  }

  /** What the handles see; nothing is begun for it. */
  async stat(): Promise<FileEntry> {
    if (!this.#detached) return this.#latest.stat()
    await this.#publishing
    return this.#detached ? this.#ours() : this.#latest.stat()
  }

  async sync(): Promise<void> {
    if (!this.#detached) await this.#latest.sync()
    await this.#publishing
    if (this.#failure !== null) throw this.#failure
  }

  /** The upload that holds what was written last; to be read from. */
  toLookAt(): StagedUpload | Promise<StagedUpload> {
    return this.#detached ? this.#reopened() : this.#latest
  }

  async #again(): Promise<StagedUpload> {
    const upload = await this.#reopened()
    this.#changed = true
    return upload
  }

  #reopened(): Promise<StagedUpload> {
    this.#opening ??= this.#publishing
      .then(async () => {
        if (this.#failure !== null) throw this.#failure
        this.#ours()
        this.#latest = await this.#host.again(() => void this.#ours())
        this.#detached = false
        this.#changed = false
        return this.#latest
      })
      .finally(() => {
        this.#opening = null
      })
    return this.#opening
  }

  /** @throws FileFlowError `path.not_found`, `state.conflict` */
  #ours(): FileEntry {
    const entry = this.#host.stat()
    if (entry.unique !== this.#published) throw new FileFlowError('state.conflict', 'Another file has the name by now.')
    return entry
  }

  commit(handle: UploadHandle, verdict: Verdict, mustStand?: () => void): Promise<Obligations> {
    const last = this.#end(handle)
    return this.#several ? this.#commit(last, verdict, mustStand) : this.#latest.commit(verdict, mustStand)
  }

  async #commit(last: boolean, verdict: Verdict, mustStand?: () => void): Promise<Obligations> {
    await this.#publishing
    const unpublished = this.#failure === null && !this.#detached
    if (unpublished && this.#changed) {
      this.#detached = true
      this.#published = this.#latest.going ? this.#latest.entry().unique : null
      this.#standing = false
      const committed = this.#latest.commit(verdict, mustStand)
      this.#publishing = committed.then(
        () => {
          this.#standing = true
        },
        (error: unknown) => {
          this.#failure = error
        },
      )
      return committed
    }
    if (unpublished && last) await this.#latest.abort(new FileFlowError('transfer.aborted', 'Nothing was changed.'))
    // another handle publishes what this one wrote: that is waited for
    await this.#publishing
    if (this.#failure !== null) throw this.#failure
    return NOTHING_NEW
  }

  abort(handle: UploadHandle, why: Error): Promise<void> {
    // the others go on
    if (this.#handles.has(handle) && !this.#end(handle)) return Promise.resolve()
    return this.#detached ? this.#publishing : this.#latest.abort(why)
  }

  /** @returns whether it was the last. */
  #end(handle: UploadHandle): boolean {
    this.#handles.delete(handle)
    if (this.#handles.size > 0) return false
    this.#host.gone()
    return true
  }
}

/** One of the handles of a {@link JoinedUpload}. */
export class UploadHandle implements Upload {
  readonly #joined: JoinedUpload
  #over = false

  constructor(joined: JoinedUpload) {
    this.#joined = joined
  }

  get transferId(): string {
    return this.#joined.latest.transferId
  }

  get path(): VirtualPath {
    return this.#joined.path
  }

  get size(): number {
    return this.#joined.latest.size
  }

  write(chunk: Uint8Array, at: number): Promise<void> {
    return this.#change((upload) => upload.write(chunk, at))
  }

  writev(chunks: readonly Uint8Array[], at: number, release?: () => void): Promise<void> {
    return this.#change((upload) => upload.writev(chunks, at, release))
  }

  append(chunks: readonly Uint8Array[]): Promise<void> {
    return this.#change((upload) => upload.append(chunks))
  }

  read(into: Uint8Array, at: number): Promise<number> {
    return this.#look((upload) => upload.read(into, at))
  }

  digest(algorithm: DigestAlgorithm, options?: DigestOptions): Promise<FileDigest> {
    return this.#look((upload) => upload.digest(algorithm, options))
  }

  truncate(size: number): Promise<void> {
    return this.#change((upload) => upload.truncate(size))
  }

  stat(): Promise<FileEntry> {
    return this.#over ? Promise.reject(new FileFlowError('transfer.aborted')) : this.#joined.stat()
  }

  setAttributes(attributes: Attributes): Promise<void> {
    return this.#change((upload) => upload.setAttributes(attributes))
  }

  sync(): Promise<void> {
    return this.#over ? Promise.reject(new FileFlowError('transfer.aborted')) : this.#joined.sync()
  }

  commit(verdict: Verdict, mustStand?: () => void): Promise<Obligations> {
    if (this.#over) return Promise.reject(new FileFlowError('transfer.aborted'))
    this.#over = true
    return this.#joined.commit(this, verdict, mustStand)
  }

  abort(why: Error): Promise<void> {
    this.#over = true
    return this.#joined.abort(this, why)
  }

  #change<T>(work: (upload: StagedUpload) => Promise<T>): Promise<T> {
    return this.#with(this.#over ? null : this.#joined.toChange(), work)
  }

  #look<T>(work: (upload: StagedUpload) => Promise<T>): Promise<T> {
    return this.#with(this.#over ? null : this.#joined.toLookAt(), work)
  }

  /** At once where the upload is there: the order of what is asked is kept. */
  #with<T>(upload: StagedUpload | Promise<StagedUpload> | null, work: (upload: StagedUpload) => Promise<T>): Promise<T> {
    if (upload === null) return Promise.reject(new FileFlowError('transfer.aborted'))
    return upload instanceof Promise ? upload.then(work) : work(upload)
  }
}
