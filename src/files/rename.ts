// Renames: a finished file that comes to a new name is asked about like an arrival, and what it then owes is recorded before the name changes.
// Must not lose a partial: it moves under its new name. Folders: rename-folder.ts; uploads on their way: rename-open.ts.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { testPoint } from '../core/test-point.ts'
import type { TransferLedger } from '../core/transfer.ts'
import { fromErrno, syncFolder, translated } from './file-io.ts'
import type { Place } from './jail.ts'
import { keepPartial } from './kept-partials.ts'
import type { PartialOverlay } from './partials.ts'
import { hold, moveToFree } from './plain-file.ts'
import { renameFolder } from './rename-folder.ts'
import { type Arrived, carrying, mustTake } from './rename-open.ts'
import { makeSpoolLink, sameFile } from './spool-link.ts'
import type { UploadNames } from './upload-names.ts'
import type { Vault } from './vaults.ts'

export interface RenameContext {
  readonly sessionId: string
  readonly username: string
  readonly ledger: TransferLedger
  readonly vault: Vault
  readonly partials: PartialOverlay
  readonly durable: boolean
  readonly names: UploadNames
  /** Throws when what stands at the target may not be replaced. */
  needOverwrite(): void
  /** Throws when nothing may be uploaded to the target. */
  needUpload(): void
  /** Throws when the session is over, or may not rename that any more. */
  needStill(): void
  /** Throws when rows of the permission table would be left behind by a folder that is renamed. */
  needWhole(): void
}

/** @throws FileFlowError `path.*`, `permission.denied`, `state.conflict` */
export async function renameFile(
  source: Place,
  target: Place,
  { overwrite }: { overwrite: boolean },
  context: RenameContext,
): Promise<void> {
  const { names } = context
  using _taken = await names.take(source.path, target.path)
  // that may have waited for a long commit
  context.needStill()
  const found = translated(() => source.lstat())
  const partial = context.partials.fileAt(source, found)
  const open = context.partials.allAt(source.path)
  if (!found && !partial && open.length === 0) throw new FileFlowError('path.not_found')
  if (source.path === target.path) return
  const mustGiveWay = (taken: fs.Stats | null): void => {
    if (!taken) return
    if (!overwrite) throw new FileFlowError('path.exists')
    context.needOverwrite()
  }
  const taken = translated(() => target.lstat())
  mustGiveWay(taken)
  if (context.partials.allAt(target.path).length > 0) {
    if (!overwrite) throw new FileFlowError('path.exists')
    throw new FileFlowError('state.conflict', 'An upload to the new name has not ended yet.')
  }
  const report = (freed: { bytes?: number; files?: number } = {}): void =>
    context.ledger.operation({ sessionId: context.sessionId, action: 'rename', path: source.path, to: target.path, ...freed })
  // what the uploads were renamed onto would have gone then, on a disk
  const isDoomed = (stats: fs.Stats | null): boolean => stats !== null && !stats.isDirectory() && open.some((upload) => upload.dooms(stats))
  const doomed = isDoomed(found) ? found : null
  if (open.length > 0 && (!found || doomed)) {
    mustTake(open, target, context)
    await carrying(open, source, target, partial, context, (arrived) => {
      context.needStill()
      context.needUpload()
      const now = translated(() => target.lstat())
      mustGiveWay(now)
      if (now?.isDirectory()) throw new FileFlowError('path.is_directory')
      if (doomed) {
        if (!isDoomed(translated(() => source.lstat()))) throw new FileFlowError('state.conflict', 'Another file has the old name by now.')
        translated(() => fs.unlinkSync(source.real))
      }
      arrived({ standing: now, doomed: true, frees: now?.isFile() ? now.size : 0 })
    })
    report(doomed ? freedBy(doomed) : {})
    return
  }
  if (!found && partial) {
    translated(() => keepPartial(partial, context.vault.partial(context.username, target.path)))
    report()
    return
  }
  if (found!.isDirectory()) {
    context.needWhole()
    await renameFolder(source, target, context)
    names.followBelow(source.path, target.path)
    report()
    return
  }
  if (!found!.isFile()) {
    translated(() => fs.renameSync(source.real, target.real))
    report(taken ? freedBy(taken) : {})
    return
  }
  using held = hold(source.real)
  if (!held.stats.isFile()) throw new FileFlowError('state.conflict')
  mustTake(open, target, context)
  report(
    await carrying(open, source, target, partial, context, (arrived) =>
      renameFinished(source, target, held.stats, overwrite, context, open.length > 0, mustGiveWay, arrived),
    ),
  )
}

/** What was replaced no longer counts for the quota. */
const freedBy = (replaced: fs.Stats): { bytes?: number; files?: number } => (replaced.isFile() ? { bytes: -replaced.size, files: -1 } : {})

async function renameFinished(
  source: Place,
  target: Place,
  found: fs.Stats,
  overwrite: boolean,
  context: RenameContext,
  carries: boolean,
  mustGiveWay: (taken: fs.Stats) => void,
  arrived: (at: Arrived) => void,
) {
  const { ledger } = context
  const { deliveries, renameId, spool } = await ledger.commitRename({
    sessionId: context.sessionId,
    from: source.path,
    to: target.path,
    source: source.realPath(),
    size: found.size,
    inode: `${found.dev}:${found.ino}`,
    spoolFolder: Buffer.from(context.vault.spoolFolder),
    final: target.realPath(),
  })
  testPoint('rename.committed')
  let freed: { bytes?: number; files?: number } = {}
  let done = false
  try {
    context.needStill()
    if (carries) context.needUpload()
    if (deliveries > 0 && spool) await makeSpoolLink(source.real, Buffer.from(spool).toString(), context.durable, found)
    testPoint('rename.spooled')
    const still = source.lstat()
    if (still && !sameFile(still, found)) throw new FileFlowError('state.conflict', 'Another file took the name meanwhile.')
    const replaced = target.lstat()
    // rename(2) leaves two names of one file as they are
    const same = replaced !== null && sameFile(replaced, found)
    if (replaced && !same) mustGiveWay(replaced)
    if (overwrite) fs.renameSync(source.real, target.real)
    else moveToFree(source.real, target.real)
    done = true
    if (replaced && !same) freed = freedBy(replaced)
    if (!same) arrived({ standing: found, doomed: false, frees: -(freed.bytes ?? 0) })
    testPoint('rename.renamed')
    if (context.durable && deliveries > 0) await syncFolder(String(target.folder.at(null)))
  } catch (error) {
    throw fromErrno(error)
  } finally {
    // a sync that fails after the rename does not undo it
    ledger.renamed(renameId, done)
  }
  return freed
}
