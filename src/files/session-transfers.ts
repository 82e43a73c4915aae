// The transfers of one session: downloads and uploads begin here, are limited and counted together, and end with the session.
// Must not know what a transfer does to its file; download.ts, stage.ts and upload.ts do.
import fs from 'node:fs'
import { newId, systemClock } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { Obligations, TransferLedger } from '../core/transfer.ts'
import type { VirtualPath } from '../core/virtual-path.ts'
import { type Access, REQUIRED } from './access.ts'
import { type Arrivals, Beginnings, takenRecord } from './beginnings.ts'
import { DigestDesk, digestOf } from './digest.ts'
import { OpenDownload } from './download.ts'
import { fromErrno, translated } from './file-io.ts'
import { FolderSync } from './folder-sync.ts'
import type { Hasher } from './hasher.ts'
import type { Place } from './jail.ts'
import { keptPartials, MOST_PARTIALS } from './kept-partials.ts'
import { PartialOverlay } from './partials.ts'
import { openPlain } from './plain-file.ts'
import { ProgressReporter } from './progress.ts'
import { RateLimiter } from './rate-limiter.ts'
import { type BegunUpload, stage } from './stage.ts'
import type { StagedUpload } from './upload.ts'
import type { UploadHost } from './upload-host.ts'
import { UploadNames } from './upload-names.ts'
import type { Vaults } from './vaults.ts'
import type { DigestAlgorithm, DigestOptions, Download, FileDigest, Upload, UploadOptions } from './virtual-filesystem.ts'

export interface TransfersOptions {
  readonly sessionId: string
  readonly access: Access
  readonly ledger: TransferLedger
  readonly vaults: Vaults
  readonly durable: boolean
  readonly arrivals: Arrivals | undefined
  readonly hasher: Hasher
}

export class SessionTransfers {
  readonly partials: PartialOverlay
  readonly names: UploadNames
  readonly #options: TransfersOptions
  readonly #uploads = new Set<StagedUpload>()
  readonly #downloads = new Set<OpenDownload>()
  readonly #upRate: RateLimiter
  readonly #downRate: RateLimiter
  readonly #progress: ProgressReporter
  readonly #digests = new DigestDesk()
  readonly #uploadHost: UploadHost
  readonly #folders = new FolderSync()
  readonly #beginnings: Beginnings
  /** Uploads that are in the journal and not published yet, and whether a rule may want them. */
  readonly #kept = new Map<string, boolean>()

  constructor(options: TransfersOptions) {
    this.#options = options
    const { username, limits } = options.access.principal
    this.partials = new PartialOverlay(username, options.vaults, this.#uploads)
    this.#upRate = new RateLimiter(limits.uploadRate)
    this.#downRate = new RateLimiter(limits.downloadRate)
    this.#progress = new ProgressReporter((id, bytes) => options.ledger.progress(id, bytes))
    this.#beginnings = new Beginnings((transfer) => options.ledger.beginTransfer(transfer))
    this.#uploadHost = this.#hostUploads()
    this.names = new UploadNames({
      access: options.access,
      uploadsAt: (path) => this.partials.allAt(path),
      stage: (place, how) => this.#stage(place, how),
      tell: (uploads, to) => this.#tellNames(uploads, to),
    })
  }

  /** The principal has new limits. */
  limitsChanged(): void {
    const { limits } = this.#options.access.principal
    this.#upRate.setRate(limits.uploadRate)
    this.#downRate.setRate(limits.downloadRate)
  }

  /** Opens what the user may read there: the published file, or the user's own partial, or what came so far of an upload of this session. */
  #open(path: VirtualPath): { fd: number; size: number; path: VirtualPath; partial: boolean } {
    using place = this.#options.access.reach(path, REQUIRED.download, true)
    const found = translated(() => place.lstat())
    const partial = this.partials.fileAt(place, found)
    const running = found || partial ? undefined : this.partials.openAt(place.path)
    if (!found && !partial && !running) throw new FileFlowError('path.not_found')
    if (found?.isDirectory()) throw new FileFlowError('path.is_directory')
    // opening a device can already do something
    if (found && !found.isFile()) throw new FileFlowError('path.not_regular')
    const { fd, stats } = openPlain(running?.staging ?? partial ?? place.real)
    return { fd, size: stats.size, path: place.path, partial: !found || partial !== null }
  }

