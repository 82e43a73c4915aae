// Group commit: all that is asked in one turn of the event loop shares one transaction, and so one disk sync.
// Must not be used for anything that has to be read back before the turn ends.
import type { Sqlite } from './database.ts'

/** `power`: a durable write is synced before it resolves. `process`: it reaches the kernel only. */
export type Durability = 'power' | 'process'

interface Work {
  readonly run: () => unknown
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

export interface GroupCommit {
  /**
   * Runs `work` inside the next group. Its own failure undoes its own writes alone.
   * @param durable resolves only when the writes survive what `durability` says; else they may be lost with the last instants before a power loss.
   */
  run<T>(work: () => T, durable: boolean): Promise<T>
  /** At once, alone, durable. For single acts of people. */
  now<T>(work: () => T): T
  /** At once, after all that is queued, in a transaction that waits for no sync. */
  here<T>(work: () => T): T
  /** Waits for what is queued. */
  flush(): void
}

export function createGroupCommit(db: Sqlite, durability: Durability): GroupCommit {
  let queue: Work[] = []
  let wantsSync = false
  let scheduled = false
  let synced: boolean | undefined
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const rollback = db.prepare('ROLLBACK')
  const save = db.prepare('SAVEPOINT one')
  const release = db.prepare('RELEASE one')
  const undo = db.prepare('ROLLBACK TO one')

  const setSync = (on: boolean): void => {
    const wanted = on && durability === 'power'
    if (wanted === synced) return
    db.pragma(`synchronous = ${wanted ? 'FULL' : 'NORMAL'}`)
    synced = wanted
  }

  const flush = (): void => {
    scheduled = false
    if (queue.length === 0) return
    const group = queue
    const sync = wantsSync
    queue = []
    wantsSync = false
    const settle: (() => void)[] = []
    try {
      setSync(sync)
      begin.run()
      for (const { run, resolve, reject } of group) {
        save.run()
        try {
          const value = run()
          settle.push(() => resolve(value as never))
        } catch (error) {
          undo.run()
          settle.push(() => reject(error))
        }
        release.run()
      }
      commit.run()
    } catch (error) {
      if (db.inTransaction) rollback.run()
      for (const { reject } of group) reject(error)
      return
    }
    for (const answer of settle) answer()
  }

  const atOnce = <T>(work: () => T, sync: boolean): T => {
    if (db.inTransaction) return work()
    flush()
    setSync(sync)
    return db.transaction(work).immediate()
  }

  return {
    run(work, durable) {
      return new Promise((resolve, reject) => {
        queue.push({ run: work, resolve, reject })
        wantsSync ||= durable
        if (!scheduled) {
          scheduled = true
          setImmediate(flush)
        }
      })
    },
    now: (work) => atOnce(work, true),
    here: (work) => atOnce(work, false),
    flush,
  }
}
