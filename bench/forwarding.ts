// Forwarding side by side with what it replaces, over one OpenSSH server on loopback: from acknowledged to delivered, small files a second, one large file.
// Must not be taken for more than a comparison on one machine in one run. Usage: node bench/forwarding.ts [latency|small|large …] [--files N] [--repeat N]
import { mkdir, mkdtemp, readdir, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import SftpClient from 'ssh2-sftp-client'
import { run } from '../test/support/gateway.ts'
import { PASSWORD, type Peers, setUpForwarding } from './forwarding-peers.ts'
import { cpuOf } from './processes.ts'

const LATENCY_SIZE = 10_000
const SMALL_SIZE = 1000
const LARGE_SIZE = 2 ** 30
const GIVE_UP_MS = 600_000
/** A file that is not whole by then was sent before it was written. */
const CUT_OFF_MS = 5000

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    files: { type: 'string', default: '5000' },
    repeat: { type: 'string', default: '3' },
    latencies: { type: 'string', default: '200' },
  },
})
const FILES = Number(values.files)
const REPEAT = Number(values.repeat)
const LATENCIES = Number(values.latencies)
const wanted = (part: string): boolean => positionals.length === 0 || positionals.includes(part)

const undo: (() => unknown)[] = []
const t = { teardown: (work: () => unknown) => undo.push(work) }
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const count = async (folder: string): Promise<number> =>
  (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.') && !name.endsWith('.part')).length
const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1]!

/**
 * @param everyMs how often it is looked at: for what takes seconds seldom, since who looks takes from those who are measured
 * @returns whether it was, before it was given up
 */
async function thereWhole(path: string, size: number, everyMs: number, longestMs = GIVE_UP_MS): Promise<boolean> {
  const end = performance.now() + longestMs
  while ((await stat(path).catch(() => null))?.size !== size) {
    if (performance.now() > end) return false
    await sleep(everyMs)
  }
  return true
}

/** Looks the more seldom the longer it will take, for a look at a folder of thousands costs those who are measured. */
async function allThere(folder: string, before: number): Promise<void> {
  const since = performance.now()
  for (;;) {
    const there = (await count(folder)) - before
    if (there >= FILES) return
    const each = (performance.now() - since) / Math.max(1, there)
    await sleep(Math.min(500, Math.max(10, ((FILES - there) * each) / 2)))
  }
}

/** From the moment at which whoever sent it has been told that it arrived, until it lies whole under its name at the far side. */
async function latency(peers: Peers): Promise<void> {
  const content = Buffer.alloc(LATENCY_SIZE, 'x')
  const client = new SftpClient()
  await client.connect({ host: '127.0.0.1', port: peers.gateway.ports.sftp, username: 'customer1', password: PASSWORD })
  let cutOff = 0
  const measure = async (send: (name: string) => Promise<unknown>, folder: string): Promise<number[]> => {
    const waits: number[] = []
    cutOff = 0
    for (let i = 0; i < LATENCIES; i++) {
      const name = `latency-${i}.dat`
      await send(name)
      const since = performance.now()
      if (await thereWhole(join(folder, name), LATENCY_SIZE, 1, CUT_OFF_MS)) waits.push(performance.now() - since)
      else cutOff++
    }
    return waits
  }
  const print = (name: string, [first, ...rest]: readonly number[]): void => {
    const sorted = rest.sort((a, b) => a - b)
    const at = (part: number): string => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!.toFixed(0)
    say(
      `${name.padEnd(20)} p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms; the first, that opens the connection, ${first!.toFixed(0)} ms; ${cutOff} never whole`,
    )
  }
  say(`acknowledged → delivered, ${LATENCIES} files of ${LATENCY_SIZE / 1000} kB, one after the other`)
  print('fileflow', await measure((name) => client.put(content, `/in/${name}`), peers.ours))
  await client.end()
  const script = await peers.startScript()
  print('inotifywait + lftp', await measure((name) => writeFile(join(script.watched, name), content), script.target))
  await script.stop()
}

/** What waits for a destination that is switched on, against mirroring a folder of the same files. */
async function small(peers: Peers): Promise<void> {
  say(`${FILES} files of ${SMALL_SIZE / 1000} kB over ${peers.parallel} connections; median of ${REPEAT}, by turns`)
  const took: Record<string, number[]> = { fileflow: [], lftp: [], rclone: [] }
  const cpu: Record<string, number[]> = { fileflow: [], lftp: [], rclone: [] }
  for (let round = 0; round < REPEAT; round++) {
    const source = await peers.material(`small-${round}`, FILES, SMALL_SIZE)
    await peers.gateway.api('POST', '/destinations/hq/disable')
    await peers.upload(source)
    const before = await count(peers.ours)
    await peers.clock('fileflow', took, cpu, async () => {
      await peers.gateway.api('POST', '/destinations/hq/enable')
      await allThere(peers.ours, before)
    })
    // the others' folders are new in each round, too
    for (const name of await readdir(peers.ours)) await unlink(join(peers.ours, name))
    for (const name of ['lftp', 'rclone'] as const) {
      const target = join(peers.far.root, `${name}-${round}`)
      await peers.clock(name, took, cpu, () => peers.mirror[name](source, target))
      if ((await count(target)) !== FILES) throw new Error(`${name} brought ${await count(target)} of ${FILES}`)
    }
  }
  for (const name of ['fileflow', 'lftp', 'rclone'])
    say(
      `${name.padEnd(20)} ${(FILES / median(took[name]!)).toFixed(0)} files/s, cpu of the server it talks to${name === 'fileflow' ? ' and its own' : ''} ${((median(cpu[name]!) / FILES) * 1e6).toFixed(0)} µs a file`,
    )
}

async function large(peers: Peers): Promise<void> {
  say(`one file of 1 GiB; median of ${REPEAT}, by turns`)
  const took: Record<string, number[]> = { fileflow: [], sftp: [] }
  const cpu: Record<string, number[]> = { fileflow: [], sftp: [] }
  const source = await peers.material('large', 1, LARGE_SIZE)
  for (let round = 0; round < REPEAT; round++) {
    await peers.gateway.api('POST', '/destinations/hq/disable')
    const folder = await peers.material(`large-${round}`, 0, 0)
    await run('cp', ['--reflink=auto', join(source, 'f0.dat'), join(folder, `large-${round}.dat`)], { timeoutMs: GIVE_UP_MS })
    await peers.upload(folder)
    await peers.clock('fileflow', took, cpu, async () => {
      await peers.gateway.api('POST', '/destinations/hq/enable')
      await thereWhole(join(peers.ours, `large-${round}.dat`), LARGE_SIZE, 20)
    })
    await rm(join(peers.ours, `large-${round}.dat`))
    await peers.clock('sftp', took, cpu, () => peers.sftpPut(join(folder, `large-${round}.dat`), join(peers.far.root, `sftp-${round}.dat`)))
    await rm(join(peers.far.root, `sftp-${round}.dat`))
    await rm(folder, { recursive: true })
  }
  for (const name of ['fileflow', 'sftp']) say(`${name.padEnd(20)} ${(LARGE_SIZE / 2 ** 20 / median(took[name]!)).toFixed(0)} MiB/s`)
}

try {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-bench-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'material'))
  const peers = await setUpForwarding(t, folder, cpuOf)
  if (wanted('latency')) await latency(peers)
  if (wanted('small')) await small(peers)
  if (wanted('large')) await large(peers)
  await peers.gateway.stop()
} finally {
  for (const work of undo.reverse()) await work()
}
