// The names of a session's uploads: which handles go on with which upload, and who waits while a name changes hands.
// Must not rename anything itself; rename.ts does, and says when it is done.
import { FileFlowError } from '../core/errors.ts'
import { isWithin, type VirtualPath } from '../core/virtual-path.ts'
import { type Access, REQUIRED } from './access.ts'
import { entryAt } from './attributes.ts'
import { translated } from './file-io.ts'
import type { Place } from './jail.ts'
import { JoinedUpload } from './joined-upload.ts'
import type { StagedUpload } from './upload.ts'
import type { Upload, UploadOptions } from './virtual-filesystem.ts'

export interface NamesHost {
  readonly access: Access
  /** The session's own uploads to that name that have begun and not ended. */
  uploadsAt(path: VirtualPath): StagedUpload[]
  stage(place: Place, options: UploadOptions): Promise<StagedUpload>
  /** When it resolves, a kill finds them under that name. */
  tell(uploads: readonly StagedUpload[], to: VirtualPath): Promise<void>
}

export class UploadNames {
  readonly #host: NamesHost
  /** By name: what one more handle may go on with. */
  readonly #joined = new Map<VirtualPath, JoinedUpload>()
  /** All that have handles, also those that others took the name from. */
  readonly #living = new Set<JoinedUpload>()
  readonly #beginning = new Set<{ readonly path: VirtualPath; readonly over: Promise<void> }>()
  /** Names that a rename has in hand. */
  readonly #taken = new Map<VirtualPath, Promise<void>>()

  constructor(host: NamesHost) {
    this.#host = host
  }

  open(path: VirtualPath, options: UploadOptions): Promise<Upload> {
    const joins = options.mode === 'resume' && options.truncateTo === undefined
    // O_EXCL does not follow a link, not even one that leads nowhere
    return this.#at(
      () => path,
      options.mode !== 'create',
      joins,
      (place) => {
        const going = joins ? this.#joined.get(place.path) : undefined
        if (!going?.going) return this.#first(place, options)
        this.#host.access.need(REQUIRED.resume, place.path)
        return going.handle()
      },
    )
  }

  /** @param joins of several that are asked for at once, all but one wait for that one. @param work is called with nothing between it and the look at the place */
  async #at<T>(path: () => VirtualPath, followLast: boolean, joins: boolean, work: (place: Place) => T | Promise<T>): Promise<T> {
    for (;;) {
      using place = this.#host.access.reach(path(), REQUIRED.upload, followLast)
      const wait = this.#taken.get(place.path) ?? (joins ? this.#beginningAt([place.path])[0] : undefined)
      if (!wait) return await work(place)
      await wait
    }
  }

  #first(place: Place, options: UploadOptions): Promise<Upload> {
    return this.#begin(place.path, async () => {
      const joined: JoinedUpload = new JoinedUpload(await this.#host.stage(place, options), {
        again: (mustStand) =>
          this.#at(
            () => joined.path,
            false,
            false,
            (now) => {
              mustStand()
              return this.#begin(now.path, () => this.#host.stage(now, { mode: 'resume', mustExist: true }))
            },
          ),
        stat: () => {
          using now = this.#host.access.reach(joined.path, REQUIRED.upload, false)
          const found = translated(() => now.lstat())
          if (!found) throw new FileFlowError('path.not_found')
          return entryAt(joined.path, found)
        },
        gone: () => {
          this.#living.delete(joined)
          if (this.#joined.get(joined.path) === joined) this.#joined.delete(joined.path)
        },
      })
      this.#joined.set(joined.path, joined)
      this.#living.add(joined)
      return joined.handle()
    })
  }

  /** Who takes the name waits until it has begun. */
  async #begin<T>(path: VirtualPath, work: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const one = { path, over: promise }
    this.#beginning.add(one)
    try {
      return await work()
    } finally {
      this.#beginning.delete(one)
      resolve()
    }
  }

  #beginningAt(paths: readonly VirtualPath[]): Promise<void>[] {
    return [...this.#beginning].flatMap(({ path, over }) => (paths.includes(path) ? [over] : []))
  }

  /** Resolves when no rename has that name in hand. */
  async free(path: VirtualPath): Promise<void> {
    for (let taken = this.#taken.get(path); taken; taken = this.#taken.get(path)) await taken
  }

  /**
   * Takes both names in hand for a rename: what begins or ends under one of them comes to that first, and until this is disposed of nothing else does.
   */
  async take(from: VirtualPath, to: VirtualPath): Promise<Disposable> {
    const paths = [from, to]
    while (paths.some((path) => this.#taken.has(path))) for (const path of paths) await this.free(path)
    const { promise, resolve } = Promise.withResolvers<void>()
    for (const path of paths) this.#taken.set(path, promise)
    const release = (): void => {
      for (const path of paths) this.#taken.delete(path)
      resolve()
    }
    try {
      await this.#settled(paths)
    } catch (error) {
      release()
      throw error
    }
    for (const upload of this.#host.uploadsAt(from)) upload.hold(promise)
    return { [Symbol.dispose]: release }
  }

  async #settled(paths: readonly VirtualPath[]): Promise<void> {
    const waited = new Set<StagedUpload>()
    for (;;) {
      const ending = paths.flatMap((path) => this.#host.uploadsAt(path)).filter((upload) => !upload.going && !waited.has(upload))
      const waits = [...ending.map((upload) => upload.ended), ...this.#beginningAt(paths)]
      if (waits.length === 0) return
      for (const upload of ending) waited.add(upload)
      await Promise.all(waits)
    }
  }

  tell(uploads: readonly StagedUpload[], to: VirtualPath): Promise<void> {
    return this.#host.tell(uploads, to)
  }

  /** A file was renamed: what handles are writing to it, or have published, they find under the new name. */
  follow(from: VirtualPath, to: VirtualPath): void {
    for (const joined of this.#living) if (joined.path === from) this.#move(joined, to)
  }

  /** As {@link follow}, for all below a folder. */
  followBelow(from: VirtualPath, to: VirtualPath): void {
    for (const joined of this.#living)
      if (joined.path !== from && isWithin(joined.path, from)) this.#move(joined, `${to}${joined.path.slice(from.length)}` as VirtualPath)
  }

  #move(joined: JoinedUpload, to: VirtualPath): void {
    const isLast = this.#joined.get(joined.path) === joined
    if (isLast) this.#joined.delete(joined.path)
    joined.moveTo(to)
    if (isLast) this.#joined.set(to, joined)
  }
}
