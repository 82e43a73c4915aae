// A rule as a form holds it, and back.
// Must not judge a pattern or template; the gateway does, as one types.
import type { RuleSpec } from '../../../src/core/rule.ts'
import type { Patch, RuleView } from '../../../src/core/views.ts'
import { same } from '../../parts/same.ts'

type Target = RuleSpec['deliver'][number]
export type Conflict = NonNullable<Target['on_conflict']>
export type After = NonNullable<RuleSpec['after']>

export interface RuleDraft {
  readonly name: string
  readonly enabled: boolean
  readonly shadow: boolean
  readonly kind: 'users' | 'watch'
  readonly watch: string
  readonly users: readonly string[]
  readonly path: string
  readonly exclude: readonly string[]
  readonly deliver: readonly { readonly to: string; readonly path: string; readonly on_conflict: Conflict }[]
  readonly after: After
  readonly dedupe: string
}

export const EMPTY_RULE: RuleDraft = {
  name: '',
  enabled: true,
  shadow: false,
  kind: 'users',
  watch: '',
  users: [],
  path: '/**',
  exclude: [],
  deliver: [{ to: '', path: '/{path}', on_conflict: 'overwrite' }],
  after: 'keep',
  dedupe: '',
}

export function toDraft(rule: RuleView): RuleDraft {
  return {
    name: rule.name,
    enabled: rule.enabled,
    shadow: rule.mode === 'shadow',
    kind: rule.source.watch === undefined ? 'users' : 'watch',
    watch: rule.source.watch ?? '',
    users: rule.source.users ?? [],
    path: rule.source.path,
    exclude: rule.exclude ?? [],
    deliver: rule.deliver.map(({ to, path, on_conflict }) => ({ to, path: path ?? '/{path}', on_conflict: on_conflict ?? 'overwrite' })),
    after: rule.after ?? 'keep',
    dedupe: rule.dedupe ?? '',
  }
}

const filled = (lines: readonly string[]): string[] => lines.map((line) => line.trim()).filter((line) => line !== '')

/** What the draft declares; keys at their default are absent. `stored` gives what the form does not show of the source. */
export function toSpec(draft: RuleDraft, stored?: RuleView): RuleSpec {
  const [users, exclude] = [filled(draft.users), filled(draft.exclude)]
  const { users: _users, watch: _watch, path: _path, ...kept } = stored?.source ?? { path: '' }
  return {
    name: draft.name.trim(),
    ...(draft.enabled ? {} : { enabled: false }),
    ...(draft.shadow ? { mode: 'shadow' as const } : {}),
    source: {
      ...(draft.kind === 'watch' ? { ...kept, watch: draft.watch.trim() } : users.length > 0 ? { users } : {}),
      path: draft.path.trim(),
    },
    ...(exclude.length === 0 ? {} : { exclude }),
    deliver: draft.deliver.map(({ to, path, on_conflict }) => ({
      to,
      ...(path.trim() === '' || path.trim() === '/{path}' ? {} : { path: path.trim() }),
      ...(on_conflict === 'overwrite' ? {} : { on_conflict }),
    })),
    ...(draft.after === 'keep' ? {} : { after: draft.after }),
    ...(draft.dedupe.trim() === '' ? {} : { dedupe: draft.dedupe.trim() }),
  }
}

/** What changed, for PATCH: a key that went back to its default is null. */
export function toPatch(before: RuleDraft, after: RuleDraft, stored: RuleView): Patch<RuleSpec> {
  const [from, to] = [toSpec(before, stored), toSpec(after, stored)]
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])] as (keyof RuleSpec)[]
  return Object.fromEntries(keys.filter((key) => key !== 'name' && !same(from[key], to[key])).map((key) => [key, to[key] ?? null]))
}

/** Stands for the destination that is not chosen yet, in a preview. */
export const UNCHOSEN = 'not-chosen-yet'

/** A stored rule as a declaration, to be asked beside a draft. */
export function specOf({ created_at: _created, updated_at: _updated, ...spec }: RuleView): RuleSpec {
  return spec
}
