// The virtual filesystem of one session: permissions first, then the jail, then the disk, with the user's own partials laid over.
// Must not answer with a real path, nor reach any place but through its access.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { ENTERING, type Permission } from '../core/permission.ts'
import { testPoint } from '../core/test-point.ts'
import type { HangingUpload, TransferLedger } from '../core/transfer.ts'
import type { Principal } from '../core/user.ts'
import { isReservedName, nameFromBytes, nameToBytes, type VirtualPath } from '../core/virtual-path.ts'
import { Access, REQUIRED } from './access.ts'
import { entryAt, safeMode, toEntry } from './attributes.ts'
import type { Arrivals } from './beginnings.ts'
import { fromErrno, translated } from './file-io.ts'
import { linkFile } from './hard-link.ts'
import type { Hasher } from './hasher.ts'
import type { Place } from './jail.ts'
import { renameFile } from './rename.ts'
import { SessionTransfers } from './session-transfers.ts'
import { setAttributes } from './set-attributes.ts'
import { spaceIn } from './space.ts'
import type { Vaults } from './vaults.ts'
import type {
  Attributes,
  DigestAlgorithm,
  DigestOptions,
  Download,
  FileDigest,
  FileEntry,
  SpaceReport,
  Upload,
  UploadOptions,
  VirtualFilesystem,
} from './virtual-filesystem.ts'

export interface FilesystemOptions {
  readonly session: { readonly id: string; readonly principal: Principal; readonly hanging?: readonly HangingUpload[] }
  readonly ledger: TransferLedger
  readonly vaults: Vaults
  /** `uploads.durability` is `power`. */
  readonly durable: boolean
  /** The worker's journal; without one the control plane is asked to commit each upload. */
  readonly arrivals?: Arrivals
  /** One for all sessions of a worker. */
  readonly hasher: Hasher
}

export class SessionFilesystem implements VirtualFilesystem {
  readonly sessionId: string
  readonly #ledger: TransferLedger
  readonly #durable: boolean
  readonly #vaults: Vaults
  readonly #access: Access
  readonly #transfers: SessionTransfers

  constructor({ session, ledger, vaults, durable, arrivals, hasher }: FilesystemOptions) {
    this.sessionId = session.id
    this.#ledger = ledger
    this.#durable = durable
    this.#vaults = vaults
    this.#access = new Access(session.principal, vaults.storageRoot)
    this.#transfers = new SessionTransfers({ sessionId: session.id, access: this.#access, ledger, vaults, durable, arrivals, hasher })
    this.setHanging(session.hanging ?? [])
  }

  get principal(): Principal {
    return this.#access.principal
  }

  /** New permissions and limits; home and mounts never change within a session (it is revoked then). */
  setPrincipal(principal: Principal): void {
    this.#access.setPrincipal(principal)
    this.#transfers.limitsChanged()
  }

  may(permission: Permission, path: VirtualPath): boolean {
    return this.#access.couldDo(permission, path)
  }

