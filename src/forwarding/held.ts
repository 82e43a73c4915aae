// Small work held back for a few milliseconds, so that many pieces share one sync of the disk.
// Must not hold what somebody waits for, nor more than a handful.

/** @param longestMs how long a piece is held at most. @param most with so many it does not wait any longer */
export function createHeld(longestMs: number, most: number) {
  let work: (() => void)[] = []
  let timer: NodeJS.Timeout | undefined

  /** All that is held runs now, in order. */
  function release(): void {
    clearTimeout(timer)
    timer = undefined
    const all = work
    work = []
    for (const one of all) one()
  }

  return {
    /** @param now with all before it, at once */
    add(one: () => void, now: boolean): void {
      work.push(one)
      if (now || work.length >= most) release()
      else timer ??= setTimeout(release, longestMs)
    },
    release,
  }
}