  async openDownload(path: VirtualPath, offset: number): Promise<Download> {
    const { access, ledger, sessionId } = this.#options
    const file = this.#open(path)
    const id = newId()
    const download = new OpenDownload(
      {
        limiter: this.#downRate,
        check: () => access.alive(),
        progress: (transferId, bytes) => this.#progress.report(transferId, bytes),
        digest: (work) => this.#digests.run(work),
        ended: (ended, sent, error) => {
          this.#downloads.delete(ended)
          this.#progress.forget(id)
          ledger.endTransfer(
            id,
            error ? { state: 'aborted', bytes: sent, error: recordOf(error), partial: false } : { state: 'completed', bytes: sent },
          )
        },
      },
      id,
      file,
    )
    this.#downloads.add(download)
    // nothing depends on the answer but the transfer's right to go on
    ledger
      .beginTransfer({
        id,
        sessionId,
        direction: 'download',
        path: file.path,
        offset,
        waits: false,
        heldBytes: 0,
        expected: Math.max(0, file.size - offset),
      })
      .catch((error: unknown) => download.end(this.#progress.of(id), fromErrno(error)))
    return download
  }

  digest(path: VirtualPath, algorithm: DigestAlgorithm, options: DigestOptions): Promise<FileDigest> {
    return this.#digests.run(async () => {
      const { fd, size } = this.#open(path)
      try {
        return await digestOf(fd, size, algorithm, options, () => this.#options.access.alive())
      } finally {
        fs.closeSync(fd)
      }
    })
  }

  beginUpload(path: VirtualPath, options: UploadOptions): Promise<Upload> {
    return this.names.open(path, options)
  }

  async #stage(place: Place, options: UploadOptions): Promise<StagedUpload> {
    const { access, vaults } = this.#options
    if (options.mode === 'resume') await this.endHanging(place)
    // a lock that another handle of the session holds
    if (options.mode === 'create' && this.partials.openAt(place.path)) throw new FileFlowError('path.exists')
    const upload = await stage(place, options, {
      need: (permission) => access.need(permission, place.path),
      partial: (kept, found) => this.partials.counting(kept, found),
      vault: vaults.of(place.folder),
      restoreVault: () => vaults.of(place.folder, true),
      username: access.principal.username,
      begin: (offset, replaces) => this.#begin(place, offset, replaces, options.expected),
      undo: (transferId, error) => this.#aborted(transferId, 0, error, false),
      host: this.#uploadHost,
    })
    if (access.over) {
      await upload.abort(access.over)
      throw access.over
    }
    this.#uploads.add(upload)
    return upload
  }

  #uploading(except?: StagedUpload): number {
    let bytes = 0
    for (const upload of this.#uploads) if (upload !== except) bytes += upload.size
    return bytes
  }

