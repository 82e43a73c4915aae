// Figures gathered by case, and their medians as a table.
// Must not hide the spread: a case whose repetitions differ much says so.
import type { Place, Protocol, Side } from './targets.ts'

interface Measured {
  /** In the row's unit, one a repetition. */
  readonly values: number[]
  /** Seconds of the server's processor time. */
  readonly cpu: number[]
}

export interface Result {
  readonly protocol: Protocol
  readonly name: string
  readonly place: Place
  readonly unit: string
  readonly sides: Partial<Record<Side, Measured>>
}

export function addRow(results: Result[], key: Omit<Result, 'sides'>, side: Side, value: number, cpu?: number): void {
  let row = results.find((one) => one.protocol === key.protocol && one.name === key.name && one.place === key.place)
  if (!row) {
    row = { ...key, sides: {} }
    results.push(row)
  }
  row.sides[side] ??= { values: [], cpu: [] }
  const measured = row.sides[side]
  measured.values.push(value)
  if (cpu !== undefined) measured.cpu.push(cpu)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const shown = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2))

/** Theirs divided by ours, in time and in processor time: above 1 ours is better. `~` marks repetitions that differ by more than half their median. */
export function table(results: readonly Result[]): string {
  const lines = [['case', 'on', 'setting', 'ours', 'theirs', 'ratio', 'cpu ours', 'cpu theirs', 'cpu ratio']]
  for (const { protocol, name, place, unit, sides } of results) {
    for (const side of ['power', 'process'] as const) {
      const [ours, theirs] = [sides[side], sides.theirs]
      if (!ours || !theirs) continue
      const [a, b] = [median(ours.values), median(theirs.values)]
      const wide = [ours, theirs].some(({ values }) => Math.max(...values) - Math.min(...values) > median(values) / 2)
      const cpu = ours.cpu.length > 0 ? [median(ours.cpu), median(theirs.cpu)] : null
      lines.push([
        `${protocol} ${name}`,
        place,
        side,
        `${shown(a)} ${unit}`,
        `${shown(b)} ${unit}`,
        `${shown(b / a)}${wide ? ' ~' : ''}`,
        ...(cpu ? [`${shown(cpu[0]!)} s`, `${shown(cpu[1]!)} s`, cpu[0]! > 0 ? shown(cpu[1]! / cpu[0]!) : ''] : ['', '', '']),
      ])
    }
  }
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)))
  return lines.map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')).join('\n')
}
