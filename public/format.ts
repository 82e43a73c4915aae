// Numbers and times as people read them, in the browser's language and zone.
// Must not change what was recorded: the exact value is always on hover.
import { formatSize as binarySize, formatDuration } from '../src/core/units.ts'

import { locale } from './language.ts'

export { formatDuration }

const point = new Intl.NumberFormat(locale).formatToParts(0.5).find(({ type }) => type === 'decimal')?.value ?? '.'
const whole = new Intl.NumberFormat(locale)

/** In binary units: `1.5 KiB`, in Italian `1,5 KiB`. */
export const formatSize = (bytes: number): string => binarySize(bytes).replace('.', point)

/** A count with its thousands apart. */
export const formatCount = (count: number): string => whole.format(count)

/** The largest unit alone, as it stands beside a number that changes. */
export const formatAge = (ms: number): string => formatDuration(ms).split(' ')[0]!

/** `formatDuration` without what nobody waits for: seconds of an hour. Not less than a second. */
export const formatTimeLeft = (ms: number): string => formatDuration(Math.max(1000, ms > 3_600_000 ? Math.round(ms / 60_000) * 60_000 : ms))

const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const dated = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })
const other = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' })

const exact = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' })

const thisYear = (at: Date): boolean => at.getFullYear() === new Date().getFullYear()

/** Date and time to the second; today the time alone. */
export function localMoment(iso: string): string {
  const at = new Date(iso)
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : thisYear(at) ? exact.format(at) : other.format(at)
}

/** The time alone today, with the date on other days, with the year in other years. */
export function localTime(iso: string): string {
  const at = new Date(iso)
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : (thisYear(at) ? dated : other).format(at)
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
