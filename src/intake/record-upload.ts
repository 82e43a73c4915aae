// A finished file becomes obligations: one transaction writes the transfer, what the rules make of it, and the audit event.
// Must not publish or send anything; it only makes what must happen undeniable.
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'
import { QUIET_MS, RESET_MS } from '../core/doubt.ts'
import type { ErrorRecord } from '../core/errors.ts'
import type { PublishedUpload, TakenUpload } from '../core/journal.ts'
import type { Obligations, StagedUpload } from '../core/transfer.ts'
import { nameToBytes, type VirtualPath } from '../core/virtual-path.ts'
import type { DeliveryQueue } from '../forwarding/queue.ts'
import type { Rules } from '../forwarding/rules.ts'
import { pathColumns } from '../store/row-path.ts'
import type { Store } from '../store/store.ts'
import type { TransferRow } from '../store/transfers.ts'
import { createRenames, type RenamesOptions } from './record-rename.ts'

/** A `likely` upload's deliveries wait for what its session makes of it, which comes within half of this; longer only when its thread died. */
const LONGEST_DOUBT_MS = 2 * (QUIET_MS + RESET_MS)
/** A rename waits no longer for an upload that does not come to its end. */
const SETTLED_MS = 2000

export interface RecorderOptions {
  readonly store: Store
  readonly clock: Clock
  readonly queue: DeliveryQueue
  readonly rules: Rules
  readonly homeOf: RenamesOptions['homeOf']
  /** Deliveries may be due. */
  readonly kick: () => void
  readonly changed: (event: 'completed' | 'aborted' | 'suspect', transferId: string) => void
  /** A spooled file that nothing needs any more. */
  readonly dropSpool: (spool: Uint8Array, of: TransferRow) => void
}

const SUSPECT: ErrorRecord = {
  code: 'upload.suspect',
  message: 'The connection was lost right after the upload: it may not be whole. Retry the delivery if it is.',
}

export type Recorder = ReturnType<typeof createRecorder>

