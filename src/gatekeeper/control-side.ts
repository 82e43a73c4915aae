// The control plane's end of the door: answers every question of the listener workers, and writes down what they tell.
// Must not trust a worker's word about another worker's sessions or transfers, nor hand anyone a secret.
import type { Arrivals } from '../accounts/arrivals.ts'
import type { Authenticator, Refusal } from '../accounts/authenticator.ts'
import type { LiveSession, LiveSessions, SessionOwner } from '../accounts/live-sessions.ts'
import type { LoginGuard } from '../accounts/login-guard.ts'
import { type Clock, isId, newId } from '../core/clock.ts'
import { ERRORS, FileFlowError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import {
  type Direction,
  type NewTransfer,
  type Operation,
  type Peer,
  sizeOrNull,
  type TransferEnd,
  type TransferGrant,
} from '../core/transfer.ts'
import type { Principal } from '../core/user.ts'
import { toDisplay } from '../core/virtual-path.ts'
import { exactBytes, type Recorder } from '../intake/record-upload.ts'
import type { Store } from '../store/store.ts'
import { endSession } from './end-session.ts'
import { type Admission, type Gatekeeper, KEY_AND_PASSWORD, type LoginAttempt, type OpenedSession } from './messages.ts'
import { createNotes } from './notes.ts'
import { createQuotas } from './quota.ts'

export interface GatekeeperOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly authenticator: Authenticator
  readonly guard: LoginGuard
  readonly live: LiveSessions
  readonly arrivals: Arrivals
  readonly recorder: Recorder
  readonly limits: () => { max_sessions: number; max_sessions_per_user: number; max_sessions_per_ip: number }
  /** Told as bytes of partners pass. */
  readonly moved: (direction: Direction, bytes: number) => void
  readonly changed: (
    event: 'session.opened' | 'session.closed' | 'transfer.started' | 'transfer.progress' | 'transfer.ended',
    id: string,
  ) => void
}

const refused = (
  code: 'auth.banned' | 'limit.sessions' | 'auth.tls_required' | 'permission.denied',
  message: string = ERRORS[code].text,
): Admission => ({ allowed: false, code, message })

