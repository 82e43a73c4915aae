// A log line in its finished form: safe fields, stable names, text for people.
// Must not let a password, key or token out, nor control characters reach a terminal.
import type { LogLevel, LogLine } from '../core/log.ts'
import type { LogView } from '../core/views.ts'
import { visible } from '../core/visible-text.ts'

const SECRET = /password|passwd|passphrase|secret|token|privatekey|authorization|cookie|credential/
const isSecretName = (name: string): boolean => SECRET.test(name.toLowerCase().replace(/[-_]/g, ''))
const HIDDEN = '[hidden]'

const STABLE_NAMES = new Set(['time', 'level', 'service', 'event', 'msg', 'message'])
const LONGEST_TEXT = 8192
const DEEPEST = 5
const MOST_ENTRIES = 100

/** The line as it is kept, shown and written. A field that takes a stable name gets an underscore. */
export function finishedLine(line: LogLine, now: number): LogView {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(plainRecord(line.fields, 0))) fields[STABLE_NAMES.has(name) ? `${name}_` : name] = value
  const { level, service, event } = line
  return { time: new Date(now).toISOString(), level, service, event, message: shortened(line.message), ...fields }
}

function plainRecord(record: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(record).slice(0, MOST_ENTRIES)
  return Object.fromEntries(entries.map(([name, value]) => [name, hides(name, value) ? HIDDEN : plain(value, depth)]))
}

/** A flag that a secret exists may be told, the secret not. */
const hides = (name: string, value: unknown): boolean =>
  isSecretName(name) && value !== undefined && value !== null && typeof value !== 'boolean'

/** A value that JSON can hold, bounded in depth and length, whatever it was. */
function plain(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return shortened(value)
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return value
  if (typeof value !== 'object') return value === undefined ? undefined : String(value)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (value instanceof Error) return shortened(value.message)
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (depth >= DEEPEST) return '[…]'
  return Array.isArray(value) ? value.slice(0, MOST_ENTRIES).map((one) => plain(one, depth + 1)) : plainRecord(value, depth + 1)
}

const shortened = (text: string): string => (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text)

const COLOUR = { debug: '\u001b[2m', info: '\u001b[32m', warn: '\u001b[33m', error: '\u001b[31m' } as const satisfies Record<
  LogLevel,
  string
>
const PLAIN = '\u001b[0m'
/** The line for a person at a terminal; a stack keeps its lines. Names of files come from strangers and must not steer a terminal. */
export function readableLine(line: LogView): string {
  const { time, level, service, event, message, stack, ...fields } = line
  const words = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const head = `${COLOUR[level]}${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)}${PLAIN} ${visible(`${service} ${event}: ${message} ${words.join(' ')}`.trimEnd())}`
  const tail = typeof stack === 'string' ? stack.split('\n').map((one) => `\n    ${visible(one)}`) : []
  return `${head}${tail.join('')}\n`
}
