// The door between the watcher's thread and the control plane: what is asked about files that were dropped, and told.
// Must not hold behaviour: watched-folder.ts asks, intake/watched.ts answers.
import type { Reply } from '../core/channel.ts'
import type { LogLine } from '../core/log.ts'
import type { VirtualPath } from '../core/virtual-path.ts'

/** A file in a watched folder, as it is now. */
export interface Seen {
  /** Seen from the folder. */
  readonly path: VirtualPath
  /** inode:size:mtime in nanoseconds. */
  readonly identity: string
  /** When its content or name last changed (ctime), ms. */
  readonly changedMs: number
}

/** A copy of a file's content lies in the spool, whole and synced. */
export interface TakenIn {
  readonly transferId: string
  readonly path: VirtualPath
  readonly identity: string
  readonly size: number
  /** Lower-case hex. */
  readonly sha256: string
  readonly spool: Uint8Array
  /** Where it was found, for the record. */
  readonly real: Uint8Array
}

export interface WatchDoor {
  /** A scan begins. @returns its number */
  enter(folder: string, inode: string): Promise<number>
  /** Which of these are to be taken in: new, and wanted by a rule. Indices. `scan` null: seen by an event. */
  sift(folder: string, scan: number | null, files: readonly Seen[]): Promise<readonly number[]>
  /** The scan has shown all that is there, but for what is below `unread`: folders that it could not look into. */
  scanned(folder: string, scan: number, inode: string, unread: readonly VirtualPath[]): Promise<void>
  /** Durable before it resolves. @returns for each whether it was recorded; the others are owed to nobody any more */
  record(folder: string, files: readonly TakenIn[]): Promise<readonly boolean[]>
}

export const WATCH_CALLS = ['enter', 'sift', 'scanned', 'record'] as const satisfies readonly (keyof WatchDoor)[]

export interface WatchOrders {
  /** `since` tells a folder that is watched anew (ms); its links are resolved by whoever watches. */
  readonly folders: readonly { readonly folder: string; readonly since: number }[]
  /** Unchanged for so long before it is taken in, ms. */
  readonly settleMs: number
}

export interface WatcherData {
  readonly orders: WatchOrders
  readonly spoolFolder: string
  /** Copies are synced to the disk before they are recorded. */
  readonly durable: boolean
}

export type ToWatcher = Reply | ({ readonly type: 'orders' } & WatchOrders) | { readonly type: 'stop'; readonly deadlineMs: number }

export type FromWatcher =
  | { readonly type: 'ready' }
  | { readonly type: 'log'; readonly line: LogLine }
  | { readonly type: 'call'; readonly id: number; readonly method: keyof WatchDoor; readonly args: readonly unknown[] }
  | { readonly type: 'stopped' }
