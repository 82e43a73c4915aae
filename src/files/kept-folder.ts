// The folder a session worked in last, kept open for a moment: most of what follows is about the same one.
// Must not be taken for where its path leads without asking: the kernel says where an open folder is now, and only the very same place counts.
import fs from 'node:fs'
import type { VirtualPath } from '../core/virtual-path.ts'
import type { Folder } from './jail.ts'

/** Unused for so long, it is closed: an open folder keeps its volume from being unmounted. */
const KEPT_MS = 1000

interface Kept {
  readonly path: VirtualPath
  readonly folder: Folder
  readonly readOnly: boolean
  /** Where it was when a walk through the jail led to it; the bytes as Latin-1, which is quicker to make and to compare. */
  readonly real: string
}

export class KeptFolder {
  #kept: Kept | null = null
  #used = false
  #timer: NodeJS.Timeout | undefined

  /** The folder of that path, if it still stands where a walk found it: then a walk would lead to it again, without meeting a link. */
  find(path: VirtualPath): Omit<Kept, 'path'> | null {
    const kept = this.#kept
    if (kept === null || kept.path !== path) return null
    if (whereIs(kept.folder) !== kept.real) {
      this.drop()
      return null
    }
    this.#used = true
    return kept
  }

  /** @param path that led to it without a link */
  keep(path: VirtualPath, folder: Folder, readOnly: boolean): void {
    if (folder.fd === null) return
    this.drop()
    this.#kept = { path, folder: folder.share(), readOnly, real: whereIs(folder) }
    this.#timer = setInterval(() => {
      if (!this.#used) this.drop()
      this.#used = false
    }, KEPT_MS).unref()
  }

  drop(): void {
    clearInterval(this.#timer)
    this.#kept?.folder[Symbol.dispose]()
    this.#kept = null
  }
}

const whereIs = ({ fd }: Folder): string => fs.readlinkSync(`/proc/self/fd/${fd}`, 'latin1')
