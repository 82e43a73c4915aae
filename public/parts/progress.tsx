// How far a running transfer is: bytes, rate, and, where its size is known, a bar and the time left.
// Must not guess a size that nobody announced.
import { formatSize, formatTimeLeft } from '../format.ts'
import { strings } from '../strings.ts'

const words = strings.progress

export interface Running {
  readonly bytes: number
  readonly total: number | null
  readonly rate: number | null
}

export function Progress({ bytes, total, rate }: Running) {
  // what was announced may be wrong: then it is not known
  const known = total !== null && total > 0 && bytes <= total ? total : null
  const moving = rate !== null && rate > 0
  return (
    <div className="progress">
      {known === null ? null : (
        <div
          className="progress-bar"
          role="progressbar"
          aria-label={words.label}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.floor((bytes * 100) / known)}
        >
          <div style={{ width: `${(bytes * 100) / known}%` }} />
        </div>
      )}
      <span className="amount">
        <span>{known === null ? words.soFar(formatSize(bytes)) : words.of(formatSize(bytes), formatSize(known))}</span>
        {moving ? <span>{strings.sessions.rate(formatSize(rate))}</span> : null}
        {known !== null && moving ? <span>{words.left(formatTimeLeft(((known - bytes) * 1000) / rate))}</span> : null}
      </span>
    </div>
  )
}
