// Who may come in: one answer for unknown user, wrong credential, disabled, expired, wrong protocol or address, at one cost.
// Must not log or audit what was typed as a password.
import type { Clock } from '../core/clock.ts'
import { networkMatcher } from '../core/network.ts'
import type { Peer } from '../core/transfer.ts'
import { expiryOf, PROTOCOLS, type Principal, type UserSpec } from '../core/user.ts'
import type { UserRow } from '../store/accounts.ts'
import type { Store } from '../store/store.ts'
import { verifyPassword } from './passwords.ts'
import { holdsKey } from './public-keys.ts'
import { specOf } from './users.ts'

export type Secret =
  /** `keyProven`: a key of the same user was proven before, on the same connection. */
  | { readonly kind: 'password'; readonly password: string; readonly keyProven?: true }
  | { readonly kind: 'publickey'; readonly blob: Uint8Array }
  | { readonly kind: 'certificate'; readonly fingerprint: string }

/** For the audit log only; the client hears one answer. */
export type Refusal =
  | 'unknown user'
  | 'wrong password'
  | 'unknown key'
  | 'disabled'
  | 'expired'
  | 'protocol not allowed'
  | 'address not allowed'
  | 'TLS required'
  | 'method not allowed'

export interface Authenticator {
  check(username: string, secret: Secret, peer: Peer, secure: boolean): Promise<Principal | Refusal>
  /** The account's conditions without a credential; asked again when the session opens. */
  standing(username: string, peer: Peer): Principal | Refusal
  /** Whether the user must have TLS here. Unknown users: the default. */
  requiresTls(username: string): boolean
}

export function createAuthenticator(store: Store, principalOf: (spec: UserSpec) => Principal, clock: Clock): Authenticator {
  const rows = store.accounts.users

  const conditions = (row: UserRow, spec: UserSpec, peer: Peer): Refusal | null => {
    if (row.enabled !== 1) return 'disabled'
    const expires = expiryOf(spec)
    if (expires !== null && expires <= clock.now()) return 'expired'
    if (!(spec.protocols ?? PROTOCOLS).includes(peer.protocol)) return 'protocol not allowed'
    if (spec.allowed_ips && spec.allowed_ips.length > 0 && !networkMatcher(spec.allowed_ips)(peer.address)) return 'address not allowed'
    return null
  }

  /** Asked last: who has a right credential of the wrong kind hears what a wrong one hears. */
  const methodFits = ({ ssh_auth = 'any' }: UserSpec, secret: Secret, { protocol }: Peer): boolean => {
    if (protocol !== 'sftp' || ssh_auth === 'any') return true
    if (secret.kind === 'publickey') return ssh_auth !== 'password'
    return ssh_auth === 'password' || (ssh_auth === 'key+password' && secret.kind === 'password' && secret.keyProven === true)
  }

  const credentialFits = async (row: UserRow | undefined, spec: UserSpec | undefined, secret: Secret): Promise<boolean> => {
    if (secret.kind === 'publickey') return holdsKey(spec?.public_keys ?? [], secret.blob)
    if (secret.kind === 'certificate')
      return (spec?.certificates ?? []).some((one) => one.toUpperCase() === secret.fingerprint.toUpperCase())
    return verifyPassword(secret.password, row?.password_hash ?? null)
  }

  return {
    async check(username, secret, peer, secure) {
      const row = rows.get(username)
      const spec = row && specOf(row)
      // the hash is computed before anything else is looked at, so that every refusal takes as long
      const fits = await credentialFits(row, spec, secret)
      if (!row || !spec) return 'unknown user'
      if (!fits) return secret.kind === 'password' ? 'wrong password' : 'unknown key'
      if (!secure && (spec.require_tls ?? true)) return 'TLS required'
      return conditions(row, spec, peer) ?? (methodFits(spec, secret, peer) ? principalOf(spec) : 'method not allowed')
    },
    standing(username, peer) {
      const row = rows.get(username)
      if (!row) return 'unknown user'
      const spec = specOf(row)
      return conditions(row, spec, peer) ?? principalOf(spec)
    },
    requiresTls(username) {
      const row = rows.get(username)
      return row ? (specOf(row).require_tls ?? true) : true
    },
  }
}
