// Renames of folders: each finished file below one arrives under its new path, as if it had been renamed alone; all that is owed is recorded before the one rename.
// The user's partials below it move with it. Must not follow links below the folder, nor keep a handle for each file or folder of a tree.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { testPoint } from '../core/test-point.ts'
import type { RenamedFile, TransferLedger } from '../core/transfer.ts'
import { nameFromBytes, type VirtualPath } from '../core/virtual-path.ts'
import { fromErrno, syncFolder, translated } from './file-io.ts'
import type { Folder, Place } from './jail.ts'
import { moveGroup } from './kept-partials.ts'
import type { PartialOverlay } from './partials.ts'
import { hold } from './plain-file.ts'
import { makeSpoolLink, sameFile } from './spool-link.ts'
import { enterBelow } from './tree.ts'
import { under } from './under.ts'
import type { Vault } from './vaults.ts'

/** Files that one transaction records: enough to make its sync cheap, few enough for others to have their turn. */
const BATCH = 200

export interface FolderRenameContext {
  readonly sessionId: string
  readonly username: string
  readonly ledger: TransferLedger
  readonly vault: Vault
  readonly partials: Pick<PartialOverlay, 'openBelow' | 'groupOf'>
  readonly durable: boolean
  /** Throws when the session is over, or may not rename that any more. */
  needStill(): void
}

interface Found {
  /** Below the renamed folder; the last one is the file's own. */
  readonly parts: readonly Buffer[]
  readonly stats: fs.Stats
}

/** @throws FileFlowError `path.*`, `permission.denied`, `state.conflict` when a file changed meanwhile or is on its way into the folder: nothing is renamed nor owed then */
export async function renameFolder(source: Place, target: Place, context: FolderRenameContext): Promise<void> {
  const { ledger, partials, sessionId } = context
  const recorded: string[] = []
  const groups: PartialGroup[] = []
  let owed = 0
  let done = false
  if (partials.openBelow(source.path) || (await ledger.isUploadedInto(sessionId, source.path)))
    throw new FileFlowError('state.conflict', 'An upload into this folder has not ended yet.')
  try {
    using top = source.enter()
    const stats = fs.statSync(top.at(null))
    for await (const batch of inBatches(filesBelow(top, (parts) => note(parts, source, context, groups)))) {
      owed += await record(batch, top, source, target, context, recorded)
      context.needStill()
    }
    // of an empty folder nothing was recorded
    context.needStill()
    testPoint('rename.spooled')
    if (!sameFile(fs.lstatSync(source.real), stats)) throw new FileFlowError('state.conflict', 'Another folder took the name meanwhile.')
    fs.renameSync(source.real, target.real)
    done = true
    testPoint('rename.renamed')
    movePartials(groups, target, context)
    if (context.durable && owed > 0) await syncFolder(String(target.folder.at(null)))
  } catch (error) {
    throw fromErrno(error)
  } finally {
    // what fails after the rename (a sync, a partial) does not undo it
    for (const id of recorded) ledger.renamed(id, done)
  }
}

/** Where the user's partials of one folder are kept. */
interface PartialGroup {
  readonly parts: readonly Buffer[]
  readonly kept: string
}

const below = (path: VirtualPath, parts: readonly Buffer[]): VirtualPath =>
  `${path}${parts.map((part) => `/${nameFromBytes(part)}`).join('')}` as VirtualPath

function note(parts: readonly Buffer[], source: Place, { partials, vault }: FolderRenameContext, groups: PartialGroup[]): void {
  const kept = partials.groupOf(vault, below(source.path, parts))
  if (kept !== null) groups.push({ parts, kept })
}

function movePartials(groups: readonly PartialGroup[], target: Place, { vault, username }: FolderRenameContext): void {
  // deeper ones first: a folder's new path may be what another one had before
  for (const { parts, kept } of groups.toReversed())
    translated(() => moveGroup(kept, vault.partialsIn(username, below(target.path, parts))))
}

/** Records what these files will owe, and links the content of those that owe something. @returns how many do */
async function record(
  batch: readonly Found[],
  top: Folder,
  source: Place,
  target: Place,
  { sessionId, ledger, vault, durable }: FolderRenameContext,
  recorded: string[],
): Promise<number> {
  const [start, end] = [source.realPath(), target.realPath()]
  const files = batch.map(({ parts, stats }): RenamedFile => {
    return {
      sessionId,
      from: below(source.path, parts),
      to: below(target.path, parts),
      source: under(start, ...parts),
      size: stats.size,
      inode: `${stats.dev}:${stats.ino}`,
      spoolFolder: Buffer.from(vault.spoolFolder),
      final: under(end, ...parts),
    }
  })
  const answers = await ledger.commitRenames(sessionId, files)
  for (const answer of answers) if (answer) recorded.push(answer.renameId)
  testPoint('rename.committed')
  let owed = 0
  for (const [i, answer] of answers.entries()) {
    if (!answer?.spool || answer.deliveries === 0) continue
    const { parts, stats } = batch[i]!
    using folder = enterBelow(top, parts.slice(0, -1))
    const real = folder.at(parts.at(-1)!)
    // held, no other file can get its inode number: what is linked is what was recorded
    using held = hold(real)
    if (!held.stats.isFile() || !sameFile(held.stats, stats) || held.stats.size !== stats.size || held.stats.mtimeMs !== stats.mtimeMs)
      throw new FileFlowError('state.conflict', 'A file below the folder changed meanwhile.')
    await makeSpoolLink(real, Buffer.from(answer.spool).toString(), durable, held.stats)
    owed++
  }
  return owed
}

/** All plain files below the folder, in the order of their names; links are none. `entered` is told of each folder, the top as none. */
async function* filesBelow(top: Folder, entered: (parts: readonly Buffer[]) => void): AsyncIterable<Found> {
  const waiting: Buffer[][] = [[]]
  for (let parts = waiting.pop(); parts; parts = waiting.pop()) {
    using folder = enterBelow(top, parts)
    entered(parts)
    const names = await fs.promises.readdir(String(folder.at(null)), { encoding: 'buffer' })
    for (const name of names.sort(Buffer.compare)) {
      const stats = fs.lstatSync(folder.at(name), { throwIfNoEntry: false })
      if (stats?.isDirectory()) waiting.push([...parts, name])
      else if (stats?.isFile()) yield { parts: [...parts, name], stats }
    }
  }
}

async function* inBatches(found: AsyncIterable<Found>): AsyncIterable<Found[]> {
  let batch: Found[] = []
  for await (const each of found) {
    batch.push(each)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
