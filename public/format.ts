// Numbers and times as people read them, in the browser's language and zone.
// Must not change what was recorded: the exact value is always on hover.
import { formatDuration, formatSize } from '../src/core/units.ts'

import { locale } from './language.ts'

export { formatDuration, formatSize }

const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const dated = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })

const exact = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' })

/** Date and time to the second; today the time alone. */
export function localMoment(iso: string): string {
  const at = new Date(iso)
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : exact.format(at)
}

/** The time alone today, with the date on other days. */
export function localTime(iso: string): string {
  const at = new Date(iso)
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : dated.format(at)
}

/** `2026-11-23T12:00:00.000Z` → `2026-11-23 12:00:00.000`. */
export const utcTime = (iso: string): string => new Date(iso).toISOString().replace('T', ' ').replace('Z', '')

/** Control and direction characters as visible escapes: a name must not be able to look like another one. */
export function visible(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
