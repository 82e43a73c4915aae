// data_dir or storage_root is elsewhere than in the last run: the real paths that rows and journals hold go with them, before anything is made of them.
// Must not move a file.
import { resolve } from 'node:path'
import type { Logger } from '../core/log.ts'
import { nameFromBytes, nameToBytes } from '../core/virtual-path.ts'
import { isLeftBehind, realFolder } from '../files/roots.ts'
import type { Store } from '../store/store.ts'

export interface Relocated {
  /** Something is elsewhere: inodes may be others. */
  readonly moved: boolean
  /** A path of the last run, as text that holds bytes. */
  now(path: string): string
}

export function relocate(store: Store, log: Logger, config: { data_dir: string; storage_root: string }): Relocated {
  const known = store.roots.known()
  const moves: { from: string; to: string }[] = []
  for (const key of ['storage_root', 'data_dir'] as const) {
    const configured = resolve(config[key])
    const places = { [key]: configured, [`${key} real`]: realFolder(configured) }
    const before = known.get(key)
    if (before !== undefined && before !== configured && isLeftBehind(before, configured)) {
      log.error(
        'roots.left_behind',
        `${key} was ${before} in the last run and is ${configured} now, but the files still lie in ${before}: stop, move them, or set ${key} back.`,
      )
      continue
    }
    for (const [name, to] of Object.entries(places)) {
      const from = known.get(name)
      if (from !== undefined && from !== to && !moves.some((one) => one.from === from)) moves.push({ from, to })
    }
    store.group.now(() => {
      for (const [name, path] of Object.entries(places)) store.roots.put(name, path)
    })
  }
  // the inner one first: storage_root lies in data_dir by default
  moves.sort((a, b) => b.from.length - a.from.length)
  if (moves.length > 0) {
    const paths = store.group.now(() => moves.reduce((count, { from, to }) => count + store.roots.move(from, to), 0))
    log.warn('roots.moved', 'Folders of the configuration have moved since the last run; what is on record has moved with them.', {
      moves,
      paths,
    })
  }
  return {
    moved: moves.length > 0,
    now(path) {
      const bytes = nameToBytes(path)
      const move = moves.find(({ from }) => bytes.subarray(0, Buffer.byteLength(from) + 1).equals(Buffer.from(`${from}/`)))
      return move ? nameFromBytes(Buffer.concat([Buffer.from(move.to), bytes.subarray(Buffer.byteLength(move.from))])) : path
    },
  }
}
