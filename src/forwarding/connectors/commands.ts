// Commands that a far side runs beside the transfers of one connection: few at a time, since each takes one of the channels that a server allows.
// Must not judge what they print.
import { setTimeout as pause } from 'node:timers/promises'

/** sshd allows ten channels by default (MaxSessions), and the transfers have one. */
const AT_ONCE = 4
/** sshd counts a channel for a moment after it closed it; and the next one may be the only one it has left. */
const PAUSES_MS = [0, 20, 40, 80, 160, 320]

/** What it printed; null when it fails or takes too long; undefined when the server opens no channel for it. */
type Printed = string | null | undefined

/** @param start runs one at once */
export function createCommands(start: (command: string, ms: number) => Promise<Printed>) {
  let most = AT_ONCE
  let running = 0
  const waiting: (() => void)[] = []

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    while (running >= most) await new Promise<void>((resolve) => waiting.push(resolve))
    running++
    try {
      return await work()
    } finally {
      running--
      waiting.shift()?.()
    }
  }

  /** @param still false: nobody needs it any more. Null then, and when no channel is to be had even for one alone. */
  return async function run(command: string, ms: number, still: () => boolean): Promise<string | null> {
    const first = await inTurn(async () => (still() ? start(command, ms) : null))
    if (first !== undefined) return first
    most = 1
    return inTurn(async () => {
      for (const wait of PAUSES_MS) {
        await pause(wait)
        const printed = still() ? await start(command, ms) : null
        if (printed !== undefined) return printed
      }
      return null
    })
  }
}
