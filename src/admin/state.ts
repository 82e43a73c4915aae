// The state file against the database: what `apply` would change, done in one transaction, and what `export` prints.
// Must not apply half of a file.

import type { Users } from '../accounts/users.ts'
import { SECRET_KEYS } from '../core/destination.ts'
import { FileFlowError } from '../core/errors.ts'
import { sealWithPassphrase } from '../core/sealed.ts'
import type { Plan, StateFile } from '../core/state-file.ts'
import type { Actor, StateChange } from '../core/views.ts'
import type { Destinations } from '../forwarding/destinations.ts'
import type { Rules } from '../forwarding/rules.ts'
import type { Store } from '../store/store.ts'

export interface StateOptions {
  readonly store: Store
  readonly users: Users
  readonly destinations: Destinations
  readonly rules: Rules
}

export function createState({ store, users, destinations, rules }: StateOptions) {
  const missing = (present: readonly { name: string }[], named: ReadonlySet<string>): string[] =>
    present.map((one) => one.name).filter((name) => !named.has(name))

  async function plans(actor: Actor, state: StateFile, prune: boolean): Promise<Plan[]> {
    const named = {
      users: uniqueNames(
        (state.users ?? []).map((u) => u.username),
        'user',
      ),
      destinations: uniqueNames(
        (state.destinations ?? []).map((d) => d.name),
        'destination',
      ),
      rules: uniqueNames(
        (state.rules ?? []).map((r) => r.name),
        'rule',
      ),
    }
    // in the order in which the rows depend on each other; what goes, goes in the opposite one
    const result: Plan[] = []
    for (const user of state.users ?? []) result.push(await users.plan(actor, user))
    for (const destination of state.destinations ?? []) result.push(destinations.plan(actor, destination))
    for (const [at, rule] of (state.rules ?? []).entries()) result.push(rules.plan(actor, rule, prune ? at + 1 : null, named.destinations))
    if (prune) {
      for (const name of missing(rules.all(), named.rules)) result.push(rules.planRemoval(actor, name))
      for (const name of missing(destinations.all(), named.destinations)) result.push(destinations.planRemoval(actor, name))
      for (const name of missing(
        users.all().map((u) => ({ name: u.username })),
        named.users,
      ))
        result.push(users.planRemoval(actor, name))
    }
    return result
  }

  return {
    /** With the secrets of destinations sealed under the passphrase. */
    async exportSealed(passphrase: string): Promise<StateFile> {
      const secrets: Record<string, Record<string, string>> = {}
      for (const { name } of destinations.all()) {
        const spec = destinations.secretSpec(name)
        const own = SECRET_KEYS.flatMap((key) => (spec[key] === undefined ? [] : [[key, spec[key]] as const]))
        if (own.length > 0) secrets[name] = Object.fromEntries(own)
      }
      return { ...this.export(), secrets: await sealWithPassphrase({ destinations: secrets }, passphrase) }
    },
    export: (): StateFile => ({ users: users.all(), destinations: destinations.all(), rules: rules.all() }),
    async apply(actor: Actor, state: StateFile, { dryRun, prune }: { dryRun: boolean; prune: boolean }): Promise<readonly StateChange[]> {
      if (state.secrets !== undefined) {
        throw new FileFlowError('request.invalid', 'secrets: are sealed; the command `fileflow apply` opens them with their passphrase')
      }
      const work = await plans(actor, state, prune)
      if (!dryRun) {
        for (const plan of work) await plan.prepare?.()
        rules.beforeChange()
        store.group.now(() => {
          for (const plan of work) plan.commit()
        })
        // the rows stand: one effect that fails must not keep the others from happening
        const failed = (await Promise.allSettled(work.map((plan) => plan.effect()))).find((result) => result.status === 'rejected')
        if (failed) throw failed.reason
      }
      return work.map((plan) => plan.change)
    },
  }
}

function uniqueNames(names: readonly string[], kind: string): ReadonlySet<string> {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) throw new FileFlowError('request.invalid', `${kind} ${name} is declared twice`)
    seen.add(name)
  }
  return seen
}
