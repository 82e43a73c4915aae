// What a user's row says about its logins.
// Must not ask the gateway.
import type { UserView } from '../../../src/core/views.ts'

export interface LoginFrom {
  readonly address: string
  readonly protocol: string
}

/** Where the last login came from; null when there was none. */
export const lastFrom = (user: UserView): LoginFrom | null =>
  (user as UserView & { last_login_from?: LoginFrom | null }).last_login_from ?? null

/** A bare date ends with that day, UTC. */
export function expired({ expires_at }: Pick<UserView, 'expires_at'>): boolean {
  if (expires_at === null) return false
  return Date.parse(expires_at.length === 10 ? `${expires_at}T23:59:59.999Z` : expires_at) < Date.now()
}
