// A control group for a server and whatever it starts: processor time that no child can take away, and a priority that no child can leave.
// Must not change any group but its own; where none can be made, it says so with null.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TearsDown } from '../test/support/far-process.ts'
import { treeOf } from './processes.ts'

const ROOT = '/sys/fs/cgroup'
const UNIFIED = existsSync(join(ROOT, 'cgroup.controllers'))
/** What the kernel weighs a process of nice 0 with, and how much more each step up counts. */
const WEIGHT = UNIFIED ? 100 : 1024
const MOST_WEIGHT = UNIFIED ? 10_000 : 262_144
const STEP = 1.25

export interface ControlGroup {
  /** Seconds of processor time of all that ran in it, whether or not it has ended and whoever its parent was. */
  cpu(): number
  /** As nice, against all other groups: -20 to 19. */
  setNice(nice: number): void
}

let made = 0

/** Takes the process and its children in; null where this is no Linux with control groups, or not ours to use. */
export function controlGroup(t: TearsDown, pid: number): ControlGroup | null {
  const name = `fileflow-bench-${process.pid}-${++made}`
  const [time, weight] = UNIFIED ? [join(ROOT, name), join(ROOT, name)] : [join(ROOT, 'cpuacct', name), join(ROOT, 'cpu', name)]
  const folders = [...new Set([time, weight])]
  const pids = treeOf(pid)
  try {
    for (const folder of folders) mkdirSync(folder)
    for (const folder of folders) for (const each of pids) writeFileSync(join(folder, 'cgroup.procs'), String(each))
  } catch {
    void leave(folders)
    return null
  }
  t.teardown(() => leave(folders))
  return {
    cpu: () =>
      UNIFIED
        ? Number(/^usage_usec (\d+)/m.exec(readFileSync(join(time, 'cpu.stat'), 'utf8'))?.[1]) / 1e6
        : Number(readFileSync(join(time, 'cpuacct.usage'), 'utf8')) / 1e9,
    setNice(nice) {
      const file = join(weight, UNIFIED ? 'cpu.weight' : 'cpu.shares')
      if (!existsSync(file)) throw new Error('the kernel shares the processor by control groups, and theirs cannot be weighed')
      writeFileSync(file, String(Math.min(MOST_WEIGHT, Math.max(2, Math.round(WEIGHT * STEP ** -nice)))))
    },
  }
}

/** Those who live on go back to where all are. */
async function leave(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    for (let tries = 0; existsSync(folder) && tries < 50; tries++) {
      try {
        for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean))
          writeFileSync(join(folder, '../cgroup.procs'), pid)
        rmdirSync(folder)
      } catch {
        // a process that just ended stays in it for a moment
        await sleep(20)
      }
    }
  }
}
