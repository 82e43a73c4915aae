// Whether the volumes under the gateway can take what partners send: for readiness.
// Must not wait for a volume longer than a system call takes, nor judge partners' quotas.
import fs from 'node:fs'

/** Below this an upload of any size is likely to fail. */
const LEAST_FREE = 64 * 2 ** 20

/** What is wrong with the folders, in words; empty when all is well. */
export function volumeTroubles(folders: readonly { readonly name: string; readonly path: string }[]): string[] {
  return folders.flatMap(({ name, path }) => {
    try {
      fs.accessSync(path, fs.constants.W_OK | fs.constants.X_OK)
      const { bavail, bsize } = fs.statfsSync(path)
      return bavail * bsize < LEAST_FREE ? [`${name}: less than 64 MiB are free`] : []
    } catch (error) {
      return [`${name}: cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`]
    }
  })
}
