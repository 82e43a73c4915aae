// The control socket's address: its path, or the same through an open folder where the path is longer than the kernel takes (108 bytes, unix(7)).
// Must not bind or connect.
import { closeSync, constants, openSync } from 'node:fs'
import { basename, dirname } from 'node:path'

const LONGEST = 100
/** Linux open(2): the handle only names the folder. */
const O_PATH = 0x200000

export const socketPath = (dataDir: string): string => `${dataDir}/control.sock`

/** Runs `use` with an address of the socket at `path` that is short enough; it is good until the promise settles. */
export async function withSocketAddress<T>(path: string, use: (address: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(path) <= LONGEST) return use(path)
  let fd: number
  try {
    fd = openSync(dirname(path), O_PATH | constants.O_DIRECTORY)
  } catch {
    // whoever uses the path hears what is wrong with it
    return use(path)
  }
  try {
    return await use(`/proc/self/fd/${fd}/${basename(path)}`)
  } finally {
    closeSync(fd)
  }
}
