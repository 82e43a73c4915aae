// The control plane's end of the door: answers every question of the listener workers, and writes down what they tell.
// Must not trust a worker's word about another worker's sessions or transfers, nor hand anyone a secret.
import type { Arrivals } from '../accounts/arrivals.ts'
import type { Authenticator } from '../accounts/authenticator.ts'
import { type LiveSession, type LiveSessions, noteProgress, runningTransfer, type SessionOwner } from '../accounts/live-sessions.ts'
import type { LoginGuard } from '../accounts/login-guard.ts'
import type { Refusals } from '../accounts/refusals.ts'
import { type Clock, isId, newId } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Direction, NewTransfer, Peer, TransferEnd, TransferGrant } from '../core/transfer.ts'
import type { JournalDoor, Journals } from '../intake/journal.ts'
import type { Recorder } from '../intake/record-upload.ts'
import { pathColumns } from '../store/row-path.ts'
import type { Store } from '../store/store.ts'
import { endSession } from './end-session.ts'
import type { HangingUploads } from './hanging-uploads.ts'
import { createLogins } from './logins.ts'
import { type Admission, type Gatekeeper, KEY_AND_PASSWORD, type OpenedSession } from './messages.ts'
import { createNotes } from './notes.ts'
import { createOperations } from './operations.ts'
import { createQuotas } from './quota.ts'
import { createRenamedUploads } from './renamed-uploads.ts'
import { createWaitingRoom } from './waiting-room.ts'

export interface GatekeeperOptions {
  readonly store: Store
  readonly clock: Clock
  /** Of the service that the worker belongs to. */
  readonly log: Logger
  readonly authenticator: Authenticator
  readonly guard: LoginGuard
  readonly refusals: Refusals
  readonly live: LiveSessions
  readonly arrivals: Arrivals
  readonly recorder: Recorder
  readonly journals: Journals
  readonly hanging: HangingUploads
  readonly limits: () => { max_sessions: number; max_sessions_per_user: number; max_sessions_per_ip: number }
  /** Told as bytes of partners pass. */
  readonly moved: (direction: Direction, bytes: number) => void
  readonly changed: (
    event: 'session.opened' | 'session.closed' | 'transfer.started' | 'transfer.progress' | 'transfer.ended',
    id: string,
  ) => void
}

const TOO_MANY = {
  inAll: 'Too many sessions on this server.',
  ofAddress: 'Too many sessions from this address.',
  ofUser: 'Too many sessions of this user.',
} as const

