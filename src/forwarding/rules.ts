// Rules as verbs, and the rule book that says which finished file goes where.
// Must not deliver: what a file owes is written by queue.ts.
import type { Clock } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import { createRemovals } from '../core/removals.ts'
import { type Candidate, type CompiledRule, compileRule, DEFAULT_REMOTE_PATH, type RuleSpec, watchedFolder } from '../core/rule.ts'
import { changedKeys, type Plan, patched } from '../core/state-file.ts'
import { checkRemotePath } from '../core/template.ts'
import type { Actor, Page, PageRequest, Patch, RuleView } from '../core/views.ts'
import type { RuleRow } from '../store/routing.ts'
import type { Store } from '../store/store.ts'

export interface RulesOptions {
  readonly store: Store
  readonly clock: Clock
  readonly hasDestination: (name: string) => boolean
  /** `uploads.exclude` */
  readonly exclude: readonly string[]
  /** @throws FileFlowError `request.invalid` for a folder that must not be watched, or would be delivered into */
  readonly checkWatch?: (folder: string, destinations: readonly string[]) => void
  /** Called right before rules become others: what was answered for until now is owed by those that are. */
  readonly beforeChange?: () => void
  /** The rules are others now. */
  readonly changed?: () => void
}

/** A folder on the server that rules watch. */
export interface Watch {
  readonly folder: string
  /** By some rule that is not disabled. */
  readonly enabled: boolean
  readonly baseline: 'skip' | 'send' | undefined
}

export interface Match {
  readonly rule: RuleSpec
  readonly rest: string
}

export type Rules = ReturnType<typeof createRules>

const specOf = (row: RuleRow): RuleSpec => ({
  name: row.name,
  enabled: row.enabled === 1,
  ...(JSON.parse(row.spec_json) as Omit<RuleSpec, 'name'>),
})

