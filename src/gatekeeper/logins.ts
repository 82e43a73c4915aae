// Who may try, and who is who: every refused login is counted, logged and in the audit trail.
// Must not open a session, nor tell a refused client more than that it was refused.
import type { Refusal } from '../accounts/authenticator.ts'
import { ERRORS } from '../core/errors.ts'
import { errorFields } from '../core/log.ts'
import type { Peer } from '../core/transfer.ts'
import type { Principal } from '../core/user.ts'
import type { GatekeeperOptions } from './control-side.ts'
import type { Admission, Gatekeeper, LoginAttempt } from './messages.ts'
import type { WaitingRoom } from './waiting-room.ts'

export const refused = (
  code: 'auth.banned' | 'limit.sessions' | 'auth.tls_required' | 'permission.denied',
  message: string = ERRORS[code].text,
): Admission => ({ allowed: false, code, message })

interface RefusedLogin {
  readonly peer: Peer
  readonly username: string
  readonly reason: Refusal | 'too many sessions'
  readonly method: string
  /** It brought a ban. */
  readonly banned?: true
}

export function createLogins(
  { store, clock, log, guard, authenticator }: Pick<GatekeeperOptions, 'store' | 'clock' | 'log' | 'guard' | 'authenticator'>,
  waiting: WaitingRoom,
): Pick<Gatekeeper, 'mayTry' | 'authenticate'> & { record(refused: RefusedLogin): Promise<void> } {
  const { audit, group } = store
  const record = ({ peer, username, ...detail }: RefusedLogin): Promise<void> =>
    group.run(
      () =>
        audit.append({
          at: clock.now(),
          actor: `user:${username.slice(0, 64).toWellFormed()}`,
          address: peer.address,
          action: 'login',
          object: peer.protocol,
          outcome: 'refused',
          detail,
        }),
      false,
    )
  /** It may come in yet, by another key or over TLS: told once it went without. */
  const later = (refused: RefusedLogin): void =>
    waiting.tried(refused.peer, () => {
      record(refused).catch((error: unknown) =>
        log.error('gatekeeper.failed', 'A refused login could not be recorded.', errorFields(error)),
      )
    })

  return {
    record,
    async mayTry(peer, username, secure): Promise<Admission> {
      if (guard.refusal(peer.address)) return refused('auth.banned')
      if (secure || !authenticator.requiresTls(username)) return { allowed: true }
      later({ peer, username, reason: 'TLS required', method: 'none' })
      return refused('auth.tls_required')
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
      const refusal = { peer, username, reason: result, method: credential.kind }
      if (credential.kind !== 'password' && (result === 'unknown key' || result === 'unknown user' || result === 'method not allowed')) {
        later(refusal)
        return null
      }
      const banned = guard.failed(peer.address)
      log.info('login.refused', 'A login was refused.', {
        user: username.slice(0, 64).toWellFormed(),
        address: peer.address,
        protocol: peer.protocol,
        reason: result,
      })
      if (banned) log.warn('login.banned', 'An address failed too often and is banned for a while.', { address: peer.address })
      await record({ ...refusal, ...(banned ? { banned } : {}) })
      return null
    },
  }
}
