// The files of a session as listeners see them: what is refused there is told to the control plane, so that it leaves a trace.
// Must not decide or change anything: every answer is the one of session-filesystem.
import { codeOf, type ErrorCode } from '../core/errors.ts'
import type { RefusedAction, TransferLedger } from '../core/transfer.ts'
import type { VirtualPath } from '../core/virtual-path.ts'
import { type FilesystemOptions, SessionFilesystem } from './session-filesystem.ts'
import type { Attributes, DigestAlgorithm, DigestOptions, UploadOptions } from './virtual-filesystem.ts'

/** The gateway said no; other failures say how things are. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['permission.denied', 'quota.exceeded', 'file.too_large', 'path.not_regular'])
/** Refusals of one session that are told one by one; the rest is a number, told when it ends. */
const MOST_TOLD = 20
/** ... and before, each time that it has doubled: a kill takes at most half of it. */
const FIRST_SUM = 100
/** Clients look about by themselves: whoever may not is told of once. */
const ONCE: ReadonlySet<RefusedAction> = new Set<RefusedAction>(['stat'])

export class AuditedFilesystem extends SessionFilesystem {
  readonly #ledger: TransferLedger
  readonly #told = new Set<string>()
  #more = 0
  #sum = FIRST_SUM

  constructor(options: FilesystemOptions) {
    super(options)
    this.#ledger = options.ledger
  }

  override list(path: VirtualPath): ReturnType<SessionFilesystem['list']> {
    const entries = super.list(path)
    const next = entries.next.bind(entries)
    let begun = false
    // it is refused before the first entry, or not at all
    entries.next = () => {
      if (begun) return next()
      begun = true
      return this.#watch('list', path, next())
    }
    return entries
  }

  override stat(path: VirtualPath) {
    return this.#watch('stat', path, super.stat(path))
  }

  override lstat(path: VirtualPath) {
    return this.#watch('stat', path, super.lstat(path))
  }

  override mustBeFolder(path: VirtualPath) {
    return this.#watch('stat', path, super.mustBeFolder(path))
  }

  override readlink(path: VirtualPath) {
    return this.#watch('stat', path, super.readlink(path))
  }

  override openDownload(path: VirtualPath, offset?: number) {
    return this.#watch('download', path, super.openDownload(path, offset))
  }

  override digest(path: VirtualPath, algorithm: DigestAlgorithm, options?: DigestOptions) {
    return this.#watch('digest', path, super.digest(path, algorithm, options))
  }

  override beginUpload(path: VirtualPath, options: UploadOptions) {
    return this.#watch('upload', path, super.beginUpload(path, options))
  }

  override mkdir(path: VirtualPath, mode?: number) {
    return this.#watch('mkdir', path, super.mkdir(path, mode))
  }

  override rmdir(path: VirtualPath) {
    return this.#watch('rmdir', path, super.rmdir(path))
  }

  override remove(path: VirtualPath) {
    return this.#watch('delete', path, super.remove(path))
  }

  override rename(from: VirtualPath, to: VirtualPath, options: { overwrite: boolean }) {
    return this.#watch('rename', from, super.rename(from, to, options), to)
  }

  override link(from: VirtualPath, to: VirtualPath) {
    return this.#watch('link', from, super.link(from, to), to)
  }

  override setAttributes(path: VirtualPath, attributes: Attributes, options?: { followLink?: boolean }) {
    return this.#watch('setattr', path, super.setAttributes(path, attributes, options))
  }

  override symlink(target: string, path: VirtualPath) {
    return this.#watch('symlink', path, super.symlink(target, path))
  }

  override async close(why: Error): Promise<void> {
    await super.close(why)
    this.#sumUp()
  }

  #sumUp(): void {
    const more = this.#more
    this.#more = 0
    if (more > 0) this.#ledger.refusedMore(this.sessionId, more)
  }

  #watch<T>(action: RefusedAction, path: VirtualPath, done: Promise<T>, to?: VirtualPath): Promise<T> {
    done.catch((error: unknown) => this.#refused(action, path, to, codeOf(error)))
    return done
  }

  #refused(action: RefusedAction, path: VirtualPath, to: VirtualPath | undefined, code: ErrorCode): void {
    if (!REFUSALS.has(code)) return
    const what = ONCE.has(action) ? action : `${action} ${path}`
    if (this.#told.has(what) || this.#told.size >= MOST_TOLD) {
      if (++this.#more < this.#sum) return
      this.#sum *= 2
      this.#sumUp()
      return
    }
    this.#told.add(what)
    this.#ledger.refused({ sessionId: this.sessionId, action, path, code, ...(to === undefined ? {} : { to }) })
  }
}
