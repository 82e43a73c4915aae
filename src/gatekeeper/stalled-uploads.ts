// A client whose connection hung comes back by a new one: the upload that still waits in the old session is found, and ended when the client goes on with it.
// Must not end what still moves.
import { setTimeout as sleep } from 'node:timers/promises'
import type { LiveSession, LiveSessions } from '../accounts/live-sessions.ts'
import type { Clock } from '../core/clock.ts'
import { toDisplay, type VirtualPath } from '../core/virtual-path.ts'

/** No byte for so long (progress is told once a second): the upload hangs. */
const SILENT_MS = 5000
/** In which its worker has kept what came. */
const END_MS = 5000
const LOOK_MS = 10

/** Bytes of an upload to that name which hangs in another session of the same user; null: there is none. With `end` it has ended when this resolves. */
export async function stalledUpload(
  live: LiveSessions,
  clock: Clock,
  session: LiveSession,
  path: VirtualPath,
  end: boolean,
): Promise<number | null> {
  const shown = toDisplay(path)
  for (const other of live.all()) {
    if (other.id === session.id || other.principal.username !== session.principal.username) continue
    for (const transfer of other.transfers.values()) {
      if (transfer.direction !== 'upload' || transfer.path !== shown || clock.now() - transfer.at < SILENT_MS) continue
      const { bytes, id } = transfer
      if (!end) return bytes
      other.owner.abandon(other.id, id)
      for (let waited = 0; other.transfers.has(id) && waited < END_MS; waited += LOOK_MS) await sleep(LOOK_MS)
      return bytes
    }
  }
  return null
}
