// One watched folder: events and scans find files, the settling time tells which are finished, and they are taken in.
// Must not decide which file is wanted or known; the control plane does.
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { monotonic } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import { errorFields, type Logger } from '../core/log.ts'
import { ROOT, type VirtualPath } from '../core/virtual-path.ts'
import { syncFolder } from '../files/file-io.ts'
import { Candidates } from './candidates.ts'
import { type FolderEvents, watchFolders } from './events.ts'
import { filesBelow, look } from './look.ts'
import type { Seen, TakenIn, WatchDoor } from './messages.ts'
import { takeIn } from './take-in.ts'
import { openForWriting } from './writers.ts'

export interface WatchedFolderOptions {
  /** As the rules spell it. */
  readonly folder: string
  readonly door: WatchDoor
  readonly log: Logger
  readonly settleMs: () => number
  readonly spoolFolder: string
  readonly durable: boolean
}

/** Files asked about, or taken in, in one go. */
const BATCH = 512
const COPIES_ABREAST = 8
/** Beyond this a scan waits until some are taken in, so that memory has a limit. */
const MOST_WAITING = 20_000
/** Beyond this the names are let go and the whole folder is looked through instead. */
const MOST_TOUCHED = 50_000
/** The folder is looked through again and again: events get lost (a full inotify queue), and network volumes tell of none. */
const RESCAN_MS = 60_000
const PRUNE_MS = 24 * 3600_000
const CHECK_MS = 5_000
/** Subscribing to very many folders goes on beside the work. */
const SUBSCRIBE_MS = 5_000
const HELD_MS = 500
const TROUBLE_MS = 15_000

export class WatchedFolder {
  readonly #options: WatchedFolderOptions
  readonly #touched = new Set<VirtualPath>()
  readonly #candidates = new Candidates()
  readonly #done: Promise<void>
  /** Told once, until it is over. */
  readonly #complaints = new Set<string>()
  /** Where the folder really is, and which it is; null until it could be entered. */
  #entered: { readonly real: string; readonly inode: string; readonly events: FolderEvents } | null = null
  #closed = false
  #checkAt = 0
  #rescanAt = 0
  #pruneAt = 0
  #wake: () => void = () => {}

  constructor(options: WatchedFolderOptions) {
    this.#options = options
    this.#done = this.#run()
  }

  /** Looks through the folder soon: what is wanted may have changed. */
  rescan(): void {
    this.#rescanAt = 0
    this.#wake()
  }

  /** What is being copied is recorded first. */
  async close(): Promise<void> {
    this.#closed = true
    this.#wake()
    await this.#done
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        if (monotonic() >= this.#checkAt) await this.#check()
        if (this.#entered) await this.#work()
      } catch (error) {
        this.#complain('watch.failed', 'A watched folder could not be looked through; it is tried again.', errorFields(error))
        this.#rescanAt = monotonic() + TROUBLE_MS
        await this.#nap(TROUBLE_MS / 10)
      }
      await this.#nap(this.#untilNext())
    }
    await this.#leave()
  }

