// The spool link: a second name for a file's content, outside every virtual root, from which deliveries send.
// Must not take another file for the one that was committed.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { syncFolder } from './file-io.ts'
import { copyPlain, NO_HARD_LINKS } from './plain-file.ts'

/**
 * A second name for the content, so that deliveries send just this, whatever the partner does next. Volumes without hard links get a copy.
 * @param expected the file that `from` must be; names that partners can change may hold another by now
 * @throws FileFlowError `state.conflict` when it does; nothing is left behind then
 */
export async function makeSpoolLink(from: Buffer | string, spool: string, durable: boolean, expected?: fs.Stats): Promise<void> {
  try {
    fs.linkSync(from, spool)
    // link(2) takes what stands there, even a link: forwarding would follow it
    if (expected && !sameFile(fs.lstatSync(spool), expected)) throw changed(spool)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'EEXIST') return
    if (!NO_HARD_LINKS.has(code)) throw error
    await copyWhole(from, spool, durable, expected)
  }
  if (durable) await syncFolder(spool.slice(0, spool.lastIndexOf('/')))
}

export const sameFile = (a: fs.Stats, b: fs.Stats): boolean => a.ino === b.ino && a.dev === b.dev

function changed(made: string): FileFlowError {
  fs.rmSync(made, { force: true })
  return new FileFlowError('state.conflict', 'Another file took the name meanwhile.')
}

/** A copy that appears whole or not at all. */
async function copyWhole(from: Buffer | string, to: string, durable: boolean, expected: fs.Stats | undefined): Promise<void> {
  const half = `${to}.half`
  await fs.promises.rm(half, { force: true })
  const copied = await copyPlain(from, half)
  if (expected && !sameFile(copied, expected)) throw changed(half)
  if (durable) {
    const handle = await fs.promises.open(half, 'r+')
    await handle.sync().finally(() => handle.close())
  }
  await fs.promises.rename(half, to)
}
