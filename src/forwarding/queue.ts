// The delivery queue: what a finished file owes becomes rows, inside the transaction that records the file.
// Must not send; the dispatcher claims from here.
import { newId } from '../core/clock.ts'
import { DEFAULT_TEMP_NAME } from '../core/destination.ts'
import { type ErrorRecord, FileFlowError } from '../core/errors.ts'
import { DEFAULT_REMOTE_PATH } from '../core/rule.ts'
import { renderName, renderPath, type TemplateValues } from '../core/template.ts'
import { parseDuration } from '../core/units.ts'
import { toDisplay, type VirtualPath } from '../core/virtual-path.ts'
import type { Store } from '../store/store.ts'
import type { Match } from './rules.ts'

/** A whole file under its final name, with what templates may ask of it. */
export interface CompletedFile {
  readonly transferId: string
  readonly user: string
  readonly partner: string
  readonly path: VirtualPath
  readonly size: number
  readonly sha256: string
  /** ms */
  readonly at: number
  readonly counter: number
}

export interface DeliveryQueue {
  /** Joins the caller's transaction; held until {@link release}. A second call for the same file and name adds nothing. @returns how many were added that can be sent */
  enqueue(file: CompletedFile, matches: readonly Match[]): number
  /** The file is published: its deliveries may start at `at`. @returns how many they are */
  release(transferId: string, at: number): number
}

export function createDeliveryQueue(store: Store, tempNameOf: (destination: string) => string | undefined): DeliveryQueue {
  const earlier = (
    row: Omit<Parameters<typeof store.deliveries.twin>[0], 'since'> & { at: number },
    window: string,
  ): ErrorRecord | null => {
    const id = store.deliveries.twin({ ...row, since: row.at - parseDuration(window)! })
    return id === undefined
      ? null
      : { code: 'delivery.duplicate', message: `The same content was taken under this name within ${window} before (delivery ${id}).` }
  }
  return {
    enqueue(file, matches) {
      let owed = 0
      for (const { rule, rest } of matches) {
        const shadow = rule.mode === 'shadow'
        for (const target of rule.deliver) {
          const id = newId(file.at)
          const values: TemplateValues = { ...file, rest, rule: rule.name, transfer: file.transferId, delivery: id }
          const remote = attempt(() => renderPath(target.path ?? DEFAULT_REMOTE_PATH, values))
          const temp = attempt(() => renderName(tempNameOf(target.to) ?? DEFAULT_TEMP_NAME, values))
          const row = {
            id,
            transfer_id: file.transferId,
            rule: rule.name,
            destination: target.to,
            username: file.user,
            path: toDisplay(file.path),
            remote_path: remote.value ?? '',
            temp_name: temp.value ?? '',
            on_conflict: target.on_conflict ?? 'overwrite',
            after: shadow ? 'keep' : (rule.after ?? 'keep'),
            size: file.size,
            sha256: file.sha256,
            at: file.at,
          } as const
          // a name that cannot be made must not cost the partner the upload: it is a dead delivery that an operator sees
          const error = remote.error ?? temp.error ?? null
          const twin = !shadow && !error && rule.dedupe ? earlier(row, rule.dedupe) : null
          const isNew = store.deliveries.insert({
            ...row,
            shadow: shadow ? 1 : 0,
            dedupe: rule.dedupe ? 1 : 0,
            error: shadow ? error : twin,
          })
          if (!isNew || shadow || twin) continue
          if (error) store.deliveries.refuse(id, error, file.at)
          else owed++
        }
      }
      return owed
    },
    release: (transferId, at) => store.deliveries.release(transferId, at),
  }
}

function attempt(make: () => string): { value?: string; error?: ErrorRecord } {
  try {
    return { value: make() }
  } catch (error) {
    if (error instanceof FileFlowError) return { error: { code: error.code, message: error.message } }
    throw error
  }
}
