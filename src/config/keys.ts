// Every key of the configuration by its dotted name, with its schema and the environment variable that overrides it.
// Must not read values; load.ts does.
import { ConfigSchema, type Holds } from './schema.ts'

/** The parts of a JSON schema that the configuration uses. */
export interface KeySchema {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, KeySchema>>
  readonly anyOf?: readonly KeySchema[]
  readonly const?: unknown
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly default?: unknown
  readonly description?: string
  readonly holds?: Holds
  /** Durations only. */
  readonly least?: string
  readonly most?: string
}

export interface ConfigKey {
  /** `ftp.tls.mode` */
  readonly name: string
  readonly path: readonly string[]
  /** `FILEFLOW_FTP_TLS_MODE` */
  readonly variable: string
  readonly schema: KeySchema
}

export const ROOT_SCHEMA = ConfigSchema as unknown as KeySchema

export const CONFIG_KEYS: readonly ConfigKey[] = keysOf(ROOT_SCHEMA, [])

function keysOf(schema: KeySchema, path: readonly string[]): ConfigKey[] {
  if (schema.properties) return Object.entries(schema.properties).flatMap(([key, inner]) => keysOf(inner, [...path, key]))
  return [{ name: path.join('.'), path, variable: `FILEFLOW_${path.join('_').toUpperCase()}`, schema }]
}

/** The value below `path`; undefined where there is none. */
export function valueAt(tree: unknown, path: readonly string[]): unknown {
  let at = tree
  for (const part of path) {
    if (at === null || typeof at !== 'object' || !Object.hasOwn(at, part)) return undefined
    at = (at as Record<string, unknown>)[part]
  }
  return at
}

export type Tree = Record<string, unknown>

/** Puts a value below `path`, making the sections on the way. */
export function setAt(tree: Tree, path: readonly string[], value: unknown): void {
  let at = tree
  for (const part of path.slice(0, -1)) {
    at[part] ??= {}
    at = at[part] as Tree
  }
  at[path.at(-1)!] = value
}

/** The known word that the typed one was probably meant to be. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const ranked = known.map((word) => ({ word, distance: editDistance(typed.toLowerCase(), word.toLowerCase()) }))
  const best = ranked.sort((a, b) => a.distance - b.distance)[0]
  return best && best.distance <= Math.ceil(best.word.length / 3) ? best.word : undefined
}

function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8) return Number.POSITIVE_INFINITY
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}
