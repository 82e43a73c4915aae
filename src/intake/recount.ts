// What counts for a quota, counted anew on the disk: after a kill between an act and its row, and for files that somebody put there by hand.
// Must not undo what partners do meanwhile: what moved while it was counted is the error that is allowed for.
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { isInsideFolder } from '../accounts/users.ts'
import type { Clock } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import { errorFields, type Logger } from '../core/log.ts'
import type { Principal } from '../core/user.ts'
import type { Actor } from '../core/views.ts'
import type { Usage } from '../store/accounts.ts'
import type { Store } from '../store/store.ts'
import type { Recorder } from './record-upload.ts'

export interface RecountOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly recorder: Pick<Recorder, 'chargedAhead'>
  /** Reads what workers wrote down. */
  readonly pull: () => void
  readonly principals: () => readonly Principal[]
}

/** What a worker did to the disk before the count ended is told by then. */
const TOLD_MS = 500

const GATEWAY: Pick<Actor, 'name' | 'address'> = { name: 'gateway', address: '' }

export function createRecount({ store, clock, log, recorder, pull, principals }: RecountOptions) {
  const rows = store.accounts.users
  /** One at a time: the disk is there for partners. */
  let turn: Promise<unknown> = Promise.resolve()

  const count = async (username: string, actor: Pick<Actor, 'name' | 'address'>): Promise<Usage> => {
    const places = placesOf(username, principals())
    const watch = rows.watchUsage(username)
    try {
      const ahead = recorder.chargedAhead(username)
      const found = await countIn(places)
      await sleep(TOLD_MS)
      pull()
      return store.group.now(() => {
        const before = rows.get(username)
        if (!before) throw new FileFlowError('resource.not_found', `There is no user ${username}.`)
        const bytes = nearest(before.used_bytes, found.bytes, watch.moved.bytes + ahead.bytes)
        const files = nearest(before.used_files, found.files, watch.moved.files + ahead.files)
        const change = { bytes: bytes - before.used_bytes, files: files - before.used_files }
        const was = { bytes: before.used_bytes, files: before.used_files }
        const event = { actor: actor.name, address: actor.address, action: 'user.recount', object: username, outcome: 'ok' } as const
        const changes = change.bytes !== 0 || change.files !== 0
        // what an admin asks for leaves a trace, whatever came of it
        if (changes || actor !== GATEWAY) store.audit.append({ at: clock.now(), ...event, detail: { bytes, files, was } })
        if (changes) {
          rows.addUsage(username, change.bytes, change.files)
          log.info('quota.recounted', 'What counts for the quota of a user was not what lies on the disk.', {
            user: username,
            bytes,
            files,
            was,
          })
        }
        return { bytes, files }
      })
    } finally {
      watch.end()
    }
  }

  const inTurn = (username: string, actor: Pick<Actor, 'name' | 'address'>): Promise<Usage> => {
    const counted = turn.then(() => count(username, actor))
    turn = counted.catch(() => undefined)
    return counted
  }

  return {
    /** @throws FileFlowError `resource.not_found`; `state.conflict` for a home that other users have, too */
    user: (actor: Actor, username: string): Promise<Usage> => inTurn(username, actor),
    /** All who have a quota, one after the other. What cannot be counted is left as it is. */
    async all(stop: AbortSignal): Promise<void> {
      for (const { username, quota } of principals()) {
        if (stop.aborted) return
        if (quota.bytes === null && quota.files === null) continue
        await inTurn(username, GATEWAY).catch((error: unknown) => {
          if (!(error instanceof FileFlowError && error.code === 'state.conflict') && !stop.aborted)
            log.warn('quota.not_counted', 'What a user has on the disk could not be counted.', { user: username, ...errorFields(error) })
        })
      }
    },
  }
}

/** The value closest to `present` that may be true: `found`, give or take what moved while it was counted. */
export const nearest = (present: number, found: number, moved: number): number =>
  Math.max(0, Math.min(Math.max(present, found - moved), found + moved))

/** The folders whose files are this user's alone: the home, and mounts that nobody else can reach. */
function placesOf(username: string, all: readonly Principal[]): string[] {
  const mine = all.find((one) => one.username === username)
  if (!mine) throw new FileFlowError('resource.not_found', `There is no user ${username}.`)
  const others = all
    .filter((one) => one !== mine)
    .map((one) => ({ who: one.username, places: [one.home, ...one.mounts.map(({ target }) => target)] }))
  const sharer = (place: string) =>
    others.find(({ places }) => places.some((one) => isInsideFolder(one, place) || isInsideFolder(place, one)))
  const shared = sharer(mine.home)
  if (shared)
    throw new FileFlowError(
      'state.conflict',
      `The home of ${username} is also reached by ${shared.who}: whose its files are cannot be counted.`,
    )
  const mounts = mine.mounts.filter(({ readOnly, target }) => !readOnly && !sharer(target) && !isInsideFolder(target, mine.home))
  return [mine.home, ...mounts.map(({ target }) => target)]
}

function countIn(places: readonly string[]): Promise<Usage> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('../files/count-thread.ts', import.meta.url), { name: 'count', workerData: places })
    thread.unref()
    thread.once('message', resolve)
    thread.once('error', reject)
    thread.once('exit', () => reject(new FileFlowError('service.unavailable')))
  })
}
