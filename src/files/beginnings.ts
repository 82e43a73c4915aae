// The beginnings of a session's uploads: told to the control plane when they last, or with their end. Most are over before anybody could have asked.
// Must not keep one back that there is something to lose of.
import { monotonic, systemClock } from '../core/clock.ts'
import type { JournalRecord } from '../core/journal.ts'
import type { NewTransfer, Peer, StagedUpload, TransferGrant } from '../core/transfer.ts'
import { nameFromBytes } from '../core/virtual-path.ts'

/** What a worker with a journal gives its sessions. */
export interface Arrivals {
  readonly peer: Pick<Peer, 'protocol' | 'address'>
  /** Takes up what the control plane has said until now. */
  hear(): void
  /** Whether some rule may want files of this user. */
  mayOwe(username: string): boolean
  /** As JournalWriter.append. */
  write(record: JournalRecord, durable: boolean): Promise<void> | undefined
  /** An upload is written down and published. @param owes deliveries may wait for it */
  written(owes: boolean): void
}

/** An upload that runs so long is shown to whoever looks, and found again after a kill. */
const TELL_AFTER_MS = 200

interface Beginning {
  readonly offset: number
  readonly startedAt: number
  /** Monotonic ms. */
  readonly since: number
  told: Promise<unknown> | null
  /** Its end is being written: it is not told of by itself any more. */
  ending: boolean
  readonly tell: () => Promise<unknown>
}

export class Beginnings {
  /** In the order in which they began. */
  readonly #open = new Map<string, Beginning>()
  /** One for all: a timer for each would cost more than the rest of this. */
  #timer: NodeJS.Timeout | null = null
  readonly #tell: (transfer: NewTransfer) => Promise<TransferGrant>

  constructor(tell: (transfer: NewTransfer) => Promise<TransferGrant>) {
    this.#tell = tell
  }

  /** @returns tells of it, unless that was done */
  add(transfer: Omit<NewTransfer, 'startedAt'>): () => Promise<unknown> {
    const startedAt = systemClock.now()
    const tell = (): Promise<unknown> => {
      if (beginning.told) return beginning.told
      beginning.told = this.#tell({ ...transfer, startedAt })
      // a refusal is the upload's to find, if it comes so far
      beginning.told.catch(() => {})
      return beginning.told
    }
    const beginning: Beginning = { offset: transfer.offset, startedAt, since: monotonic(), told: null, ending: false, tell }
    this.#open.set(transfer.id, beginning)
    this.#timer ??= setTimeout(() => this.#look(), TELL_AFTER_MS)
    return tell
  }

  #look(): void {
    this.#timer = null
    const now = monotonic()
    for (const { since, told, ending, tell } of this.#open.values()) {
      if (told || ending) continue
      const left = since + TELL_AFTER_MS - now
      if (left > 0) {
        this.#timer = setTimeout(() => this.#look(), left)
        return
      }
      void tell()
    }
  }

  /** The control plane is told of it, unless that was done. */
  tell(transferId: string): void {
    const beginning = this.#open.get(transferId)
    if (beginning) void beginning.tell()
  }

  /** For whoever writes its end: it is not told of any more by itself. */
  ending(transferId: string): Beginning | undefined {
    const beginning = this.#open.get(transferId)
    if (beginning) beginning.ending = true
    return beginning
  }

  /** It has ended, and its end tells all of it. */
  forget(transferId: string): void {
    this.#open.delete(transferId)
  }
}

/** The line that keeps a staged upload. */
export const takenRecord = (
  staged: Omit<StagedUpload, 'staging' | 'spool'> & { readonly staging: string; readonly spool: string },
  { offset, startedAt, told }: Beginning,
  session: { readonly sessionId: string; readonly username: string; readonly partner: string; readonly peer: Arrivals['peer'] },
  owes: boolean,
): JournalRecord => ({
  kind: 'taken',
  id: staged.transferId,
  sessionId: session.sessionId,
  username: session.username,
  partner: session.partner,
  protocol: session.peer.protocol,
  address: session.peer.address,
  path: staged.path,
  offset,
  startedAt,
  at: systemClock.now(),
  size: staged.size,
  sha256: staged.sha256,
  replaced: staged.replaced,
  staging: staged.staging,
  final: nameFromBytes(staged.final),
  spool: staged.spool,
  verdict: staged.verdict,
  owes,
  begun: told !== null,
})
