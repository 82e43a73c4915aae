// The filters of the transfers page as a question to the API.
// Must not keep anything.
import type { TransferState } from '../../../src/core/transfer.ts'

export const TRANSFER_STATES: readonly TransferState[] = ['open', 'committing', 'completed', 'suspect', 'aborted']

const HOUR = 3_600_000
const SPANS: Readonly<Record<string, number>> = { '1h': HOUR, '24h': 24 * HOUR, '7d': 168 * HOUR, '30d': 720 * HOUR }
/** A question that changed with every millisecond would never be answered from memory. */
const GRAIN = 60_000

/** `&user=x&since=…`; '' when nothing is filtered. A day is the viewer's own. */
export function queryOf(filters: URLSearchParams): string {
  const query = new URLSearchParams()
  for (const key of ['q', 'user', 'state', 'direction', 'protocol', 'session']) {
    const value = filters.get(key)
    if (value) query.set(key, value)
  }
  const span = SPANS[filters.get('within') ?? '']
  if (span !== undefined) query.set('since', String(Math.floor((Date.now() - span) / GRAIN) * GRAIN))
  const day = new Date(`${filters.get('day') ?? ''}T00:00:00`)
  if (!Number.isNaN(day.getTime())) {
    query.set('since', String(day.getTime()))
    query.set('until', String(day.setDate(day.getDate() + 1)))
  }
  const text = query.toString()
  return text === '' ? '' : `&${text}`
}
