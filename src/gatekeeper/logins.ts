// Who may try, and who is who: every refused login is counted, logged and in the audit trail.
// Must not open a session, nor tell a refused client more than that it was refused.
import type { Refusal } from '../accounts/authenticator.ts'
import { FEW, GUESSES, NOBODY, ONE, type Room } from '../accounts/refusals.ts'
import { ERRORS } from '../core/errors.ts'
import { errorFields } from '../core/log.ts'
import type { Peer } from '../core/transfer.ts'
import type { Principal } from '../core/user.ts'
import type { GatekeeperOptions } from './control-side.ts'
import type { Admission, Gatekeeper, LoginAttempt } from './messages.ts'
import type { WaitingRoom } from './waiting-room.ts'

const refused = (code: 'auth.banned' | 'limit.sessions' | 'auth.tls_required', message: string = ERRORS[code].text): Admission => ({
  allowed: false,
  code,
  message,
})

/** Why somebody is not even asked for a credential; ms. */
interface TurnedAway {
  readonly reason: 'denied' | 'banned' | 'too many sessions' | 'too many connections'
  readonly until: number | null
  /** What the client hears, when the usual words say too little. */
  readonly text?: string
}

interface RefusedLogin {
  readonly peer: Peer
  readonly username: string
  readonly reason: Refusal | 'too many sessions'
  readonly method: string
  /** It brought a ban. */
  readonly banned?: true
}

export function createLogins(
  { log, guard, refusals, authenticator }: Pick<GatekeeperOptions, 'log' | 'guard' | 'refusals' | 'authenticator'>,
  waiting: WaitingRoom,
): Pick<Gatekeeper, 'mayTry' | 'authenticate' | 'droppedUnheard'> & {
  /** What no ban puts an end to: a few in full, the rest as a number. */
  record(refused: RefusedLogin, room?: Room): Promise<void>
  /** @param username when the client has said it */
  turnAway(peer: Peer, why: TurnedAway, username?: string): Admission
} {
  const actorOf = (username: string): string => `user:${username.slice(0, 64).toWellFormed()}`
  const record = ({ peer, username, ...detail }: RefusedLogin, room: Room = FEW): Promise<void> =>
    refusals.add({ action: 'login', actor: actorOf(username), address: peer.address, object: peer.protocol, detail }, room)
  const failed = (error: unknown): void => log.error('gatekeeper.failed', 'A refused login could not be recorded.', errorFields(error))
  /** It may come in yet, by another key or over TLS: told once it went without. */
  const later = (refused: RefusedLogin): void =>
    waiting.tried(refused.peer, () => {
      record(refused).catch(failed)
    })
  const turnAway = ({ protocol, address }: Peer, { reason, until, text }: TurnedAway, username?: string): Admission => {
    const actor = username === undefined ? NOBODY : actorOf(username)
    refusals.note({ action: 'login', actor, address, object: protocol, detail: { reason } }, ONE, until)
    return refused(reason === 'denied' || reason === 'banned' ? 'auth.banned' : 'limit.sessions', text)
  }

  return {
    record,
    turnAway,
    droppedUnheard: (peer) => void turnAway(peer, { reason: 'too many connections', until: null }),
    async mayTry(peer, username, secure): Promise<Admission> {
      const refusal = guard.refusal(peer.address)
      if (refusal) return turnAway(peer, refusal, username)
      if (secure || !authenticator.requiresTls(username)) return { allowed: true }
      later({ peer, username, reason: 'TLS required', method: 'none' })
      return refused('auth.tls_required')
    },

    async authenticate(attempt: LoginAttempt): Promise<Principal | null> {
      const { peer, username, credential, secure } = attempt
      const shut = guard.refusal(peer.address)
      if (shut) {
        turnAway(peer, shut, username)
        return null
      }
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
      await record({ ...refusal, ...(banned ? { banned } : {}) }, GUESSES)
      return null
    },
  }
}
