// Files on their way in: each waits until it was unchanged for the settling time and nobody holds it open for writing.
// Must not touch a disk; time and what was seen are told to it.
import type { VirtualPath } from '../core/virtual-path.ts'
import type { Seen } from './messages.ts'

interface Candidate {
  identity: string
  /** When this identity was first seen, monotonic ms. */
  since: number
  /** Not to be looked at before, monotonic ms. */
  notBefore: number
}

export class Candidates {
  readonly #waiting = new Map<VirtualPath, Candidate>()

  get count(): number {
    return this.#waiting.size
  }

  has(path: VirtualPath): boolean {
    return this.#waiting.has(path)
  }

  /** Seen now. The settling time starts anew with each change. */
  saw({ path, identity }: Pick<Seen, 'path' | 'identity'>, now: number): void {
    const known = this.#waiting.get(path)
    if (known?.identity === identity) return
    this.#waiting.set(path, { identity, since: now, notBefore: 0 })
  }

  /** Nothing is known of any: another folder stands there. */
  clear(): void {
    this.#waiting.clear()
  }

  drop(path: VirtualPath): void {
    this.#waiting.delete(path)
  }

  /** Held back (open for writing, no space): another look at `at`. */
  putOff(path: VirtualPath, at: number): void {
    const known = this.#waiting.get(path)
    if (known) known.notBefore = at
  }

  /** Those that were quiet long enough, oldest first, at most `limit`. */
  settled(now: number, settleMs: number, limit: number): { path: VirtualPath; identity: string }[] {
    const ready: { path: VirtualPath; identity: string }[] = []
    for (const [path, { identity, since, notBefore }] of this.#waiting) {
      if (now - since < settleMs || now < notBefore) continue
      ready.push({ path, identity })
      if (ready.length >= limit) break
    }
    return ready
  }
}
