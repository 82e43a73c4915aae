// Trees of folders, gone through from a folder that is held: by names alone, never through a link.
// Must not keep a handle for each folder of a tree.
import fs from 'node:fs'
import { isReservedName, nameFromBytes } from '../core/virtual-path.ts'
import { translated } from './file-io.ts'
import { type Folder, openFolder } from './jail.ts'

/** From the top down, one part at a time, never through a link. The caller disposes of it. */
export function enterBelow(top: Folder, parts: readonly Buffer[]): Folder {
  return translated(() => {
    let folder = openFolder(top.at(null), true)
    for (const part of parts) {
      using above = folder
      folder = openFolder(above.at(part), false)
    }
    return folder
  })
}

/** Entries after which whoever else needs the disk has a turn. */
const TURN = 500
const TURN_MS = 2

/**
 * Plain files below a folder, as a quota counts them: each name by itself, what is the gateway's own not at all. Folders that vanish or may not be read are passed over.
 * Takes its time, and its thread with it.
 */
export function countBelow(path: string): { bytes: number; files: number } {
  const total = { bytes: 0, files: 0 }
  const pause = new Int32Array(new SharedArrayBuffer(4))
  let seen = 0
  using top = openFolder(path, true)
  const waiting: Buffer[][] = [[]]
  for (let parts = waiting.pop(); parts; parts = waiting.pop()) {
    try {
      using folder = enterBelow(top, parts)
      for (const name of fs.readdirSync(folder.at(null), { encoding: 'buffer' })) {
        if (++seen % TURN === 0) Atomics.wait(pause, 0, 0, TURN_MS)
        if (isReservedName(nameFromBytes(name))) continue
        const stats = fs.lstatSync(folder.at(name), { throwIfNoEntry: false })
        if (stats?.isDirectory()) waiting.push([...parts, name])
        else if (stats?.isFile()) {
          total.bytes += stats.size
          total.files++
        }
      }
    } catch (error) {
      if (parts.length === 0) throw error
    }
  }
  return total
}
