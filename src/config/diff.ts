// What a reload finds: which keys changed, which of them act at once and which need a restart.
// Must not apply anything; app.ts does.
import { isDeepStrictEqual } from 'node:util'
import { CONFIG_KEYS, valueAt } from './keys.ts'
import type { Config } from './schema.ts'

/** What is bound, opened or sized once at the start: keys, or whole sections. All else acts at a reload. */
export const NEEDS_RESTART: readonly string[] = [
  'data_dir',
  'storage_root',
  'ftp.enabled',
  'ftp.host',
  'ftp.port',
  'ftp.tls.implicit_port',
  'sftp.enabled',
  'sftp.host',
  'sftp.port',
  'admin',
  'log.file',
  'uploads.durability',
  'threads',
]

export interface ConfigChanges {
  /** Dotted names of changed keys that act at once. */
  readonly live: readonly string[]
  /** Dotted names of changed keys that wait for a restart. */
  readonly restart: readonly string[]
}

export function diffConfig(before: Config, after: Config): ConfigChanges {
  const changed = CONFIG_KEYS.filter((key) => !isDeepStrictEqual(valueAt(before, key.path), valueAt(after, key.path))).map(
    (key) => key.name,
  )
  const waits = (name: string) => NEEDS_RESTART.some((entry) => name === entry || name.startsWith(`${entry}.`))
  return { live: changed.filter((name) => !waits(name)), restart: changed.filter(waits) }
}
