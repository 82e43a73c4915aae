// At start, before anyone may come in: what a killed process left half done is finished or turned into something resumable.
// Must not guess: a committed upload is rolled forward, anything else was never acknowledged.
import { basename, dirname } from 'node:path'
import { type Clock, newId } from '../core/clock.ts'
import type { ErrorRecord } from '../core/errors.ts'
import { errorFields, type Logger } from '../core/log.ts'
import { dropSpooled, findSpooled, holdsInode, isSame, isThere, keepAsPartial, namesInSteps, rollForward } from '../files/spool.ts'
import type { Vault } from '../files/vaults.ts'
import { pathOf } from '../store/row-path.ts'
import type { Store } from '../store/store.ts'
import type { RenameRow, TransferRow } from '../store/transfers.ts'
import type { Recorder } from './record-upload.ts'

export interface RecoverOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly recorder: Recorder
  readonly vaults: readonly Vault[]
  readonly durable: boolean
  /** Folders are elsewhere than in the last run, perhaps as copies: inodes say nothing. */
  readonly moved?: () => boolean
}

export interface Recovered {
  readonly published: number
  readonly partials: number
  readonly sessions: number
}

const TORN: ErrorRecord = {
  code: 'upload.incomplete',
  message: 'The power went before the upload was whole on the disk; it was not acknowledged.',
}
const KILLED: ErrorRecord = { code: 'service.unavailable', message: 'The gateway stopped during the transfer.' }

/** An upload of this age has told of itself long since. */
const ABANDONED_MS = 600_000
/** Rows and names that are looked at together. */
const STEP = 500

export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { store, clock } = options
  const published = await finishCommitted(options)
  await finishRenames(options, null)
  const partials = await endOpen(options)
  const open = store.transfers.openSessions()
  store.group.now(() => {
    for (const session of open) store.transfers.endSession(session.id, 'aborted', clock.now(), KILLED.message)
  })
  await dropOrphans(options)
  return { published, partials, sessions: open.length }
}

/** The worker of this session is gone: the same for its transfers alone. */
export async function recoverSession(options: RecoverOptions, sessionId: string): Promise<void> {
  for (const row of options.store.transfers.runningOf(sessionId)) {
    if (row.state === 'committing') await publish(row, options)
    else await end(row, options)
  }
  await finishRenames(options, sessionId)
}

async function finishCommitted(options: RecoverOptions): Promise<number> {
  let count = 0
  for (let after = -1; ; ) {
    const rows = options.store.transfers.unfinished('committing', after)
    if (rows.length === 0) return count
    for (const row of rows) {
      after = row.commit_order!
      if (await publish(row, options)) count++
    }
  }
}

/** @returns false when it cannot be done now: the row stays `committing` and the next start tries again. */
async function publish(before: TransferRow, options: RecoverOptions): Promise<boolean> {
  const { store, log, recorder, durable } = options
  const row = { ...before, spool: before.spool && (await whereSpooled(before.id, before.spool, options)) }
  const superseded = () => store.transfers.hasLaterAt(row.final!, row.commit_order!)
  let state: 'published' | 'lost' | 'torn'
  try {
    state = await rollForward(
      { staging: row.staging!, size: row.bytes, sha256: row.sha256!, final: row.final!, spool: row.spool, superseded },
      durable,
    )
  } catch (error) {
    // one file that cannot be put in place must not keep everyone out
    log.error('recover.failed', 'A committed upload could not be published; the next start tries again.', {
      transfer: row.id,
      path: row.path,
      user: row.username,
      ...errorFields(error),
    })
    return false
  }
  if (state === 'torn') {
    log.warn('recover.torn', TORN.message, { transfer: row.id, path: row.path, user: row.username })
    store.group.now(() => recorder.abort(row.id, 0, TORN))
    return false
  }
  if (state === 'lost')
    log.error('recover.lost', 'The content of a committed upload is gone from the disk.', {
      transfer: row.id,
      path: row.path,
      user: row.username,
    })
  store.group.now(() => recorder.published(row.id))
  return true
}

/** Of one lost session, or (null) all: a rename that another session has under way is that session's. */
async function finishRenames({ store, recorder, moved }: RecoverOptions, sessionId: string | null): Promise<void> {
  const renames = store.transfers.renames(sessionId)
  // a folder's rename left one for each file
  for (let i = 0; i < renames.length; i += STEP) {
    const step = renames.slice(i, i + STEP)
    const done = await Promise.all(step.map((rename) => isRenamed(rename, moved?.() === true)))
    store.group.now(() => {
      for (const [j, rename] of step.entries()) recorder.renamed(rename.id, done[j]!)
    })
  }
}