  async *list(path: VirtualPath): AsyncGenerator<FileEntry> {
    using place = this.#access.reach(path, REQUIRED.list, true)
    using folder = place.enter()
    const hidden = new Set<string>()
    for (const partial of this.#transfers.partials.within(folder, place.path)) {
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
        this.#access.alive()
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

  async mustBeFolder(path: VirtualPath): Promise<void> {
    const right = ENTERING.find((each) => this.#access.may(each, path)) ?? REQUIRED.list
    using place = this.#access.reach(path, right, true)
    const found = translated(() => place.lstat())
    if (!found) throw new FileFlowError('path.not_found')
    if (!found.isDirectory()) throw new FileFlowError('path.not_directory')
  }

  #stat(path: VirtualPath, follow: boolean): FileEntry {
    using place = this.#access.reach(path, REQUIRED.stat, follow)
    const found = translated(() => place.lstat())
    const partial = this.#transfers.partials.at(place, found)
    if (partial) return partial
    if (!found) throw new FileFlowError('path.not_found')
    return entryAt(path, found)
  }

  /** Uploads that hang in the user's other sessions: they are shown as partials, and become such as soon as the user goes on with one. */
  setHanging(uploads: readonly HangingUpload[]): void {
    this.#transfers.partials.setHanging(uploads)
  }

  /** A newer session of the user goes on with this upload. */
  abandon(transferId: string): void {
    this.#transfers.abandon(transferId)
  }

  openDownload(path: VirtualPath, offset = 0): Promise<Download> {
    return this.#transfers.openDownload(path, offset)
  }

  beginUpload(path: VirtualPath, options: UploadOptions): Promise<Upload> {
    return this.#transfers.beginUpload(path, options)
  }

  digest(path: VirtualPath, algorithm: DigestAlgorithm, options: DigestOptions = {}): Promise<FileDigest> {
    return this.#transfers.digest(path, algorithm, options)
  }

  async mkdir(path: VirtualPath, mode = 0o755): Promise<void> {
    using place = this.#access.reach(path, REQUIRED.mkdir, false)
    if (place.name === null) throw new FileFlowError('path.exists')
    this.#mustBeFree(place)
    translated(() => fs.mkdirSync(place.real, { mode: safeMode(mode, 'directory') }))
    this.#record('mkdir', place.path)
  }

  /** The session's own uploads have their names already: nothing else takes them. */
  #mustBeFree(place: Place): void {
    if (this.#transfers.partials.openAt(place.path)) throw new FileFlowError('path.exists')
  }

  async rmdir(path: VirtualPath): Promise<void> {
    using place = this.#access.reach(path, REQUIRED.rmdir, false)
    if (this.#access.isMountOrHoldsOne(place.path)) throw new FileFlowError('permission.denied')
    // what its uploader sees in it is there, for that user
    using folder = place.enter()
    const { partials } = this.#transfers
    if (partials.openBelow(place.path) || partials.within(folder, place.path).length > 0) throw new FileFlowError('path.not_empty')
    translated(() => fs.rmdirSync(place.real))
    this.#record('rmdir', place.path)
  }

  async remove(path: VirtualPath): Promise<void> {
    const { partials } = this.#transfers
    using place = this.#access.reach(path, REQUIRED.remove, false)
    await this.#transfers.endHanging(place)
    await this.#transfers.names.free(place.path)
    const found = translated(() => place.lstat())
    if (place.name === null || found?.isDirectory()) throw new FileFlowError('path.is_directory')
    const hadPartial = partials.drop(place)
    // what is on its way to the name in this session goes with it, and does not bring it back
    const running = partials.allAt(place.path)
    if (!found && !hadPartial && running.length === 0) throw new FileFlowError('path.not_found')
    await Promise.all(running.map((upload) => upload.discard()))
    // one that was being committed has its name by now
    const left = running.length > 0 ? translated(() => place.lstat()) : found
    if (left) translated(() => fs.unlinkSync(place.real))
    testPoint('remove.removed')
    this.#ledger.operation({
      sessionId: this.sessionId,
      action: 'delete',
      path: place.path,
      ...(left?.isFile() ? { bytes: -left.size, files: -1 } : {}),
    })
  }

  async rename(from: VirtualPath, to: VirtualPath, options: { overwrite: boolean }): Promise<void> {
    const access = this.#access
    using source = access.reach(from, REQUIRED.rename, false)
    using target = access.reach(to, REQUIRED.rename, false)
    if (!translated(() => source.lstat())) await this.#transfers.endHanging(source)
    if (access.isMountOrHoldsOne(source.path) || access.isMountOrHoldsOne(target.path)) throw new FileFlowError('permission.denied')
    await renameFile(source, target, options, {
      sessionId: this.sessionId,
      username: access.principal.username,
      ledger: this.#ledger,
      vault: this.#vaults.of(target.folder),
      partials: this.#transfers.partials,
      names: this.#transfers.names,
      durable: this.#durable,
      needOverwrite: () => access.need(REQUIRED.overwrite, target.path),
      needUpload: () => access.need(REQUIRED.upload, target.path),
      needStill() {
        for (const { path } of [source, target]) access.need(REQUIRED.rename, path)
      },
      // its files would come under other permissions
      needWhole() {
        if (access.holdsPermissions(source.path, target.path)) throw new FileFlowError('permission.denied')
      },
    })
  }

  async link(from: VirtualPath, to: VirtualPath): Promise<void> {
    await linkFile(from, to, {
      sessionId: this.sessionId,
      access: this.#access,
      ledger: this.#ledger,
      vaults: this.#vaults,
      partials: this.#transfers.partials,
      durable: this.#durable,
    })
  }

  async setAttributes(path: VirtualPath, attributes: Attributes, options: { followLink?: boolean } = {}): Promise<void> {
    const changed = await setAttributes(path, attributes, options.followLink ?? true, {
      access: this.#access,
      partials: this.#transfers.partials,
      beginUpload: (at, how) => this.#transfers.beginUpload(at, how),
      endHanging: (place) => this.#transfers.endHanging(place),
    })
    if (changed !== null) this.#record('setattr', changed)
  }

  async readlink(path: VirtualPath): Promise<string> {
    using place = this.#access.reach(path, REQUIRED.readlink, false)
    if (place.name === null) throw new FileFlowError('path.invalid')
    return translated(() => nameFromBytes(fs.readlinkSync(place.real, { encoding: 'buffer' })))
  }

  async symlink(target: string, path: VirtualPath): Promise<void> {
    using place = this.#access.reach(path, REQUIRED.symlink, false)
    if (place.name === null) throw new FileFlowError('path.exists')
    if (target === '') throw new FileFlowError('path.not_found')
    if (target.includes('\0')) throw new FileFlowError('path.invalid')
    this.#mustBeFree(place)
    translated(() => fs.symlinkSync(nameToBytes(target), place.real))
    this.#record('symlink', place.path)
  }

  async realpath(path: VirtualPath): Promise<VirtualPath> {
    return this.#access.realpath(path)
  }

  async space(path: VirtualPath): Promise<SpaceReport> {
    const { quota } = this.principal
    const limited = quota.bytes !== null || quota.files !== null
    using place = this.#access.reach(path, REQUIRED.stat, true)
    const used = limited ? await this.#ledger.usage(this.sessionId) : { bytes: 0, files: 0 }
    return spaceIn(place.folder, quota, used)
  }

  async close(why: Error): Promise<void> {
    if (this.#access.over) return
    this.#access.end(why)
    await this.#transfers.close(why)
  }

  #record(action: 'mkdir' | 'rmdir' | 'setattr' | 'symlink', path: VirtualPath): void {
    this.#ledger.operation({ sessionId: this.sessionId, action, path })
  }
}
