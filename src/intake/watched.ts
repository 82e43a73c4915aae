// Watched folders as the control plane knows them: which file is new, and a file that was taken in becomes obligations.
// Must not touch the folders themselves; the watcher's thread does.
import { join } from 'node:path'
import { type Clock, newId } from '../core/clock.ts'
import type { Logger } from '../core/log.ts'
import { ownerOfWatched } from '../core/rule.ts'
import { isWithin, nameToBytes, ROOT, toVirtualPath, type VirtualPath } from '../core/virtual-path.ts'
import type { DeliveryQueue } from '../forwarding/queue.ts'
import type { Rules } from '../forwarding/rules.ts'
import { pathColumns } from '../store/row-path.ts'
import type { Store } from '../store/store.ts'
import type { Seen, TakenIn, WatchDoor, WatchOrders } from '../watching/messages.ts'

/** The kernel gives files the time of its last tick, which may be so long ago (HZ=100). */
const TICK_MS = 10

export interface WatchedOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly rules: Rules
  readonly queue: DeliveryQueue
  readonly settleMs: () => number
  /** Deliveries may be due. */
  readonly kick: () => void
  readonly completed: (transferId: string) => void
}

/** What comes before the slash of everything below the folder itself. */
const NO_BYTES = new Uint8Array()

export type Watched = ReturnType<typeof createWatched>

export function createWatched({ store, clock, log, rules, queue, settleMs, kick, completed }: WatchedOptions) {
  const { watched, transfers, audit } = store
  /** One session a folder, from its first file to the watcher's end. */
  const sessions = new Map<string, string>()

  const wants = (folder: string, path: VirtualPath) => rules.matching({ user: '', path, watch: folder })

  function sessionOf(folder: string): string {
    const known = sessions.get(folder)
    if (known !== undefined) return known
    const id = newId(clock.now())
    transfers.openSession({
      id,
      username: ownerOfWatched(folder),
      protocol: 'watch',
      address: '',
      port: 0,
      method: 'watch',
      client: '',
      started_at: clock.now(),
    })
    sessions.set(folder, id)
    return id
  }

  /** @returns whether it is to be taken in */
  function isNew(folder: string, file: Seen, scan: number | null): boolean {
    const row = watched.folder(folder)
    if (!row) return false
    const path = nameToBytes(file.path)
    const known = watched.file(folder, path)
    if (known?.identity === file.identity) {
      // events tell of what is back; what was always there only a scan notes
      if (known.gone_at !== null || (scan !== null && known.scan !== scan)) watched.seen(folder, path, scan ?? known.scan, row.inode)
      return false
    }
    if (wants(folder, file.path).length === 0) return false
    const isHistory = !known && row.reconciled === 0 && file.changedMs < row.since - TICK_MS
    if (!isHistory) return true
    const baseline = baselineOf(folder)
    if (baseline === 'send') return true
    watched.put(folder, path, {
      identity: file.identity,
      state: baseline === 'skip' ? 'skipped' : 'held',
      transfer_id: null,
      scan: row.scan,
      root: row.inode,
    })
    return false
  }

  const baselineOf = (folder: string) => rules.watches().find((one) => one.folder === folder)?.baseline

  function record(folder: string, file: TakenIn): boolean {
    const row = watched.folder(folder)
    const path = nameToBytes(file.path)
    const matches = wants(folder, file.path)
    const known = watched.file(folder, path)
    if (!row || matches.length === 0 || (known?.identity === file.identity && known.state === 'taken')) return false
    const at = clock.now()
    const id = file.transferId
    const name = pathColumns(file.path)
    transfers.begin({
      id,
      session_id: sessionOf(folder),
      partner: '',
      direction: 'upload',
      ...name,
      start_offset: 0,
      started_at: at,
    })
    transfers.commit({
      id,
      ...name,
      bytes: file.size,
      sha256: file.sha256,
      staging: file.spool,
      final: file.real,
      spool: file.spool,
      evidence: ['settled'],
      at,
    })
    const counter = transfers.get(id)!.commit_order!
    const owed = queue.enqueue(
      { transferId: id, user: ownerOfWatched(folder), partner: '', path: file.path, size: file.size, sha256: file.sha256, at, counter },
      matches,
    )
    transfers.publish(id, at)
    queue.release(id, at)
    watched.put(folder, path, { identity: file.identity, state: 'taken', transfer_id: id, scan: row.scan, root: row.inode })
    audit.append({
      at,
      actor: 'gateway',
      address: '',
      action: 'watch.taken',
      object: name.path,
      outcome: 'ok',
      detail: { folder, transfer: id, size: file.size, sha256: file.sha256, deliveries: owed },
    })
    return true
  }

  const door: WatchDoor = {
    enter: (folder, inode) =>
      store.group.run(() => {
        const { scan, other } = watched.enter(folder, inode)
        if (other) log.warn('watch.other_folder', `${folder} is not the folder it was: what is known of its files is kept.`, { folder })
        return scan
      }, false),
    sift: (folder, scan, files) => store.group.run(() => files.flatMap((file, i) => (isNew(folder, file, scan) ? [i] : [])), false),
    scanned: (folder, scan, inode, unread) =>
      store.group.run(() => {
        watched.prune(
          folder,
          scan,
          inode,
          unread.map((path) => (path === ROOT ? NO_BYTES : nameToBytes(path))),
          clock.now(),
        )
        if (watched.folder(folder)?.reconciled !== 0) return
        watched.reconciled(folder)
        const held = watched.countHeld(folder)
        if (held > 0)
          log.warn(
            'watch.held',
            `${held} files lay in ${folder} before it was watched. They wait: set source.baseline of its rule to send or skip.`,
            { folder, files: held },
          )
      }, false),
    async record(folder, files) {
      const result = await store.group
        .run(() => files.map((file) => record(folder, file)), true)
        .catch((error: unknown) => {
          // the group was undone, and the session's row with it
          sessions.delete(folder)
          throw error
        })
      for (const [i, file] of files.entries()) if (result[i]) completed(file.transferId)
      kick()
      return result
    },
  }

  return {
    door,
    /** Takes in what the rules say now. @returns whether any folder is to be watched */
    sync(): boolean {
      const wanted = new Map(rules.watches().map((one) => [one.folder, one]))
      store.group.now(() => {
        for (const { folder } of watched.folders()) if (!wanted.has(folder)) watched.removeFolder(folder)
        for (const { folder, baseline } of wanted.values()) {
          watched.addFolder(folder, clock.now())
          if (baseline === 'send') watched.freeHeld(folder)
          if (baseline === 'skip') watched.skipHeld(folder)
        }
      })
      return this.orders().folders.length > 0
    },
    orders(): WatchOrders {
      const active = rules.watches().filter((one) => one.enabled)
      return {
        settleMs: settleMs(),
        folders: active.flatMap(({ folder }) => {
          const row = watched.folder(folder)
          return row ? [{ folder, since: row.since }] : []
        }),
      }
    },
    /** The watcher's thread has ended. */
    ended(reason: string): void {
      store.group.now(() => {
        for (const id of sessions.values()) transfers.endSession(id, 'closed', clock.now(), reason)
      })
      sessions.clear()
    },
  }
}

/** Spooled copies of watched files lie here. */
export const watchSpool = (dataDir: string): string => join(dataDir, 'spool')

/** Whether `inner` is `outer` or lies below it; both absolute. */
export function holds(outer: string, inner: string): boolean {
  const path = toVirtualPath(ROOT, inner)
  return isWithin(path, toVirtualPath(ROOT, outer))
}

export const overlap = (a: string, b: string): boolean => holds(a, b) || holds(b, a)
