// Small pieces of text from outside: hostile names, moments, states.
// Must not render anything but text.
import { ERRORS, type ErrorRecord } from '../../src/core/errors.ts'
import type { DeliveryState } from '../../src/core/movement-views.ts'
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

/** A short name of the gateway in the page's words, or as it is where there are none. */
export function Named({ of, name }: { of: Readonly<Record<string, string>>; name: string }) {
  const words = Object.hasOwn(of, name) ? of[name] : undefined
  return words === undefined ? <Word>{name}</Word> : words
}

export const TONE: Readonly<Record<string, 'good' | 'bad' | 'warn' | 'busy'>> = {
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

/** How far a delivery is; one that a shadow rule recorded is said to be that, as nothing is ever sent. */
export const DeliveryBadge = ({ state, shadow }: { state: DeliveryState; shadow: boolean }) =>
  shadow ? (
    <span title={strings.deliveries.shadowHint}>
      <State state="shadow" label={strings.deliveries.shadow} />
    </span>
  ) : (
    <State state={state} label={strings.deliveries.states[state]} />
  )

/** An error in words, with what the far side said where that adds something. */
export function Trouble({ error }: { error: ErrorRecord }) {
  const words = strings.codes[error.code] ?? error.message
  // the catalogue's own English adds nothing to its words in another language
  const more = error.message === ERRORS[error.code]?.text ? words : strings.said(error.message)
  // what a system calls by a short name, said in words before its own
  const code = /\bE[A-Z]{4,}\b/.exec(error.message)?.[0]
  const cause = code !== undefined && Object.hasOwn(strings.causes, code) ? ` ${strings.causes[code]}` : ''
  return (
    <p className="trouble">
      {words}
      {cause}
      {more === words ? null : (
        <span className="said">
          {' '}
          <Word>{more}</Word>
        </span>
      )}
    </p>
  )
}
