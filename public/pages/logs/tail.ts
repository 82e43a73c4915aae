// The newest log lines that fit the filters, as they come: first what there is, then each new one from a stream of its own.
// Must not grow: the oldest line goes when a new one comes.
import { useCallback, useEffect, useRef, useState } from 'react'
import type { LogLevel } from '../../../src/core/log.ts'
import type { LogView, Page } from '../../../src/core/views.ts'
import { api, readEvents } from '../../api.ts'

export const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']
const MOST = 500
const RETRY_MS = 2000
/** Lines that come in a burst are one drawing. */
const GATHER_MS = 200

export interface TailLine {
  readonly key: number
  readonly view: LogView
}

export interface Tail {
  /** Newest first. */
  readonly lines: readonly TailLine[]
  /** Lines that came while it was paused. */
  readonly held: number
  readonly loading: boolean
  readonly error: Error | null
  again(): void
}

let nextKey = 0
const keyed = (view: LogView): TailLine => ({ key: nextKey++, view })

export function useTail(filters: URLSearchParams, paused: boolean): Tail {
  const [lines, setLines] = useState<readonly TailLine[]>([])
  const [held, setHeld] = useState(0)
  const [loading, setLoading] = useState(true)
  const [error, setError] = useState<Error | null>(null)
  const [round, setRound] = useState(0)
  const waiting = useRef<TailLine[]>([])
  const stopped = useRef(paused)
  const asked = ['q', 'service', 'level'].map((key) => filters.get(key) ?? '').join('\u0000')

  const show = useCallback(() => {
    if (stopped.current) return setHeld(waiting.current.length)
    const fresh = waiting.current.reverse()
    waiting.current = []
    setHeld(0)
    if (fresh.length > 0) setLines((before) => [...fresh, ...before].slice(0, MOST))
  }, [])

  useEffect(() => {
    stopped.current = paused
    show()
  }, [paused, show])

  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` asks for the same once more
  useEffect(() => {
    const [q = '', service = '', level = ''] = asked.split('\u0000')
    const fits = matcher(q, service, level)
    const end = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let gathering: ReturnType<typeof setTimeout> | undefined
    const read = async () => {
      const query = new URLSearchParams({ limit: String(MOST), ...(q && { q }), ...(service && { service }), ...(level && { level }) })
      try {
        const { items } = await api<Page<LogView>>('GET', `/logs?${query}`)
        if (end.signal.aborted) return
        waiting.current = []
        setHeld(0)
        setLines(items.map(keyed))
        setError(null)
      } catch (failure) {
        if (!end.signal.aborted) setError(failure as Error)
      }
      setLoading(false)
    }
    const listen = async () => {
      try {
        await readEvents(['log'], end.signal, {
          // Lines of the time without a stream are read, not lost.
          onOpen: () => void read(),
          onSign: () => {},
          onEvent: (type, data) => {
            if (type !== 'log' || !fits(data as LogView)) return
            waiting.current.push(keyed(data as LogView))
            if (waiting.current.length > MOST) waiting.current.shift()
            gathering ??= setTimeout(() => {
              gathering = undefined
              show()
            }, GATHER_MS)
          },
        })
      } catch (failure) {
        if (!end.signal.aborted) setError((before) => before ?? (lines.length === 0 ? (failure as Error) : null))
      }
      if (!end.signal.aborted) timer = setTimeout(listen, RETRY_MS)
    }
    setLoading(true)
    void listen()
    return () => {
      end.abort()
      clearTimeout(timer)
      clearTimeout(gathering)
    }
  }, [asked, round, show])

  return { lines, held, loading, error, again: () => setRound((n) => n + 1) }
}

/** The same filters as the API's, for lines that come by the stream. */
function matcher(q: string, service: string, level: string): (line: LogView) => boolean {
  const text = q.toLowerCase()
  const least = LEVELS.indexOf(level as LogLevel)
  return (line) =>
    (service === '' || line.service === service) &&
    LEVELS.indexOf(line.level) >= least &&
    (text === '' || JSON.stringify(line).toLowerCase().includes(text))
}
