// Limits that a test does not wait out: what waits for so many milliseconds waits for fewer.
// Must not change anything but timers.
import { Socket } from 'node:net'
import type { TearsDown } from './far-process.ts'

export function hurry(t: TearsDown, waits: Readonly<Record<number, number>>): void {
  const [timer, socketTimer] = [globalThis.setTimeout, Socket.prototype.setTimeout]
  globalThis.setTimeout = ((work: () => void, wait: number, ...rest: []) => timer(work, waits[wait] ?? wait, ...rest)) as typeof timer
  Socket.prototype.setTimeout = function (this: Socket, wait: number, ...rest: []) {
    return socketTimer.call(this, waits[wait] ?? wait, ...rest)
  }
  t.teardown(() => {
    globalThis.setTimeout = timer
    Socket.prototype.setTimeout = socketTimer
  })
}

/** A timer of so many milliseconds, of which there is one, ends when the test says so and not before. */
export function atWill(t: TearsDown, wait: number): () => void {
  const timer = globalThis.setTimeout
  let ring = (): void => {
    throw new Error(`nothing waits for ${wait} ms`)
  }
  globalThis.setTimeout = ((work: () => void, ms: number, ...rest: []) => {
    if (ms !== wait) return timer(work, ms, ...rest)
    ring = work
    return timer(() => undefined, 0)
  }) as typeof timer
  t.teardown(() => {
    globalThis.setTimeout = timer
  })
  return () => ring()
}
