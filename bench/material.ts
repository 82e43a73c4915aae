// What is sent: one large file and a folder of small ones, made once, in memory, so that the client's disk is no part of it.
// Must not compress: random bytes.
import { randomFillSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TearsDown } from '../test/support/far-process.ts'

export interface Sizes {
  readonly largeBytes: number
  readonly smallFiles: number
  readonly sessions: number
  readonly logins: number
}

export const FULL: Sizes = { largeBytes: 1024 ** 3, smallFiles: 1000, sessions: 200, logins: 40 }
export const QUICK: Sizes = { largeBytes: 32 * 1024 ** 2, smallFiles: 50, sessions: 20, logins: 8 }

export interface Material {
  readonly sizes: Sizes
  /** A scratch folder of the client's. */
  readonly folder: string
  readonly large: string
  /** A quarter of it, for four clients at once. */
  readonly quarter: string
  /** A folder with `sizes.smallFiles` files of 1,000 bytes. */
  readonly small: string
}

export function makeMaterial(t: TearsDown, sizes: Sizes): Material {
  const folder = mkdtempSync('/dev/shm/fileflow-bench-client-')
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const block = randomFillSync(Buffer.alloc(16 * 1024 ** 2))
  const at = (name: string) => join(folder, name)
  for (let done = 0; done < sizes.largeBytes; done += block.length) {
    block.writeDoubleLE(done)
    writeFileSync(at('large'), block, { flag: 'a' })
    if (done < sizes.largeBytes / 4) writeFileSync(at('quarter'), block, { flag: 'a' })
  }
  mkdirSync(at('small'))
  for (let i = 0; i < sizes.smallFiles; i++) writeFileSync(join(at('small'), `f${i}`), block.subarray(i, i + 1000))
  return { sizes, folder, large: at('large'), quarter: at('quarter'), small: at('small') }
}
