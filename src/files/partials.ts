// Unfinished uploads as their uploader sees them: laid over the real folder, under their names, for resuming.
// Must not show anything to another user.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import type { HangingUpload } from '../core/transfer.ts'
import { baseOf, isWithin, nameFromBytes, nameToBytes, parentOf, type VirtualPath } from '../core/virtual-path.ts'
import { entryAt, toEntry } from './attributes.ts'
import { translated } from './file-io.ts'
import type { Folder, Place } from './jail.ts'
import { namesIn, partialSize, wholeOf } from './kept-partials.ts'
import { under } from './under.ts'
import type { StagedUpload } from './upload.ts'
import type { Vault, Vaults } from './vaults.ts'
import type { FileEntry } from './virtual-filesystem.ts'

export class PartialOverlay {
  readonly #username: string
  readonly #vaults: Vaults
  readonly #uploads: ReadonlySet<StagedUpload>
  /** In other sessions of the user: name → transfer. */
  #hanging: ReadonlyMap<VirtualPath, string> = new Map()

  constructor(username: string, vaults: Vaults, uploads: ReadonlySet<StagedUpload>) {
    this.#username = username
    this.#vaults = vaults
    this.#uploads = uploads
  }

  setHanging(uploads: readonly HangingUpload[]): void {
    this.#hanging = new Map(uploads.map(({ path, transferId }) => [path, transferId]))
  }

  /** Whether an upload to that name may hang in another session of the user. */
  hangs(path: VirtualPath): boolean {
    return this.#hanging.has(path)
  }

  /** The session's own upload in flight to that name. */
  openAt(path: VirtualPath): StagedUpload | undefined {
    for (const upload of this.#uploads) if (upload.path === path) return upload
    return undefined
  }

  /** As {@link openAt}: there may be several. */
  allAt(path: VirtualPath): StagedUpload[] {
    return [...this.#uploads].filter((upload) => upload.path === path)
  }

  /** Whether the session's own uploads are on their way into that folder or below it. */
  openBelow(path: VirtualPath): boolean {
    for (const upload of this.#uploads) if (upload.path !== path && isWithin(upload.path, path)) return true
    return false
  }

  /** Where the user's partials of that folder are kept; null when there are none. */
  groupOf(vault: Vault, path: VirtualPath): string | null {
    const kept = vault.partialsIn(this.#username, path)
    return fs.existsSync(kept) ? kept : null
  }

  /** What the uploader sees instead of `found`, or null. */
  at(place: Place, found: fs.Stats | null): FileEntry | null {
    const open = this.openAt(place.path)
    if (open) return open.entry()
    const hanging = this.#hangingAt(place.path, place.folder, found)
    if (hanging) return hanging
    const file = this.fileAt(place, found)
    const stats = file && fs.lstatSync(file, { throwIfNoEntry: false })
    return stats ? entryAt(place.path, stats, true) : null
  }

  /** The kept partial of that name. One older than what was published since is of no use any more. */
  fileAt(place: Place, found: fs.Stats | null): Buffer | null {
    if (place.name === null) return null
    return this.counting(this.#vaults.find(place.folder).partial(this.#username, place.path), found)
  }

  /** As {@link fileAt}, for who knows where it would be kept. */
  counting(file: Buffer, found: fs.Stats | null): Buffer | null {
    const stats = fs.lstatSync(file, { throwIfNoEntry: false })
    return stats?.isFile() && (found === null || (found.isFile() && stats.ctimeMs >= found.ctimeMs)) ? file : null
  }

  /** An upload that hangs elsewhere, as the partial that it would be if it ended now; null also when it has ended since, or something newer stands there. */
  #hangingAt(path: VirtualPath, folder: Folder, found: fs.Stats | null): FileEntry | null {
    const transferId = this.#hanging.get(path)
    if (transferId === undefined) return null
    const staging = this.#vaults.find(folder).staging(transferId)
    const stats = fs.lstatSync(staging, { throwIfNoEntry: false })
    if (!stats || (found !== null && !(found.isFile() && stats.ctimeMs >= found.ctimeMs))) return null
    const size = partialSize(Math.min(stats.size, wholeOf(staging)))
    return size === 0 ? null : { ...entryAt(path, stats, true), size }
  }

  within(folder: Folder, path: VirtualPath): FileEntry[] {
    const kept = this.#vaults.find(folder).partialsIn(this.#username, path)
    const entries = new Map<string, FileEntry>()
    for (const bytes of namesIn(kept)) {
      const stats = fs.lstatSync(under(kept, bytes), { throwIfNoEntry: false })
      const published = fs.lstatSync(folder.at(bytes), { throwIfNoEntry: false })
      if (stats && (!published || (published.isFile() && stats.ctimeMs >= published.ctimeMs))) {
        const name = nameFromBytes(bytes)
        entries.set(name, toEntry(name, stats, true))
      }
    }
    for (const hanging of this.#hanging.keys()) {
      if (parentOf(hanging) !== path) continue
      const entry = this.#hangingAt(
        hanging,
        folder,
        fs.lstatSync(folder.at(nameToBytes(baseOf(hanging))), { throwIfNoEntry: false }) ?? null,
      )
      if (entry) entries.set(entry.name, entry)
    }
    const prefix = path === '/' ? '/' : `${path}/`
    for (const upload of this.#uploads) {
      const name = upload.path.slice(prefix.length)
      if (upload.path.startsWith(prefix) && !name.includes('/')) entries.set(name, upload.entry())
    }
    return [...entries.values()]
  }

  /** Shortens a kept partial. @throws FileFlowError `state.conflict` when it would have to grow */
  cut(file: Buffer, size: number): void {
    translated(() => {
      if (size > fs.lstatSync(file).size) throw new FileFlowError('state.conflict', 'The upload of this file did not finish: resume it.')
      fs.truncateSync(file, size)
    })
  }

  /** @returns whether there was one. */
  drop(place: Place): boolean {
    const file = this.fileAt(place, null)
    if (file) translated(() => fs.rmSync(file, { force: true }))
    return file !== null
  }
}
