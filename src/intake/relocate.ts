// data_dir or storage_root is elsewhere than in the last run: the real paths that rows and journals hold go with them, before anything is made of them.
// Must not move a file.
import { resolve } from 'node:path'
import type { Logger } from '../core/log.ts'
import { nameFromBytes, nameToBytes } from '../core/virtual-path.ts'
import { isLeftBehind, realFolder } from '../files/roots.ts'
import type { Move, PathKind } from '../store/roots.ts'
import type { Store } from '../store/store.ts'

export interface Relocated {
  /** Something is elsewhere than in the last run whose recovery came to its end: inodes may be others. */
  moved(): boolean
  /** A path of that run, as text that holds bytes. */
  now(path: string, kind: PathKind): string
  /** Journals are read and what was under way is finished: the next start need not know the places of before. */
  settled(): void
}

type Places = ReadonlyMap<string, string>
const KEYS = ['storage_root', 'data_dir'] as const

export function relocate(store: Store, log: Logger, config: { data_dir: string; storage_root: string }): Relocated {
  const known = store.roots.known()
  const places = new Map<string, string>()
  for (const key of KEYS) {
    const configured = resolve(config[key])
    const before = known.get(key)
    if (before !== undefined && before !== configured && isLeftBehind(before, configured)) {
      log.error(
        'roots.left_behind',
        `${key} was ${before} in the last run and is ${configured} now, but the files still lie in ${before}: stop, move them, or set ${key} back.`,
      )
      continue
    }
    places.set(key, configured).set(real(key), realFolder(configured))
  }
  const rows = movesOf(known, places)
  // a start that was cut short has moved the rows, but not what the journals say
  const before = new Map([...places.keys()].map((name) => [name, known.get(settledName(name)) ?? known.get(name)] as const))
  let unsettled = movesOf(before, places)
  // one transaction: what says where the rows' paths are never differs from the rows
  const paths = store.group.now(() => {
    for (const [name, path] of places) {
      const last = before.get(name)
      if (last !== undefined) store.roots.put(settledName(name), last)
      store.roots.put(name, path)
    }
    return store.roots.move(rows)
  })
  if (rows.file.length + rows.vault.length > 0)
    log.warn('roots.moved', 'Folders of the configuration have moved since the last run; what is on record has moved with them.', {
      moves: [...new Map([...rows.file, ...rows.vault].map((move) => [move.from, move])).values()],
      paths,
    })
  return {
    moved: () => unsettled.file.length + unsettled.vault.length > 0,
    now(path, kind) {
      const bytes = nameToBytes(path)
      const move = unsettled[kind].find(({ from }) => bytes.subarray(0, Buffer.byteLength(from) + 1).equals(Buffer.from(`${from}/`)))
      return move ? nameFromBytes(Buffer.concat([Buffer.from(move.to), bytes.subarray(Buffer.byteLength(move.from))])) : path
    },
    settled() {
      store.group.now(() => {
        for (const [name, path] of places) store.roots.put(settledName(name), path)
      })
      unsettled = { file: [], vault: [] }
    },
  }
}

const real = (key: string): string => `${key} real`
const settledName = (name: string): string => `settled ${name}`

/** Partners' files are on record by where they really are, vaults by the way that the configuration names. Both may be the same text. */
function movesOf(before: ReadonlyMap<string, string | undefined>, now: Places): Record<PathKind, Move[]> {
  const inOrder = (names: readonly string[]): Move[] => {
    const moves = new Map<string, string>()
    for (const name of names) {
      const [from, to] = [before.get(name), now.get(name)]
      if (from !== undefined && to !== undefined && !moves.has(from)) moves.set(from, to)
    }
    // the inner one first: storage_root lies in data_dir by default
    return [...moves]
      .map(([from, to]) => ({ from, to }))
      .filter(({ from, to }) => from !== to)
      .sort((a, b) => b.from.length - a.from.length)
  }
  return { file: inOrder([...KEYS.map(real), ...KEYS]), vault: inOrder([...KEYS, ...KEYS.map(real)]) }
}
