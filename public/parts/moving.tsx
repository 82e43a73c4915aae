// Transfers under way in a session: what, which way, how much, how fast, how long.
// Must not load anything.
import { ArrowDown, ArrowUp } from 'lucide-react'
import type { SessionView } from '../../src/core/movement-views.ts'
import { strings } from '../strings.ts'
import { Progress } from './progress.tsx'
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
      <Progress {...transfer} />
    </div>
  ))
}