export function createRules({
  store,
  clock,
  hasDestination,
  exclude,
  checkWatch = () => {},
  beforeChange = () => {},
  changed = () => {},
}: RulesOptions) {
  const rows = store.routing.rules
  const removals = createRemovals<RuleRow>('rule', clock)
  let excluded = exclude
  let book: CompiledRule[] = []
  const reload = (exclusions = excluded): void => {
    book = rows.all().map((row) => compileRule(specOf(row), exclusions))
    excluded = exclusions
  }
  reload()
  const reloaded = async (): Promise<void> => {
    reload()
    changed()
  }

  const find = (name: string): RuleRow => {
    const row = rows.get(name)
    if (!row) throw new FileFlowError('resource.not_found', `There is no rule ${name}.`)
    return row
  }

  const view = (row: RuleRow): RuleView => ({
    ...specOf(row),
    enabled: row.enabled === 1,
    created_at: new Date(row.created_at).toISOString(),
    updated_at: new Date(row.updated_at).toISOString(),
  })

  const audit = (actor: Actor, action: string, name: string, detail: Record<string, unknown> = {}): void =>
    store.audit.append({
      at: clock.now(),
      actor: actor.name,
      address: actor.address,
      action: `rule.${action}`,
      object: name,
      outcome: 'ok',
      detail,
    })

  /** @param coming destinations that the same transaction makes */
  function plan(actor: Actor, spec: RuleSpec, position: number | null, coming: ReadonlySet<string> = new Set()): Plan {
    compileRule(spec, excluded)
    for (const { path } of spec.deliver) checkRemotePath(path ?? DEFAULT_REMOTE_PATH, `rule ${spec.name}: `)
    if (spec.source.watch !== undefined)
      checkWatch(
        watchedFolder(spec.source.watch),
        spec.deliver.map(({ to }) => to),
      )
    for (const { to } of spec.deliver) {
      if (!hasDestination(to) && !coming.has(to))
        throw new FileFlowError('request.invalid', `rule ${spec.name}: there is no destination ${to}`)
    }
    const before = rows.get(spec.name)
    const { name, enabled = true, ...rest } = spec
    const keys = before ? changedKeys(specOf(before), { name, enabled, ...rest }) : Object.keys(rest).sort()
    if (before && position !== null && before.position !== position) keys.push('position')
    const change = !before ? 'create' : keys.length === 0 ? 'same' : 'update'
    return {
      change: { kind: 'rule', name, change, keys },
      commit() {
        if (change === 'same') return
        rows.put({ name, enabled: enabled ? 1 : 0, spec_json: JSON.stringify(rest), position }, clock.now())
        audit(actor, change, name, { keys })
      },
      effect: reloaded,
    }
  }

  function planRemoval(actor: Actor, name: string): Plan {
    let row = find(name)
    return {
      change: { kind: 'rule', name, change: 'remove', keys: [] },
      commit() {
        row = rows.get(name) ?? row
        rows.remove(name)
        audit(actor, 'remove', name)
      },
      async effect() {
        removals.keep(actor, name, row)
        await reloaded()
      },
    }
  }

  const carryOut = async (work: Plan): Promise<void> => {
    beforeChange()
    store.group.now(() => work.commit())
    await work.effect()
  }

  return {
    beforeChange,
    plan,
    planRemoval,
    list({ limit = 50, cursor = '', q }: PageRequest): Page<RuleView> {
      // `7:invoices`: the place and the name of the last one shown
      const [, position = '-1', after = ''] = /^(\d{1,15}):(.*)$/.exec(cursor) ?? []
      const found = rows.list({ position: Number(position), after, limit: limit + 1, q })
      const last = found[limit - 1]
      return { items: found.slice(0, limit).map(view), next: found.length > limit && last ? `${last.position}:${last.name}` : null }
    },
    get: (name: string): RuleView => view(find(name)),
    all: (): RuleSpec[] =>
      rows.all().map((row) => ({
        name: row.name,
        ...(row.enabled === 1 ? {} : { enabled: false }),
        ...(JSON.parse(row.spec_json) as Omit<RuleSpec, 'name'>),
      })),
    /** By the rows: a transaction that takes rules away may take their destinations, too. */
    usedBy: (destination: string): string[] =>
      rows
        .all()
        .map(specOf)
        .filter((spec) => spec.deliver.some(({ to }) => to === destination))
        .map((spec) => spec.name),
    /** The rules that take this file, in order. */
    matching: (candidate: Candidate): Match[] =>
      book.flatMap((rule) => {
        const result = rule.match(candidate)
        return result.matched ? [{ rule: rule.spec, rest: result.rest }] : []
      }),
    setExclude(next: readonly string[]): void {
      beforeChange()
      reload(next)
      changed()
    },
    /** Each watched folder once, also those of disabled rules; of several baselines the first one counts. */
    watches(): Watch[] {
      const found = new Map<string, Watch>()
      for (const { spec } of book) {
        if (spec.source.watch === undefined) continue
        const folder = watchedFolder(spec.source.watch)
        const known = found.get(folder)
        found.set(folder, {
          folder,
          enabled: known?.enabled === true || spec.enabled !== false,
          baseline: known?.baseline ?? spec.source.baseline,
        })
      }
      return [...found.values()]
    },
    /** The live rules, or these, ready to be asked. @throws FileFlowError `request.invalid`, `template.invalid` */
    compiled: (specs?: readonly RuleSpec[]): readonly CompiledRule[] => specs?.map((spec) => compileRule(spec, excluded)) ?? book,
    /** The order in which they are asked, and so in which a file's deliveries are written. @throws FileFlowError `request.invalid` unless each is named once */
    async order(actor: Actor, names: readonly string[]): Promise<void> {
      const present = rows.all().map(({ name }) => name)
      const named = new Set(names)
      if (named.size !== names.length || present.length !== names.length || present.some((name) => !named.has(name))) {
        throw new FileFlowError('request.invalid', `names: each of the ${present.length} rules once`)
      }
      store.group.now(() => {
        for (const [at, name] of names.entries()) rows.place(name, at + 1)
        audit(actor, 'order', '*', { names: [...names] })
      })
      reload()
    },
    /** Whose uploads any rule may want: users by name, or all. What nobody wants need not be kept for it. */
    askers(): 'all' | readonly string[] {
      const asked = book.map(({ spec }) => spec).filter(({ enabled, source }) => enabled !== false && source.watch === undefined)
      if (asked.some(({ source }) => (source.users ?? []).length === 0)) return 'all'
      return [...new Set(asked.flatMap(({ source }) => source.users ?? []))]
    },
    async create(actor: Actor, spec: RuleSpec): Promise<RuleView> {
      if (rows.get(spec.name)) throw new FileFlowError('resource.exists', `There is a rule ${spec.name} already.`)
      await carryOut(plan(actor, spec, null))
      return view(find(spec.name))
    },
    async update(actor: Actor, name: string, patch: Patch<RuleSpec>): Promise<RuleView> {
      await carryOut(plan(actor, { ...patched(specOf(find(name)), patch), name }, null))
      return view(find(name))
    },
    async remove(actor: Actor, name: string): Promise<void> {
      await carryOut(planRemoval(actor, name))
    },
    /** Takes a removal back: the rule as it was, in its place. @throws FileFlowError `resource.not_found`, `resource.exists`, `request.invalid` when a destination of it is gone */
    async restore(actor: Actor, name: string): Promise<RuleView> {
      const { row, at } = removals.get(name)
      plan(actor, specOf(row), null)
      beforeChange()
      store.group.now(() => {
        if (rows.get(name)) throw new FileFlowError('resource.exists', `There is a rule ${name} already.`)
        rows.restore({ ...row, updated_at: clock.now() })
        audit(actor, 'restore', name, { removed_at: new Date(at).toISOString() })
      })
      removals.forget(name)
      await reloaded()
      return view(find(name))
    },
    removed: removals.list,
    async setEnabled(actor: Actor, name: string, enabled: boolean): Promise<RuleView> {
      await carryOut(plan(actor, { ...specOf(find(name)), enabled }, null))
      return view(find(name))
    },
  }
}