/** The gatekeeper as one worker sees it; `owner` is that worker. */
export function createGatekeeper(
  options: GatekeeperOptions,
  owner: SessionOwner,
): { gatekeeper: Gatekeeper /** The worker is gone, and all its connections with it. */; forget(): void } {
  const { store, clock, log, authenticator, guard, live, arrivals, recorder, limits, changed, moved } = options
  const { transfers, audit, accounts, group } = store
  const quotas = createQuotas(store)
  const note = createNotes(group, log)

  /** @param bytes so far, of the whole transfer */
  const count = (transferId: string, bytes: number): void => {
    const transfer = running.get(transferId)?.transfers.get(transferId)
    if (!transfer) return
    moved(transfer.direction, bytes - transfer.bytes)
    transfer.bytes = bytes
  }

  const sessionOf = (id: string) => {
    const session = live.get(id)
    if (session?.owner !== owner || session.fate.revoked) throw new FileFlowError('session.revoked')
    return session
  }

  /** Connections that are let in but not logged in, by where they come from. */
  const waiting = new Map<string, string>()
  const placeOf = (peer: Peer): string => `${peer.address}|${peer.port}|${peer.localPort}`
  const depart = (place: string): void => {
    const address = waiting.get(place)
    if (address === undefined) return
    waiting.delete(place)
    arrivals.leave(address)
  }

  /** Transfers of this worker that have not ended. */
  const running = new Map<string, LiveSession>()
  /** Its uploads whose end is only likely, until it says more of them. */
  const likely = new Set<string>()
  /** Its renames under way. */
  const renames = new Set<string>()

  const close = (sessionId: string, reason: string): void => {
    if (live.get(sessionId)?.owner !== owner) return
    live.remove(sessionId)
    endSession(options, sessionId, reason, 'closed')
  }

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

  const gatekeeper: Gatekeeper = {
    async admit(peer: Peer): Promise<Admission> {
      if (guard.refusal(peer.address)) return refused('auth.banned')
      const { max_sessions, max_sessions_per_ip } = limits()
      const full = live.count() + arrivals.count() >= max_sessions
      if (full || live.countFrom(peer.address) + arrivals.countFrom(peer.address) >= max_sessions_per_ip) return refused('limit.sessions')
      const place = placeOf(peer)
      depart(place)
      waiting.set(place, peer.address)
      arrivals.enter(peer.address)
      return { allowed: true }
    },

    departed: (peer) => depart(placeOf(peer)),

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

    async openSession(username, peer, method, client): Promise<OpenedSession> {
      const standing = authenticator.standing(username, peer)
      if (typeof standing === 'string') throw new FileFlowError('auth.failed')
      if (peer.protocol === 'sftp' && standing.sshAuth === 'key+password' && method !== KEY_AND_PASSWORD)
        throw new FileFlowError('auth.failed')
      const { max_sessions, max_sessions_per_user, max_sessions_per_ip } = limits()
      const most = Math.min(max_sessions_per_user, standing.limits.sessions ?? Number.POSITIVE_INFINITY)
      if (live.count() >= max_sessions || live.countFrom(peer.address) >= max_sessions_per_ip || live.countOfUser(username) >= most)
        throw new FileFlowError('limit.sessions')
      const at = clock.now()
      const id = newId(at)
      const session = {
        id,
        principal: standing,
        peer,
        method,
        client: client.slice(0, 200).toWellFormed(),
        startedAt: at,
        owner,
        transfers: new Map(),
        doing: null,
        fate: { revoked: false },
      }
      live.add(session)
      depart(placeOf(peer))
      try {
        await group.run(() => {
          transfers.openSession({
            id,
            username,
            protocol: peer.protocol,
            address: peer.address,
            port: peer.port,
            method,
            client: session.client,
            started_at: at,
          })
          accounts.users.loggedIn(username, at, peer)
          audit.append({
            at,
            actor: `user:${username}`,
            address: peer.address,
            action: 'login',
            object: peer.protocol,
            outcome: 'ok',
            detail: { session: id, method },
          })
        }, false)
      } catch (error) {
        live.remove(id)
        throw error
      }
      changed('session.opened', id)
      log.info('session.opened', 'A partner logged in.', {
        session: id,
        user: username,
        protocol: peer.protocol,
        address: peer.address,
        method,
      })
      // the account may have been changed while the row was written: the click wins
      const now = authenticator.standing(username, peer)
      if (typeof now === 'string' || session.fate.revoked) {
        close(id, 'The account was changed during the login.')
        throw new FileFlowError('auth.failed')
      }
      return { id, principal: now }
    },

    closeSession: close,

    async beginTransfer(transfer: NewTransfer): Promise<TransferGrant> {
      const session = sessionOf(transfer.sessionId)
      const { id, direction, offset } = transfer
      if (!isId(id) || running.has(id)) throw new FileFlowError('request.invalid')
      const at = clock.now()
      const grant =
        direction === 'upload'
          ? quotas.allowance(session.principal, transfer.heldBytes + live.uploadingElsewhere(session))
          : { maxSize: null, maxSizeCode: 'file.too_large' as const }
      const path = toDisplay(transfer.path)
      // at once: what the worker asks next comes before the row is written
      running.set(id, session)
      const bytes = direction === 'upload' ? offset : 0
      session.transfers.set(id, { id, direction, path, bytes, total: sizeOrNull(transfer.expected), rate: 0, at })
      try {
        await group.run(
          () =>
            transfers.begin({
              id,
              session_id: session.id,
              partner: session.principal.partner,
              direction,
              path,
              path_bytes: exactBytes(transfer.path),
              start_offset: offset,
              started_at: at,
            }),
          false,
        )
      } catch (error) {
        forget(id)
        throw error
      }
      changed('transfer.started', id)
      return grant
    },

    commitUpload(upload) {
      const session = running.get(upload.transferId)
      if (!session || session.fate.revoked) throw new FileFlowError('session.revoked')
      if (upload.verdict.confidence === 'likely') likely.add(upload.transferId)
      count(upload.transferId, upload.size)
      return group.run(() => {
        quotas.check(
          live.get(session.id)?.principal ?? session.principal,
          upload.size - (upload.replaced ?? 0),
          upload.replaced === null ? 1 : 0,
        )
        return recorder.commit(upload, session.peer.address)
      }, true)
    },

    activity(sessionId, doing): void {
      const session = live.get(sessionId)
      if (session?.owner === owner) session.doing = doing === null ? null : String(doing).slice(0, 16)
    },

    published(transferId): void {
      if (!forget(transferId)) return
      note(
        () => recorder.published(transferId),
        'published',
        (due) => {
          recorder.afterPublished(transferId, due)
          changed('transfer.ended', transferId)
        },
      )
    },

    confirmUpload(transferId, verdict): void {
      if (!likely.delete(transferId)) return
      note(() => recorder.confirm(transferId, verdict), 'confirmUpload')
    },

    endTransfer(transferId, end: TransferEnd): void {
      count(transferId, end.bytes)
      if (!forget(transferId)) return
      likely.delete(transferId)
      note(
        () => {
          if (end.state === 'aborted') recorder.abort(transferId, end.bytes, end.error)
          else {
            const row = transfers.get(transferId)
            if (row && transfers.complete(transferId, clock.now(), end.bytes, end.sha256 ?? null)) {
              audit.append({
                at: clock.now(),
                actor: `user:${row.username}`,
                address: row.address,
                action: row.direction,
                object: row.path,
                outcome: 'ok',
                detail: { transfer: row.id, bytes: end.bytes },
              })
            }
          }
        },
        'endTransfer',
        () => changed('transfer.ended', transferId),
      )
    },

    async usage(sessionId) {
      return quotas.used(sessionOf(sessionId).principal)
    },

    progress(transferId, bytes): void {
      const transfer = running.get(transferId)?.transfers.get(transferId)
      if (!transfer) return
      const now = clock.now()
      transfer.rate = now > transfer.at ? Math.max(0, Math.round(((bytes - transfer.bytes) * 1000) / (now - transfer.at))) : transfer.rate
      count(transferId, bytes)
      transfer.at = now
      changed('transfer.progress', transferId)
    },

    async commitRename(file) {
      const { principal } = sessionOf(file.sessionId)
      await recorder.settled()
      const owed = await group.run(() => {
        if (file.adds) quotas.check(principal, file.adds.bytes, file.adds.files)
        return recorder.commitRename(file, principal.username)
      }, true)
      renames.add(owed.renameId)
      return owed
    },
    async commitRenames(sessionId, files) {
      await recorder.settled()
      const owed = await group.run(() => recorder.commitRenames(files, sessionOf(sessionId).principal.username), true)
      for (const each of owed) if (each) renames.add(each.renameId)
      return owed
    },

    renamed(renameId, done): void {
      if (!renames.delete(renameId)) return
      note(
        () => recorder.renamed(renameId, done),
        'renamed',
        () => recorder.kick(),
      )
    },

    operation(operation: Operation): void {
      const session = live.get(operation.sessionId)
      if (session?.owner !== owner) return
      const { username } = session.principal
      note(() => {
        if (operation.bytes !== undefined || operation.files !== undefined)
          accounts.users.addUsage(username, operation.bytes ?? 0, operation.files ?? 0)
        audit.append({
          at: clock.now(),
          actor: `user:${username}`,
          address: session.peer.address,
          action: `file.${operation.action}`,
          object: toDisplay(operation.path),
          outcome: 'ok',
          detail: { session: session.id, ...(operation.to ? { to: toDisplay(operation.to) } : {}) },
        })
      }, 'operation')
    },
  }

  return {
    gatekeeper,
    forget() {
      for (const place of [...waiting.keys()]) depart(place)
    },
  }

  /** @returns whether the transfer was this worker's and had not ended. */
  function forget(transferId: string): boolean {
    running.get(transferId)?.transfers.delete(transferId)
    return running.delete(transferId)
  }
}
