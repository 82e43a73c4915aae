// Uploads that are renamed before they end: their rows, live screens and the user's other sessions go by the new name.
// Must not change what a finished upload is called; intake/record-rename does.
import type { LiveSession } from '../accounts/live-sessions.ts'
import { pathColumns } from '../store/row-path.ts'
import type { GatekeeperOptions } from './control-side.ts'
import type { Gatekeeper } from './messages.ts'

/** @param running the transfers of the worker that asks: of others it knows nothing */
export function createRenamedUploads(
  { store: { transfers, group }, changed }: Pick<GatekeeperOptions, 'store' | 'changed'>,
  running: ReadonlyMap<string, LiveSession>,
): Pick<Gatekeeper, 'uploadsRenamed'> {
  return {
    async uploadsRenamed(transferIds, to) {
      const own = transferIds.flatMap((id) => {
        const transfer = running.get(id)?.transfers.get(id)
        return transfer?.direction === 'upload' ? [transfer] : []
      })
      const name = pathColumns(to)
      const renamed = await group.run(() => own.filter(({ id }) => transfers.renameOpen({ id, ...name })), false)
      for (const transfer of renamed) {
        transfer.path = name.path
        transfer.exactPath = to
        changed('transfer.progress', transfer.id)
      }
    },
  }
}
