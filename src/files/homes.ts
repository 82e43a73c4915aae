// Homes: makes the virtual root of a user, its declared directories, and the places where mounts hang.
// Must not follow a link out of the home, even for the gateway's own use.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import type { Principal } from '../core/user.ts'
import { child, ROOT, split, toVirtualPath, type VirtualPath } from '../core/virtual-path.ts'
import { fromErrno } from './file-io.ts'
import { Jail } from './jail.ts'

/**
 * @param storageRoot below it the way to the home must be without links
 * @throws FileFlowError `path.*`, `permission.denied` naming the virtual folder that cannot be made
 */
export async function prepareHome(principal: Principal, directories: readonly string[], storageRoot: string | null = null): Promise<void> {
  await fs.promises.mkdir(principal.home, { recursive: true, mode: 0o750 }).catch((cause: unknown) => {
    throw new FileFlowError('storage.failed', `The home of ${principal.username} cannot be made: ${(cause as Error).message}`, { cause })
  })
  const jail = new Jail(principal.home, principal.mounts, storageRoot)
  for (const mount of [...principal.mounts].sort((a, b) => a.path.length - b.path.length))
    makeAll(new Jail(principal.home, [], storageRoot), mount.path)
  for (const text of [principal.startDirectory, ...directories]) makeAll(jail, toVirtualPath(ROOT, text))
}

function makeAll(jail: Jail, path: VirtualPath): void {
  let at = ROOT
  for (const name of split(path)) {
    at = child(at, name)
    using place = jail.resolve(at, true)
    if (place.name === null) continue
    try {
      fs.mkdirSync(place.real, { mode: 0o755 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fromErrno(error)
    }
  }
}
