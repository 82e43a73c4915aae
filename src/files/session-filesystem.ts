// The virtual filesystem of one session: permissions first, then the jail, then the disk, with the user's own partials laid over.
// Must not answer with a real path, and lets no operation pass without its row in REQUIRED.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { isAllowed, isWriting, type Permission } from '../core/permission.ts'
import type { TransferLedger } from '../core/transfer.ts'
import type { Principal } from '../core/user.ts'
import { isReservedName, isWithin, nameFromBytes, nameToBytes, type VirtualPath } from '../core/virtual-path.ts'
import { entryAt, safeMode, setAttributesAt, toEntry } from './attributes.ts'
import { OpenDownload } from './download.ts'
import { fromErrno, translated } from './file-io.ts'
import { Jail, type Place } from './jail.ts'
import { PartialOverlay } from './partials.ts'
import { openPlain } from './plain-file.ts'
import { ProgressReporter } from './progress.ts'
import { RateLimiter } from './rate-limiter.ts'
import { renameFile } from './rename.ts'
import { stage } from './stage.ts'
import type { StagedUpload, UploadHost } from './upload.ts'
import type { Vaults } from './vaults.ts'
import type { Attributes, Download, FileEntry, SpaceReport, Upload, UploadOptions, VirtualFilesystem } from './virtual-filesystem.ts'

/** What each operation needs on the path it names. Uploads add `overwrite` or `resume` by what stands there (stage.ts). */
export const REQUIRED = {
  list: 'list',
  stat: 'list',
  download: 'download',
  upload: 'upload',
  overwrite: 'overwrite',
  resume: 'resume',
  mkdir: 'mkdir',
  rmdir: 'rmdir',
  remove: 'delete',
  rename: 'rename',
  chmod: 'chmod',
  utime: 'utime',
  resize: 'overwrite',
  readlink: 'list',
  symlink: 'symlink',
} as const satisfies Record<string, Permission>

export interface FilesystemOptions {
  readonly session: { readonly id: string; readonly principal: Principal }
  readonly ledger: TransferLedger
  readonly vaults: Vaults
  /** `uploads.durability` is `power`. */
  readonly durable: boolean
}

export class SessionFilesystem implements VirtualFilesystem {
  readonly sessionId: string
  readonly #ledger: TransferLedger
  readonly #durable: boolean
  readonly #vaults: Vaults
  readonly #jail: Jail
  readonly #partials: PartialOverlay
  readonly #uploads = new Set<StagedUpload>()
  readonly #downloads = new Set<OpenDownload>()
  readonly #upRate: RateLimiter
  readonly #downRate: RateLimiter
  readonly #progress: ProgressReporter
  #principal: Principal
  #over: Error | undefined

  constructor({ session, ledger, vaults, durable }: FilesystemOptions) {
    this.sessionId = session.id
    this.#principal = session.principal
    this.#ledger = ledger
    this.#durable = durable
    this.#vaults = vaults
    this.#jail = new Jail(session.principal.home, session.principal.mounts, vaults.storageRoot)
    this.#partials = new PartialOverlay(session.principal.username, vaults, this.#uploads)
    this.#upRate = new RateLimiter(session.principal.limits.uploadRate)
    this.#downRate = new RateLimiter(session.principal.limits.downloadRate)
    this.#progress = new ProgressReporter((id, bytes) => ledger.progress(id, bytes))
  }

  get principal(): Principal {
    return this.#principal
  }

  /** New permissions and limits; home and mounts never change within a session (it is revoked then). */
  setPrincipal(principal: Principal): void {
    this.#principal = principal
    this.#upRate.setRate(principal.limits.uploadRate)
    this.#downRate.setRate(principal.limits.downloadRate)
  }

  may(permission: Permission, path: VirtualPath): boolean {
    return isAllowed(this.#principal.permissions, path, permission)
  }

  #alive(): void {
    if (this.#over) throw this.#over
  }

  #need(permission: Permission, path: VirtualPath): void {
    this.#alive()
    if (!this.may(permission, path)) throw new FileFlowError('permission.denied')
  }

