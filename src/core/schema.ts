// How outside data is described and refused: small schema pieces shared by the state file, the API and the configuration.
// Must not know any one resource.
import Type, { type Static, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { FileFlowError } from './errors.ts'

/** A string out of a fixed list. */
export const oneOf = <const T extends readonly string[]>(values: T, options: Record<string, unknown> = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options })

/** A size in bytes, as a number or as `10GiB`. */
export const Size = Type.Union(
  [Type.Integer({ minimum: 0 }), Type.String({ pattern: '^\\s*\\d+(\\.\\d+)?\\s*([kKmMgGtT]?[iI]?[bB]?)\\s*$' })],
  {
    description: 'bytes: a number, or with a unit (10GiB)',
  },
)

/** Names of accounts, rules and destinations: what is safe in a URL, a log line and a file name. */
export const ResourceName = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$',
  description: 'letters, digits and . _ @ + -, at most 64',
})

/** An absolute virtual path as written in rules and permissions. */
export const PathText = Type.String({ pattern: '^/', maxLength: 4096, description: 'a virtual path, beginning with /' })

/** A compiled check of unknown data. */
export interface Checker<T> {
  /** The value, typed. @throws FileFlowError `request.invalid` naming the first wrong key and what is allowed there. */
  parse(value: unknown, what: string): T
  /** Every fault as `key: what is wrong`; empty when there is none. */
  faults(value: unknown): Fault[]
}

export interface Fault {
  /** JSON pointer of the wrong value, `/users/0/home`. */
  readonly pointer: string
  readonly message: string
}

export function checker<S extends TSchema>(schema: S): Checker<Static<S>> {
  const compiled = Compile(schema)
  const faults = (value: unknown): Fault[] => (compiled.Check(value) ? [] : describe(schema, value, compiled.Errors(value)))
  return {
    faults,
    parse(value, what) {
      const [first] = faults(value)
      if (first) {
        const key = first.pointer === '' ? '' : ` ${first.pointer.slice(1).replaceAll('/', '.')}:`
        throw new FileFlowError('request.invalid', `${what}:${key} ${first.message}`)
      }
      return value as Static<S>
    },
  }
}

interface RawError {
  keyword: string
  instancePath: string
  params: Record<string, unknown>
  message: string
}

/** The validator's errors in words a person can act on: one for each place, the most telling first. */
function describe(schema: TSchema, value: unknown, raw: readonly unknown[]): Fault[] {
  const errors = raw as RawError[]
  const found = new Map<string, string>()
  for (const error of errors) {
    if (error.keyword === 'additionalProperties') {
      for (const key of error.params.additionalProperties as string[]) {
        const known = Object.keys((schemaAt(schema, error.instancePath)?.properties as object | undefined) ?? {})
        found.set(`${error.instancePath}/${key}`, `unknown key; known here: ${known.join(', ')}`)
      }
    } else if (error.keyword === 'required') {
      for (const key of error.params.requiredProperties as string[]) {
        if (!found.has(`${error.instancePath}/${key}`)) found.set(`${error.instancePath}/${key}`, 'is missing')
      }
    }
  }
  for (const error of errors) {
    if (['additionalProperties', 'required', 'boolean', 'anyOf', 'const'].includes(error.keyword) && error.keyword !== 'anyOf') continue
    if (found.has(error.instancePath)) continue
    if ([...found.keys()].some((at) => at.startsWith(`${error.instancePath}/`))) continue
    const at = schemaAt(schema, error.instancePath)
    found.set(error.instancePath, wrong(at, error, valueAt(value, error.instancePath)))
  }
  if (found.size === 0) found.set('', errors[0]?.message ?? 'is not valid')
  return [...found].map(([pointer, message]) => ({ pointer, message }))
}

function wrong(at: Record<string, unknown> | undefined, error: RawError, value: unknown): string {
  const allowed = at?.enum ? `allowed: ${(at.enum as string[]).join(', ')}` : (at?.description as string | undefined)
  const range =
    at?.minimum !== undefined || at?.maximum !== undefined ? `a number from ${at?.minimum ?? '-∞'} to ${at?.maximum ?? '∞'}` : undefined
  const shown = value !== null && typeof value === 'object' ? '' : ` (it is ${JSON.stringify(value)?.slice(0, 80)})`
  return `${allowed ?? range ?? error.message}${shown}`
}

type Piece = Record<string, unknown>

function schemaAt(schema: TSchema, pointer: string): Piece | undefined {
  let at = asOne(schema as Piece)
  for (const part of pointer.split('/').slice(1)) {
    const properties = at?.properties as Record<string, Piece> | undefined
    at = asOne(properties?.[part] ?? (at?.items as Piece | undefined))
  }
  return at
}

/** What may stand there beside null; of several kinds of objects, the keys of all. */
function asOne(schema: Piece | undefined): Piece | undefined {
  const kinds = (schema?.anyOf as Piece[] | undefined)?.filter(({ type }) => type !== 'null').map((kind) => asOne(kind)!)
  if (!kinds) return schema
  if (kinds.length === 1) return { ...kinds[0], ...schema }
  const items = kinds.find((kind) => kind.items !== undefined)?.items
  return { ...schema, properties: Object.assign({}, ...kinds.map((kind) => kind.properties)), items }
}

function valueAt(value: unknown, pointer: string): unknown {
  let at = value
  for (const part of pointer.split('/').slice(1))
    at = at !== null && typeof at === 'object' ? (at as Record<string, unknown>)[part] : undefined
  return at
}
