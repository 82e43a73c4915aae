// Renames of names with uploads of the session on their way, as on a disk: these go along, and are published under the new name.
// Must not let a name come back by the CLOSE of what was renamed away from it, nor move what a kill would then find under the old one.
import type fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { translated } from './file-io.ts'
import type { Place } from './jail.ts'
import { dropPartial, keepPartial } from './kept-partials.ts'
import type { RenameContext } from './rename.ts'
import type { StagedUpload } from './upload.ts'

export interface Arrived {
  /** What stands at the target once the name has changed hands. */
  readonly standing: fs.Stats | null
  /** It is the uploads that were renamed onto that, and replace it when they are published. */
  readonly doomed: boolean
  /** Bytes that the quota gets back then. */
  readonly frees: number
}

/** Before anything moves. @throws FileFlowError `permission.denied`, `path.other_volume` */
export function mustTake(uploads: readonly StagedUpload[], target: Place, context: RenameContext): void {
  if (uploads.length === 0) return
  context.needUpload()
  // what is staged takes its name by a rename within the volume
  if (uploads.some(({ vault }) => vault.root !== context.vault.root)) throw new FileFlowError('path.other_volume')
  translated(() => target.folder.mustBeWritable())
}

/**
 * Renames, and takes these uploads along. They are held: none of them ends meanwhile.
 * @param partial the user's partial of the old name, which the uploads replace
 * @param work to say when the name has changed hands, in the same turn of the event loop
 */
export async function carrying<T>(
  uploads: readonly StagedUpload[],
  source: Place,
  target: Place,
  partial: Buffer | null,
  context: RenameContext,
  work: (arrived: (at: Arrived) => void) => T | Promise<T>,
): Promise<T> {
  const { names, vault, username } = context
  if (uploads.length > 0) await names.tell(uploads, target.path)
  let done = false
  try {
    return await work(({ standing, doomed, frees }) => {
      done = true
      names.follow(source.path, target.path)
      if (uploads.length === 0) return
      const kept = vault.partial(username, target.path)
      for (const upload of uploads)
        upload.moveTo({ path: target.path, partial: kept, foundInode: standing?.ino ?? null, doomed: doomed ? standing : null }, frees)
      // left behind, it would be seen where there is nothing any more
      translated(() => {
        if (partial) keepPartial(partial, kept)
        else dropPartial(vault.partial(username, source.path))
      })
    })
  } finally {
    // what was thrown says why; a row that cannot be put right either is put right by the upload's end
    if (!done && uploads.length > 0) names.tell(uploads, source.path).catch(() => {})
  }
}
