// Small work held back for a few milliseconds, so that many pieces share one sync of the disk.
// Must not hold what somebody waits for, nor more than a handful.

const LONGEST_MS = 5
const MOST = 32

export function createHeld() {
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
      if (now || work.length >= MOST) release()
      else timer ??= setTimeout(release, LONGEST_MS)
    },
    release,
  }
}
