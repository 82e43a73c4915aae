// How many processes want a processor at this moment, as the kernel tells it.
// Must not be taken for an average: it is other every time.
import fs from 'node:fs'
import { cpus } from 'node:os'

/** All of the machine's, as what runs there is counted. */
const PROCESSORS = Math.max(1, cpus().length)

export interface RunQueue {
  /** Processes of the machine that run or wait for a processor; 0 where nobody tells. */
  readonly runnable: number
  readonly processors: number
}

/** The fourth field of /proc/loadavg (proc_loadavg(5)): no disk is waited for. */
export function runQueue(): RunQueue {
  try {
    return { runnable: Number(/ (\d+)\//.exec(fs.readFileSync('/proc/loadavg', 'latin1'))?.[1] ?? 0), processors: PROCESSORS }
  } catch {
    return { runnable: 0, processors: PROCESSORS }
  }
}
