// Arrival journals become rows: what the listener workers wrote down of finished uploads is read, and recorded in transactions of many.
// Must not lose a line: a journal's file goes only when its rows are as safe as it was.
import { join } from 'node:path'
import { newId } from '../core/clock.ts'
import type { JournalRecord, TakenUpload } from '../core/journal.ts'
import { errorFields, type Logger } from '../core/log.ts'
import { nameToBytes } from '../core/virtual-path.ts'
import { JournalReader, journalsIn, makeJournalFolder } from '../files/journal-reader.ts'
import { isHopeless } from '../store/hopeless.ts'
import type { Store } from '../store/store.ts'
import type { TransferRow } from '../store/transfers.ts'
import type { Recorder } from './record-upload.ts'
import type { Relocated } from './relocate.ts'

export interface JournalOptions {
  readonly store: Store
  readonly recorder: Recorder
  readonly log: Logger
  readonly dataDir: string
  /** `uploads.durability` is `power`. */
  readonly durable: boolean
  /** A spool link that no delivery needs. */
  readonly dropSpool: (spool: Uint8Array, of: TransferRow) => void
}

/** What the worker's door is told of its uploads, once their rows are there. */
export interface JournalDoor {
  taken(upload: TakenUpload): void
  published(transferId: string): void
}

const AGAIN_MS = 500
const LOST_SESSION = 'The power went before the session was on the disk.'

const pathsOf = ({ staging, final, spool }: TakenUpload, now: Relocated['now']) => ({
  staging: now(staging, 'vault'),
  final: now(final, 'file'),
  spool: now(spool, 'vault'),
})

export type Journals = ReturnType<typeof createJournals>

export function createJournals({ store, recorder, log, dataDir, durable, dropSpool }: JournalOptions) {
  const folder = join(dataDir, 'journal')
  const open = new Map<string, { reader: JournalReader; door: JournalDoor }>()
  let poked = false
  let retrying = false

  /** Inside a transaction. @returns what is left to do once it is committed */
  function record(records: readonly JournalRecord[], door: JournalDoor | null): () => void {
    const published = new Map(records.flatMap((one) => (one.kind === 'published' ? [[one.id, one] as const] : [])))
    const then: (() => void)[] = []
    for (const one of records) {
      if (one.kind === 'taken') {
        const end = published.get(one.id) ?? null
        // the power may have taken the session's row, never its journal
        if (door === null) store.transfers.adoptSession({ ...one, id: one.sessionId, started_at: one.startedAt, reason: LOST_SESSION })
        const made = recorder.take(one, end)
        if (made === null) continue
        if (end !== null) published.delete(one.id)
        then.push(() => {
          if (one.owes && made.owed === 0) dropSpool(nameToBytes(one.spool), store.transfers.get(one.id)!)
          door?.taken(one)
          if (end === null) return
          recorder.afterPublished(one.id, made.due)
          door?.published(one.id)
        })
      } else if (published.has(one.id) && store.transfers.get(one.id)?.state === 'committing') {
        const due = recorder.published(one.id, one.replaced)
        then.push(() => {
          recorder.afterPublished(one.id, due)
          door?.published(one.id)
        })
      }
    }
    return () => {
      for (const work of then) work()
    }
  }

  function take(reader: JournalReader, door: JournalDoor): void {
    do takeSome(reader, door)
    while (reader.more && !reader.broken)
  }

  function takeSome(reader: JournalReader, door: JournalDoor): void {
    const intact = !reader.broken
    const records = reader.read()
    if (intact && reader.broken) log.error('journal.broken', 'The journal of a listener thread cannot be read on.', { file: reader.base })
    if (records.length === 0) return
    const then = recordAll(records, door)
    reader.confirm()
    then()
  }

  /** As {@link record}, in one transaction. A line that can never have its row holds up no other one: then each has its own. @throws what is worth another try */
  function recordAll(records: readonly JournalRecord[], door: JournalDoor | null): () => void {
    try {
      return store.group.here(() => record(records, door))
    } catch (error) {
      if (!isHopeless(error)) throw error
    }
    const then: (() => void)[] = []
    const settle = (): void => {
      for (const work of then) work()
    }
    for (const one of records) {
      try {
        then.push(store.group.here(() => record([one], door)))
      } catch (error) {
        if (!isHopeless(error)) {
          settle()
          throw error
        }
        log.error('journal.unrecorded', 'A finished upload cannot be recorded; its file is kept.', {
          transfer: one.id,
          ...errorFields(error),
        })
      }
    }
    return settle
  }

  /** All that was written until now has its rows when this returns, unless the database cannot take them: then it is tried again. */
  function pull(): void {
    for (const { reader, door } of open.values()) {
      try {
        take(reader, door)
      } catch (error) {
        log.error('journal.failed', 'Finished uploads could not be recorded; it is tried again.', errorFields(error))
        if (retrying) continue
        retrying = true
        setTimeout(() => {
          retrying = false
          pull()
        }, AGAIN_MS).unref()
      }
    }
  }

  /** Files that were read to their end go, once a power loss cannot take their rows back. */
  function tidy(): void {
    const done = [...open.values()].filter(({ reader }) => reader.hasDone)
    if (done.length === 0 || (durable && !store.checkpoint())) return
    for (const { reader } of done) reader.removeDone()
  }

  return {
    pull,
    /** What a stopped or killed gateway left; before anything else is made of the rows. @returns how many uploads */
    recover({ now }: Pick<Relocated, 'now'> = { now: (path) => path }): number {
      makeJournalFolder(folder)
      const readers = journalsIn(folder)
      if (readers.length === 0) return 0
      const records: JournalRecord[] = []
      for (const reader of readers) {
        for (let some = reader.read(); some.length > 0; some = reader.read()) {
          for (const one of some) records.push(one.kind === 'taken' ? { ...one, ...pathsOf(one, now) } : one)
          reader.confirm()
        }
        if (reader.broken) log.warn('journal.torn', 'The end of a journal is not whole; nobody was answered for it.', { file: reader.base })
      }
      // several threads wrote side by side
      records.sort((a, b) => a.at - b.at)
      recordAll(records, null)()
      if (!durable || store.checkpoint()) for (const reader of readers) reader.remove()
      return records.filter(({ kind }) => kind === 'taken').length
    },
    /** Where a new worker may write its journal. */
    place(): string {
      makeJournalFolder(folder)
      return join(folder, newId())
    },
    /** From here on what comes there is recorded. */
    begin(base: string, door: JournalDoor): void {
      open.set(base, { reader: new JournalReader(base), door })
    },
    /** Its worker is gone: what it wrote last is recorded, then nothing of it is left. */
    end(base: string): void {
      pull()
      const one = open.get(base)
      if (!one || one.reader.read().length > 0) return
      open.delete(base)
      if (!durable || store.checkpoint()) one.reader.remove()
    },
    /** A worker says that there is more. What comes within one turn of the event loop is recorded together. */
    poke(): void {
      if (poked) return
      poked = true
      setImmediate(() => {
        poked = false
        pull()
        tidy()
      })
    },
  }
}
