// Renames: a finished file that comes to a new name is asked about like an arrival, and what it then owes is recorded before the name changes.
// Must not lose a partial: it moves under its new name. Folders: rename-folder.ts.
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
import { makeSpoolLink, sameFile } from './spool-link.ts'
import type { Vault } from './vaults.ts'

export interface RenameContext {
  readonly sessionId: string
  readonly username: string
  readonly ledger: TransferLedger
  readonly vault: Vault
  readonly partials: PartialOverlay
  readonly durable: boolean
  /** Throws when what stands at the target may not be replaced. */
  needOverwrite(): void
  /** Throws when the session is over, or may not rename that any more. */
  needStill(): void
}

/** @throws FileFlowError `path.*`, `permission.denied` */
export async function renameFile(
  source: Place,
  target: Place,
  { overwrite }: { overwrite: boolean },
  context: RenameContext,
): Promise<void> {
  const found = translated(() => source.lstat())
  const partial = context.partials.fileAt(source, found)
  const taken = translated(() => target.lstat())
  if (!found && !partial) {
    if (context.partials.openAt(source.path)) throw new FileFlowError('state.conflict', 'The upload to this name has not ended yet.')
    throw new FileFlowError('path.not_found')
  }
  if (source.path === target.path) return
  if (taken) {
    if (!overwrite) throw new FileFlowError('path.exists')
    context.needOverwrite()
  }
  const report = (freed: { bytes?: number; files?: number } = {}): void =>
    context.ledger.operation({ sessionId: context.sessionId, action: 'rename', path: source.path, to: target.path, ...freed })
  if (!found && partial) {
    translated(() => keepPartial(partial, context.vault.partial(context.username, target.path)))
    report()
    return
  }
  if (found!.isDirectory()) {
    await renameFolder(source, target, context)
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
  report(await renameFinished(source, target, held.stats, overwrite, context))
}

/** What was replaced no longer counts for the quota. */
const freedBy = (replaced: fs.Stats): { bytes?: number; files?: number } => (replaced.isFile() ? { bytes: -replaced.size, files: -1 } : {})

async function renameFinished(source: Place, target: Place, found: fs.Stats, overwrite: boolean, context: RenameContext) {
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
    if (deliveries > 0 && spool) await makeSpoolLink(source.real, Buffer.from(spool).toString(), context.durable, found)
    testPoint('rename.spooled')
    const replaced = target.lstat()
    if (replaced && !sameFile(replaced, found)) freed = freedBy(replaced)
    if (overwrite) fs.renameSync(source.real, target.real)
    else moveToFree(source.real, target.real)
    done = true
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
