// How V8 collects garbage under bytes that only pass through.
// Must not know who moves them; flags are one for all threads of the process.
import v8 from 'node:v8'

/**
 * Each megabyte that passes leaves hundreds of small views of buffers, and every collection of the whole heap walks code and tables that stay. So memory outside
 * the heap counts with all else (on its own it sets off a collection of the whole every few megabytes), and the heap may grow to three times what survived the
 * last collection: a quarter less work for a large file, for up to 60 MB more at the peak.
 */
const SELDOM = ['--external-memory-accounted-in-global-limit', '--heap-growing-percent=200'] as const
const AS_BUILT = ['--no-external-memory-accounted-in-global-limit', '--heap-growing-percent=0'] as const

let loading = 0

const set = (flags: readonly string[]): void => {
  for (const flag of flags) v8.setFlagsFromString(flag)
}

/**
 * Garbage is collected seldom from the end of the first `load` on, but never while one goes on: V8 refuses code that was compiled under other flags than
 * today's, which is what Node brings along of itself. Each thread would compile that anew, for twice the time that it takes to begin.
 */
export async function collectSeldomAfter<T>(load: () => Promise<T>): Promise<T> {
  if (loading++ === 0) set(AS_BUILT)
  try {
    return await load()
  } finally {
    if (--loading === 0) set(SELDOM)
  }
}
