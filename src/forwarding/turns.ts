// Whose turn it is in the forwarder: destinations one after the other, each with one place of its own whatever the others do.
// Must not know what is done at a place, nor wait for anything.
import type { Places } from './connector.ts'

interface Line<T> {
  /** In the order in which they came. */
  readonly waiting: T[]
  /** Places taken. */
  atWork: number
  /** The destination's own limit, besides the common one. */
  most: number
}

/** A slow destination may hold its places for hours: those that have nothing at work get one beyond the common limit, so that nobody is starved by another. */
export function createTurns<T>(begin: (item: T) => void, placeOf: (item: T) => number) {
  const lines = new Map<string, Line<T>>()
  let places: Places = { concurrency: 1, per_destination: 1 }
  let atWork = 0

  function mayBegin(line: Line<T>): boolean {
    if (line.waiting.length === 0) return false
    if (line.atWork === 0) return true
    const place = placeOf(line.waiting[0]!)
    return atWork + place <= places.concurrency && line.atWork + place <= Math.min(line.most, places.per_destination)
  }

  function go(): void {
    for (;;) {
      const next = [...lines].find(([, line]) => mayBegin(line))
      if (!next) return
      const [name, line] = next
      const item = line.waiting.shift()!
      line.atWork += placeOf(item)
      atWork += placeOf(item)
      // to the end of the round: the next place is somebody else's
      lines.delete(name)
      lines.set(name, line)
      begin(item)
    }
  }

  return {
    /** @param most places that it has at most */
    add(name: string, items: readonly T[], most: number, now: Places): void {
      places = now
      const line = lines.get(name) ?? { waiting: [], atWork: 0, most }
      line.most = most
      line.waiting.push(...items)
      lines.set(name, line)
      go()
    },
    /** One that had begun is done. */
    ended(name: string, item: T): void {
      const line = lines.get(name)
      if (!line) return
      line.atWork -= placeOf(item)
      atWork -= placeOf(item)
      if (line.atWork === 0 && line.waiting.length === 0) lines.delete(name)
      go()
    },
    /** Takes back those that have not begun and fit. @returns them */
    withdraw(fits: (item: T, name: string) => boolean): T[] {
      const back: T[] = []
      for (const [name, line] of lines) {
        const keep: T[] = []
        for (const item of line.waiting) (fits(item, name) ? back : keep).push(item)
        if (keep.length < line.waiting.length) line.waiting.splice(0, line.waiting.length, ...keep)
        if (line.atWork === 0 && keep.length === 0) lines.delete(name)
      }
      return back
    },
    waiting: (): number => [...lines.values()].reduce((sum, { waiting }) => sum + waiting.length, 0),
  }
}