/** The gatekeeper as one worker sees it; `owner` is that worker. */
export function createGatekeeper(
  options: GatekeeperOptions,
  owner: SessionOwner,
): {
  gatekeeper: Gatekeeper
  /** Told of the uploads in the worker's journal. */
  journal: JournalDoor
  /** The worker is gone, and all its connections with it. */
  forget(): void
} {
  const { store, clock, log, authenticator, guard, live, arrivals, recorder, journals, hanging, limits, changed, moved } = options
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

  const waiting = createWaitingRoom(arrivals)
  const { record: recordRefused, turnAway, ...logins } = createLogins(options, waiting)

  /** Transfers of this worker that have not ended. */
  const running = new Map<string, LiveSession>()
  /** Its uploads whose end is only likely, until it says more of them. */
  const likely = new Set<string>()
  /** Its renames under way. */
  const renames = new Set<string>()

  /** Uploads that the journal told of before their beginning was heard. */
  const ahead = new Set<string>()

  const close = (sessionId: string, reason: string): void => {
    journals.pull()
    if (live.get(sessionId)?.owner !== owner) return
    live.remove(sessionId)
    endSession(options, sessionId, reason, 'closed')
  }

  const gatekeeper: Gatekeeper = {
    async admit(peer: Peer): Promise<Admission> {
      const refusal = guard.refusal(peer.address)
      if (refusal) return turnAway(peer, refusal)
      const { max_sessions, max_sessions_per_ip } = limits()
      const full = live.count() + arrivals.count() >= max_sessions
      if (full || live.countFrom(peer.address) + arrivals.countFrom(peer.address) >= max_sessions_per_ip)
        return turnAway(peer, { reason: 'too many sessions', until: null, text: full ? TOO_MANY.inAll : TOO_MANY.ofAddress })
      waiting.enter(peer)
      return { allowed: true }
    },

    departed: waiting.leave,

    ...logins,

    async openSession(username, peer, method, client): Promise<OpenedSession> {
      const standing = authenticator.standing(username, peer)
      if (typeof standing === 'string') {
        await recordRefused({ peer, username, reason: standing, method })
        throw new FileFlowError('auth.failed')
      }
      if (peer.protocol === 'sftp' && standing.sshAuth === 'key+password' && method !== KEY_AND_PASSWORD)
        throw new FileFlowError('auth.failed')
      const { max_sessions, max_sessions_per_user, max_sessions_per_ip } = limits()
      const most = Math.min(max_sessions_per_user, standing.limits.sessions ?? Number.POSITIVE_INFINITY)
      const full =
        live.count() >= max_sessions
          ? TOO_MANY.inAll
          : live.countFrom(peer.address) >= max_sessions_per_ip
            ? TOO_MANY.ofAddress
            : live.countOfUser(username) >= most && TOO_MANY.ofUser
      if (full) {
        await recordRefused({ peer, username, reason: 'too many sessions', method })
        throw new FileFlowError('limit.sessions', full)
      }
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
      waiting.enterSession(peer)
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
      return { id, principal: now, peer, hanging: hanging.of(session) }
    },

    closeSession: close,

    async beginTransfer(transfer: NewTransfer): Promise<TransferGrant> {
      const session = sessionOf(transfer.sessionId)
      const { id, direction, offset } = transfer
      if (ahead.delete(id)) return { maxSize: null, maxSizeCode: 'file.too_large' }
      if (!isId(id) || running.has(id)) throw new FileFlowError('request.invalid')
      if (transfer.waits) {
        journals.pull()
        // what the client removed just now is free
        group.flush()
      }
      const at = clock.now()
      const grant =
        direction === 'upload'
          ? quotas.allowance(session.principal, transfer.heldBytes + live.uploadingElsewhere(session), transfer.replaces ?? null)
          : { maxSize: null, maxSizeCode: 'file.too_large' as const }
      // at once: what the worker asks next comes before the row is written
      running.set(id, session)
      session.transfers.set(id, runningTransfer(transfer, at))
      try {
        await group.run(
          () =>
            transfers.begin({
              id,
              session_id: session.id,
              partner: session.principal.partner,
              direction,
              ...pathColumns(transfer.path),
              start_offset: offset,
              started_at: transfer.startedAt ?? at,
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

    published(transferId, replaced): void {
      journals.pull()
      if (!forget(transferId)) return
      note(
        () => recorder.published(transferId, replaced),
        'published',
        (due) => {
          recorder.afterPublished(transferId, due)
          changed('transfer.ended', transferId)
        },
      )
    },

    journaled: journals.poke,

    confirmUpload(transferId, verdict): void {
      journals.pull()
      if (!likely.delete(transferId)) return
      note(() => recorder.confirm(transferId, verdict), 'confirmUpload')
    },

    endTransfer(transferId, end: TransferEnd): void {
      // uploads alone are in journals: the end of a download has nothing to look for there
      if (running.get(transferId)?.transfers.get(transferId)?.direction !== 'download') journals.pull()
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

    async endHanging(sessionId, path) {
      await hanging.end(sessionOf(sessionId), path)
    },

    async isUploadedInto(sessionId, folder) {
      return hanging.isUploadedInto(sessionOf(sessionId), folder)
    },

    async usage(sessionId) {
      return quotas.used(sessionOf(sessionId).principal)
    },

    progress(transferId, bytes): void {
      const transfer = running.get(transferId)?.transfers.get(transferId)
      if (!transfer) return
      noteProgress(transfer, bytes, clock.now())
      count(transferId, bytes)
      changed('transfer.progress', transferId)
    },

    async commitRename(file) {
      const { principal } = sessionOf(file.sessionId)
      journals.pull()
      await recorder.settled()
      const owed = await group.run(() => {
        if (file.adds) quotas.check(principal, file.adds.bytes, file.adds.files)
        return recorder.commitRename(file, principal)
      }, true)
      renames.add(owed.renameId)
      return owed
    },
    async commitRenames(sessionId, files) {
      journals.pull()
      await recorder.settled()
      const owed = await group.run(() => recorder.commitRenames(files, sessionOf(sessionId).principal), true)
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

    ...createOperations(options, owner, note),
    ...createRenamedUploads(options, running),
  }

  return {
    gatekeeper,
    journal: {
      taken({ id, sessionId, size, offset, verdict, begun }) {
        if (verdict.confidence === 'likely') likely.add(id)
        if (running.has(id)) return count(id, size)
        moved('upload', size - offset)
        if (begun) ahead.add(id)
        const session = live.get(sessionId)
        if (session) running.set(id, session)
      },
      published(transferId) {
        forget(transferId)
        changed('transfer.ended', transferId)
      },
    },
    forget: waiting.clear,
  }

  /** @returns whether the transfer was this worker's and had not ended. */
  function forget(transferId: string): boolean {
    running.get(transferId)?.transfers.delete(transferId)
    return running.delete(transferId)
  }
}
