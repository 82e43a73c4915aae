// Loading the configuration: defaults, then a YAML file, then the environment; the result is whole, checked and frozen.
// Must not start anything or touch what the configuration names.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { FileFlowError } from '../core/errors.ts'
import { crossFaults } from './check.ts'
import { CONFIG_KEYS, type KeySchema, nearest, ROOT_SCHEMA, setAt, type Tree, valueAt } from './keys.ts'
import type { Config } from './schema.ts'
import { faultOf, loadedValue, valueOfText } from './value.ts'
import { parseYamlFile, type YamlFile } from './yaml-file.ts'

export type Source = 'default' | 'file' | 'environment'

export interface LoadedConfig {
  /** Every key present, durations in ms, paths absolute, deeply frozen. */
  readonly config: Config
  /** Where each key (`ftp.tls.mode`) came from. */
  readonly sources: Readonly<Record<string, Source>>
  /** The line of each key that came from the file. */
  readonly lines: Readonly<Record<string, number>>
  /** Absolute path of the file that was read. */
  readonly file: string | null
  /** Worth telling the operator, but no reason to stop. */
  readonly warnings: readonly string[]
}

/** Variables of ours that are no keys. */
const OTHER_VARIABLES = new Set(['FILEFLOW_CONFIG', 'FILEFLOW_ADMIN_PASSWORD'])
const TEST_VARIABLE = 'FILEFLOW_TEST_'
const DEFAULT_FILE = 'config.yaml'

/**
 * The file is `file`, else `FILEFLOW_CONFIG`, else `config.yaml` in `cwd` if there is one; relative paths in it are seen from its folder.
 * @throws FileFlowError `config.invalid` naming every fault with its file, line and key, or its variable.
 */
export function loadConfig(from: { file?: string | undefined; env: NodeJS.ProcessEnv; cwd: string }): LoadedConfig {
  const faults: string[] = []
  const file = findFile(from)
  const yaml = file === null ? undefined : readYaml(file, from.cwd, faults)
  if (yaml && faults.length === 0) checkKeys(ROOT_SCHEMA, yaml.tree, [], yaml, faults)
  checkVariables(from.env, faults)

  const folder = file === null ? from.cwd : dirname(file)
  const tree: Tree = {}
  const sources: Record<string, Source> = {}
  const lines: Record<string, number> = {}
  for (const key of CONFIG_KEYS) {
    const text = from.env[key.variable]
    const typed = yaml && valueAt(yaml.tree, key.path)
    const source = text !== undefined ? 'environment' : typed !== undefined ? 'file' : 'default'
    const value = text !== undefined ? valueOfText(key.schema, text) : (typed ?? (typed === null ? null : key.schema.default))
    const fault = faultOf(key, value)
    if (fault) faults.push(source === 'environment' ? `${key.variable}: ${fault}` : `${yaml?.place(key.path) ?? ''} ${key.name}: ${fault}`)
    else setAt(tree, key.path, loadedValue(key, value, folder))
    sources[key.name] = source
    const line = source === 'file' ? /:(\d+):\d+$/.exec(yaml!.place(key.path))?.[1] : undefined
    if (line !== undefined) lines[key.name] = Number(line)
  }
  if (faults.length === 0) {
    for (const fault of crossFaults(tree as unknown as Config)) {
      const { key, message } = fault.other && sources[fault.key] === 'default' ? fault.other : fault
      faults.push(`${placeOfKey(key, sources, yaml)}: ${message}`)
    }
  }
  if (faults.length > 0) throw new FileFlowError('config.invalid', faults.join('\n'))
  return { config: freeze(tree) as unknown as Config, sources, lines, file, warnings: warningsOf(tree as unknown as Config, sources) }
}

/** Where the operator set that key, to begin a fault with: its variable, or file and line as seen from `cwd`, and its name. */
export function placeOf({ file, sources, lines }: LoadedConfig, name: string, cwd: string): string {
  if (sources[name] === 'environment') return CONFIG_KEYS.find((key) => key.name === name)!.variable
  return file === null || lines[name] === undefined ? name : `${labelOf(file, cwd)}:${lines[name]} ${name}`
}

function labelOf(file: string, cwd: string): string {
  const near = relative(cwd, file)
  return near.startsWith('..') ? file : near
}

function findFile({ file, env, cwd }: { file?: string | undefined; env: NodeJS.ProcessEnv; cwd: string }): string | null {
  const asked = file ?? (env.FILEFLOW_CONFIG || undefined)
  if (asked !== undefined) return resolve(cwd, asked)
  const usual = resolve(cwd, DEFAULT_FILE)
  return existsSync(usual) ? usual : null
}

function readYaml(file: string, cwd: string, faults: string[]): YamlFile | undefined {
  const label = labelOf(file, cwd)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new FileFlowError('config.invalid', `${label}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, {
      cause: error,
    })
  }
  const yaml = parseYamlFile(text, label)
  faults.push(...yaml.faults)
  return yaml
}

/** Unknown keys, and sections that are no sections. */
function checkKeys(schema: KeySchema, tree: Tree, path: readonly string[], yaml: YamlFile, faults: string[]): void {
  const known = Object.keys(schema.properties ?? {})
  for (const [key, value] of Object.entries(tree)) {
    const here = [...path, key]
    const inner = schema.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key]! : undefined
    if (!inner) faults.push(`${yaml.place(here)} ${here.join('.')}: unknown key; ${guess(key, known)}known here: ${known.join(', ')}`)
    else if (inner.properties && value !== null) {
      if (typeof value === 'object' && !Array.isArray(value)) checkKeys(inner, value as Tree, here, yaml, faults)
      else faults.push(`${yaml.place(here)} ${here.join('.')}: allowed: the keys ${Object.keys(inner.properties).join(', ')} below it`)
    }
  }
}

function checkVariables(env: NodeJS.ProcessEnv, faults: string[]): void {
  const known = CONFIG_KEYS.map((key) => key.variable)
  for (const name of Object.keys(env).sort()) {
    if (!name.startsWith('FILEFLOW_') || name.startsWith(TEST_VARIABLE) || OTHER_VARIABLES.has(name) || known.includes(name)) continue
    faults.push(`${name}: unknown variable; ${guess(name, known)}every key of config.example.yaml has one, as FILEFLOW_SECTION_KEY`)
  }
}

function guess(typed: string, known: readonly string[]): string {
  const near = nearest(typed, known)
  return near ? `did you mean ${near}? ` : ''
}

function placeOfKey(name: string, sources: Readonly<Record<string, Source>>, yaml: YamlFile | undefined): string {
  const key = CONFIG_KEYS.find((one) => one.name === name)!
  if (sources[name] === 'environment') return key.variable
  return yaml ? `${yaml.place(key.path)} ${name}` : name
}

function warningsOf(config: Config, sources: Readonly<Record<string, Source>>): string[] {
  const warnings: string[] = []
  if (sources.data_dir !== 'default' && sources.storage_root === 'default') {
    warnings.push(`data_dir is set but storage_root is not: partner files go to ${config.storage_root}`)
  }
  if (config.admin.enabled && config.admin.tls.cert === null && !['127.0.0.1', '::1', 'localhost'].includes(config.admin.host)) {
    warnings.push(
      `admin.host is ${config.admin.host} without admin.tls: passwords of admins cross the network in clear unless a proxy adds TLS`,
    )
  }
  return warnings
}

function freeze<T>(tree: T): T {
  if (tree !== null && typeof tree === 'object') {
    for (const inner of Object.values(tree)) freeze(inner)
    Object.freeze(tree)
  }
  return tree
}
