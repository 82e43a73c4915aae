// The configuration in force as the settings page shows it: each key with its value, source and meaning.
// Must not show a secret, should the configuration ever hold one.
import { NEEDS_RESTART } from '../config/diff.ts'
import { CONFIG_KEYS, valueAt } from '../config/keys.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import type { SettingView } from '../core/views.ts'

const SECRET = /password|passphrase|secret|token/

/** @param loaded where the values came from; null: all from code (tests) */
export function settingsOf(config: Config, loaded: Pick<LoadedConfig, 'sources' | 'file' | 'lines'> | null): SettingView[] {
  return CONFIG_KEYS.map(({ name, path, variable, schema }) => {
    const source = loaded?.sources[name] ?? 'default'
    const line = loaded?.lines[name]
    const value = valueAt(config, path)
    return {
      key: name,
      value: SECRET.test(name) && value !== null ? '[hidden]' : value,
      source,
      ...(source === 'file' && loaded?.file ? { file: loaded.file, ...(line === undefined ? {} : { line }) } : {}),
      variable,
      description: schema.description ?? '',
      needs_restart: NEEDS_RESTART.some((entry) => name === entry || name.startsWith(`${entry}.`)),
    }
  })
}
