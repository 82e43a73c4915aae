// The transfers of one session: downloads and uploads begin here, are limited and counted together, and end with the session.
// Must not know what a transfer does to its file; download.ts, stage.ts and upload.ts do.
import fs from 'node:fs'
import { newId } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { TransferLedger } from '../core/transfer.ts'
import type { VirtualPath } from '../core/virtual-path.ts'
import { type Access, REQUIRED } from './access.ts'
import { DigestDesk, digestOf } from './digest.ts'
import { OpenDownload } from './download.ts'
import { fromErrno, translated } from './file-io.ts'
import { FolderSync } from './folder-sync.ts'
import type { Place } from './jail.ts'
import { keptPartials, MOST_PARTIALS } from './kept-partials.ts'
import { PartialOverlay } from './partials.ts'
import { openPlain } from './plain-file.ts'
import { ProgressReporter } from './progress.ts'
import { RateLimiter } from './rate-limiter.ts'
import { type BegunUpload, stage } from './stage.ts'
import type { StagedUpload } from './upload.ts'
import type { UploadHost } from './upload-host.ts'
import type { Vaults } from './vaults.ts'
import type { DigestAlgorithm, DigestOptions, Download, FileDigest, Upload, UploadOptions } from './virtual-filesystem.ts'

export interface TransfersOptions {
  readonly sessionId: string
  readonly access: Access
  readonly ledger: TransferLedger
  readonly vaults: Vaults
  readonly durable: boolean
}

export class SessionTransfers {
  readonly partials: PartialOverlay
  readonly #options: TransfersOptions
  readonly #uploads = new Set<StagedUpload>()
  readonly #downloads = new Set<OpenDownload>()
  readonly #upRate: RateLimiter
  readonly #downRate: RateLimiter
  readonly #progress: ProgressReporter
  readonly #digests = new DigestDesk()
  readonly #uploadHost: UploadHost
  readonly #folders = new FolderSync()

  constructor(options: TransfersOptions) {
    this.#options = options
    const { username, limits } = options.access.principal
    this.partials = new PartialOverlay(username, options.vaults, this.#uploads)
    this.#upRate = new RateLimiter(limits.uploadRate)
    this.#downRate = new RateLimiter(limits.downloadRate)
    this.#progress = new ProgressReporter((id, bytes) => options.ledger.progress(id, bytes))
    this.#uploadHost = this.#hostUploads()
  }

  /** The principal has new limits. */
  limitsChanged(): void {
    const { limits } = this.#options.access.principal
    this.#upRate.setRate(limits.uploadRate)
    this.#downRate.setRate(limits.downloadRate)
  }

  /** Opens what the user may read there: the published file, or the user's own partial. */
  #open(path: VirtualPath): { fd: number; size: number; path: VirtualPath; partial: boolean } {
    using place = this.#options.access.reach(path, REQUIRED.download, true)
    const found = translated(() => place.lstat())
    const partial = this.partials.fileAt(place, found)
    if (!found && !partial) throw new FileFlowError('path.not_found')
    if (found?.isDirectory()) throw new FileFlowError('path.is_directory')
    // opening a device can already do something
    if (found && !found.isFile()) throw new FileFlowError('path.not_regular')
    const { fd, stats } = openPlain(partial ?? place.real)
    return { fd, size: stats.size, path: place.path, partial: partial !== null }
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

  async beginUpload(path: VirtualPath, options: UploadOptions): Promise<Upload> {
    const { access, ledger, vaults } = this.#options
    // O_EXCL does not follow a link, not even one that leads nowhere
    using place = access.reach(path, REQUIRED.upload, options.mode !== 'create')
    const upload = await stage(place, options, {
      need: (permission) => access.need(permission, place.path),
      partial: (found) => this.partials.fileAt(place, found),
      vault: vaults.of(place.folder),
      username: access.principal.username,
      begin: (offset) => this.#begin(place, offset, options.expected),
      undo: (transferId, error) => ledger.endTransfer(transferId, { state: 'aborted', bytes: 0, error: recordOf(error), partial: false }),
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
  #begin({ path, folder }: Place, offset: number, expected: number | undefined): BegunUpload | Promise<BegunUpload> {
    const { access, ledger, vaults, sessionId } = this.#options
    const { quota, limits, username } = access.principal
    const waits = quota.bytes !== null || quota.files !== null
    let heldBytes = 0
    if (quota.bytes !== null) {
      const vault = vaults.find(folder)
      heldBytes = this.#uploading() + keptPartials(vault, username, vault.partial(username, path)).bytes
    }
    const transferId = newId()
    const recorded = ledger.beginTransfer({ id: transferId, sessionId, direction: 'upload', path, offset, waits, heldBytes, expected })
    // a refusal is the upload's to find, if it comes so far
    recorded.catch(() => {})
    if (waits) return recorded.then((grant) => ({ transferId, grant, recorded }))
    return { transferId, grant: { maxSize: limits.maxFileSize, maxSizeCode: 'file.too_large' }, recorded }
  }

  /** @throws what the folder could not be synced for: nothing is acknowledged then, but the file is there, and what it owes must not wait for the next start */
  async #published(transferId: string, folder: string): Promise<void> {
    const { ledger, durable } = this.#options
    try {
      if (durable)
        await new Promise<void>((resolve, reject) =>
          this.#folders.later(folder, (error) => (error === undefined ? resolve() : reject(error))),
        )
    } finally {
      ledger.published(transferId)
    }
  }

  #hostUploads(): UploadHost {
    const { access, ledger, durable } = this.#options
    return {
      durable,
      limiter: this.#upRate,
      need: (permission, path) => access.need(REQUIRED[permission], path),
      mayOverwrite: (path) => access.may(REQUIRED.overwrite, path),
      place: (path) => access.reach(path, REQUIRED.upload, false),
      digest: (work) => this.#digests.run(work),
      othersNow: (upload) => (access.principal.quota.bytes === null ? 0 : this.#uploading(upload)),
      mayKeep: (vault) => keptPartials(vault, access.principal.username, null).files < MOST_PARTIALS,
      commit: (staged) => ledger.commitUpload(staged),
      published: (id, folder) => this.#published(id, folder),
      progress: (id, bytes) => this.#progress.report(id, bytes),
      aborted: (id, bytes, why, partial) => ledger.endTransfer(id, { state: 'aborted', bytes, error: recordOf(why), partial }),
      gone: (upload) => {
        this.#uploads.delete(upload)
        this.#progress.forget(upload.transferId)
      },
    }
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
