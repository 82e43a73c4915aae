// What a user's row says about its logins.
// Must not ask the gateway.
import type { UserView } from '../../../src/core/views.ts'

/** A bare date ends with that day, UTC. */
export function expired({ expires_at }: Pick<UserView, 'expires_at'>): boolean {
  if (expires_at === null) return false
  return Date.parse(expires_at.length === 10 ? `${expires_at}T23:59:59.999Z` : expires_at) < Date.now()
}
