// The stream of events: says what changed so that pages read again, hands on what passes by, and knows since when it has been silent.
// Must not be a page's source of truth; the API is.
import type { QueryClient } from '@tanstack/react-query'
import { createContext, useContext, useEffect, useRef } from 'react'
import type { StatsView } from '../src/core/views.ts'
import { readEvents } from './api.ts'

export type LiveState = { readonly state: 'connecting' } | { readonly state: 'live' } | { readonly state: 'stale'; readonly since: number }

export interface Live {
  get(): LiveState
  subscribe(listener: () => void): () => void
  /** Told each event as it passes. */
  listen(listener: (type: string, data: unknown) => void): () => void
  close(): void
}

/** Which queries (by the first word of their key) an event makes old, by the first part of its type. */
const TOUCHES: Readonly<Record<string, readonly string[]>> = {
  session: ['sessions', 'users'],
  transfer: ['transfers', 'sessions'],
  delivery: ['deliveries', 'transfers'],
  service: ['services'],
  stats: [],
  user: ['users', 'removed'],
  destination: ['destinations', 'stats', 'removed'],
  rule: ['rules', 'removed'],
  ban: ['bans'],
}
/** Many events in a burst are one reading. */
const GATHER_MS = 800
const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 15_000
/** The gateway sends a sign of life every 15 s; a line that is silent for longer is dead, whatever the network says. */
const SILENCE_MS = 40_000
/** A list that was read on this far is not read again from its top on each event. */
const MOST_LIVE_PAGES = 3

export function openLive(queries: QueryClient): Live {
  let state: LiveState = { state: 'connecting' }
  let gathering: ReturnType<typeof setTimeout> | undefined
  let silence: ReturnType<typeof setTimeout> | undefined
  let again: ReturnType<typeof setTimeout> | undefined
  let stream = new AbortController()
  let closed = false
  let delay = FIRST_RETRY_MS
  const touched = new Set<string>()
  const listeners = new Set<() => void>()
  const heard = new Set<(type: string, data: unknown) => void>()
  const become = (next: LiveState) => {
    if (next.state === state.state || closed) return
    state = next
    for (const listener of listeners) listener()
  }
  const touch = (keys: readonly string[]) => {
    if (keys.length === 0) return
    for (const key of keys) touched.add(key)
    gathering ??= setTimeout(flush, GATHER_MS)
  }
  const flush = () => {
    gathering = undefined
    for (const key of touched) {
      // A question under way would be cut off and with it what it was asked for, such as "show more"; but its answer may be too old. So: afterwards.
      if (queries.isFetching({ queryKey: [key] }) > 0) continue
      touched.delete(key)
      void queries.invalidateQueries({
        queryKey: [key],
        predicate: ({ state: { data } }) => ((data as { pages?: readonly unknown[] } | undefined)?.pages?.length ?? 0) <= MOST_LIVE_PAGES,
      })
    }
    if (touched.size > 0) gathering = setTimeout(flush, GATHER_MS)
  }
  const sign = () => {
    clearTimeout(silence)
    silence = setTimeout(() => stream.abort(), SILENCE_MS)
  }
  const opened = () => {
    // What happened while nobody listened is read, not guessed.
    if (state.state === 'stale') touch(Object.values(TOUCHES).flat())
    delay = FIRST_RETRY_MS
    become({ state: 'live' })
    sign()
  }
  const event = (type: string, data: unknown) => {
    // The figures come whole; asking for them again would only ask for the same.
    if (type === 'stats') queries.setQueryData(['stats'], data)
    for (const listener of heard) listener(type, data)
    // one that stands still tells nothing by itself
    if (type === 'stats' && (data as StatsView).transfers.open > 0) touch(['sessions', 'transfers'])
    touch(type === 'transfer.progress' ? ['sessions', 'transfers'] : (TOUCHES[type.split('.')[0] ?? ''] ?? []))
  }
  const connect = async () => {
    stream = new AbortController()
    try {
      await readEvents(Object.keys(TOUCHES), stream.signal, { onOpen: opened, onSign: sign, onEvent: event })
    } catch {
      // Said below: the page shows since when it is stale, whatever broke the line.
    }
    clearTimeout(silence)
    if (closed) return
    become({ state: 'stale', since: Date.now() })
    again = setTimeout(connect, delay)
    delay = Math.min(delay * 2, LAST_RETRY_MS)
  }
  const hurry = () => {
    if (state.state !== 'stale') return
    clearTimeout(again)
    delay = FIRST_RETRY_MS
    void connect()
  }
  addEventListener('online', hurry)
  void connect()
  return {
    get: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    listen(listener) {
      heard.add(listener)
      return () => void heard.delete(listener)
    },
    close() {
      closed = true
      stream.abort()
      removeEventListener('online', hurry)
      for (const timer of [again, gathering, silence]) clearTimeout(timer)
    },
  }
}

export const LiveContext = createContext<Live | null>(null)

/** Calls `listener` for each event while the component is shown. */
export function useEvents(listener: (type: string, data: unknown) => void): void {
  const live = useContext(LiveContext)
  const latest = useRef(listener)
  useEffect(() => {
    latest.current = listener
  })
  useEffect(() => live?.listen((type, data) => latest.current(type, data)), [live])
}
