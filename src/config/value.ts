// One configuration value: whether it fits its key, what would, and what it becomes once loaded.
// Must not know where the value came from; load.ts names the file, line or variable.
import { isIP, isIPv4 } from 'node:net'
import { resolve } from 'node:path'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { globMatcher } from '../core/glob.ts'
import { isNetwork } from '../core/network.ts'
import { formatDuration, parseDuration } from '../core/units.ts'
import type { ConfigKey, KeySchema } from './keys.ts'
import type { Holds } from './schema.ts'

const shown = (value: unknown): string =>
  value !== null && typeof value === 'object' ? '' : ` (it is ${JSON.stringify(value)?.slice(0, 80)})`

/** What is wrong with the value for this key, in words; undefined when nothing is. */
export function faultOf(key: ConfigKey, value: unknown): string | undefined {
  const { schema } = key
  if (schema.holds === 'duration') return durationFault(schema, value)
  if (!Compile(schema as TSchema).Check(value)) return `allowed: ${allowed(schema)}${shown(value)}`
  if (schema.holds === undefined || value === null) return undefined
  const test = TEXT_FAULTS[schema.holds]
  for (const text of Array.isArray(value) ? value : [value]) {
    const fault = test(text as string)
    if (fault) return `${fault} (it is ${JSON.stringify(text).slice(0, 80)})`
  }
  return undefined
}

function durationFault(schema: KeySchema, value: unknown): string | undefined {
  const ms = typeof value === 'string' || typeof value === 'number' ? parseDuration(value) : undefined
  if (ms === undefined) return `allowed: ${allowed(schema)}${shown(value)}`
  const least = parseDuration(schema.least!)!
  const most = parseDuration(schema.most!)!
  return ms < least || ms > most ? `allowed: ${schema.least} to ${formatDuration(most)}${shown(value)}` : undefined
}

/** What a key takes, in words. */
function allowed(schema: KeySchema): string {
  if (schema.holds === 'duration') return 'a duration such as 5s, 10m, 24h, 400d'
  if (schema.enum) return schema.enum.join(', ')
  if (schema.anyOf) return schema.anyOf.map(allowed).join(', or ')
  if (schema.const !== undefined) return String(schema.const)
  if (schema.type === 'integer') return `a whole number from ${schema.minimum} to ${schema.maximum}`
  if (schema.type === 'number') return `a number from ${schema.minimum} to ${schema.maximum}`
  if (schema.type === 'boolean') return 'true, false'
  if (schema.type === 'array') return 'a list of texts'
  return schema.type === 'null' ? 'null' : 'a text'
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i
/** Four dotted numbers that are no address are a typing error, not a name. */
const LIKE_IPV4 = /^[\d.]+$/
const isHostName = (text: string): boolean => HOST_NAME.test(text) && !LIKE_IPV4.test(text)

/** The two ends of `30000-30099`; undefined when it is no range of ports. */
export function parsePortRange(text: string): { first: number; last: number } | undefined {
  const found = /^(\d{1,5})-(\d{1,5})$/.exec(text)
  if (!found) return undefined
  const [first, last] = [Number(found[1]), Number(found[2])]
  return first >= 1 && last <= 65535 && first <= last ? { first, last } : undefined
}

function patternFault(text: string): string | undefined {
  try {
    globMatcher(text)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

const TEXT_FAULTS = {
  duration: () => undefined,
  path: (text) => (text.includes('\0') ? 'allowed: a path without NUL' : undefined),
  host: (text) => (isIP(text) !== 0 || isHostName(text) ? undefined : 'allowed: an IP address or a host name'),
  network: (text) => (isNetwork(text) ? undefined : 'allowed: an address or a network such as 203.0.113.0/24'),
  pattern: patternFault,
  'public-address': (text) => (isIPv4(text) || isHostName(text) ? undefined : 'allowed: auto, an IPv4 address or a host name'),
  'port-range': (text) => (parsePortRange(text) ? undefined : 'allowed: first-last, from 1 to 65535, the first not above the last'),
} as const satisfies Record<Holds, (text: string) => string | undefined>

/** The value as the program uses it: durations in ms, paths absolute (relative ones seen from `folder`). Only for values without a fault. */
export function loadedValue(key: ConfigKey, value: unknown, folder: string): unknown {
  if (key.schema.holds === 'duration') return parseDuration(value as string | number)
  if (key.schema.holds === 'path') {
    if (value === null) return null
    return Array.isArray(value) ? value.map((path) => resolve(folder, path as string)) : resolve(folder, value as string)
  }
  return Array.isArray(value) ? [...value] : value
}

const WORDS_FOR_TRUE = ['true', 'yes', 'on', '1']
const WORDS_FOR_FALSE = ['false', 'no', 'off', '0']

/** The text of an environment variable as the value its key would have in the file; lists are separated by commas. */
export function valueOfText(schema: KeySchema, text: string): unknown {
  const trimmed = text.trim()
  if (schema.anyOf?.some((one) => one.type === 'null') && ['', 'null'].includes(trimmed)) return null
  if (schema.type === 'array') return trimmed === '' ? [] : trimmed.split(',').map((part) => part.trim())
  if (schema.type === 'boolean') {
    const word = trimmed.toLowerCase()
    return WORDS_FOR_TRUE.includes(word) ? true : WORDS_FOR_FALSE.includes(word) ? false : text
  }
  const numeric = [schema, ...(schema.anyOf ?? [])].some((one) => one.type === 'integer' || one.type === 'number')
  return numeric && /^-?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : trimmed
}
