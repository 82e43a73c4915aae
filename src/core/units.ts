// Sizes and durations as people write them: `10GiB`, `20 MB`, `5s`, `30m`, `400d`.
// Must not accept anything it cannot turn into a safe whole number.

const SIZE: Record<string, number> = {
  '': 1,
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
}
const DURATION: Record<string, number> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 }

/** Bytes, or undefined when the text is not a size. */
export function parseSize(value: string | number): number | undefined {
  return parse(value, SIZE, '')
}

/** Milliseconds, or undefined when the text is not a duration. A bare number is seconds. */
export function parseDuration(value: string | number): number | undefined {
  return parse(value, DURATION, 's')
}

function parse(value: string | number, units: Record<string, number>, bare: string): number | undefined {
  const found = /^\s*(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]*)\s*$/i.exec(String(value))
  if (!found) return undefined
  const factor = units[found[2]!.toLowerCase() || bare]
  if (factor === undefined) return undefined
  const result = Math.round(Number(found[1]) * factor)
  return Number.isSafeInteger(result) ? result : undefined
}

/** `1536` → `1.5 KiB`. */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let at = 0
  let value = bytes
  while (value >= 1024 && at < names.length - 1) {
    value /= 1024
    at++
  }
  return `${at === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${names[at]}`
}

/** `90500` → `1m 30s`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`
  const s = Math.floor(ms / 1000)
  const parts: [number, string][] = [
    [Math.floor(s / 86400), 'd'],
    [Math.floor(s / 3600) % 24, 'h'],
    [Math.floor(s / 60) % 60, 'm'],
    [s % 60, 's'],
  ]
  return parts
    .filter(([n]) => n > 0)
    .slice(0, 2)
    .map(([n, unit]) => `${n}${unit}`)
    .join(' ')
}
