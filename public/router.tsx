// Which page the address names and its filters: history-based, a few lines instead of a library.
// Must not know what pages show.
import { type AnchorHTMLAttributes, type MouseEvent, useCallback, useMemo, useSyncExternalStore } from 'react'

const MOVED = 'fileflow:moved'

/** Asks before what is shown is left, and calls `leave` when it may be. */
type Guard = (leave: () => void) => void
let guard: Guard | null = null
const here = (): string => location.pathname + location.search
let shown = here()

/** From now on; null: nothing is asked any more. */
export const guardLeaving = (next: Guard | null): void => {
  guard = next
}

/** Does what takes away what is shown, at once or when the guard has its answer. */
export function leaving(act: () => void): void {
  const asks = guard
  if (asks === null) act()
  else
    asks(() => {
      guard = null
      act()
    })
}

function move(path: string, replace: boolean): void {
  if (replace) history.replaceState(null, '', path)
  else history.pushState(null, '', path)
  shown = here()
  dispatchEvent(new Event(MOVED))
}

/** @param replace for what follows an act of this very page: nothing is asked, and Back does not come here */
export function go(path: string, replace = false): void {
  if (replace) move(path, true)
  else leaving(() => move(path, false))
}

// Before anybody else hears of it: Back and Forward have moved already.
addEventListener('popstate', (event) => {
  const wanted = here()
  if (guard === null || wanted === shown) {
    shown = wanted
    return
  }
  event.stopImmediatePropagation()
  history.pushState(null, '', shown)
  leaving(() => move(wanted, false))
})

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
