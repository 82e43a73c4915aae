// Who may try, and who is who: every refused login is counted, logged and in the audit trail.
// Must not open a session, nor tell a refused client more than that it was refused.
import type { Refusal } from '../accounts/authenticator.ts'
import { ERRORS } from '../core/errors.ts'
import type { Principal } from '../core/user.ts'
import type { GatekeeperOptions } from './control-side.ts'
import type { Admission, Gatekeeper, LoginAttempt } from './messages.ts'

export const refused = (
  code: 'auth.banned' | 'limit.sessions' | 'auth.tls_required' | 'permission.denied',
  message: string = ERRORS[code].text,
): Admission => ({ allowed: false, code, message })

export function createLogins({
  store,
  clock,
  log,
  guard,
  authenticator,
}: Pick<GatekeeperOptions, 'store' | 'clock' | 'log' | 'guard' | 'authenticator'>): Pick<Gatekeeper, 'mayTry' | 'authenticate'> {
  const { audit, group } = store
  const auditLogin = (attempt: LoginAttempt, refusal: Refusal | 'banned', banned: boolean): void =>
    audit.append({
      at: clock.now(),
      actor: `user:${attempt.username.slice(0, 64).toWellFormed()}`,
      address: attempt.peer.address,
      action: 'login',
      object: attempt.peer.protocol,
      outcome: 'refused',
      detail: { reason: refusal, method: attempt.credential.kind, ...(banned ? { banned } : {}) },
    })

  return {
    async mayTry(peer, username, secure): Promise<Admission> {
      if (guard.refusal(peer.address)) return refused('auth.banned')
      return !secure && authenticator.requiresTls(username) ? refused('auth.tls_required') : { allowed: true }
    },

    async authenticate(attempt: LoginAttempt): Promise<Principal | null> {
      const { peer, username, credential, secure } = attempt
      if (guard.refusal(peer.address)) return null
      const asking = credential.kind === 'publickey' && !credential.proven
      const result = await authenticator.check(username, credential, peer, secure)
      if (typeof result !== 'string') {
        // one half of a login is no success yet
        const half = credential.kind === 'publickey' && result.sshAuth === 'key+password'
        if (!asking && !half) guard.succeeded(peer.address)
        return result
      }
      // an offered key or certificate that is not the user's is no guess: clients try all they have
      if (credential.kind !== 'password' && (result === 'unknown key' || result === 'unknown user' || result === 'method not allowed'))
        return null
      const refusal = result
      const banned = guard.failed(peer.address)
      log.info('login.refused', 'A login was refused.', {
        user: username.slice(0, 64).toWellFormed(),
        address: peer.address,
        protocol: peer.protocol,
        reason: refusal,
      })
      if (banned) log.warn('login.banned', 'An address failed too often and is banned for a while.', { address: peer.address })
      await group.run(() => auditLogin(attempt, refusal, banned), false)
      return null
    },
  }
}
