// Bytes in and out over the last minutes, as a chart and in words.
// Must not poll: a new step comes with the figures.
import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useRef } from 'react'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { ThroughputView } from '../../../src/core/views.ts'
import { formatSize } from '../../format.ts'
import { locale } from '../../language.ts'
import { Loaded, Panel } from '../../parts/panel.tsx'
import { strings } from '../../strings.ts'
import { useStats } from './figures.ts'

const words = strings.throughput
const HEIGHT = 180
/** Below this a quiet line would look like a mountain range. */
const LEAST_TOP = 64 * 1024
const minutes = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' })

export function Throughput() {
  const stats = useStats()
  const last = stats.data?.throughput.series.at(-1)
  return (
    <Panel
      title={words.title}
      aside={
        <div className="legend" role="status">
          <span data-way="in">
            {words.in} <strong>{rate(last?.in ?? 0)}</strong>
          </span>
          <span data-way="out">
            {words.out} <strong>{rate(last?.out ?? 0)}</strong>
          </span>
        </div>
      }
    >
      <div className="chart-space" style={{ height: HEIGHT + 16 }}>
        <Loaded query={stats} rows={4}>
          {({ throughput }) => <Chart throughput={throughput} />}
        </Loaded>
      </div>
    </Panel>
  )
}

const rate = (bytes: number): string => strings.sessions.rate(formatSize(Math.round(bytes)))

function Chart({ throughput: { series } }: { throughput: ThroughputView }) {
  const box = useRef<HTMLDivElement>(null)
  const chart = useRef<UPlot | null>(null)
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false })
  const data: UPlot.AlignedData = [
    series.map(({ at }) => Date.parse(at) / 1000),
    series.map((step) => step.in),
    series.map((step) => step.out),
  ]
  const present = useRef(data)
  present.current = data

  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours are read anew when the scheme changes
  useEffect(() => {
    const element = box.current
    if (!element) return
    const made = new UPlot(optionsFor(element), present.current, element)
    chart.current = made
    const fit = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    fit.observe(element)
    return () => {
      fit.disconnect()
      made.destroy()
      chart.current = null
    }
  }, [scheme])

  useEffect(() => {
    chart.current?.setData(data)
  })

  const peak = (way: 'in' | 'out') => rate(Math.max(0, ...series.map((step) => step[way])))
  return <div ref={box} className="chart" role="img" aria-label={words.summary(peak('in'), peak('out'))} />
}

function optionsFor(element: HTMLElement): UPlot.Options {
  const style = getComputedStyle(element)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const line = (label: string, name: string): UPlot.Series => ({
    label,
    stroke: colour(name),
    fill: `color-mix(in srgb, ${colour(name)} 14%, transparent)`,
    width: 2,
    points: { show: false },
    value: (_chart, value) => (value === null ? '' : rate(value)),
  })
  const axis = { stroke: colour('--chart-text'), grid: { stroke: colour('--chart-grid'), width: 1 }, ticks: { show: false } }
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_chart, _least, most) => [0, Math.max(most * 1.1, LEAST_TOP)] } },
    axes: [
      { ...axis, size: 30, values: (_chart, times) => times.map((at) => minutes.format(new Date(at * 1000))), space: 80 },
      { ...axis, values: (_chart, values) => values.map((value) => rate(value)), size: 84, incrs: STEPS },
    ],
    series: [{}, line(words.in, '--chart-in'), line(words.out, '--chart-out')],
  }
}

/** Round numbers in binary units. */
const STEPS = Array.from({ length: 46 }, (_, power) => 2 ** power)
