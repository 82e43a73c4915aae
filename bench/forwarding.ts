// Forwarding side by side with what it replaces, over one OpenSSH server on loopback: small files a second, and the time from acknowledged to delivered.
// Must not be taken for more than a comparison on one machine in one run. Usage: node bench/forwarding.ts [FILES]
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startFarSshd } from '../test/support/far-sshd.ts'
import { run, startGateway, until } from '../test/support/gateway.ts'

const FILES = Number(process.argv[2] ?? 5000)
const LATENCY_FILES = 100
const PARALLEL = 4
const PASSWORD = 'correct horse battery staple'

const undo: (() => unknown)[] = []
const t = { teardown: (work: () => unknown) => undo.push(work) }
const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const since = performance.now()
  await work()
  return (performance.now() - since) / 1000
}
const say = (line: string): void => void process.stdout.write(`${line}\n`)

try {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-bench-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const far = await startFarSshd(t)
  const key = join(folder, 'key')
  await writeFile(key, far.privateKey, { mode: 0o600 })
  const gateway = await startGateway(t, { folder })
  const destination = {
    name: 'hq',
    type: 'sftp' as const,
    host: far.host,
    port: far.port,
    username: far.username,
    private_key: far.privateKey,
    host_keys: [far.fingerprint],
    base_path: join(far.root, 'fileflow'),
    max_connections: PARALLEL,
  }
  await gateway.apply({
    users: [{ username: 'customer1', password: PASSWORD, directories: ['/in'] }],
    destinations: [destination],
    rules: [{ name: 'all', source: { path: '/in/**' }, deliver: [{ to: 'hq' }] }],
  })
  const source = join(folder, 'source')
  const slow = join(folder, 'slow')
  for (const [path, count, size] of [
    [source, FILES, 1000],
    [slow, LATENCY_FILES, 10_000],
  ] as const) {
    await mkdir(path)
    for (let i = 0; i < count; i++) await writeFile(join(path, `f${i}.dat`), Buffer.alloc(size, i))
  }
  const upload = async (from: string): Promise<void> => {
    const open = `open -u customer1,${PASSWORD.replaceAll(' ', '\\ ')} sftp://127.0.0.1:${gateway.ports.sftp}`
    const program =
      'set sftp:auto-confirm yes; set sftp:connect-program "ssh -a -x -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"'
    const { code, stderr } = await run('lftp', ['--norc', '-c', `${program}; ${open}; mirror -R ${from} /in`], { timeoutMs: 600_000 })
    if (code !== 0) throw new Error(stderr)
  }
  const delivered = (count: number) =>
    until(
      'all delivered',
      async () => (await gateway.api<{ destinations: { delivered: number }[] }>('GET', '/stats')).destinations[0]!.delivered >= count,
      600_000,
    )

  await upload(slow)
  await delivered(LATENCY_FILES)
  const waits: number[] = []
  for (const { id } of (await gateway.transfers('&state=completed')).filter(({ direction }) => direction === 'upload')) {
    const transfer = await gateway.transfer(id)
    for (const { receipt } of transfer.deliveries)
      if (receipt && transfer.ended_at) waits.push(Date.parse(receipt.at) - Date.parse(transfer.ended_at))
  }
  waits.sort((a, b) => a - b)
  say(
    `acknowledged → delivered, ${waits.length} files of 10 kB: p50 ${waits[Math.floor(waits.length / 2)]} ms, p99 ${waits[Math.floor(waits.length * 0.99)]} ms`,
  )

  await gateway.api('POST', '/destinations/hq/disable')
  await upload(source)
  const ours = await seconds(async () => {
    await gateway.api('POST', '/destinations/hq/enable')
    await until(
      'all there',
      async () => (await readdir(destination.base_path)).filter((name) => !name.startsWith('.')).length >= FILES,
      600_000,
    )
  })
  const ssh = `ssh -a -x -i ${key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null`
  const lftp = await seconds(() =>
    run(
      'lftp',
      [
        '--norc',
        '-c',
        `set sftp:auto-confirm yes; set sftp:connect-program "${ssh}"; open -u ${far.username},x sftp://127.0.0.1:${far.port}; mirror -R --parallel=${PARALLEL} ${source} ${far.root}/lftp`,
      ],
      { timeoutMs: 600_000 },
    ),
  )
  const remote = `:sftp,host=127.0.0.1,port=${far.port},user=${far.username},key_file=${key}:${far.root}/rclone`
  const rclone = await seconds(() =>
    run('rclone', ['copy', source, remote, '--transfers', String(PARALLEL), '--config', '/dev/null'], { timeoutMs: 600_000 }),
  )
  const there = async (name: string): Promise<number> => (await readdir(join(far.root, name)).catch(() => [])).length
  for (const [name, took, count] of [
    ['fileflow', ours, FILES],
    ['lftp', lftp, await there('lftp')],
    ['rclone', rclone, await there('rclone')],
  ] as const)
    say(`${name.padEnd(9)} ${count} files of 1 kB in ${took.toFixed(1)} s: ${Math.round(count / took)} files/s`)
  await gateway.stop()
} finally {
  for (const work of undo.reverse()) await work()
}