  #untilNext(): number {
    const step = Math.min(HELD_MS, Math.max(20, this.#options.settleMs() / 4))
    if (this.#entered && (this.#touched.size > 0 || this.#candidates.count > 0)) return step
    return Math.max(1, Math.min(this.#checkAt, this.#entered ? this.#rescanAt : Number.POSITIVE_INFINITY) - monotonic())
  }

  /** Whether the folder is there, and still the same: it may be made, unmounted or exchanged at any time. */
  async #check(): Promise<void> {
    const { folder } = this.#options
    this.#checkAt = monotonic() + CHECK_MS
    let real: string
    let inode: string
    try {
      real = await fs.promises.realpath(folder)
      inode = await this.#inodeOf(real)
      await fs.promises.access(real, fs.constants.R_OK | fs.constants.X_OK)
    } catch (error) {
      this.#complain('watch.unavailable', `The watched folder ${folder} cannot be entered; it is tried again.`, errorFields(error))
      return this.#leave()
    }
    if (this.#complaints.delete('watch.unavailable'))
      this.#options.log.info('watch.available', `The watched folder ${folder} is there again.`)
    if (this.#entered?.real === real && this.#entered.inode === inode) return
    await this.#leave()
    const events = watchFolders(
      real,
      (path) => this.#touch(path),
      (error) =>
        this.#complain('watch.partial', `Not all of ${folder} can be watched; it is looked through each minute.`, errorFields(error)),
    )
    this.#entered = { real, inode, events }
    // what comes between a scan and the last subscription is found by another scan
    const late = events.ready.then(() => this.rescan())
    await Promise.race([late, sleep(SUBSCRIBE_MS, undefined, { ref: false })])
    this.#rescanAt = 0
    this.#pruneAt = 0
    this.#options.log.info('watch.started', `${folder} is watched.`)
  }

  async #inodeOf(real: string): Promise<string> {
    const stats = await fs.promises.stat(real, { bigint: true })
    const { dev, ino, birthtimeNs, ctimeNs } = stats
    if (!stats.isDirectory()) throw new FileFlowError('path.not_directory')
    // the topmost folders of volumes of a kind have all the same number; where nobody knows when it was made, Node gives another time
    return birthtimeNs > 0n && birthtimeNs !== ctimeNs ? `${dev}:${ino}:${birthtimeNs}` : `${dev}:${ino}`
  }

  async #leave(): Promise<void> {
    const left = this.#entered
    this.#entered = null
    this.#touched.clear()
    this.#candidates.clear()
    await left?.events.close()
  }

  #touch(path: VirtualPath): void {
    if (this.#touched.size < MOST_TOUCHED) this.#touched.add(path)
    else this.rescan()
    this.#wake()
  }

  async #work(): Promise<void> {
    if (monotonic() >= this.#rescanAt && !(await this.#scan())) return
    // a burst may have overrun the kernel's queue of events: all is looked through once more after it
    const burst = this.#touched.size > BATCH
    await this.#lookAtTouched()
    await this.#takeSettled()
    if (burst) this.#rescanAt = Math.min(this.#rescanAt, monotonic() + 2 * this.#options.settleMs())
  }

  /** @returns whether it is still the same folder */
  async #scan(): Promise<boolean> {
    const { folder, door } = this.#options
    const began = monotonic()
    const due = began >= this.#pruneAt
    // who asks for another one meanwhile gets it
    this.#rescanAt = Number.POSITIVE_INFINITY
    const { real, inode } = this.#entered!
    // it may have been exchanged since the last check: what lies in another one is its history, not news of this one
    if ((await this.#inodeOf(real)) !== inode) return this.#exchanged()
    // the volume's number may change with each mount; the folder's own does not
    const own = inode.slice(inode.indexOf(':') + 1)
    const scan = due ? await door.enter(folder, own) : null
    const unread = await this.#offerBelow(ROOT, scan)
    if (this.#closed) return true
    // a volume that went meanwhile looks like a folder that was emptied
    if ((await this.#inodeOf(real)) !== inode) return this.#exchanged()
    if (scan !== null) {
      await door.scanned(folder, scan, own, unread)
      this.#pruneAt = monotonic() + PRUNE_MS
    }
    this.#complaints.delete('watch.failed')
    this.#rescanAt = Math.min(this.#rescanAt, monotonic() + Math.max(RESCAN_MS, 20 * (monotonic() - began)))
    return true
  }

  /** What was seen of it may belong to either; it is entered anew at once. */
  #exchanged(): boolean {
    this.#candidates.clear()
    this.#checkAt = 0
    return false
  }

  /** @returns the folders that cannot be read */
  async #offerBelow(from: VirtualPath, scan: number | null): Promise<VirtualPath[]> {
    const unread: VirtualPath[] = []
    const unreadable = (path: VirtualPath, error: unknown): void => {
      unread.push(path)
      this.#complain('watch.unreadable', `A folder below ${this.#options.folder} cannot be read.`, { path, ...errorFields(error) })
    }
    let batch: Seen[] = []
    for await (const group of filesBelow(this.#entered!.real, from, unreadable)) {
      batch.push(...group)
      if (batch.length < BATCH) continue
      await this.#offer(batch, scan)
      batch = []
      while (this.#candidates.count > MOST_WAITING && !this.#closed) {
        await this.#takeSettled()
        await this.#nap(HELD_MS)
      }
      if (this.#closed) return unread
    }
    if (batch.length > 0) await this.#offer(batch, scan)
    return unread
  }

  async #offer(files: readonly Seen[], scan: number | null): Promise<void> {
    const now = monotonic()
    for (const file of files) if (this.#candidates.has(file.path)) this.#candidates.saw(file, now)
    const asked = scan === null ? files.filter((file) => !this.#candidates.has(file.path)) : files
    if (asked.length === 0) return
    for (const index of await this.#options.door.sift(this.#options.folder, scan, asked)) this.#candidates.saw(asked[index]!, now)
  }

  async #lookAtTouched(): Promise<void> {
    const { real } = this.#entered!
    while (this.#touched.size > 0 && !this.#closed) {
      const paths = [...this.#touched].slice(0, BATCH)
      for (const path of paths) this.#touched.delete(path)
      const found = await Promise.all(paths.map((path) => look(real, path)))
      await this.#offer(
        found.filter((what): what is Seen => what !== null && what !== 'folder'),
        null,
      )
      for (const [i, what] of found.entries()) if (what === 'folder') await this.#offerBelow(paths[i]!, null)
    }
  }

  async #takeSettled(): Promise<void> {
    for (;;) {
      const ready = this.#candidates.settled(monotonic(), this.#options.settleMs(), BATCH)
      if (ready.length === 0 || this.#closed) return
      await this.#take(await this.#finished(ready))
      if (ready.length < BATCH) return
    }
  }

  /** Those that are still what they were, with nobody writing. */
  async #finished(ready: readonly { path: VirtualPath; identity: string }[]): Promise<{ path: VirtualPath; identity: string }[]> {
    const { real } = this.#entered!
    const held = await openForWriting(real)
    const now = monotonic()
    const found = await Promise.all(ready.map(({ path }) => look(real, path)))
    return ready.filter(({ path, identity }, i) => {
      const what = found[i]!
      if (what === null || what === 'folder') this.#candidates.drop(path)
      else if (what.identity !== identity) this.#candidates.saw(what, now)
      else if (held.has(identity.slice(0, identity.indexOf(':')))) this.#candidates.putOff(path, now + HELD_MS)
      else return true
      return false
    })
  }

  async #take(files: readonly { path: VirtualPath; identity: string }[]): Promise<void> {
    const { folder, door, spoolFolder, durable } = this.#options
    const { real } = this.#entered!
    const taken: TakenIn[] = []
    const todo = [...files].reverse()
    const copy = async (): Promise<void> => {
      for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
        try {
          const one = await takeIn(real, file.path, file.identity, spoolFolder, durable)
          if (one) taken.push(one)
          else this.#touch(file.path)
        } catch (error) {
          this.#candidates.putOff(file.path, monotonic() + TROUBLE_MS)
          this.#complain('watch.not_taken', `A file in ${folder} could not be taken in; it is tried again.`, {
            path: file.path,
            ...errorFields(error),
          })
        }
      }
    }
    await Promise.all(Array.from({ length: COPIES_ABREAST }, copy))
    if (taken.length === 0) return
    if (durable) await syncFolder(spoolFolder)
    // when this fails it is not known whether they were recorded: the copies stay, and the next start drops those that no row speaks of
    const recorded = await door.record(folder, taken)
    for (const [i, one] of taken.entries()) {
      this.#candidates.drop(one.path)
      if (!recorded[i]) await fs.promises.rm(Buffer.from(one.spool), { force: true })
    }
    this.#complaints.delete('watch.not_taken')
  }

  #complain(event: string, message: string, fields: Record<string, unknown>): void {
    if (this.#complaints.has(event)) return
    this.#complaints.add(event)
    this.#options.log.warn(event, message, { folder: this.#options.folder, ...fields })
  }

  #nap(ms: number): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
