// The stream of events: says what changed so that pages read again, and since when it has been silent.
// Must not carry data into pages; the API has the truth.
import type { QueryClient } from '@tanstack/react-query'
import { readEvents } from './api.ts'

export type LiveState = { readonly state: 'connecting' } | { readonly state: 'live' } | { readonly state: 'stale'; readonly since: number }

export interface Live {
  get(): LiveState
  subscribe(listener: () => void): () => void
  close(): void
}

/** Which queries an event makes old, by the first part of its type. */
const TOUCHES: Readonly<Record<string, readonly string[]>> = {
  session: ['sessions', 'stats'],
  transfer: ['transfers', 'sessions', 'stats'],
  delivery: ['transfers', 'stats'],
  service: ['services'],
  stats: ['stats'],
}
/** Many events in a burst are one reading. */
const GATHER_MS = 800
const RETRY_MS = 3000
/** The gateway sends a sign of life every 15 s; a line that is silent for longer is dead, whatever the network says. */
const SILENCE_MS = 40_000

export function openLive(queries: QueryClient): Live {
  let state: LiveState = { state: 'connecting' }
  let gathering: ReturnType<typeof setTimeout> | undefined
  let silence: ReturnType<typeof setTimeout> | undefined
  let again: ReturnType<typeof setTimeout> | undefined
  let stream = new AbortController()
  let closed = false
  const touched = new Set<string>()
  const listeners = new Set<() => void>()
  const become = (next: LiveState) => {
    if (next.state === state.state || closed) return
    state = next
    for (const listener of listeners) listener()
  }
  const touch = (keys: readonly string[]) => {
    if (keys.length === 0) return
    for (const key of keys) touched.add(key)
    gathering ??= setTimeout(() => {
      gathering = undefined
      for (const key of touched) void queries.invalidateQueries({ queryKey: [key] })
      touched.clear()
    }, GATHER_MS)
  }
  const heard = () => {
    clearTimeout(silence)
    silence = setTimeout(() => stream.abort(), SILENCE_MS)
  }
  const opened = () => {
    // What happened while nobody listened is read, not guessed.
    if (state.state === 'stale') touch(['sessions', 'transfers', 'services', 'stats'])
    become({ state: 'live' })
    heard()
  }
  const connect = async () => {
    stream = new AbortController()
    try {
      await readEvents(Object.keys(TOUCHES), stream.signal, opened, (type) => {
        heard()
        touch(type === 'transfer.progress' ? ['sessions'] : (TOUCHES[type.split('.')[0] ?? ''] ?? []))
      })
    } catch {
      // Said below: the page shows since when it is stale, whatever broke the line.
    }
    clearTimeout(silence)
    if (closed) return
    become({ state: 'stale', since: Date.now() })
    again = setTimeout(connect, RETRY_MS)
  }
  void connect()
  return {
    get: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close() {
      closed = true
      stream.abort()
      for (const timer of [again, gathering, silence]) clearTimeout(timer)
    },
  }
}
