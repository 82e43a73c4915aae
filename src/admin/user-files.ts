// "Delete all files of a user", with its audit row and its effect on the quota.
// Must not touch what belongs to another user, too.
import type { LiveSessions } from '../accounts/live-sessions.ts'
import { isInsideFolder, type Users } from '../accounts/users.ts'
import type { Clock } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { Actor } from '../core/views.ts'
import { type Cleared, clearHome } from '../files/clear-home.ts'
import { prepareHome } from '../files/homes.ts'
import { type Vaults, vaultsOf } from '../files/vaults.ts'
import type { Store } from '../store/store.ts'

export interface UserFilesOptions {
  readonly store: Store
  readonly clock: Clock
  readonly live: LiveSessions
  readonly users: Users
  readonly vaults: Vaults
}

/** @throws FileFlowError `resource.not_found`; `state.conflict` when another user's home lies in it */
export function createUserFiles({ store, clock, live, users, vaults }: UserFilesOptions) {
  return async (actor: Actor, username: string): Promise<Cleared> => {
    const view = users.get(username)
    const all = users.principals()
    const principal = all.find((one) => one.username === username)!
    const inside = all.find((one) => one !== principal && isInsideFolder(one.home, principal.home))
    if (inside) throw new FileFlowError('state.conflict', `The home of ${inside.username} lies in it: its files would go, too.`)
    const [vault] = vaultsOf(vaults, [{ home: principal.home, mounts: [] }])
    if (!vault) throw new FileFlowError('state.conflict', `The home of ${username} cannot be entered.`)
    live.revokeUser(username, { code: 'session.revoked', message: 'An administrator deletes the files of this account.' })
    const cleared = await clearHome(principal.home, vault.root)
    await prepareHome(principal, view.directories, vaults.storageRoot)
    store.group.now(() => {
      store.accounts.users.addUsage(username, -cleared.bytes, -cleared.files)
      store.audit.append({
        at: clock.now(),
        actor: actor.name,
        address: actor.address,
        action: 'user.files_delete',
        object: username,
        outcome: 'ok',
        detail: { ...cleared },
      })
    })
    return cleared
  }
}
