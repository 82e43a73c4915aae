// When the last delivery of a file has ended: what its rules say becomes of the partner's file, and the spooled content goes.
// Must not run while anything is still owed: a dead delivery may be retried, so it keeps the content.
import type { Clock } from '../core/clock.ts'
import { errorFields, type Logger } from '../core/log.ts'
import { folderOfOwner } from '../core/rule.ts'
import type { Principal } from '../core/user.ts'
import { nameToBytes, type VirtualPath } from '../core/virtual-path.ts'
import { type Disposal, disposeOf, disposeOfWatched } from '../files/disposal.ts'
import { dropAllSpooled, type NeededNoMore } from '../files/spool-drops.ts'
import { partialBeside } from '../files/vaults.ts'
import { createHeld } from '../forwarding/held.ts'
import { pathOf } from '../store/row-path.ts'
import type { Store } from '../store/store.ts'
import type { TransferRow } from '../store/transfers.ts'
import { identityOf } from '../watching/look.ts'

/** Files that are done with share a sync. */
const HELD_MS = 50
const HELD = 64

/** ms; as long as the content stays after a delivery was given up by hand: a slip can be taken back. */
const KEPT_MS = 30 * 60_000
/** Files; of more, given up by one act, none is kept for that. */
const MOST_KEPT = 10_000

export interface SettleFileOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  /** null when the account is gone. */
  readonly principalOf: (username: string) => Principal | null
}

export function createFileSettler({ store, clock, log, principalOf }: SettleFileOptions) {
  /** Work on the disk that has begun. */
  const begun = new Set<Promise<unknown>>()
  const follow = (work: Promise<unknown>): void => {
    begun.add(work)
    void work.finally(() => begun.delete(work))
  }
  /** What one turn of the event loop lets go goes together. */
  let dropping: NeededNoMore[] = []
  const dropAll = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve))
    const all = dropping
    dropping = []
    await dropAllSpooled(all, (error) => log.error('spool.failed', 'Spooled content could not be removed.', errorFields(error)))
  }
  const drop = (spool: Uint8Array, row: TransferRow): void => {
    dropping.push({ spool, partial: row.protocol === 'watch' ? null : partialBeside(spool, row.username, pathOf(row)) })
    if (dropping.length === 1) follow(dropAll())
  }
  const disposeUploaded = (row: TransferRow, path: VirtualPath, spool: Uint8Array, how: 'delete' | 'archive', date: string) => {
    let result: Disposal | null = null
    const others = store.deliveries.ofTransfer(row.id).filter(({ username }) => username !== row.username)
    // who renamed it may see it under a name that its sender has not
    for (const one of [{ username: row.username, path }, ...others]) {
      const principal = principalOf(one.username)
      if (principal) result = disposeOf(principal, one.path as VirtualPath, spool, how, date)
      if (result === 'done') break
    }
    return result
  }
  /** Taken in from a watched folder: the spool holds a copy, so the row says which file it was. */
  const disposeDropped = (row: TransferRow, path: VirtualPath, how: 'delete' | 'archive', date: string) => {
    const folder = folderOfOwner(row.username)
    const known = store.watched.file(folder, nameToBytes(path))
    if (known?.transfer_id !== row.id) return 'changed'
    return disposeOfWatched(folder, path, (stats) => identityOf(stats) === known.identity, how, date)
  }
  /** @returns whether the partner's file was touched */
  const dispose = (row: TransferRow, spool: Uint8Array, how: 'delete' | 'archive'): boolean => {
    const path = pathOf(row)
    const date = new Date(clock.now()).toISOString().slice(0, 10)
    const result = row.protocol === 'watch' ? disposeDropped(row, path, how, date) : disposeUploaded(row, path, spool, how, date)
    if (result === null) return false
    store.group.now(() => {
      if (result === 'done' && row.protocol === 'watch') store.watched.forget(folderOfOwner(row.username), nameToBytes(path), row.id)
      else if (result === 'done' && how === 'delete') store.accounts.users.addUsage(row.username, -row.bytes, -1)
      store.audit.append({
        at: clock.now(),
        actor: 'gateway',
        address: '',
        action: `file.${how}`,
        object: row.path,
        outcome: result === 'done' ? 'ok' : 'failed',
        detail: {
          transfer: row.id,
          user: row.username,
          ...(result === 'done' ? {} : { reason: 'the name holds another file by now' }),
        },
      })
    })
    return true
  }
  /** Between the decision and its row. */
  const settling = new Set<string>()
  const held = createHeld(HELD_MS, HELD)
  /** The sync of this row is that of the outcomes before it, too: only then may the content go. */
  const letGo = (transferId: string, spool: Uint8Array, row: TransferRow): void =>
    follow(
      store.group
        .run(() => {
          // a rename recorded meanwhile may owe it anew
          const free = store.deliveries.ends(transferId).unfinished === 0
          if (free) store.transfers.setSpool(transferId, null)
          return free
        }, true)
        .then(
          (free) => free && drop(spool, row),
          (error: unknown) =>
            log.error('spool.failed', 'Spooled content could not be removed.', { transfer: transferId, ...errorFields(error) }),
        )
        .finally(() => settling.delete(transferId)),
    )
  /** Safe to call at any time, and again. */
  function settle(transferId: string): void {
    const row = settling.has(transferId) ? undefined : store.transfers.get(transferId)
    const spool = row?.spool
    if (!spool) return
    const ends = store.deliveries.ends(transferId)
    if (ends.unfinished > 0) return
    const how = ends.delete ? 'delete' : ends.archive ? 'archive' : null
    let touched = false
    try {
      touched = how !== null && ends.undelivered === 0 && dispose(row, spool, how)
    } catch (error) {
      log.error('after.failed', 'What a rule wants done with a delivered file could not be done.', {
        transfer: transferId,
        ...errorFields(error),
      })
    }
    settling.add(transferId)
    held.add(() => letGo(transferId, spool, row), touched)
  }

  /** Of deliveries that were given up by hand, oldest first. */
  const later: { transferId: string; at: number }[] = []
  let timer: NodeJS.Timeout | undefined
  function settleKept(): void {
    timer = undefined
    const due = later.findIndex(({ at }) => at > clock.now())
    for (const { transferId } of later.splice(0, due === -1 ? later.length : due)) settle(transferId)
    if (later.length > 0) timer = setTimeout(settleKept, Math.max(1000, later[0]!.at - clock.now())).unref()
  }

  return {
    drop,
    settle,
    /** After a delivery was given up by hand; a start settles what a stop left. */
    settleLater(transferId: string): void {
      if (later.length < MOST_KEPT) {
        later.push({ transferId, at: clock.now() + KEPT_MS })
        timer ??= setTimeout(settleKept, KEPT_MS).unref()
      } else settle(transferId)
    },
    /** What is held is done now. Resolves when all is, before the store may close. */
    async close(): Promise<void> {
      clearTimeout(timer)
      held.release()
      while (begun.size > 0) await Promise.all(begun)
    },
  }
}
