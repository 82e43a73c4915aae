// Measures our gateway beside vsftpd or OpenSSH in one run: every case by turns on each server, medians in a table.
// Must not be read as absolute figures: only servers of the same run are compared (README.md).
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Case, TimedCase } from './cases.ts'
import { FTP_CASES } from './cases-ftp.ts'
import { SFTP_CASES } from './cases-sftp.ts'
import { type ControlGroup, controlGroup } from './control-group.ts'
import { FULL, type Material, makeMaterial, QUICK } from './material.ts'
import { cpuOf, setNice } from './processes.ts'
import { addRow, type Result, table } from './table.ts'
import { type Place, type Protocol, startTargets, type Target } from './targets.ts'

const CASES: Record<Protocol, readonly Case[]> = { ftp: FTP_CASES, sftp: SFTP_CASES }
const USAGE = `node bench/run.ts [ftp|sftp] [--only WORDS] [--place tmpfs|disk] [--repeat N] [--nice N] [--json FILE] [--quick]
  --only WORDS   cases whose name has these words, e.g. "small", "kB up"
  --place P      only there
  --repeat N     repetitions, 5 without it (1 with --quick)
  --nice N       the priority of servers and clients, -20 to 19: below 0 (root) a busy machine disturbs less
  --json FILE    writes all figures there
  --quick        small sizes: shows that it runs, not how fast`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    place: { type: 'string' },
    repeat: { type: 'string' },
    nice: { type: 'string' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help || positionals.some((word) => !(word in CASES)) || (values.place && !['tmpfs', 'disk'].includes(values.place))) {
  console.error(USAGE)
  process.exit(values.help ? 0 : 2)
}

/** In which the server's process of a session has ended after its client. */
const SESSION_END_MS = 200

const undo: (() => unknown)[] = []
const t = { teardown: (work: () => unknown) => undo.push(work) }
const repeat = Number(values.repeat ?? (values.quick ? 1 : 5))
const results: Result[] = []

/** By a server's process; without them (not root, no Linux) what children did that nobody waited for is not counted, as vsftpd's. */
const groups = new Map<number, ControlGroup | null>()
const spent = (target: Target): number => groups.get(target.pid)?.cpu() ?? cpuOf(target.pid)

/** One repetition, on a server that nobody else uses. */
async function once(one: TimedCase, target: Target, material: Material): Promise<{ ms: number; cpu: number }> {
  await target.clear()
  rmSync(join(material.folder, 'got'), { recursive: true, force: true })
  await one.prepare?.(target, material)
  // what an earlier case left to be written must not be paid for here
  if (target.place === 'disk') execFileSync('sync')
  const cpu = spent(target)
  const start = performance.now()
  await one.run(target, material)
  const ms = performance.now() - start
  // a process a session counts once it has ended
  await sleep(SESSION_END_MS)
  return { ms, cpu: spent(target) - cpu }
}

async function measure(protocol: Protocol, one: Case, targets: readonly Target[], material: Material): Promise<void> {
  for (const place of one.places) {
    const here = targets.filter((target) => target.place === place)
    if (here.length === 0) continue
    if ('measure' in one) {
      for (const target of here)
        for (const [name, value] of Object.entries(await one.measure(target, material)))
          addRow(results, { protocol, name: `${one.name} (${name})`, place, unit: name === 'processes' ? '' : 'kB' }, target.side, value)
      continue
    }
    for (let i = 0; i < repeat; i++) {
      // who comes first changes
      for (const target of [...here.slice(i % here.length), ...here.slice(0, i % here.length)]) {
        const { ms, cpu } = await once(one, target, material)
        addRow(results, { protocol, name: one.name, place, unit: 's' }, target.side, ms / 1000, cpu)
      }
    }
    for (const target of here) await target.clear()
  }
}

try {
  const material = makeMaterial(t, values.quick ? QUICK : FULL)
  const protocols = (positionals.length > 0 ? positionals : ['ftp', 'sftp']) as Protocol[]
  for (const protocol of protocols) {
    const chosen = CASES[protocol].filter((one) => one.name.includes(values.only ?? ''))
    const places = [...new Set(chosen.flatMap((one) => one.places))].filter((place) => !values.place || place === (values.place as Place))
    const targets = await startTargets(t, protocol, places)
    for (const pid of [process.pid, ...targets.map((target) => target.pid)]) {
      if (!groups.has(pid)) groups.set(pid, controlGroup(t, pid))
      // a server's child that begins a session of its own, as vsftpd's and sshd's do, keeps its group's priority, but no other
      if (values.nice) (groups.get(pid) ?? { setNice: (nice: number) => setNice(pid, nice) }).setNice(Number(values.nice))
    }
    for (const one of chosen) {
      process.stderr.write(`${protocol}: ${one.name}\n`)
      await measure(protocol, one, targets, material)
    }
  }
  console.log(
    `${cpus().length} × ${cpus()[0]?.model}, ${repeat} repetitions${values.quick ? ', QUICK: sizes are too small to compare' : ''}`,
  )
  console.log(table(results))
  if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
} finally {
  for (const work of undo.reverse()) await work()
}
