// API tokens: for scripts, with a role and, if wanted, an end.
// Must not keep a token in clear: only its hash is stored.
import { createHash } from 'node:crypto'
import { type Clock, newSecret } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { Actor, Role, TokenView } from '../core/views.ts'
import type { TokenRow } from '../store/admins.ts'
import type { Store } from '../store/store.ts'
import { FEW, NOBODY, type Refusals } from './refusals.ts'

/** The last use is written at most this often. */
const USE_MS = 60_000
/** A screen that lists them all can still be read. */
const MOST = 1000

/** SHA-256 in hex: enough for secrets of 256 random bits. */
export const digest = (secret: string): string => createHash('sha256').update(secret).digest('hex')

const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())

const tokenView = (row: TokenRow): TokenView => ({
  name: row.name,
  role: row.role,
  created_at: iso(row.created_at)!,
  expires_at: iso(row.expires_at),
  last_used_at: iso(row.last_used_at),
})

export function createTokens(store: Store, refusals: Refusals, clock: Clock) {
  const { tokens } = store.accounts
  const audit = (actor: Actor, action: string, object: string, detail: Record<string, unknown> = {}): void =>
    store.audit.append({ at: clock.now(), actor: actor.name, address: actor.address, action, object, outcome: 'ok', detail })
  return {
    list: (): TokenView[] => tokens.list().map(tokenView),
    /** @param expiresAt ms; null: never */
    create(
      actor: Actor,
      { name, role, expiresAt = null }: { name: string; role: Role; expiresAt?: number | null },
    ): TokenView & { token: string } {
      const now = clock.now()
      if (expiresAt !== null && expiresAt <= now) throw new FileFlowError('request.invalid', 'expires_at: is over already')
      const token = `ff_${newSecret(32)}`
      store.group.now(() => {
        if (tokens.byName(name)) throw new FileFlowError('resource.exists', `There is a token ${name} already.`)
        if (tokens.list().length >= MOST)
          throw new FileFlowError('state.conflict', `There are ${MOST} tokens: remove those that nobody uses.`)
        tokens.insert({ name, hash: digest(token), role, created_at: now, expires_at: expiresAt })
        audit(actor, 'token.create', name, { role, expires_at: iso(expiresAt) })
      })
      return { ...tokenView(tokens.byName(name)!), token }
    },
    remove(actor: Actor, name: string): void {
      store.group.now(() => {
        if (!tokens.remove(name)) throw new FileFlowError('resource.not_found', `There is no token ${name}.`)
        audit(actor, 'token.remove', name)
      })
    },
    /**
     * What is refused is in the audit log. It brings no ban, and a ban does not stop a token: nobody guesses 256 random bits, while whoever shares an address with
     * the operator's scripts (a proxy, say) could shut them out.
     */
    byToken(token: string, address: string): { name: string; role: Role } | null {
      const about = { action: 'token.use', address, object: 'token' }
      const row = token.startsWith('ff_') ? tokens.byHash(digest(token)) : undefined
      const now = clock.now()
      if (!row) {
        refusals.note({ ...about, actor: NOBODY, detail: { reason: 'unknown token' } }, FEW)
        return null
      }
      if (row.expires_at !== null && row.expires_at <= now) {
        refusals.note({ ...about, actor: `token:${row.name}`, detail: { reason: 'expired token' } }, FEW)
        return null
      }
      if (row.last_used_at === null || now - row.last_used_at > USE_MS) tokens.used(row.name, now)
      return { name: row.name, role: row.role }
    },
  }
}
