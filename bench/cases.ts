// What a case is, and what they share: programs that must succeed, sessions that are held.
// Must not know a protocol.
import { spawn } from 'node:child_process'
import type { Material } from './material.ts'
import { memoryOf } from './processes.ts'
import type { Place, Target } from './targets.ts'

interface CaseBase {
  readonly name: string
  readonly places: readonly Place[]
}

/** Timed, from a clean folder or what `prepare` put there. */
export interface TimedCase extends CaseBase {
  prepare?(target: Target, material: Material): Promise<void>
  run(target: Target, material: Material): Promise<void>
}

/** Gives figures of its own, less is better; once a target. */
export interface MeasuredCase extends CaseBase {
  measure(target: Target, material: Material): Promise<Record<string, number>>
}

export type Case = TimedCase | MeasuredCase

/** Runs a program to its end. @throws Error with what it said when it failed */
export function done(command: string, args: readonly string[], input = ''): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C.UTF-8' } })
    let said = ''
    child.stderr.on('data', (chunk) => {
      said = (said + chunk).slice(-2000)
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.on('error', reject)
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}: ${said}`))))
  })
}

/** Memory that `count` sessions add to the server, in kB for each. */
export async function holdSessions(target: Target, count: number, open: () => Promise<() => void>): Promise<Record<string, number>> {
  const close: (() => void)[] = []
  try {
    // what the first ones load is not what each one costs
    for (let i = 0; i < 5; i++) close.push(await open())
    const before = memoryOf(target.pid)
    let left = count
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        while (left-- > 0) close.push(await open())
      }),
    )
    const after = memoryOf(target.pid)
    return { rss: (after.rss - before.rss) / count / 1000, pss: (after.pss - before.pss) / count / 1000, processes: after.processes }
  } finally {
    for (const end of close) end()
  }
}
