// A client whose connection hung comes back by a new one: sessions of one user are told of the uploads that hang in each other, and one is ended when a client goes on with it.
// Must not end what still moves.
import { setTimeout as sleep } from 'node:timers/promises'
import type { LiveSession, LiveSessions, RunningTransfer } from '../accounts/live-sessions.ts'
import type { Clock } from '../core/clock.ts'
import type { HangingUpload } from '../core/transfer.ts'
import { isWithin, type VirtualPath } from '../core/virtual-path.ts'

/** No byte for so long (progress is told once a second): the upload hangs. */
const SILENT_MS = 5000
/** In which its worker has kept what came. */
const END_MS = 5000
const LOOK_MS = 10

export interface HangingUploads {
  /** Those that a session has to know of as it begins. */
  of(session: LiveSession): readonly HangingUpload[]
  /** Tells each session what changed since it was told last. To be called about once a second. */
  look(): void
  /** Ends what hangs under that name in another session of the user: when this resolves its bytes are the user's partial. */
  end(session: LiveSession, path: VirtualPath): Promise<void>
  /** Whether an upload that does not hang is on its way into that folder or below it, in any session with the same home. */
  isUploadedInto(session: LiveSession, folder: VirtualPath): boolean
}

export function createHangingUploads(live: LiveSessions, clock: Clock): HangingUploads {
  /** Session → the uploads that it knows of. */
  let told = new Map<string, string>()

  const hangs = ({ direction, progressed, at }: RunningTransfer): boolean =>
    direction === 'upload' && progressed && clock.now() - at >= SILENT_MS

  const byUser = (): Map<string, { sessionId: string; upload: HangingUpload }[]> => {
    const found = new Map<string, { sessionId: string; upload: HangingUpload }[]>()
    for (const { id: sessionId, principal, transfers } of live.all())
      for (const transfer of transfers.values()) {
        if (!hangs(transfer)) continue
        const ofUser = found.get(principal.username) ?? []
        found.set(principal.username, ofUser)
        ofUser.push({ sessionId, upload: { transferId: transfer.id, path: transfer.exactPath } })
      }
    return found
  }

  const elsewhere = (session: LiveSession, all: ReturnType<typeof byUser>): HangingUpload[] =>
    (all.get(session.principal.username) ?? []).filter(({ sessionId }) => sessionId !== session.id).map(({ upload }) => upload)

  const keyOf = (uploads: readonly HangingUpload[]): string => uploads.map(({ transferId, path }) => `${transferId} ${path}`).join()

  return {
    of(session) {
      const uploads = elsewhere(session, byUser())
      told.set(session.id, keyOf(uploads))
      return uploads
    },
    look() {
      const all = byUser()
      const now = new Map<string, string>()
      for (const session of live.all()) {
        const before = told.get(session.id) ?? ''
        if (before === '' && !all.has(session.principal.username)) continue
        const uploads = elsewhere(session, all)
        const key = keyOf(uploads)
        if (key !== '') now.set(session.id, key)
        if (key !== before) session.owner.hanging(session.id, uploads)
      }
      told = now
    },
    async end(session, path) {
      for (const other of live.all()) {
        if (other.id === session.id || other.principal.username !== session.principal.username) continue
        for (const transfer of other.transfers.values()) {
          if (transfer.exactPath !== path || !hangs(transfer)) continue
          other.owner.abandon(other.id, transfer.id)
          for (let waited = 0; other.transfers.has(transfer.id) && waited < END_MS; waited += LOOK_MS) await sleep(LOOK_MS)
        }
      }
    },
    isUploadedInto({ principal }, folder) {
      for (const other of live.all()) {
        if (other.principal.home !== principal.home) continue
        for (const { direction, exactPath, at } of other.transfers.values())
          if (direction === 'upload' && exactPath !== folder && isWithin(exactPath, folder) && clock.now() - at < SILENT_MS) return true
      }
      return false
    },
  }
}
