// Transfers under way in a session: what, which way, how much, how fast.
// Must not estimate what nobody knows, such as the size of an upload.
import { ArrowDown, ArrowUp } from 'lucide-react'
import type { SessionView } from '../../src/core/views.ts'
import { formatSize } from '../format.ts'
import { strings } from '../strings.ts'
import { Path } from './words.tsx'

const words = strings.sessions

export function Moving({ transfers }: { transfers: SessionView['transfers'] }) {
  return transfers.map((transfer) => (
    <div key={transfer.id} className="moving">
      {transfer.direction === 'upload' ? (
        <ArrowUp size={14} aria-label={words.uploading} />
      ) : (
        <ArrowDown size={14} aria-label={words.downloading} />
      )}
      <Path path={transfer.path} />
      <span className="amount">
        {formatSize(transfer.bytes)} · {words.rate(formatSize(transfer.rate))}
      </span>
    </div>
  ))
}
