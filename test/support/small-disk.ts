// A disk that is soon full: a small tmpfs, mounted for one test.
// Must not outlive the test, nor pretend where it may not mount.
import { execFileSync } from 'node:child_process'
import { closeSync, fstatSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { TearsDown } from './far-process.ts'

export interface SmallDisk {
  /** Takes all the room there is, but for so many bytes. */
  fill(leave?: number): void
  /** Gives it back. */
  free(): void
}

/** @param at an empty folder @returns null where this process may not mount: the test says so and skips */
export function mountSmallDisk(t: TearsDown, at: string, megabytes: number): SmallDisk | null {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0777`, 'none', at], { stdio: 'pipe' })
  } catch {
    return null
  }
  t.teardown(() => execFileSync('umount', ['-l', at]))
  const ballast = join(at, '.ballast')
  return {
    fill(leave = 0) {
      const fd = openSync(ballast, 'a')
      for (const size of [2 ** 16, 2 ** 12]) {
        const piece = Buffer.alloc(size)
        try {
          while (writeSync(fd, piece) > 0);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        }
      }
      ftruncateSync(fd, fstatSync(fd).size - leave)
      closeSync(fd)
    },
    free: () => rmSync(ballast),
  }
}

export const MAY_NOT_MOUNT = 'this process may not mount a tmpfs'