export function createRecorder({ store, clock, queue, rules, homeOf, kick, changed, dropSpool }: RecorderOptions) {
  const { transfers, deliveries, audit, accounts } = store
  /** Transfers whose verdict was `likely`, until confirmed. */
  const likely = new Set<string>()
  /** What a committed upload added to the quota in use, until it is published: taken back if its name cannot be taken. */
  const charged = new Map<string, { username: string; bytes: number; files: number; replaced: number | null }>()

  /** Committed uploads that are not known to be published yet, and who waits for that. */
  const committing = new Map<string, PromiseWithResolvers<void>>()
  const settle = (transferId: string): void => {
    committing.get(transferId)?.resolve()
    committing.delete(transferId)
  }

  const owe = (row: TransferRow, path: VirtualPath): number =>
    queue.enqueue(
      {
        transferId: row.id,
        user: row.username,
        partner: row.partner,
        path,
        size: row.bytes,
        sha256: row.sha256!,
        at: clock.now(),
        counter: row.commit_order!,
      },
      rules.matching({ user: row.username, path }),
    )

  const oweTaken = ({ id, username, partner, path, size, sha256, at }: TakenUpload, order: number): number =>
    queue.enqueue(
      { transferId: id, user: username, partner, path, size, sha256, at, counter: order },
      rules.matching({ user: username, path }),
    )

  const auditUpload = (at: number, username: string, address: string, object: string, detail: Record<string, unknown>): void =>
    audit.append({ at, actor: `user:${username}`, address, action: 'upload', object, outcome: 'ok', detail })

  const release = (transferId: string): number => queue.release(transferId, clock.now() + (likely.has(transferId) ? LONGEST_DOUBT_MS : 0))

  const renames = createRenames({ store, clock, queue, rules, homeOf, release, dropSpool })

  return {
    /** Runs inside a durable group. */
    commit(upload: StagedUpload, address: string): Obligations {
      const at = clock.now()
      transfers.commit({
        id: upload.transferId,
        ...pathColumns(upload.path),
        bytes: upload.size,
        sha256: upload.sha256,
        staging: upload.staging,
        final: upload.final,
        spool: null,
        evidence: upload.verdict.evidence,
        at,
      })
      const row = transfers.get(upload.transferId)!
      const owed = owe(row, upload.path)
      if (owed > 0) transfers.setSpool(upload.transferId, upload.spool)
      if (upload.verdict.confidence === 'likely') likely.add(upload.transferId)
      const charge = {
        username: row.username,
        bytes: upload.size - (upload.replaced ?? 0),
        files: upload.replaced === null ? 1 : 0,
        replaced: upload.replaced,
      }
      charged.set(row.id, charge)
      committing.set(row.id, Promise.withResolvers())
      accounts.users.addUsage(row.username, charge.bytes, charge.files)
      auditUpload(at, row.username, address, row.path, { transfer: row.id, size: upload.size, sha256: upload.sha256, deliveries: owed })
      return { deliveries: owed }
    },
    /**
     * As {@link commit}, for an upload that a worker has written into its journal; runs inside a group.
     * @param published its name holds the file already
     * @returns what was made of it; null when its row says all of that
     */
    take(upload: TakenUpload, published: PublishedUpload | null): { owed: number; due: number } | null {
      const row = transfers.get(upload.id)
      if (row && row.state !== 'open') return null
      const facts = {
        id: upload.id,
        ...pathColumns(upload.path),
        bytes: upload.size,
        sha256: upload.sha256,
        staging: nameToBytes(upload.staging),
        final: nameToBytes(upload.final),
        spool: null,
        evidence: upload.verdict.evidence,
        at: upload.at,
      }
      if (row) transfers.commit(facts)
      const order = row
        ? transfers.get(upload.id)!.commit_order!
        : transfers.arrive({
            ...facts,
            session_id: upload.sessionId,
            username: upload.username,
            partner: upload.partner,
            protocol: upload.protocol,
            address: upload.address,
            start_offset: upload.offset,
            started_at: upload.startedAt,
            published_at: published?.at ?? null,
          })
      const owed = upload.owes ? oweTaken(upload, order) : 0
      if (owed > 0) transfers.setSpool(upload.id, nameToBytes(upload.spool))
      if (upload.verdict.confidence === 'likely') likely.add(upload.id)
      // what stood there in the end counts
      const { replaced } = published ?? upload
      const charge = { username: upload.username, bytes: upload.size - (replaced ?? 0), files: replaced === null ? 1 : 0, replaced }
      accounts.users.addUsage(upload.username, charge.bytes, charge.files)
      auditUpload(upload.at, upload.username, upload.address, facts.path, {
        transfer: upload.id,
        size: upload.size,
        sha256: upload.sha256,
        deliveries: owed,
      })
      if (published === null) {
        charged.set(upload.id, charge)
        committing.set(upload.id, Promise.withResolvers())
        return { owed, due: 0 }
      }
      if (row) transfers.publish(upload.id, published.at)
      return { owed, due: owed > 0 ? release(upload.id) : 0 }
    },
    /** Runs inside a group; not durable: recovery does the same from the disk. @param replaced length of what stood there in truth, null for nothing @returns how many deliveries may start */
    published(transferId: string, replaced?: number | null): number {
      transfers.publish(transferId, clock.now())
      const charge = charged.get(transferId)
      // others may have replaced or removed the same file meanwhile, and were charged for it, too
      if (charge && replaced !== undefined && replaced !== charge.replaced) {
        const files = (charge.replaced === null ? 0 : 1) - (replaced === null ? 0 : 1)
        accounts.users.addUsage(transfers.get(transferId)!.username, (charge.replaced ?? 0) - (replaced ?? 0), files)
      }
      charged.delete(transferId)
      const due = release(transferId)
      settle(transferId)
      return due
    },
    /** Waits for the uploads that are being published, whichever session sent them: only then is it known what a rename moves. */
    async settled(): Promise<void> {
      if (committing.size === 0) return
      const waited = [...committing]
      const all = Promise.all(waited.map(([, { promise }]) => promise))
      await Promise.race([all, delay(SETTLED_MS, undefined, { ref: false })])
      // one that did not end in this time (its folder cannot be synced, say) is left to the next start, and holds up no second rename
      for (const [transferId] of waited) settle(transferId)
    },
    afterPublished(transferId: string, due: number): void {
      changed('completed', transferId)
      // most files of a busy hour may match no rule: the queue is not gone through for them
      if (due > 0) kick()
    },
    confirm(transferId: string, verdict: 'confirmed' | 'suspect'): void {
      likely.delete(transferId)
      if (verdict === 'confirmed') {
        deliveries.reschedule(transferId, clock.now())
        kick()
        return
      }
      if (transfers.suspect(transferId)) {
        deliveries.suspect(transferId, SUSPECT, clock.now())
        changed('suspect', transferId)
      }
    },
    abort(transferId: string, bytes: number, error: ErrorRecord): void {
      settle(transferId)
      const row = transfers.get(transferId)
      if (!row || !transfers.abort(transferId, clock.now(), bytes, error)) return
      likely.delete(transferId)
      // committed, but its name could not be taken: nothing is owed after all
      if (row.state === 'committing') {
        deliveries.withdrawAll(transferId)
        const { bytes: added, files } = charged.get(transferId) ?? { bytes: row.bytes, files: 1 }
        charged.delete(transferId)
        accounts.users.addUsage(row.username, -added, -files)
        if (row.spool) {
          transfers.setSpool(transferId, null)
          dropSpool(row.spool, row)
        }
      }
      audit.append({
        at: clock.now(),
        actor: `user:${row.username}`,
        address: row.address,
        action: row.direction,
        object: row.path,
        outcome: 'failed',
        detail: { transfer: row.id, bytes, code: error.code },
      })
      changed('aborted', transferId)
    },
    ...renames,
    /** What was added to the user's quota in use for files that may not be under their names yet. */
    chargedAhead(username: string): { bytes: number; files: number } {
      let [bytes, files] = [0, 0]
      for (const one of charged.values()) {
        if (one.username !== username) continue
        bytes += Math.abs(one.bytes)
        files += one.files
      }
      return { bytes, files }
    },
    kick,
  }
}
