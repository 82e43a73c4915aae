// Who is connected now, and the way to tell each session's worker something. The row says what was; this says what is.
// Must not decide who may come in.
import type { ErrorRecord } from '../core/errors.ts'
import { type Direction, type HangingUpload, type NewTransfer, type Peer, sizeOrNull } from '../core/transfer.ts'
import type { Principal } from '../core/user.ts'
import { toDisplay, type VirtualPath } from '../core/virtual-path.ts'

/** The worker that holds a session. */
export interface SessionOwner {
  revoked(sessionId: string, reason: ErrorRecord): void
  principalChanged(sessionId: string, principal: Principal): void
  /** Ends one upload; its bytes are kept as a partial. */
  abandon(sessionId: string, transferId: string): void
  /** All uploads that hang in other sessions of its user. */
  hanging(sessionId: string, uploads: readonly HangingUpload[]): void
}

export interface RunningTransfer {
  readonly id: string
  readonly direction: Direction
  /** For screens; `exactPath` also for names that are not UTF-8. An upload may be renamed while it runs. */
  path: string
  exactPath: VirtualPath
  bytes: number
  /** Progress was told: there are bytes that could be gone on from. Until then it may be an empty file, or a copy of what is published. */
  progressed: boolean
  /** Bytes in the end, where the client announced it or the file has it; null is not known. Not believed for anything but screens. */
  readonly total: number | null
  /** Bytes a second, over the last reports; {@link rateNow} knows whether it still holds. */
  rate: number
  at: number
}

export const runningTransfer = ({ id, direction, path, offset, expected }: NewTransfer, at: number): RunningTransfer => ({
  id,
  direction,
  path: toDisplay(path),
  exactPath: path,
  bytes: direction === 'upload' ? offset : 0,
  progressed: false,
  total: sizeOrNull(expected),
  rate: 0,
  at,
})

/** How much a new measurement counts: one report a second makes a rate that follows, and a time left that does not jump about. */
const NEWEST = 0.3
/** Reports come once a second while bytes move: after that long without one, none do. */
const STILL_MS = 4000

/** Bytes so far, as a worker reports them; the rate follows. */
export function noteProgress(transfer: RunningTransfer, bytes: number, now: number): void {
  if (now > transfer.at) {
    const measured = Math.max(0, ((bytes - transfer.bytes) * 1000) / (now - transfer.at))
    transfer.rate = Math.round(transfer.rate === 0 ? measured : transfer.rate * (1 - NEWEST) + measured * NEWEST)
  }
  transfer.at = now
  transfer.progressed = true
}

/** Bytes a second; 0 for one that stands still. */
export const rateNow = ({ rate, at }: RunningTransfer, now: number): number => (now - at > STILL_MS ? 0 : rate)

export interface LiveSession {
  readonly id: string
  readonly principal: Principal
  readonly peer: Peer
  readonly method: string
  readonly client: string
  readonly startedAt: number
  readonly owner: SessionOwner
  readonly transfers: Map<string, RunningTransfer>
  /** The command in flight; null while it waits for one, or when its protocol has none. */
  doing: string | null
  /** Set once it has to end: from then on nothing of it is taken any more, whatever its worker has under way. */
  readonly fate: { revoked: boolean }
}

export interface LiveSessions {
  add(session: LiveSession): void
  remove(id: string): LiveSession | undefined
  get(id: string): LiveSession | undefined
  all(): Iterable<LiveSession>
  count(): number
  countOfUser(username: string): number
  countFrom(address: string): number
  /** Bytes so far of uploads that run in the user's other sessions. */
  uploadingElsewhere(session: LiveSession): number
  ownedBy(owner: SessionOwner): LiveSession[]
  /** Ends every session of the user. @returns how many. */
  revokeUser(username: string, reason: ErrorRecord): number
  revoke(id: string, reason: ErrorRecord): boolean
  updatePrincipal(principal: Principal): void
}

/** How far a transfer is; undefined when it does not run. */
export function progressOf(live: LiveSessions, session: string, id: string, now: number) {
  const transfer = live.get(session)?.transfers.get(id)
  return transfer && { bytes: transfer.bytes, total: transfer.total, rate: rateNow(transfer, now) }
}

export function createLiveSessions(): LiveSessions {
  const sessions = new Map<string, LiveSession>()
  const users = new Map<string, Set<string>>()
  const addresses = new Map<string, number>()
  const ofUser = (username: string): LiveSession[] => [...(users.get(username) ?? [])].map((id) => sessions.get(id)!)
  const end = (session: LiveSession, reason: ErrorRecord): void => {
    session.fate.revoked = true
    session.owner.revoked(session.id, reason)
  }
  return {
    add(session) {
      sessions.set(session.id, session)
      const ids = users.get(session.principal.username) ?? new Set()
      users.set(session.principal.username, ids.add(session.id))
      addresses.set(session.peer.address, (addresses.get(session.peer.address) ?? 0) + 1)
    },
    uploadingElsewhere(session) {
      let bytes = 0
      for (const other of ofUser(session.principal.username))
        if (other !== session) for (const transfer of other.transfers.values()) if (transfer.direction === 'upload') bytes += transfer.bytes
      return bytes
    },
    remove(id) {
      const session = sessions.get(id)
      if (!session) return undefined
      sessions.delete(id)
      const ids = users.get(session.principal.username)
      ids?.delete(id)
      if (ids?.size === 0) users.delete(session.principal.username)
      const left = (addresses.get(session.peer.address) ?? 1) - 1
      if (left === 0) addresses.delete(session.peer.address)
      else addresses.set(session.peer.address, left)
      return session
    },
    get: (id) => sessions.get(id),
    all: () => sessions.values(),
    count: () => sessions.size,
    countOfUser: (username) => users.get(username)?.size ?? 0,
    countFrom: (address) => addresses.get(address) ?? 0,
    ownedBy: (owner) => [...sessions.values()].filter((s) => s.owner === owner),
    revokeUser(username, reason) {
      const live = ofUser(username)
      for (const session of live) end(session, reason)
      return live.length
    },
    revoke(id, reason) {
      const session = sessions.get(id)
      if (session) end(session, reason)
      return session !== undefined
    },
    updatePrincipal(principal) {
      for (const session of ofUser(principal.username)) {
        sessions.set(session.id, { ...session, principal })
        session.owner.principalChanged(session.id, principal)
      }
    },
  }
}
