// Small pieces of text from outside: hostile names, moments, states.
// Must not render anything but text.
import type { ErrorRecord } from '../../src/core/errors.ts'
import { localMoment, localTime, utcTime, visible } from '../format.ts'
import { strings } from '../strings.ts'

/** A file name or path: isolated in direction, its control characters visible; the folder is dimmed. */
export function Path({ path }: { path: string }) {
  const cut = path.lastIndexOf('/') + 1
  return (
    <bdi className="path" title={visible(path)}>
      <span className="folder">{visible(path.slice(0, cut))}</span>
      {visible(path.slice(cut))}
    </bdi>
  )
}

/** A word of a partner or client: isolated, nothing invisible. */
export const Word = ({ children }: { children: string }) => <bdi>{visible(children)}</bdi>

/** `exact` shows seconds whatever the day. */
export function Moment({ at, exact = false }: { at: string | null; exact?: boolean }) {
  if (at === null) return <>{strings.time.never}</>
  return (
    <time dateTime={at} title={strings.time.utc(utcTime(at))}>
      {exact ? localMoment(at) : localTime(at)}
    </time>
  )
}

const TONE: Readonly<Record<string, 'good' | 'bad' | 'warn' | 'busy'>> = {
  running: 'busy',
  open: 'busy',
  committing: 'busy',
  starting: 'busy',
  completed: 'good',
  delivered: 'good',
  up: 'good',
  retrying: 'warn',
  suspect: 'warn',
  aborted: 'bad',
  dead: 'bad',
  failed: 'bad',
}

/** A state as a word in a colour; the word alone says it all. */
export const State = ({ state, label }: { state: string; label: string }) => (
  <span className="badge" data-tone={TONE[state]}>
    {label}
  </span>
)

/** An error in words, with what the far side said where that adds something. */
export function Trouble({ error }: { error: ErrorRecord }) {
  const words = strings.codes[error.code] ?? error.message
  return (
    <p className="trouble">
      {words}
      {error.message === words ? null : (
        <span className="said">
          {' '}
          <Word>{error.message}</Word>
        </span>
      )}
    </p>
  )
}
