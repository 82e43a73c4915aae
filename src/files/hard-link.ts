// A second name for a published file: what comes to the new name is an arrival, as a renamed file is.
// Must not give anyone more than the permissions of the first name did: both names are one file.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import type { Permission } from '../core/permission.ts'
import type { TransferLedger } from '../core/transfer.ts'
import type { VirtualPath } from '../core/virtual-path.ts'
import { type Access, REQUIRED } from './access.ts'
import { fromErrno, syncFolder, translated } from './file-io.ts'
import type { PartialOverlay } from './partials.ts'
import { hold, NO_HARD_LINKS } from './plain-file.ts'
import { makeSpoolLink, sameFile } from './spool-link.ts'
import type { Vaults } from './vaults.ts'

export interface LinkContext {
  readonly sessionId: string
  readonly access: Access
  readonly ledger: TransferLedger
  readonly vaults: Vaults
  readonly partials: PartialOverlay
  readonly durable: boolean
}

/** What may be done to the file by its new name must have been allowed by the old one. */
const CHANGES_THE_FILE = [REQUIRED.chmod, REQUIRED.utime] as const satisfies readonly Permission[]

/** @throws FileFlowError `path.*`, `permission.denied`, `quota.exceeded`, `state.conflict` for what is not finished, `operation.unsupported` */
export async function linkFile(from: VirtualPath, to: VirtualPath, context: LinkContext): Promise<void> {
  const { access, ledger, partials, sessionId, durable } = context
  using source = access.reach(from, REQUIRED.linkFrom, true)
  using target = access.reach(to, REQUIRED.linkTo, false)
  for (const each of CHANGES_THE_FILE) if (access.may(each, target.path)) access.need(each, source.path)
  // by its new name a file of a read-only mount could be changed
  if (source.readOnly) throw new FileFlowError('permission.denied')
  const found = translated(() => source.lstat())
  if (!found) {
    const unfinished = partials.fileAt(source, null) !== null || partials.openAt(source.path) !== undefined
    throw unfinished ? new FileFlowError('state.conflict', 'The upload of this file did not finish.') : new FileFlowError('path.not_found')
  }
  if (!found.isFile()) throw new FileFlowError('path.not_regular')
  if (target.name === null || translated(() => target.lstat()) || partials.openAt(target.path)) throw new FileFlowError('path.exists')
  using held = hold(source.real)
  if (!held.stats.isFile()) throw new FileFlowError('state.conflict')
  const vault = context.vaults.of(target.folder)
  const { deliveries, renameId, spool } = await ledger.commitRename({
    sessionId,
    from: source.path,
    to: target.path,
    source: source.realPath(),
    size: held.stats.size,
    inode: `${held.stats.dev}:${held.stats.ino}`,
    spoolFolder: Buffer.from(vault.spoolFolder),
    final: target.realPath(),
    adds: { bytes: held.stats.size, files: 1 },
  })
  let done = false
  try {
    access.alive()
    if (deliveries > 0 && spool) await makeSpoolLink(source.real, Buffer.from(spool).toString(), durable, held.stats)
    makeLink(source.real, target.real, held.stats)
    done = true
    ledger.operation({ sessionId, action: 'link', path: source.path, to: target.path, bytes: held.stats.size, files: 1 })
    if (durable) await syncFolder(String(target.folder.at(null)))
  } catch (error) {
    throw fromErrno(error)
  } finally {
    // a sync that fails after the link was made does not undo it
    ledger.renamed(renameId, done)
  }
}

/** link(2) takes what stands there now, and refuses a taken name itself. */
function makeLink(from: Buffer | string, to: Buffer | string, expected: fs.Stats): void {
  try {
    fs.linkSync(from, to)
  } catch (error) {
    if (NO_HARD_LINKS.has((error as NodeJS.ErrnoException).code ?? ''))
      throw new FileFlowError('operation.unsupported', undefined, { cause: error })
    throw error
  }
  if (sameFile(fs.lstatSync(to), expected)) return
  fs.unlinkSync(to)
  throw new FileFlowError('state.conflict', 'Another file took the name meanwhile.')
}