  /** Only a quota has to be asked for; the other limits are known here. */
  #begin(
    { path, folder }: Place,
    offset: number,
    replaces: number | null,
    expected: number | undefined,
  ): BegunUpload | Promise<BegunUpload> {
    const { access, ledger, vaults, sessionId, arrivals } = this.#options
    const { quota, limits, username } = access.principal
    const waits = this.#hasQuota()
    let heldBytes = 0
    if (quota.bytes !== null) {
      const vault = vaults.find(folder)
      heldBytes = this.#uploading() + keptPartials(vault, username, vault.partial(username, path)).bytes
    }
    const transferId = newId()
    const transfer = { id: transferId, sessionId, direction: 'upload', path, offset, waits, heldBytes, replaces, expected } as const
    const grant = { maxSize: limits.maxFileSize, maxSizeCode: 'file.too_large' } as const
    if (arrivals && !waits) return { transferId, grant, announce: this.#beginnings.add(transfer) }
    const recorded = ledger.beginTransfer(transfer)
    // a refusal is the upload's to find, if it comes so far
    recorded.catch(() => {})
    const announce = () => recorded
    return waits ? recorded.then((granted) => ({ transferId, grant: granted, announce })) : { transferId, grant, announce }
  }

  #hasQuota(): boolean {
    const { quota } = this.#options.access.principal
    return quota.bytes !== null || quota.files !== null
  }

  /** From here on the upload is kept, whatever is killed next. Without a quota nobody has to be asked: a line in the worker's journal does. */
  #commit(upload: Parameters<UploadHost['commit']>[0]): Obligations | Promise<Obligations> {
    const { access, ledger, arrivals, durable, sessionId } = this.#options
    arrivals?.hear()
    access.need(REQUIRED.upload, upload.path)
    const beginning = arrivals && this.#beginnings.ending(upload.transferId)
    const ask = () => ledger.commitUpload({ ...upload, staging: Buffer.from(upload.staging), spool: Buffer.from(upload.spool) })
    if (!arrivals || !beginning) return ask()
    // it has a quota since it began
    if (this.#hasQuota()) {
      this.#tellOf(upload.transferId)
      return ask()
    }
    const { username, partner } = access.principal
    const owes = arrivals.mayOwe(username)
    const line = takenRecord(upload, beginning, { sessionId, username, partner, peer: arrivals.peer }, owes)
    const kept = (): Obligations => {
      this.#kept.set(upload.transferId, owes)
      this.#beginnings.forget(upload.transferId)
      return { deliveries: owes ? 1 : 0 }
    }
    const synced = arrivals.write(line, durable)
    return synced ? synced.then(kept) : kept()
  }

  /** Also of what nobody was told of yet: a kill must find it under that name. */
  #tellNames(uploads: readonly StagedUpload[], to: VirtualPath): Promise<void> {
    const ids = uploads.map(({ transferId }) => transferId)
    for (const id of ids) this.#beginnings.tell(id)
    return this.#options.ledger.uploadsRenamed(ids, to)
  }

  #tellOf(transferId: string): void {
    this.#beginnings.tell(transferId)
    this.#beginnings.forget(transferId)
  }

  #aborted(transferId: string, bytes: number, why: Error, partial: boolean): void {
    this.#tellOf(transferId)
    this.#kept.delete(transferId)
    this.#options.ledger.endTransfer(transferId, { state: 'aborted', bytes, error: recordOf(why), partial })
  }

  /** @throws what the folder could not be synced for: nothing is acknowledged then, but the file is there, and what it owes must not wait for the next start */
  #published(transferId: string, folder: string, replaced: number | null): Promise<void> | undefined {
    const tell = (): void => this.#tellPublished(transferId, replaced)
    if (!this.#options.durable) {
      tell()
      return undefined
    }
    return new Promise<void>((resolve, reject) =>
      this.#folders.later(folder, (error) => (error === undefined ? resolve() : reject(error))),
    ).finally(tell)
  }

  #tellPublished(transferId: string, replaced: number | null): void {
    const { ledger, arrivals } = this.#options
    const owes = this.#kept.get(transferId)
    this.#kept.delete(transferId)
    if (!arrivals || owes === undefined) {
      ledger.published(transferId, replaced)
      return
    }
    try {
      void arrivals.write({ kind: 'published', id: transferId, at: systemClock.now(), replaced }, false)
      arrivals.written(owes)
    } catch {
      // a full disk must not take the answer back: the name holds the file, and the first line is there
      ledger.published(transferId, replaced)
    }
  }

  #hostUploads(): UploadHost {
    const { access, durable, hasher } = this.#options
    return {
      durable,
      hasher,
      limiter: this.#upRate,
      need: (permission, path) => access.need(REQUIRED[permission], path),
      mayOverwrite: (path) => access.may(REQUIRED.overwrite, path),
      place: (path) => access.reach(path, REQUIRED.upload, false),
      digest: (work) => this.#digests.run(work),
      othersNow: (upload) => (access.principal.quota.bytes === null ? 0 : this.#uploading(upload)),
      atMost: (bytes) => {
        const { maxFileSize } = access.principal.limits
        return maxFileSize !== null && maxFileSize <= bytes
          ? { maxSize: maxFileSize, maxSizeCode: 'file.too_large' }
          : { maxSize: bytes, maxSizeCode: 'quota.exceeded' }
      },
      mayKeep: (vault) => keptPartials(vault, access.principal.username, null).files < MOST_PARTIALS,
      commit: (staged) => this.#commit(staged),
      published: (id, folder, replaced) => this.#published(id, folder, replaced),
      progress: (id, bytes) => this.#progress.report(id, bytes),
      aborted: (id, bytes, why, partial) => this.#aborted(id, bytes, why, partial),
      gone: (upload) => {
        this.#uploads.delete(upload)
        this.#progress.forget(upload.transferId)
      },
    }
  }

  /** What hangs under that name in another session of the user becomes the user's partial. */
  async endHanging({ path }: Place): Promise<void> {
    if (!this.partials.hangs(path)) return
    await this.#options.ledger.endHanging(this.#options.sessionId, path)
    this.#options.access.alive()
  }

  abandon(transferId: string): void {
    const why = new FileFlowError('transfer.aborted', 'A newer session of the same user goes on with this upload.')
    for (const upload of this.#uploads) if (upload.transferId === transferId) void upload.abort(why)
  }

  /** The session is over: all that runs ends with it. */
  async close(why: Error): Promise<void> {
    // a transfer that waits for its rate would hold its file for as long
    this.#upRate.setRate(null)
    this.#downRate.setRate(null)
    await Promise.all([
      ...[...this.#uploads].map((upload) => upload.abort(why)),
      ...[...this.#downloads].map((download) => download.end(this.#progress.of(download.transferId), why)),
    ])
  }
}

const recordOf = (error: Error) => {
  const ours = fromErrno(error)
  return { code: ours.code, message: ours.message }
}
