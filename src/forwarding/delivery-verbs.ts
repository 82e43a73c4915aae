// What people do to deliveries: try again, give up, one by one or all that fit. Each act is a guarded change of rows with its audit event.
// Must not send or judge; the dispatcher does both.
import type { Clock } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { DeliveryState } from '../core/movement-views.ts'
import type { Actor } from '../core/views.ts'
import type { DeliveryRow } from '../store/deliveries.ts'
import type { Store } from '../store/store.ts'
import type { Dispatcher } from './dispatcher.ts'

export interface DeliveryVerbsOptions {
  readonly store: Store
  readonly clock: Clock
  readonly dispatcher: Pick<Dispatcher, 'kick' | 'hurry' | 'drop'>
  readonly changed: (event: 'cancelled' | 'pending', id: string) => void
  /** Nothing may be owed of this file any more. */
  readonly finished: (transferId: string) => void
}

/** Which deliveries an act on many is about. */
export interface Chosen {
  readonly state?: DeliveryState
  readonly rule?: string
  readonly destination?: string
}

/** How many an act on many is about, before it is done. */
export interface Counted {
  readonly count: number
  /** There are more than that. */
  readonly more: boolean
  /** Of them: of suspect uploads, which a retry of many leaves out. */
  readonly suspect: number
}

/** Counting goes no further. */
const MOST_COUNTED = 10_000
/** Rows that are looked at before others are served: a few milliseconds. */
const LOOK_STEP = 1000
/** One transaction takes so many: the gateway answers others in between. */
const STEP = 200
/** More than so many in one act are told to screens as a whole, not one by one. */
const MOST_EVENTS = 1000
const RETRYABLE: readonly DeliveryState[] = ['dead', 'cancelled', 'retrying']
const CANCELLABLE: readonly DeliveryState[] = ['pending', 'retrying', 'running', 'dead']

/** What a shadow rule recorded is never sent. */
const isMeant = (one: { rule: string; shadow: 0 | 1 }, rule: string | undefined): boolean =>
  one.shadow === 0 && (rule === undefined || one.rule === rule)

