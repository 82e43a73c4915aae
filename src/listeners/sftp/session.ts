// What the channels of one logged-in connection share: the virtual filesystem, the count of open handles and transfers, signs of life.
// Must not know packets or sockets.

import { monotonic } from '../../core/clock.ts'
import { codeOf, FileFlowError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Principal } from '../../core/user.ts'
import { meansFolder, toVirtualPath, type VirtualPath } from '../../core/virtual-path.ts'
import type { VirtualFilesystem } from '../../files/virtual-filesystem.ts'
import type { Gatekeeper } from '../../gatekeeper/messages.ts'
import type { Tuning } from './tuning.ts'

const PROGRESS_MS = 1000

/** A transfer as progress reports see it. */
export interface Moving {
  readonly transferId: string
  bytes: number
}

export class Session {
  readonly vfs: VirtualFilesystem
  readonly log: Logger
  readonly tuning: Tuning
  principal: Principal
  /** Monotonic ms of the last request or byte. */
  lastActivity = monotonic()
  readonly #gatekeeper: Gatekeeper
  readonly #onIdle: () => void
  readonly #moving = new Set<Moving>()
  #handles = 0
  /** Bytes that the channels have been asked for and that are not taken. */
  #held = 0
  readonly #starved = new Set<() => void>()
  #draining = false
  #lastProgress = 0

  /** @param onDrained called when the session drains and its last transfer ends */
  constructor(vfs: VirtualFilesystem, gatekeeper: Gatekeeper, log: Logger, tuning: Tuning, onDrained: () => void) {
    this.vfs = vfs
    this.principal = vfs.principal
    this.log = log
    this.tuning = tuning
    this.#gatekeeper = gatekeeper
    this.#onIdle = onDrained
  }

  get transfers(): number {
    return this.#moving.size
  }

  touch(): void {
    this.lastActivity = monotonic()
  }

  /** A path as the client typed it; relative ones start at the user's start directory. @throws FileFlowError `path.invalid`, `path.not_found` for an empty one, as on OpenSSH */
  path(typed: string): VirtualPath {
    if (typed === '') throw new FileFlowError('path.not_found')
    return toVirtualPath(this.principal.startDirectory, typed)
  }

  /**
   * As {@link path}, for what is there already: with a slash behind it only a folder is meant, and a link to one is followed (POSIX, path resolution).
   * @throws FileFlowError `path.not_directory`, `path.not_found`
   */
  async place(typed: string): Promise<VirtualPath> {
    const path = this.path(typed)
    if (!meansFolder(typed)) return path
    const canonical = await this.vfs.realpath(path)
    await this.needFolder(canonical)
    return canonical
  }

  /** @throws FileFlowError `path.not_directory`, `path.not_found`; who may not list there is spared the question */
  async needFolder(path: VirtualPath): Promise<void> {
    try {
      if ((await this.vfs.lstat(path)).kind !== 'directory') throw new FileFlowError('path.not_directory')
    } catch (error) {
      if (codeOf(error) !== 'permission.denied') throw error
    }
  }

  /** Of a channel: so many bytes more (or less, where negative) that it was asked for or has not sent yet. */
  hold(bytes: number): void {
    this.#held += bytes
    if (bytes >= 0 || this.#starved.size === 0 || this.#held >= this.tuning.maxHeld) return
    const waiting = [...this.#starved]
    this.#starved.clear()
    process.nextTick(() => {
      for (const go of waiting) go()
    })
  }

  /** Whether a channel that holds `own` has to wait for the others; `go` is called when it need not any more. */
  mustWait(own: number, go: () => void): boolean {
    if (own < this.tuning.leastHeld || this.#held < this.tuning.maxHeld) return false
    this.#starved.add(go)
    return true
  }

  /** @throws FileFlowError `limit.handles` */
  takeHandle(): void {
    if (this.#handles >= this.tuning.maxHandles) throw new FileFlowError('limit.handles')
    this.#handles++
  }

  releaseHandle(): void {
    this.#handles--
  }

  /** @throws FileFlowError `service.draining` */
  mayBegin(): void {
    if (this.#draining) throw new FileFlowError('service.draining')
  }

  begin(transferId: string): Moving {
    const moving = { transferId, bytes: 0 }
    this.#moving.add(moving)
    return moving
  }

  end(moving: Moving): void {
    if (this.#moving.delete(moving) && this.#draining && this.#moving.size === 0) this.#onIdle()
  }

  /** No new transfers. */
  drain(): void {
    this.#draining = true
  }

  /** Bytes went by. Reports all running transfers, once a second at most. */
  moved(moving: Moving, bytes: number): void {
    moving.bytes += bytes
    const now = monotonic()
    this.lastActivity = now
    if (now - this.#lastProgress < PROGRESS_MS) return
    this.#lastProgress = now
    for (const each of this.#moving) this.#gatekeeper.progress(each.transferId, each.bytes)
  }
}
