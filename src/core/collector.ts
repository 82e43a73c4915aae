// How V8 collects garbage under bytes that only pass through.
// Must not know who moves them; each thread says so at its start, before it holds anything.
import v8 from 'node:v8'

/**
 * Each megabyte that passes leaves hundreds of small views of buffers, and every collection of the whole heap walks code and tables that stay. So memory outside
 * the heap counts with all else (on its own it sets off a collection of the whole every few megabytes), and the heap may grow to three times what survived the
 * last collection: a quarter less work for a large file, for up to 60 MB more at the peak.
 */
export function collectSeldom(): void {
  v8.setFlagsFromString('--external-memory-accounted-in-global-limit')
  v8.setFlagsFromString('--heap-growing-percent=200')
}
