// The state file: users, destinations and rules as text that `apply` makes true and `export` prints.
// Must not know how they are stored.
import { isDeepStrictEqual } from 'node:util'
import Type, { type Static } from 'typebox'
import { DestinationSpec } from './destination.ts'
import { RuleSpec } from './rule.ts'
import { checker } from './schema.ts'
import { SEALED_PATTERN } from './sealed.ts'
import { UserSpec } from './user.ts'
import type { Patch, StateChange } from './views.ts'

export const StateFile = Type.Object(
  {
    users: Type.Optional(Type.Array(UserSpec, { maxItems: 100_000 })),
    destinations: Type.Optional(Type.Array(DestinationSpec, { maxItems: 10_000 })),
    rules: Type.Optional(Type.Array(RuleSpec, { maxItems: 10_000 })),
    secrets: Type.Optional(
      Type.String({
        pattern: SEALED_PATTERN,
        maxLength: 16 * 2 ** 20,
        description: 'secrets sealed by export --with-secrets; apply opens them',
      }),
    ),
  },
  { additionalProperties: false },
)
export type StateFile = Static<typeof StateFile>

export const stateFileChecker = checker(StateFile)

/** A checked change that is not made yet: many commit in one transaction, then each has its live effect. */
export interface Plan {
  readonly change: StateChange
  /** What can fail outside the database, before anything is written; harmless when it is all that happens. */
  prepare?(): Promise<void>
  /** Writes the rows; runs inside a transaction. */
  commit(): void
  /** After the commit: sessions, rule book, connectors. */
  effect(): Promise<void>
}

/** The keys in which two declarations differ. */
export function changedKeys(before: object, after: object): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => !isDeepStrictEqual(before[key as never], after[key as never]))
    .sort()
}

/** A declaration with a patch laid over it; null removes a key. */
export function patched<T extends object>(spec: T, patch: Patch<T>): T {
  const result = { ...spec } as Record<string, unknown>
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else if (value !== undefined) result[key] = value
  }
  return result as T
}
