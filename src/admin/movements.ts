// What moved and where it went, as answers: transfers with their timeline, deliveries with their attempts and receipts.
// Must not change a row.
import { type ErrorRecord, FileFlowError } from '../core/errors.ts'
import type {
  AttemptView,
  DeliveryView,
  ReceiptView,
  SessionRecord,
  TimelineEvent,
  TransferDetail,
  TransferView,
} from '../core/movement-views.ts'
import { proofText, RECEIPT_TYPE, type SignedReceipt } from '../core/receipt.ts'
import { folderOfOwner } from '../core/rule.ts'
import { formatSize } from '../core/units.ts'
import type { Page } from '../core/views.ts'
import type { AttemptRow, DeliveryRow, ReceiptRow } from '../store/deliveries.ts'
import type { Store } from '../store/store.ts'
import type { SessionRow, TransferRow } from '../store/transfers.ts'
import type { DeliveryFilter, TransferFilter } from './control-plane.ts'
import type { EventHub } from './event-hub.ts'

const iso = (at: number): string => new Date(at).toISOString()
const isoOrNull = (at: number | null): string | null => (at === null ? null : iso(at))
const errorOf = (json: string | null): ErrorRecord | null => (json === null ? null : (JSON.parse(json) as ErrorRecord))

type Live = { readonly bytes: number; readonly total: number | null; readonly rate: number } | undefined
type Owed = TransferView['deliveries']

const transferView = (row: TransferRow, live: Live, deliveries: Owed): TransferView => ({
  id: row.id,
  session: row.session_id,
  user: row.username,
  protocol: row.protocol,
  address: row.address,
  direction: row.direction,
  path: row.path,
  state: row.state,
  bytes: live?.bytes ?? row.bytes,
  total: live?.total ?? null,
  rate: live?.rate ?? null,
  sha256: row.sha256,
  started_at: iso(row.started_at),
  ended_at: isoOrNull(row.ended_at),
  error: errorOf(row.error_json),
  evidence: row.evidence_json === null ? [] : (JSON.parse(row.evidence_json) as string[]),
  deliveries,
})

/** Not on record for what was delivered before this was. */
const methodOf = ({ method }: ReceiptRow): { method?: string } => (method === null ? {} : { method })

const receiptView = (row: ReceiptRow): ReceiptView => ({
  remote_path: row.remote_path,
  size: row.size,
  sha256: row.sha256,
  verified: row.verified,
  algorithm: row.algorithm,
  ...methodOf(row),
  outcome: row.outcome,
  server: row.server,
  at: iso(row.at),
})

const sessionRecord = (row: SessionRow): SessionRecord => ({
  id: row.id,
  method: row.method,
  client: row.client,
  started_at: iso(row.started_at),
  ended_at: isoOrNull(row.ended_at),
  reason: row.reason,
})

const attemptView = (row: AttemptRow): AttemptView => ({
  number: row.number,
  started_at: iso(row.started_at),
  worker: row.worker,
  ended_at: isoOrNull(row.ended_at),
  ok: row.ok === null ? null : row.ok === 1,
  error: errorOf(row.error_json),
})

export function createMovements(store: Store, live: (transfer: TransferRow) => Live) {
  const { transfers, deliveries } = store

  const deliveryView = (row: DeliveryRow): DeliveryView => {
    const receipt = row.state === 'delivered' ? deliveries.receipt(row.id) : undefined
    return {
      id: row.id,
      transfer: row.transfer_id,
      rule: row.rule,
      destination: row.destination,
      user: row.username,
      path: row.path,
      remote_path: row.remote_path,
      size: row.size,
      state: row.state,
      shadow: row.shadow === 1,
      attempts: row.attempt,
      next_at: isoOrNull(row.next_at),
      error: errorOf(row.error_json),
      created_at: iso(row.created_at),
      updated_at: iso(row.updated_at),
      receipt: receipt ? receiptView(receipt) : null,
    }
  }

  const listed = (row: TransferRow): TransferView =>
    transferView(
      row,
      live(row),
      row.direction === 'upload'
        ? deliveries.ofTransfer(row.id).map(({ id, destination, state, shadow }) => ({ id, destination, state, shadow: shadow === 1 }))
        : [],
    )

  const findDelivery = (id: string): DeliveryRow => {
    const row = deliveries.get(id)
    if (!row) throw new FileFlowError('resource.not_found', `There is no delivery ${id}.`)
    return row
  }

  const withTries = (row: DeliveryRow) => ({ ...deliveryView(row), tries: deliveries.attempts(row.id).map(attemptView) })

  return {
    transferView: listed,
    deliveryView: (id: string) => deliveryView(findDelivery(id)),
    delivery: (id: string) => withTries(findDelivery(id)),
    async transfers({ limit = 50, cursor, ...filter }: TransferFilter): Promise<Page<TransferView>> {
      const rows = await transfers.list({ ...filter, before: cursor, limit: limit + 1 })
      return {
        items: rows.slice(0, limit).map(listed),
        next: rows.length > limit ? rows[limit - 1]!.id : null,
      }
    },
    transfer(id: string): TransferDetail {
      const row = transfers.get(id)
      if (!row) throw new FileFlowError('resource.not_found', `There is no transfer ${id}.`)
      const owed = deliveries.ofTransfer(id).map(withTries)
      const session = transfers.getSession(row.session_id)
      return {
        ...transferView(row, live(row), owed),
        partner: row.partner,
        start_offset: row.start_offset,
        committed_at: isoOrNull(row.committed_at),
        connection: session ? sessionRecord(session) : null,
        deliveries: owed,
        timeline: timeline(store, row, owed),
      }
    },
    receipt(id: string): SignedReceipt {
      const row = findDelivery(id)
      const receipt = row.state === 'delivered' ? deliveries.receipt(id) : undefined
      if (!receipt) throw new FileFlowError('state.conflict', `There is no receipt: the delivery is ${row.state}.`)
      const transfer = transfers.get(row.transfer_id)!
      return store.receiptKey().sign({
        type: RECEIPT_TYPE,
        delivery: row.id,
        transfer: row.transfer_id,
        rule: row.rule,
        user: row.username,
        partner: transfer.partner,
        path: row.path,
        destination: row.destination,
        remote_path: receipt.remote_path,
        size: receipt.size,
        sha256: receipt.sha256,
        verified: receipt.verified,
        algorithm: receipt.algorithm,
        ...methodOf(receipt),
        outcome: receipt.outcome,
        server: receipt.server,
        attempts: row.attempt,
        received_at: iso(transfer.committed_at ?? transfer.started_at),
        delivered_at: iso(receipt.at),
      })
    },
    receiptKey() {
      const { publicKey, fingerprint } = store.receiptKey()
      return { public_key: publicKey, fingerprint }
    },
    async deliveries({ limit = 50, cursor, ...filter }: DeliveryFilter): Promise<Page<DeliveryView>> {
      const rows = await deliveries.list({ ...filter, before: cursor, limit: limit + 1 })
      return { items: rows.slice(0, limit).map(deliveryView), next: rows.length > limit ? rows[limit - 1]!.id : null }
    },
  }
}

