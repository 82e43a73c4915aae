// Unfinished uploads kept in a vault: putting them there, dropping them, and how much of them a user has.
// Must not follow links, nor count another user's.
import fs from 'node:fs'
import { isMissing, translated } from './file-io.ts'
import { under } from './under.ts'
import type { Vault } from './vaults.ts'

/** Of one user on one volume; what comes beyond is not kept for resuming. */
export const MOST_PARTIALS = 1000

/** @param except a partial that is not counted: the upload that begins takes its place */
export function keptPartials(vault: Vault, username: string, except: Buffer | null): { bytes: number; files: number } {
  let [bytes, files] = [0, 0]
  const top = `${vault.root}/partials/${username}`
  for (const group of namesIn(top)) {
    const folder = under(top, group)
    for (const name of namesIn(folder)) {
      const file = under(folder, name)
      const stats = translated(() => fs.lstatSync(file, { throwIfNoEntry: false }))
      if (!stats || except?.equals(file)) continue
      bytes += stats.size
      files++
    }
  }
  return { bytes, files }
}

export function namesIn(folder: Buffer | string): Buffer[] {
  try {
    return fs.readdirSync(folder, { encoding: 'buffer' })
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/**
 * What is kept of `size` bytes: one less. A partial that holds every byte would look finished to a client that compares sizes before it resumes (curl -C -, reput,
 * put -c): it would send nothing more, and the file would never be published.
 */
export const partialSize = (size: number): number => Math.max(0, size - 1)

/** A file beside a staging file that has a hole: its text is the length before the hole. */
export const holeMark = (staging: string): string => `${staging}.hole`

/** Length of a staging file without a hole. */
export function wholeOf(staging: string): number {
  try {
    return Number(fs.readFileSync(holeMark(staging), 'utf8'))
  } catch (error) {
    if (isMissing(error)) return Number.POSITIVE_INFINITY
    throw error
  }
}

export function keepPartial(staging: Buffer | string, partial: Buffer): boolean {
  try {
    fs.renameSync(staging, partial)
  } catch (error) {
    if (!isMissing(error)) throw error
    fs.mkdirSync(partial.subarray(0, partial.lastIndexOf(0x2f)), { recursive: true, mode: 0o700 })
    fs.renameSync(staging, partial)
  }
  return true
}

export function dropPartial(partial: Buffer): void {
  try {
    fs.unlinkSync(partial)
  } catch (error) {
    if (!isMissing(error) && (error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw error
  }
}

/** All partials of one folder go with it: they are found by its path. What was kept under the new path before gives way. Another session of the user may take or add some meanwhile. */
export function moveGroup(from: string, to: string): void {
  try {
    fs.renameSync(from, to)
  } catch (error) {
    if (isMissing(error)) return
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    for (const name of namesIn(from)) {
      try {
        fs.renameSync(under(from, name), under(to, name))
      } catch (gone) {
        if (!isMissing(gone)) throw gone
      }
    }
    try {
      fs.rmdirSync(from)
    } catch {
      // what came there meanwhile stays for its uploader
    }
  }
}
