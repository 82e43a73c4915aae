// Spooled content that nobody needs any more goes, many files at a time: one look at a folder tells of all its files that none has an unfinished next version.
// Must not block: callbacks, which cost the control thread half of what promises do.
import fs from 'node:fs'
import { isMissing } from './file-io.ts'
import { dropSpooled } from './spool.ts'

export interface NeededNoMore {
  readonly spool: Uint8Array
  /** As {@link dropSpooled}. */
  readonly partial: Buffer | null
}

/** As {@link dropSpooled} of each. Never rejects. @param failed is told of each that could not be removed */
export async function dropAllSpooled(all: readonly NeededNoMore[], failed: (error: unknown) => void): Promise<void> {
  const byFolder = Map.groupBy(all, ({ partial }) => partial?.toString('latin1', 0, partial.lastIndexOf(0x2f)) ?? null)
  await Promise.all([...byFolder].map(([folder, files]) => dropOf(folder, files, failed)))
}

async function dropOf(folder: string | null, files: readonly NeededNoMore[], failed: (error: unknown) => void): Promise<void> {
  if (folder === null || !(await mayBeThere(Buffer.from(folder, 'latin1')))) return unlinkAll(files, failed)
  await Promise.all(files.map(({ spool, partial }) => dropSpooled(spool, partial).catch(failed)))
}

const mayBeThere = (folder: Buffer): Promise<boolean> =>
  new Promise((resolve) => fs.stat(folder, { throwIfNoEntry: false }, (error, stats) => resolve(error !== null || stats !== undefined)))

function unlinkAll(files: readonly NeededNoMore[], failed: (error: unknown) => void): Promise<void> {
  return new Promise((resolve) => {
    let left = files.length
    const unlinked = (error: NodeJS.ErrnoException | null): void => {
      if (error && !isMissing(error)) failed(error)
      if (--left === 0) resolve()
    }
    for (const { spool } of files) fs.unlink(Buffer.from(spool), unlinked)
  })
}