function timeline(store: Store, row: TransferRow, owed: TransferDetail['deliveries']): TimelineEvent[] {
  const events: TimelineEvent[] = []
  const add = (at: string | number | null, event: string, text: string, ok = true): void => {
    if (at !== null) events.push({ at: typeof at === 'number' ? iso(at) : at, event, text, ok })
  }
  const session = store.transfers.getSession(row.session_id)
  if (session)
    add(
      session.started_at,
      'session.opened',
      session.protocol === 'watch'
        ? `the watcher looked after ${folderOfOwner(session.username)}`
        : `${session.username} logged in by ${session.protocol} from ${session.address} (${session.method})`,
    )
  const what = row.direction === 'upload' ? 'upload' : 'download'
  add(row.started_at, 'transfer.started', `${what} of ${row.path} began${row.start_offset > 0 ? ` at byte ${row.start_offset}` : ''}`)
  const evidence = row.evidence_json ? (JSON.parse(row.evidence_json) as string[]) : []
  if (row.committed_at !== null)
    add(
      row.committed_at,
      'transfer.committed',
      `${formatSize(row.bytes)} whole on disk, sha256 ${row.sha256}${evidence.length > 0 ? ` (${evidence.join(', ')})` : ''}`,
    )
  if (row.state === 'completed' && row.ended_at !== null)
    add(row.ended_at, 'transfer.completed', row.direction === 'upload' ? 'published under its name' : `${formatSize(row.bytes)} sent`)
  if (row.state === 'aborted') add(row.ended_at, 'transfer.aborted', errorOf(row.error_json)?.message ?? 'aborted', false)
  if (row.state === 'suspect') add(row.ended_at, 'transfer.suspect', 'the connection was lost right after the upload', false)
  for (const delivery of owed) {
    add(delivery.created_at, 'rule.matched', `rule ${delivery.rule}: to ${delivery.destination} as ${delivery.remote_path}`)
    for (const attempt of delivery.tries) {
      const failed = attempt.error ? `: ${attempt.error.message}` : ''
      const text =
        attempt.ok === false
          ? `attempt ${attempt.number} to ${delivery.destination} failed${failed}`
          : `attempt ${attempt.number} to ${delivery.destination}`
      add(attempt.started_at, 'delivery.attempt', text, attempt.ok !== false)
    }
    const { receipt } = delivery
    if (receipt) {
      const how =
        { sent: 'delivered', found: 'found already there', skipped: 'skipped: the name was taken' }[receipt.outcome] ?? receipt.outcome
      add(
        receipt.at,
        'delivery.delivered',
        `${how}: ${delivery.destination} ${receipt.remote_path}, ${formatSize(receipt.size)}, verified by ${proofText(receipt)}`,
      )
    } else if (delivery.shadow) add(delivery.created_at, 'delivery.shadow', 'recorded by a shadow rule, not sent')
    else if (delivery.state === 'dead')
      add(delivery.updated_at, 'delivery.dead', `given up: ${delivery.error?.message ?? 'unknown'}`, false)
    else if (delivery.state === 'cancelled')
      add(
        delivery.updated_at,
        'delivery.cancelled',
        delivery.error?.code === 'delivery.duplicate' ? delivery.error.message : 'cancelled',
        false,
      )
  }
  return events
    .map((event, at) => ({ event, at }))
    .sort((a, b) => a.event.at.localeCompare(b.event.at) || a.at - b.at)
    .map(({ event }) => event)
}

/** What of a delivery is told to screens, and to who counts: those need the destination alone, for every one. */
export const tellsOfDeliveries =
  (events: EventHub, movements: Pick<ReturnType<typeof createMovements>, 'deliveryView'>) =>
  (event: string, id: string, destination?: string): void =>
    events.emit(`delivery.${event}`, () => movements.deliveryView(id), destination === undefined ? undefined : () => ({ destination }))
