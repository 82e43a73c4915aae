// A configuration file as a plain tree, and where in the file each key stands.
// Must not judge keys or values; load.ts does.
import { isMap, isScalar, LineCounter, type Node, type Pair, parseDocument } from 'yaml'
import type { Tree } from './keys.ts'

const LONGEST_FILE = 1024 * 1024
/** Anchors are fine; a file that multiplies them is an attack or an accident. */
const MOST_ALIASES = 100

export interface YamlFile {
  readonly tree: Tree
  /** `config.yaml:12:5` of a key; of the file alone when the key is not in it. */
  place(path: readonly string[]): string
  /** What is wrong with the text itself, each with its place. */
  readonly faults: readonly string[]
}

/** The file's text, read; `label` is how it is named to a person. Never throws. */
export function parseYamlFile(text: string, label: string): YamlFile {
  const broken = (...faults: string[]): YamlFile => ({ tree: {}, place: () => label, faults })
  if (text.length > LONGEST_FILE) return broken(`${label}: is larger than 1 MiB`)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${label}:${line}:${col}`
  }
  if (document.errors.length > 0) return broken(...document.errors.slice(0, 20).map((e) => `${at(e.pos[0])} ${sentence(e.message)}`))
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null)) return { tree: {}, place: () => label, faults: [] }
  if (!isMap(root)) return broken(`${at(root.range?.[0] ?? 0)} the file holds no keys; it begins with names like data_dir: or ftp:`)
  let tree: Tree
  try {
    tree = document.toJS({ maxAliasCount: MOST_ALIASES }) as Tree
  } catch (error) {
    return broken(`${label}: ${sentence((error as Error).message)}`)
  }
  return { tree, faults: [], place: (path) => placeOf(root, path, at) ?? label }
}

function placeOf(root: Node, path: readonly string[], at: (offset: number) => string): string | undefined {
  let node: unknown = root
  let found: string | undefined
  for (const part of path) {
    if (!isMap(node)) break
    const pair: Pair | undefined = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part)
    if (!pair) break
    const start = (pair.key as Node).range?.[0]
    if (start !== undefined) found = at(start)
    node = pair.value
  }
  return found
}

const sentence = (message: string): string => message.split('\n')[0]!.replace(/^Map keys must be unique/, 'this key is there twice')
