// A real gateway for tests: its own process on free ports in a temporary folder, spoken to as admins and partners do.
// Must not reach into the process; what a test knows, it knows from outside.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, type Method, socketTransport } from '../../src/cli/api-client.ts'
import type { DeliveryView, TransferDetail, TransferView } from '../../src/core/movement-views.ts'
import type { StateFile } from '../../src/core/state-file.ts'
import type { Page } from '../../src/core/views.ts'
import type { TearsDown } from './far-process.ts'
import { type Ran, run } from './run.ts'

export { type Ran, run }

const ROOT = join(import.meta.dirname, '../..')
const MAIN = join(ROOT, 'src/launch.mjs')
/** Host keys and certificate of the first gateway that the tests of this installation started: making an RSA key costs as much as a start. */
const KEYS = join(ROOT, 'node_modules/.cache/fileflow-test-keys')

// tap, started as it is, would have its hooks loaded by each process below a test: half a second of processor for each gateway
delete process.env.NODE_OPTIONS

export interface GatewayOptions {
  /** Kept between starts of the same gateway; a temporary one without it. */
  readonly folder?: string
  readonly env?: NodeJS.ProcessEnv
  /** Default 2. */
  readonly drainSeconds?: number
  /** In a session of its own, as far servers are. */
  readonly detached?: boolean
}

export interface LogRecord {
  readonly event: string
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

export interface TestGateway {
  readonly folder: string
  readonly files: string
  readonly ports: { readonly ftp: number; readonly sftp: number; readonly admin: number }
  readonly pid: number
  readonly log: readonly LogRecord[]
  readonly adminPassword: string
  /** All that it printed there so far. */
  stderr(): string
  /** The API over the unix socket, as the commands use it. */
  api<T>(method: Method, path: string, body?: unknown): Promise<T>
  apply(state: StateFile): Promise<void>
  transfers(query?: string): Promise<readonly TransferView[]>
  transfer(id: string): Promise<TransferDetail>
  deliveries(query?: string): Promise<readonly DeliveryView[]>
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
  kill(signal: NodeJS.Signals): void
  /** SIGTERM, and waits. */
  stop(): Promise<void>
}

/** Waits until `look` gives something truthy. Its failure says what was waited for. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  ms = 150_000,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const end = performance.now() + ms
  let last: unknown
  // each look may cost several processes some work: what takes long is looked at less often
  let pause = 15
  while (performance.now() < end) {
    try {
      const found = await look()
      if (found) return found as Exclude<T, false | null | undefined | 0 | ''>
      last = found
    } catch (error) {
      last = error
    }
    pause = Math.min(pause * 1.1, 50)
    await sleep(pause)
  }
  throw new Error(`waited ${ms} ms in vain: ${what} (last: ${last instanceof Error ? last.message : JSON.stringify(last)})`)
}

/** Started when it says `ready`. Ends with the test. */
export async function startGateway(
  t: TearsDown,
  { folder, env = {}, drainSeconds = 2, detached = false }: GatewayOptions = {},
): Promise<TestGateway> {
  const home = folder ?? (await mkdtemp(join(tmpdir(), 'fileflow-test-')))
  if (!folder) t.teardown(() => rm(home, { recursive: true, force: true }))
  const adminPassword = 'test-admin-password'
  const keys = join(home, 'data/keys')
  // who says where the data is may want it elsewhere, and who brings data has keys
  const fresh = env.FILEFLOW_DATA_DIR === undefined && !['data', 'config.yaml'].some((name) => existsSync(join(home, name)))
  if (fresh && existsSync(KEYS)) {
    await mkdir(join(home, 'data'), { mode: 0o700 })
    await cp(KEYS, keys, { recursive: true, preserveTimestamps: true })
  }
  const child = spawn(process.execPath, [MAIN, 'serve', '--drain', String(drainSeconds)], {
    cwd: home,
    detached,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      // as the launcher sets it, which would have to begin the process anew
      MALLOC_MMAP_THRESHOLD_: String(4 * 2 ** 20),
      FILEFLOW_ADMIN_PASSWORD: adminPassword,
      FILEFLOW_FTP_HOST: '127.0.0.1',
      FILEFLOW_FTP_PORT: '0',
      FILEFLOW_SFTP_HOST: '127.0.0.1',
      FILEFLOW_SFTP_PORT: '0',
      FILEFLOW_ADMIN_PORT: '0',
      ...env,
    },
  })
  const log: LogRecord[] = []
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  let printed = ''
  child.stderr!.on('data', (chunk: Buffer) => {
    printed += chunk.toString()
  })
  const ready = await readyLine(child, log, ended, () => printed)
  if (fresh && !existsSync(KEYS) && existsSync(join(keys, 'ssh_host_rsa_key'))) await keepKeys(keys)
  const call = socketTransport(join(home, 'data', 'control.sock'))
  const api = <T>(method: Method, path: string, body?: unknown): Promise<T> => ask<T>(call, method, path, body)
  const port = (name: string): number => (ready[name] as { port: number } | undefined)?.port ?? 0
  return {
    folder: home,
    files: join(home, 'data', 'files'),
    ports: { ftp: port('ftp'), sftp: port('sftp'), admin: port('admin') },
    pid: child.pid!,
    log,
    adminPassword,
    stderr: () => printed,
    api,
    apply: async (state) => void (await api('POST', '/state/apply', state)),
    transfers: async (query = '') => (await api<Page<TransferView>>('GET', `/transfers?limit=500${query}`)).items,
    transfer: (id) => api('GET', `/transfers/${id}`),
    deliveries: async (query = '') => (await api<Page<DeliveryView>>('GET', `/deliveries?limit=500${query}`)).items,
    ended,
    kill: (signal) => void child.kill(signal),
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Whole at once: other tests may look for them at this moment. Of several that are first at the same time one stays. */
async function keepKeys(from: string): Promise<void> {
  const mine = `${KEYS}.${process.pid}`
  await cp(from, mine, { recursive: true, filter: (path) => path === from || /^(ssh_host|tls)_/.test(basename(path)) })
  await rename(mine, KEYS).catch(() => rm(mine, { recursive: true }))
}

function readyLine(child: ChildProcess, log: LogRecord[], ended: Promise<unknown>, stderr: () => string): Promise<LogRecord> {
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const record = JSON.parse(line) as LogRecord
      log.push(record)
      if (record.event === 'ready') resolve(record)
    })
    ended.then((how) =>
      reject(new Error(`the gateway ended (${String(how)}) before it was ready: ${stderr()}\n${log.map((r) => r.msg).join('\n')}`)),
    )
  })
}

/** A command of FileFlow's own, as a user types it after `npx`. */
export const fileflow = (args: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<Ran> =>
  run(process.execPath, [MAIN, ...args], options)