async function isRenamed({ final, inode, source, keeps }: RenameRow, moved: boolean): Promise<boolean> {
  if (await holdsInode(final, inode)) return true
  return moved && source !== null && isThere(final) && (keeps === 1 || !isThere(source))
}

async function endOpen(options: RecoverOptions): Promise<number> {
  const powerLost = options.store.lastRun.wasCut()
  let partials = 0
  for (;;) {
    const rows = options.store.transfers.unfinished('open')
    if (rows.length === 0) return partials
    for (const row of rows) if ((await end(row, options, powerLost)) > 0) partials++
  }
}

async function end(row: TransferRow, options: RecoverOptions, powerLost = false): Promise<number> {
  const { store, recorder, log } = options
  let kept = 0
  try {
    // without its own sync nobody knows which of its bytes got to the disk: it is removed with what has no row
    if (row.direction === 'upload' && !powerLost) kept = await keep(row, options)
  } catch (error) {
    log.error('recover.failed', 'An unfinished upload could not be kept for resuming.', {
      transfer: row.id,
      path: row.path,
      ...errorFields(error),
    })
  }
  store.group.now(() => recorder.abort(row.id, kept, KILLED))
  return kept
}

async function keep(row: TransferRow, { vaults, durable }: RecoverOptions): Promise<number> {
  const path = pathOf(row)
  for (const vault of vaults) {
    const kept = await keepAsPartial(vault.staging(row.id), vault.partial(row.username, path), durable)
    if (kept > 0) return kept
  }
  return 0
}

/** What threads that died had staged and told nobody of: too young to have a row then, too old to get one now. Called now and then. */
export async function dropAbandoned({ store, vaults, clock, log }: RecoverOptions): Promise<void> {
  // identifiers begin with their time
  const old = newId(clock.now() - ABANDONED_MS).slice(0, 10)
  for (const vault of vaults) await sweep(`${vault.root}/staging`, (name) => name >= old || hasWork(store, name), log)
}

/** Staged and spooled files that no row speaks of (a kill between a file's making and its row's end). Read in pieces: a spool may hold very many. */
async function dropOrphans({ store, vaults, log }: RecoverOptions): Promise<void> {
  const isOwed = spooledKnown(store)
  for (const vault of vaults) {
    await sweep(`${vault.root}/staging`, (name) => hasWork(store, name), log)
    await sweep(vault.spoolFolder, (name) => isOwed(name, Buffer.from(`${vault.spoolFolder}/${name}`)), log)
  }
}

/** Where the content of a row is: its folder may have been moved since (`data_dir`, or a volume that is mounted elsewhere). */
async function whereSpooled(id: string, spool: Buffer, { store, vaults }: RecoverOptions): Promise<Buffer> {
  const folders = vaults.map(({ spoolFolder }) => spoolFolder)
  const text = spool.toString()
  if (folders.includes(dirname(text))) return spool
  const found = await findSpooled(basename(text), folders)
  if (found) store.group.now(() => store.transfers.setSpool(id, found))
  return found ?? spool
}

/** @returns whether a row speaks of the content; one that knows it by the place where it was before is told of this one */
function spooledKnown(store: Store): (name: string, path: Buffer) => boolean {
  let byName: Map<string, string> | undefined
  return (name, path) => {
    if (store.transfers.isSpooled(path)) return true
    // gone through once, and only where there is something to look for
    byName ??= new Map(store.transfers.spooled().map(({ id, spool }) => [basename(spool.toString()), id]))
    const id = byName.get(name)
    if (id === undefined) return false
    const known = store.transfers.get(id)!.spool!
    // what lies at the known place is the row's, unless that is another way to this one
    if (isThere(known) && !isSame(known, path)) return false
    store.group.now(() => store.transfers.setSpool(id, path))
    return true
  }
}

/** @param name of a staged file, or of what tells of its hole */
const hasWork = (store: Store, name: string): boolean => {
  const state = store.transfers.get(name.replace(/\..*/, ''))?.state
  return state === 'open' || state === 'committing'
}

async function sweep(folder: string, isKnown: (name: string) => boolean, log: Logger): Promise<void> {
  let removed = 0
  for await (const names of namesInSteps(folder, STEP)) {
    const orphans = names.filter((name) => !isKnown(name))
    await Promise.all(orphans.map((name) => dropSpooled(Buffer.from(`${folder}/${name}`))))
    removed += orphans.length
  }
  if (removed > 0) log.info('recover.orphan', 'Staged or spooled files without a row were removed.', { files: removed })
}
