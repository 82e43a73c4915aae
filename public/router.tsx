// Which page the address names and its filters: history-based, a few lines instead of a library.
// Must not know what pages show.
import { type AnchorHTMLAttributes, type MouseEvent, useCallback, useMemo, useSyncExternalStore } from 'react'

const MOVED = 'fileflow:moved'

export function go(path: string, replace = false): void {
  if (replace) history.replaceState(null, '', path)
  else history.pushState(null, '', path)
  dispatchEvent(new Event(MOVED))
}

function subscribe(listener: () => void): () => void {
  addEventListener('popstate', listener)
  addEventListener(MOVED, listener)
  return () => {
    removeEventListener('popstate', listener)
    removeEventListener(MOVED, listener)
  }
}

export const usePath = (): string => useSyncExternalStore(subscribe, () => location.pathname)

/** The query of the address as filters, and a way to change some of them; '' and null take one away. */
export function useFilters(): readonly [URLSearchParams, (change: Readonly<Record<string, string | null>>) => void] {
  const search = useSyncExternalStore(subscribe, () => location.search)
  const present = useMemo(() => new URLSearchParams(search), [search])
  const change = useCallback((values: Readonly<Record<string, string | null>>) => {
    const next = new URLSearchParams(location.search)
    for (const [key, value] of Object.entries(values)) {
      if (value === null || value === '') next.delete(key)
      else next.set(key, value)
    }
    const query = next.toString()
    go(query === '' ? location.pathname : `${location.pathname}?${query}`, true)
  }, [])
  return [present, change]
}

/** A link inside the page; new tabs and windows work as everywhere. */
export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event)
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    go(href)
  }
  return <a {...rest} href={href} onClick={follow} />
}
