// What chokidar tells of a folder and all below it, as paths to look at.
// Must not believe an event: it only says where to look; and must not watch single files, as their number has no limit.
import { watch } from 'chokidar'
import { isWithin, ROOT, toVirtualPath, type VirtualPath } from '../core/virtual-path.ts'
import { ARCHIVE, isOff, within } from './look.ts'

export interface FolderEvents {
  /** Resolves when every folder below is watched. */
  readonly ready: Promise<void>
  close(): Promise<void>
}

/** One subscription a folder (inotify); `look` is called with what changed, a folder where the name is not known. */
export function watchFolders(folder: string, look: (path: VirtualPath) => void, failed: (error: unknown) => void): FolderEvents {
  const seenFrom = (real: string): VirtualPath | null => {
    try {
      return real === folder ? ROOT : real.startsWith(`${folder}/`) ? toVirtualPath(ROOT, real.slice(folder.length)) : null
    } catch {
      return null
    }
  }
  const watcher = watch(folder, {
    ignored: (real, stats) => {
      const path = seenFrom(real)
      return path === null || isOff(path) || (stats !== undefined && !stats.isDirectory())
    },
    ignoreInitial: true,
    followSymlinks: false,
    atomic: false,
    ignorePermissionErrors: true,
  })
  watcher.on('raw', (_event, name, details) => {
    const parent = seenFrom((details as { watchedPath?: string }).watchedPath ?? '')
    if (parent === null) return
    // a name that is not UTF-8 comes with replacement characters: its folder is looked through
    const path = typeof name !== 'string' || name.includes('\ufffd') ? parent : within(parent, name)
    if (path !== null && !isWithin(path, ARCHIVE)) look(path)
  })
  watcher.on('addDir', (real) => {
    const path = seenFrom(real)
    if (path !== null) look(path)
  })
  watcher.on('error', failed)
  const ready = new Promise<void>((resolve) => watcher.once('ready', () => resolve()))
  return { ready, close: () => watcher.close() }
}
