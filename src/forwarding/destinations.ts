// Destinations as verbs: check, write the row with its secrets sealed, audit, and tell the forwarder to forget old connections.
// Must not show a secret to anyone but the forwarder.
import type { Clock } from '../core/clock.ts'
import { type DestinationSpec, SECRET_KEYS } from '../core/destination.ts'
import { checkDestination, DEFAULT_PORT, normalDestination } from '../core/destination-check.ts'
import { FileFlowError } from '../core/errors.ts'
import { createRemovals } from '../core/removals.ts'
import { changedKeys, type Plan, patched } from '../core/state-file.ts'
import { checkTemplate } from '../core/template.ts'
import type { Actor, DestinationView, Page, PageRequest, Patch } from '../core/views.ts'
import type { DestinationRow } from '../store/routing.ts'
import type { Store } from '../store/store.ts'

export interface DestinationsOptions {
  readonly store: Store
  readonly clock: Clock
  /** The forwarder closes its connections to it, and takes it up anew. */
  readonly changed: (name: string) => void
  /** Names of the rules that deliver to it. */
  readonly usedBy: (name: string) => string[]
}

export type Destinations = ReturnType<typeof createDestinations>

export function createDestinations({ store, clock, changed, usedBy }: DestinationsOptions) {
  const rows = store.routing.destinations
  const removals = createRemovals<DestinationRow>('destination', clock)

  const find = (name: string): DestinationRow => {
    const row = rows.get(name)
    if (!row) throw new FileFlowError('resource.not_found', `There is no destination ${name}.`)
    return row
  }

  const context = (name: string): string => `destination ${name}`

  /** With its secrets: for the forwarder, and for laying patches over. */
  const whole = (row: DestinationRow): DestinationSpec => ({
    name: row.name,
    enabled: row.enabled === 1,
    ...(JSON.parse(row.spec_json) as Omit<DestinationSpec, 'name'>),
    ...(row.secrets ? (store.secrets.open(row.secrets, context(row.name)) as object) : {}),
  })

  const split = (spec: DestinationSpec) => {
    const { name, enabled = true, ...rest } = spec
    const open: Record<string, unknown> = {}
    const secret: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(rest)) ((SECRET_KEYS as readonly string[]).includes(key) ? secret : open)[key] = value
    return { name, enabled, open, secret }
  }

  const view = (row: DestinationRow): DestinationView => {
    const spec = whole(row)
    const { open } = split(spec)
    return {
      name: row.name,
      ...(open as Omit<DestinationSpec, 'name'>),
      port: spec.port ?? DEFAULT_PORT[spec.type],
      enabled: row.enabled === 1,
      has_password: spec.password !== undefined,
      has_private_key: spec.private_key !== undefined,
      used_by: usedBy(row.name),
      created_at: new Date(row.created_at).toISOString(),
      updated_at: new Date(row.updated_at).toISOString(),
    }
  }

  const audit = (actor: Actor, action: string, name: string, detail: Record<string, unknown> = {}): void =>
    store.audit.append({
      at: clock.now(),
      actor: actor.name,
      address: actor.address,
      action: `destination.${action}`,
      object: name,
      outcome: 'ok',
      detail,
    })

  /** The declaration as it shall be. A declaration without secrets keeps those on record (`keepSecrets`). */
  function plan(actor: Actor, declared: DestinationSpec, keepSecrets: boolean): Plan {
    const before = rows.get(declared.name)
    const old = before && whole(before)
    const kept =
      old && keepSecrets && SECRET_KEYS.every((key) => declared[key] === undefined)
        ? Object.fromEntries(Object.entries(split(old).secret))
        : {}
    const spec = normalDestination({ ...declared, ...kept } as DestinationSpec)
    checkDestination(spec)
    if (spec.temp_name) checkTemplate(spec.temp_name, `destination ${spec.name}: temp_name: `)
    const { name, enabled, open, secret } = split(spec)
    const keys = old ? changedKeys(old, { ...spec, enabled }) : Object.keys(open).sort()
    const change = !before ? 'create' : keys.length === 0 ? 'same' : 'update'
    return {
      change: { kind: 'destination', name, change, keys },
      commit() {
        if (change === 'same') return
        const secrets = Object.keys(secret).length > 0 ? store.secrets.seal(secret, context(name)) : null
        rows.put({ name, enabled: enabled ? 1 : 0, spec_json: JSON.stringify(open), secrets }, clock.now())
        audit(actor, change, name, { keys })
      },
      async effect() {
        if (change !== 'same') changed(name)
      },
    }
  }

  function planRemoval(actor: Actor, name: string): Plan {
    let row = find(name)
    return {
      change: { kind: 'destination', name, change: 'remove', keys: [] },
      commit() {
        row = rows.get(name) ?? row
        const users = usedBy(name)
        if (users.length > 0) throw new FileFlowError('resource.in_use', `Rules deliver to ${name}: ${users.join(', ')}.`)
        const waiting = store.deliveries.countWaitingFor(name)
        if (waiting > 0) throw new FileFlowError('resource.in_use', `${waiting} deliveries still wait for ${name}. Cancel them first.`)
        rows.remove(name)
        audit(actor, 'remove', name)
      },
      async effect() {
        removals.keep(actor, name, row)
        changed(name)
      },
    }
  }

  const carryOut = async (work: Plan): Promise<void> => {
    store.group.now(() => work.commit())
    await work.effect()
  }

  return {
    plan: (actor: Actor, spec: DestinationSpec) => plan(actor, spec, true),
    planRemoval,
    list({ limit = 50, cursor = '', q }: PageRequest): Page<DestinationView> {
      const found = rows.list({ after: cursor, limit: limit + 1, q })
      return { items: found.slice(0, limit).map(view), next: found.length > limit ? found[limit - 1]!.name : null }
    },
    get: (name: string): DestinationView => view(find(name)),
    /** Without secrets. */
    all: (): DestinationSpec[] =>
      rows.all().map((row) => ({
        name: row.name,
        ...(row.enabled === 1 ? {} : { enabled: false }),
        ...(JSON.parse(row.spec_json) as Omit<DestinationSpec, 'name'>),
      })),
    names: (): string[] =>
      rows
        .all()
        .filter((row) => row.enabled === 1)
        .map((row) => row.name),
    /** With its secrets, for the forwarder alone. */
    secretSpec: (name: string): DestinationSpec => whole(find(name)),
    /** Asked for every upload: opens no secret, and so cannot fail for one. */
    tempNameOf(name: string): string | undefined {
      const row = rows.get(name)
      return row && (JSON.parse(row.spec_json) as DestinationSpec).temp_name
    },
    has: (name: string): boolean => rows.get(name) !== undefined,
    async create(actor: Actor, spec: DestinationSpec): Promise<DestinationView> {
      if (rows.get(spec.name)) throw new FileFlowError('resource.exists', `There is a destination ${spec.name} already.`)
      await carryOut(plan(actor, spec, false))
      return view(find(spec.name))
    },
    async update(actor: Actor, name: string, patch: Patch<DestinationSpec>): Promise<DestinationView> {
      await carryOut(plan(actor, patched(whole(find(name)), patch), false))
      return view(find(name))
    },
    async remove(actor: Actor, name: string): Promise<void> {
      await carryOut(planRemoval(actor, name))
    },
    /** Takes a removal back: the destination as it was, with its secrets. @throws FileFlowError `resource.not_found`, `resource.exists` */
    async restore(actor: Actor, name: string): Promise<DestinationView> {
      const { row, at } = removals.get(name)
      store.group.now(() => {
        if (rows.get(name)) throw new FileFlowError('resource.exists', `There is a destination ${name} already.`)
        rows.restore({ ...row, updated_at: clock.now() })
        audit(actor, 'restore', name, { removed_at: new Date(at).toISOString() })
      })
      removals.forget(name)
      changed(name)
      return view(find(name))
    },
    removed: removals.list,
    async setEnabled(actor: Actor, name: string, enabled: boolean): Promise<DestinationView> {
      await carryOut(plan(actor, { ...whole(find(name)), enabled }, false))
      return view(find(name))
    },
  }
}
