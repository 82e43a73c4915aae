// A finished file comes to a new name, by a rename or a second link, whoever does it: what rules want of it there becomes obligations.
// Must not know who may rename what; files/ asked already.
import { type Clock, newId } from '../core/clock.ts'
import type { RenamedFile, RenameObligations } from '../core/transfer.ts'
import type { Principal } from '../core/user.ts'
import { isWithin, toDisplay } from '../core/virtual-path.ts'
import type { DeliveryQueue } from '../forwarding/queue.ts'
import type { Rules } from '../forwarding/rules.ts'
import { exactBytes } from '../store/row-path.ts'
import type { Store } from '../store/store.ts'
import type { TransferRow } from '../store/transfers.ts'

export interface RenamesOptions {
  readonly store: Store
  readonly clock: Clock
  readonly queue: DeliveryQueue
  readonly rules: Rules
  /** null when the account is gone. */
  readonly homeOf: (username: string) => string | null
  readonly release: (transferId: string) => void
  readonly dropSpool: (spool: Uint8Array, of: TransferRow) => void
}

/** Who renames. */
export type Renamer = Pick<Principal, 'username' | 'partner' | 'home' | 'mounts'>

export function createRenames({ store, clock, queue, rules, homeOf, release, dropSpool }: RenamesOptions) {
  const { transfers, deliveries } = store

  /** What came to this name, whoever sent it, if the file that stands there is still that. */
  const transferAt = (file: RenamedFile): TransferRow | null => {
    const last = transfers.lastAt(file.source)
    const linked = transfers.byOtherName(file.source, file.inode)
    const row = linked && (last?.commit_order ?? 0) < linked.since ? linked : last
    return row && row.state !== 'committing' && row.bytes === file.size ? row : null
  }

  /** The file's sender sees that path as the same place. */
  const isSeenBy = (sender: string, by: Renamer, file: RenamedFile): boolean =>
    homeOf(sender) === by.home && !by.mounts.some(({ path }) => isWithin(file.to, path))

  /** As an upload to the new name would, by who sent the file as by who renames it. */
  const owe = (row: TransferRow, file: RenamedFile, by: Renamer): number => {
    const common = { transferId: row.id, path: file.to, size: row.bytes, sha256: row.sha256!, at: clock.now(), counter: row.commit_order! }
    const itsOwn = row.username === by.username
    const asSender = itsOwn || isSeenBy(row.username, by, file) ? rules.matching({ user: row.username, path: file.to }) : []
    const owed = queue.enqueue({ ...common, user: row.username, partner: row.partner }, asSender)
    if (itsOwn) return owed
    const asRenamer = rules
      .matching({ user: by.username, path: file.to })
      .filter(({ rule }) => !asSender.some((one) => one.rule.name === rule.name))
    return owed + queue.enqueue({ ...common, user: by.username, partner: by.partner }, asRenamer)
  }

  const commit = (row: TransferRow, file: RenamedFile, by: Renamer): RenameObligations => {
    const id = newId(clock.now())
    // a name of its own: the removal of an earlier spool of this transfer may still be under way
    const spool = row.spool ?? Buffer.concat([file.spoolFolder, Buffer.from(`/${id}`)])
    const owed = owe(row, file, by)
    if (owed > 0 && !row.spool) transfers.setSpool(row.id, spool)
    transfers.addRename({
      id,
      session_id: file.sessionId,
      transfer_id: row.id,
      from_path: toDisplay(file.from),
      to_path: toDisplay(file.to),
      to_path_bytes: exactBytes(file.to),
      inode: file.inode,
      final: Buffer.from(file.final),
      at: clock.now(),
      source: Buffer.from(file.source),
      keeps: file.adds ? 1 : 0,
    })
    return { deliveries: owed, renameId: id, spool: owed > 0 ? spool : null }
  }

  return {
    /** Runs inside a durable group. */
    commitRename(file: RenamedFile, by: Renamer): RenameObligations {
      const row = transferAt(file)
      return row ? commit(row, file, by) : { deliveries: 0, renameId: newId(clock.now()), spool: null }
    },
    /** Runs inside a durable group. Files of one folder, in the order in which they once arrived. */
    commitRenames(files: readonly RenamedFile[], by: Renamer): (RenameObligations | null)[] {
      const known = files.flatMap((file, i) => {
        const row = transferAt(file)
        return row ? [{ i, file, row }] : []
      })
      const owed: (RenameObligations | null)[] = files.map(() => null)
      for (const { i, file, row } of known.sort((a, b) => a.row.commit_order! - b.row.commit_order!)) owed[i] = commit(row, file, by)
      return owed
    },
    renamed(renameId: string, done: boolean): void {
      const rename = transfers.takeRename(renameId)
      if (!rename) return
      const row = transfers.get(rename.transfer_id)
      if (done) {
        transfers.trust(rename.transfer_id)
        transfers.moved(rename.transfer_id, rename.to_path, rename.to_path_bytes, rename.final)
        // the transfer goes with the name that was given last; the other ones lead to it
        if (row?.final && rename.source && (rename.keeps === 1 || !row.final.equals(rename.source)))
          transfers.addOtherName(row.final, rename.inode, row.id)
        release(rename.transfer_id)
        return
      }
      deliveries.withdraw(rename.transfer_id, rename.to_path)
      if (row?.spool && deliveries.ends(row.id).unfinished === 0) {
        transfers.setSpool(row.id, null)
        dropSpool(row.spool, row)
      }
    },
  }
}