  /** Walks to the place and asks the table about both what was named and where links led. */
  #reach(path: VirtualPath, permission: Permission | readonly Permission[], followLast: boolean): Place {
    const all = typeof permission === 'string' ? [permission] : permission
    for (const each of all) this.#need(each, path)
    const place = this.#jail.resolve(path, followLast)
    if (!all.every((each) => this.may(each, place.path) && !(place.readOnly && isWriting(each)))) {
      place[Symbol.dispose]()
      throw new FileFlowError('permission.denied')
    }
    return place
  }

  async *list(path: VirtualPath): AsyncGenerator<FileEntry> {
    using place = this.#reach(path, REQUIRED.list, true)
    using folder = place.enter()
    const hidden = new Set<string>()
    for (const partial of this.#partials.within(folder, place.path)) {
      hidden.add(partial.name)
      yield partial
    }
    const entries = await fs.promises
      .opendir(folder.at(null), { encoding: 'buffer' as BufferEncoding, bufferSize: 256 })
      .catch((error: unknown) => {
        throw fromErrno(error)
      })
    try {
      for (;;) {
        const entry = await entries.read().catch((error: unknown) => {
          throw fromErrno(error)
        })
        this.#alive()
        if (entry === null) return
        const bytes = entry.name as unknown as Buffer
        const name = nameFromBytes(bytes)
        if (isReservedName(name) || hidden.has(name)) continue
        const stats = translated(() => fs.lstatSync(folder.at(bytes), { throwIfNoEntry: false }))
        if (stats) yield toEntry(name, stats)
      }
    } finally {
      await entries.close()
    }
  }

  async stat(path: VirtualPath): Promise<FileEntry> {
    return this.#stat(path, true)
  }

  async lstat(path: VirtualPath): Promise<FileEntry> {
    return this.#stat(path, false)
  }

  #stat(path: VirtualPath, follow: boolean): FileEntry {
    using place = this.#reach(path, REQUIRED.stat, follow)
    const found = translated(() => place.lstat())
    const partial = this.#partials.at(place, found)
    if (partial) return partial
    if (!found) throw new FileFlowError('path.not_found')
    return entryAt(path, found)
  }

  async openDownload(path: VirtualPath, offset = 0): Promise<Download> {
    using place = this.#reach(path, REQUIRED.download, true)
    const found = translated(() => place.lstat())
    const partial = this.#partials.fileAt(place, found)
    if (!found && !partial) throw new FileFlowError('path.not_found')
    if (found?.isDirectory()) throw new FileFlowError('path.is_directory')
    // opening a device can already do something
    if (found && !found.isFile()) throw new FileFlowError('path.not_regular')
    const { fd, stats } = openPlain(partial ?? place.real)
    let begun: string | undefined
    try {
      const { transferId } = await this.#ledger.beginTransfer({
        sessionId: this.sessionId,
        direction: 'download',
        path: place.path,
        offset,
      })
      begun = transferId
      this.#alive()
      const download = new OpenDownload(
        {
          limiter: this.#downRate,
          check: () => this.#alive(),
          progress: (id, bytes) => this.#progress.report(id, bytes),
          ended: (ended, sent, error) => {
            this.#downloads.delete(ended)
            this.#progress.forget(transferId)
            this.#ledger.endTransfer(
              transferId,
              error ? { state: 'aborted', bytes: sent, error: recordOf(error), partial: false } : { state: 'completed', bytes: sent },
            )
          },
        },
        transferId,
        place.path,
        fd,
        stats.size,
        partial !== null,
      )
      this.#downloads.add(download)
      return download
    } catch (error) {
      fs.closeSync(fd)
      const why = fromErrno(error)
      if (begun !== undefined) this.#ledger.endTransfer(begun, { state: 'aborted', bytes: 0, error: recordOf(why), partial: false })
      throw why
    }
  }

  async beginUpload(path: VirtualPath, options: UploadOptions): Promise<Upload> {
    using place = this.#reach(path, REQUIRED.upload, true)
    const upload = await stage(place, options, {
      need: (permission) => this.#need(permission, place.path),
      partial: (found) => this.#partials.fileAt(place, found),
      vault: this.#vaults.of(place.folder),
      username: this.#principal.username,
      begin: (offset) => this.#ledger.beginTransfer({ sessionId: this.sessionId, direction: 'upload', path: place.path, offset }),
      undo: (transferId, error) =>
        this.#ledger.endTransfer(transferId, { state: 'aborted', bytes: 0, error: recordOf(error), partial: false }),
      host: this.#uploadHost(),
    })
    if (this.#over) {
      await upload.abort(this.#over)
      throw this.#over
    }
    this.#uploads.add(upload)
    return upload
  }

  #uploadHost(): UploadHost {
    return {
      durable: this.#durable,
      limiter: this.#upRate,
      need: (permission, path) => this.#need(REQUIRED[permission], path),
      mayOverwrite: (path) => this.may(REQUIRED.overwrite, path),
      place: (path) => this.#reach(path, REQUIRED.upload, false),
      commit: (staged) => this.#ledger.commitUpload(staged),
      published: (id) => this.#ledger.published(id),
      progress: (id, bytes) => this.#progress.report(id, bytes),
      aborted: (id, bytes, why, partial) => this.#ledger.endTransfer(id, { state: 'aborted', bytes, error: recordOf(why), partial }),
      gone: (upload) => {
        this.#uploads.delete(upload)
        this.#progress.forget(upload.transferId)
      },
    }
  }

  async mkdir(path: VirtualPath, mode = 0o755): Promise<void> {
    using place = this.#reach(path, REQUIRED.mkdir, false)
    if (place.name === null) throw new FileFlowError('path.exists')
    translated(() => fs.mkdirSync(place.real, { mode: safeMode(mode, 'directory') }))
    this.#record('mkdir', place.path)
  }

  async rmdir(path: VirtualPath): Promise<void> {
    using place = this.#reach(path, REQUIRED.rmdir, false)
    if (this.#jail.isMountOrHoldsOne(place.path)) throw new FileFlowError('permission.denied')
    translated(() => fs.rmdirSync(place.real))
    this.#record('rmdir', place.path)
  }

  async remove(path: VirtualPath): Promise<void> {
    using place = this.#reach(path, REQUIRED.remove, false)
    const found = translated(() => place.lstat())
    if (place.name === null || found?.isDirectory()) throw new FileFlowError('path.is_directory')
    const hadPartial = this.#partials.drop(place)
    const running = found || hadPartial ? undefined : this.#partials.openAt(place.path)
    if (!found && !hadPartial && !running) throw new FileFlowError('path.not_found')
    await running?.discard()
    if (found) translated(() => fs.unlinkSync(place.real))
    this.#ledger.operation({
      sessionId: this.sessionId,
      action: 'delete',
      path: place.path,
      ...(found?.isFile() ? { bytes: -found.size, files: -1 } : {}),
    })
  }

  async rename(from: VirtualPath, to: VirtualPath, options: { overwrite: boolean }): Promise<void> {
    using source = this.#reach(from, REQUIRED.rename, false)
    using target = this.#reach(to, REQUIRED.rename, false)
    if (this.#jail.isMountOrHoldsOne(source.path) || this.#jail.isMountOrHoldsOne(target.path)) throw new FileFlowError('permission.denied')
    // rows below the folder would not move with it: its files would come under other permissions
    if (translated(() => source.lstat())?.isDirectory() && this.#holdsPermissions(source.path, target.path))
      throw new FileFlowError('permission.denied')
    await renameFile(source, target, options, {
      sessionId: this.sessionId,
      username: this.#principal.username,
      ledger: this.#ledger,
      vault: this.#vaults.of(target.folder),
      partials: this.#partials,
      durable: this.#durable,
      needOverwrite: () => this.#need(REQUIRED.overwrite, target.path),
    })
  }

  #holdsPermissions(...folders: VirtualPath[]): boolean {
    return this.#principal.permissions.some((row) => folders.some((folder) => row.path !== folder && isWithin(row.path, folder)))
  }

  async setAttributes(path: VirtualPath, attributes: Attributes, options: { followLink?: boolean } = {}): Promise<void> {
    const { size, ...rest } = attributes
    const needed: Permission[] = []
    if (rest.mode !== undefined) needed.push(REQUIRED.chmod)
    if (rest.mtimeMs !== undefined || rest.atimeMs !== undefined) needed.push(REQUIRED.utime)
    for (const each of needed) this.#need(each, path)
    if (size !== undefined) await this.#resize(path, size)
    if (needed.length === 0) return
    using place = this.#reach(path, needed, options.followLink ?? true)
    const found = translated(() => place.lstat())
    const staged = this.#partials.openAt(place.path)
    if (staged) return staged.setAttributes(rest)
    const partial = this.#partials.fileAt(place, found)
    if (!found && !partial) throw new FileFlowError('path.not_found')
    if (found?.isSymbolicLink()) throw new FileFlowError('operation.unsupported', 'Attributes of a link cannot be set.')
    translated(() => setAttributesAt(partial ?? place.real, rest))
    this.#record('setattr', place.path)
  }

  /** A new version of the file with another length, published as an upload is. */
  async #resize(path: VirtualPath, size: number): Promise<void> {
    using place = this.#reach(path, REQUIRED.resize, true)
    const staged = this.#partials.openAt(place.path)
    if (staged) return staged.truncate(size)
    const partial = this.#partials.fileAt(
      place,
      translated(() => place.lstat()),
    )
    // what did not finish must not be published by another way than resuming
    if (partial) return this.#partials.cut(partial, size)
    const upload = await this.beginUpload(path, { mode: 'resume', mustExist: true })
    try {
      await upload.truncate(size)
    } catch (error) {
      await upload.abort(fromErrno(error))
      throw error
    }
    await upload.commit({ confidence: 'certain', evidence: ['set size'] })
  }

  async readlink(path: VirtualPath): Promise<string> {
    using place = this.#reach(path, REQUIRED.readlink, false)
    if (place.name === null) throw new FileFlowError('path.invalid')
    return translated(() => nameFromBytes(fs.readlinkSync(place.real, { encoding: 'buffer' })))
  }

  async symlink(target: string, path: VirtualPath): Promise<void> {
    using place = this.#reach(path, REQUIRED.symlink, false)
    if (place.name === null) throw new FileFlowError('path.exists')
    if (target === '' || target.includes('\0')) throw new FileFlowError('path.invalid')
    translated(() => fs.symlinkSync(nameToBytes(target), place.real))
    this.#record('symlink', place.path)
  }

  async realpath(path: VirtualPath): Promise<VirtualPath> {
    this.#alive()
    // clients ask this first, and must get an answer; but who may not list learns nothing of what is there
    if (!this.may(REQUIRED.stat, path)) return path
    using place = this.#jail.resolve(path, true)
    return place.path
  }

  async space(path: VirtualPath): Promise<SpaceReport> {
    using place = this.#reach(path, REQUIRED.stat, true)
    const disk = translated(() => fs.statfsSync(place.folder.at(null)))
    const quota = this.#principal.quota
    const blocks = quota.bytes === null ? disk.blocks : Math.min(disk.blocks, Math.floor(quota.bytes / disk.bsize))
    return {
      blockSize: disk.bsize,
      totalBlocks: blocks,
      freeBlocks: Math.min(disk.bavail, blocks),
      totalFiles: quota.files ?? disk.files,
      freeFiles: Math.min(disk.ffree, quota.files ?? disk.ffree),
    }
  }

  async close(why: Error): Promise<void> {
    if (this.#over) return
    this.#over = why
    // a transfer that waits for its rate would hold its file for as long
    this.#upRate.setRate(null)
    this.#downRate.setRate(null)
    await Promise.all([
      ...[...this.#uploads].map((upload) => upload.abort(why)),
      ...[...this.#downloads].map((download) => download.end(this.#progress.of(download.transferId), why)),
    ])
  }

  #record(action: 'mkdir' | 'rmdir' | 'setattr' | 'symlink', path: VirtualPath): void {
    this.#ledger.operation({ sessionId: this.sessionId, action, path })
  }
}

const recordOf = (error: Error) => {
  const ours = fromErrno(error)
  return { code: ours.code, message: ours.message }
}
