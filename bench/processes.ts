// What a server costs: processor time and memory of its process and all below it, read from /proc.
// Must not count the clients.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'

const CLOCK_TICKS = 100

function stat(pid: number): { parent: number; ticks: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // the name, in brackets, may hold anything
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    return { parent: fields[1]!, ticks: fields[11]! + fields[12]! + fields[13]! + fields[14]! }
  } catch {
    return null
  }
}

/** The process and its descendants that live now. */
export function treeOf(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const parent = Number.isInteger(pid) ? stat(pid)?.parent : undefined
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const found = [root]
  for (const pid of found) found.push(...(children.get(pid) ?? []))
  return found
}

/** Seconds of processor time so far, ended children included. */
export const cpuOf = (root: number): number => treeOf(root).reduce((sum, pid) => sum + (stat(pid)?.ticks ?? 0), 0) / CLOCK_TICKS

/** Bytes: resident (shared pages counted in each process) and proportional (shared pages divided among their holders). */
export function memoryOf(root: number): { rss: number; pss: number; processes: number } {
  const tree = treeOf(root)
  let [rss, pss] = [0, 0]
  for (const pid of tree) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
      const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
      rss += kb('Rss') * 1024
      pss += kb('Pss') * 1024
    } catch {
      // it ended meanwhile
    }
  }
  return { rss, pss, processes: tree.length }
}

/** Of the process and those it starts from now on; where the kernel goes by sessions (autogroup), of its session. @throws Error without the right to */
export function setNice(pid: number, nice: number): void {
  const group = `/proc/${pid}/autogroup`
  if (existsSync(group)) writeFileSync(group, String(nice))
  else setPriority(pid, nice)
}
