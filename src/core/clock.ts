// The only source of time and chance. Everything else takes them as arguments or from here, so that tests can stop them.
// Must not import anything but node:crypto.
import { randomBytes, randomInt } from 'node:crypto'

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }

/** Milliseconds that only ever grow; for measuring, never for dates. */
export const monotonic = (): number => performance.now()

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** Whether the text has the form of {@link newId}. */
export const isId = (text: unknown): text is string => typeof text === 'string' && /^[0-9a-hjkmnp-tv-z]{20}$/.test(text)

/** A new identifier: 10 characters of time and 10 of chance (50 bits), so that identifiers sort by birth (as ULID does). */
export function newId(now: number = Date.now()): string {
  let time = ''
  for (let rest = now, i = 0; i < 10; i++) {
    time = ALPHABET[rest % 32] + time
    rest = Math.floor(rest / 32)
  }
  if (used + CHANCE_BYTES > pool.length) {
    pool = randomBytes(POOL_BYTES)
    used = 0
  }
  let chance = ''
  for (const end = used + CHANCE_BYTES; used < end; used++) chance += ALPHABET[pool[used]! & 31]
  return time + chance
}

const CHANCE_BYTES = 10
/** Asked for at once for many identifiers: each asking costs more than all it gives. No secret is made of it. */
const POOL_BYTES = 400 * CHANCE_BYTES
let pool = Buffer.alloc(0)
let used = 0

/** A secret of `bytes` random bytes, as URL-safe text. */
export const newSecret = (bytes = 24): string => randomBytes(bytes).toString('base64url')

/** Random bytes: salts, nonces, keys. */
export const newBytes = (count: number): Buffer => randomBytes(count)

/** A random number in [0, 1), for jitter. */
export const chance = (): number => randomInt(2 ** 47) / 2 ** 47

/** A random whole number in [0, below). */
export const randomBelow = (below: number): number => randomInt(below)