export function createDeliveryVerbs({ store, clock, dispatcher, changed, finished }: DeliveryVerbsOptions) {
  const rows = store.deliveries

  const audit = (actor: Actor, action: 'retry' | 'cancel', object: string, detail: Record<string, unknown> = {}): void =>
    store.audit.append({
      at: clock.now(),
      actor: actor.name,
      address: actor.address,
      action: `delivery.${action}`,
      object,
      outcome: 'ok',
      detail,
    })

  /** All of one state, in order, with pauses in which others are served. */
  async function* looked(state: DeliveryState, destination: string | undefined): AsyncIterable<ReturnType<typeof rows.looked>> {
    for (let after = ''; ; ) {
      const seen = rows.looked({ state, destination, after }, LOOK_STEP)
      if (seen.length > 0) yield seen
      if (seen.length < LOOK_STEP) return
      after = seen.at(-1)!.id
      await new Promise(setImmediate)
    }
  }

  /** Step by step through all that fit, with pauses in which others are served. @returns how many were changed */
  async function each(
    chosen: Chosen,
    states: readonly DeliveryState[],
    act: (row: DeliveryRow) => boolean,
    event: 'cancelled' | 'pending',
    then: (row: DeliveryRow) => void,
  ): Promise<number> {
    const { state, rule, destination } = chosen
    if (state && !states.includes(state))
      throw new FileFlowError('state.conflict', `Deliveries that are ${state} stay so; this is for ${states.join(', ')}.`)
    let count = 0
    for (const one of state ? [state] : states) {
      for await (const seen of looked(one, destination)) {
        // what may be half a file is sent, if at all, by a decision of its own
        const wanted = seen.filter((row) => isMeant(row, rule) && (event !== 'pending' || row.suspect === 0))
        for (let i = 0; i < wanted.length; i += STEP) {
          const ids = wanted.slice(i, i + STEP).map(({ id }) => id)
          const done = store.group.now(() => ids.flatMap((id) => rows.get(id) ?? []).filter(act))
          // together, too: what each of them ends would else be a disk sync of its own
          store.group.now(() => done.forEach(then))
          if (count < MOST_EVENTS) for (const { id } of done) changed(event, id)
          count += done.length
          dispatcher.kick()
          await new Promise(setImmediate)
        }
      }
    }
    return count
  }

  return {
    /** Of a dead, cancelled or waiting delivery. @throws FileFlowError `resource.not_found`, `state.conflict` */
    retry(actor: Actor, id: string): void {
      const row = store.group.now(() => {
        const row = rows.get(id)
        if (!row) throw new FileFlowError('resource.not_found', `There is no delivery ${id}.`)
        // it is being tried this moment: that is what was asked for
        if (row.state === 'running') return row
        if (row.shadow === 1) throw new FileFlowError('state.conflict', 'A shadow rule recorded this one; it is never sent.')
        if (!store.transfers.get(row.transfer_id)?.spool)
          throw new FileFlowError(
            'state.conflict',
            'The content of this file is not kept any more: it was delivered, cancelled or never whole.',
          )
        const newer = rows.newerDelivered(id)
        if (newer)
          throw new FileFlowError(
            'state.conflict',
            `A later version was delivered under that name (${newer}): sending this one would undo it.`,
          )
        if (!rows.again(id, clock.now()))
          throw new FileFlowError('state.conflict', `Only a dead, cancelled or waiting delivery can be retried; this one is ${row.state}.`)
        audit(actor, 'retry', id)
        return row
      })
      if (row.state === 'running') return
      changed('pending', id)
      dispatcher.hurry(row.destination)
    },
    /** All that fit and can be: without those of suspect uploads, and without those that a later version has overtaken. @returns how many */
    async retryAll(actor: Actor, chosen: Chosen): Promise<number> {
      const destinations = new Set<string>()
      const count = await each(
        { state: 'dead', ...chosen },
        RETRYABLE,
        (row) => {
          if (!store.transfers.get(row.transfer_id)?.spool || rows.newerDelivered(row.id)) return false
          return rows.again(row.id, clock.now())
        },
        'pending',
        ({ destination }) => destinations.add(destination),
      )
      if (count > 0) store.group.now(() => audit(actor, 'retry', `${count} deliveries`, { ...chosen }))
      for (const destination of destinations) dispatcher.hurry(destination)
      return count
    },
    /** What an act on all that fit would be asked about. */
    async count({ state, rule, destination }: Chosen & { readonly state: DeliveryState }): Promise<Counted> {
      let [count, suspect] = [0, 0]
      for await (const seen of looked(state, destination)) {
        for (const one of seen) {
          if (!isMeant(one, rule)) continue
          if (count === MOST_COUNTED) return { count, more: true, suspect }
          count += 1
          suspect += one.suspect
        }
      }
      return { count, more: false, suspect }
    },
    /** @throws FileFlowError `resource.not_found`, `state.conflict` */
    cancel(actor: Actor, id: string): void {
      store.group.now(() => {
        if (!rows.get(id)) throw new FileFlowError('resource.not_found', `There is no delivery ${id}.`)
        if (!rows.cancel(id, clock.now())) throw new FileFlowError('state.conflict', `This delivery is ${rows.get(id)!.state} already.`)
        audit(actor, 'cancel', id)
      })
      dispatcher.drop(id)
      changed('cancelled', id)
      finished(rows.get(id)!.transfer_id)
    },
    /** @returns how many */
    async cancelAll(actor: Actor, chosen: Chosen): Promise<number> {
      const count = await each(
        chosen,
        CANCELLABLE,
        ({ id }) => rows.cancel(id, clock.now()),
        'cancelled',
        ({ id, transfer_id }) => {
          dispatcher.drop(id)
          finished(transfer_id)
        },
      )
      if (count > 0) store.group.now(() => audit(actor, 'cancel', `${count} deliveries`, { ...chosen }))
      return count
    },
  }
}
