// A running FTP listener over a temporary folder with a control plane that remembers what it was told, and a raw client.
// Must not wait by the clock where an event tells.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import Value from 'typebox/value'
import { type Config, ConfigSchema } from '../../../src/config/schema.ts'
import { createLogger, type LogLine } from '../../../src/core/log.ts'
import { DEFAULT_PERMISSIONS } from '../../../src/core/permission.ts'
import type { Peer } from '../../../src/core/transfer.ts'
import type { Principal } from '../../../src/core/user.ts'
import { ROOT } from '../../../src/core/virtual-path.ts'
import type { Admission, Gatekeeper } from '../../../src/gatekeeper/messages.ts'
import { createFtpListener } from '../../../src/listeners/ftp/listener.ts'
import { run as runProgram } from '../../support/run.ts'
import { fakeFiles, type Trace } from './fake-files.ts'

interface Test {
  teardown(run: () => unknown): void
}

export interface Options {
  readonly ftp?: Record<string, unknown>
  readonly limits?: Record<string, number>
  readonly tls?: boolean
  readonly requireTls?: boolean
  readonly maxSize?: number
  /** Bytes a second that the listener paces itself by; the fake files do not. */
  readonly uploadRate?: number
  readonly admission?: Admission
  readonly password?: string
}

let material: { cert: string; key: string } | undefined
/** A throw-away certificate, made once a test process. */
export function certificate(): { cert: string; key: string } {
  if (material) return material
  const folder = mkdtempSync(join(tmpdir(), 'ff-cert-'))
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...['-keyout', join(folder, 'key'), '-out', join(folder, 'cert')],
  ])
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr}`)
  material = { cert: readFileSync(join(folder, 'cert'), 'utf8'), key: readFileSync(join(folder, 'key'), 'utf8') }
  rmSync(folder, { recursive: true })
  return material
}

/** Every call that the control plane got, in order. */
export interface Calls {
  readonly closed: { id: string; reason: string }[]
  readonly confirmed: { id: string; verdict: string }[]
  readonly authenticated: { username: string; password: string; secure: boolean }[]
  readonly clients: string[]
  /** Ports of connections that were let in and are gone. */
  readonly departed: number[]
}

export async function startFtp(t: Test, options: Options = {}) {
  const root = join(mkdtempSync(join(tmpdir(), 'ff-ftp-')), 'home')
  mkdirSync(root)
  const defaults = Value.Default(ConfigSchema, {}) as Config
  const config = {
    ...defaults,
    ftp: {
      ...defaults.ftp,
      host: '127.0.0.1',
      ...options.ftp,
      passive: { ...defaults.ftp.passive, ports: '0-0', ...(options.ftp?.passive as object) },
      tls: { ...defaults.ftp.tls, ...(options.ftp?.tls as object) },
    },
    limits: { ...defaults.limits, idle_timeout: 60_000, login_timeout: 30_000, transfer_stall_timeout: 60_000, ...options.limits },
  } as Config
  const principal: Principal = {
    username: 'partner',
    partner: '',
    home: root,
    startDirectory: ROOT,
    permissions: DEFAULT_PERMISSIONS,
    mounts: [],
    protocols: ['ftp'],
    requireTls: options.requireTls ?? false,
    sshAuth: 'any',
    quota: { bytes: null, files: null },
    limits: { sessions: null, uploadRate: options.uploadRate ?? null, downloadRate: null, maxFileSize: null },
  }
  const trace: Trace = { committed: [], aborted: [], downloads: [], closed: 0, beforeCommit: async () => undefined }
  const calls: Calls = { closed: [], confirmed: [], authenticated: [], clients: [], departed: [] }
  const lines: LogLine[] = []
  let sessions = 0
  const gatekeeper = {
    droppedUnheard: () => undefined,
    departed: (peer: Peer) => void calls.departed.push(peer.port),
    admit: async (_peer: Peer) => options.admission ?? { allowed: true },
    mayTry: async (_peer: Peer, _username: string, secure: boolean) =>
      principal.requireTls && !secure
        ? { allowed: false, code: 'auth.tls_required', message: 'This account needs TLS: use AUTH TLS first.' }
        : { allowed: true },
    authenticate: async (attempt: { username: string; credential: { password: string }; secure: boolean }) => {
      calls.authenticated.push({ username: attempt.username, password: attempt.credential.password, secure: attempt.secure })
      return attempt.username === 'partner' && attempt.credential.password === (options.password ?? 'secret') ? principal : null
    },
    openSession: async (_username: string, _peer: Peer, _method: string, client: string) => {
      calls.clients.push(client)
      return { id: `s${++sessions}`, principal }
    },
    closeSession: (id: string, reason: string) => calls.closed.push({ id, reason }),
    confirmUpload: (id: string, verdict: string) => calls.confirmed.push({ id, verdict }),
    progress: () => undefined,
    activity: () => undefined,
  } as unknown as Gatekeeper
  const listener = createFtpListener({
    config,
    gatekeeper,
    log: createLogger('ftp', (line) => lines.push(line)),
    credentials: { hostKeys: [], tls: options.tls ? certificate() : null },
    port: 0,
    openFilesystem: (opened) => fakeFiles(root, opened.principal, opened.id, trace, options.maxSize),
  })
  const port = await listener.start()
  t.teardown(async () => {
    await listener.stop(0)
    rmSync(join(root, '..'), { recursive: true, force: true })
  })
  return { root, port, listener, trace, calls, lines }
}

/** A control connection that says exactly what a test wants. */
export class RawClient {
  socket: Socket
  readonly #host: string
  #text = ''
  #closed = false
  #wake: (() => void)[] = []

  constructor(socket: Socket, host = '127.0.0.1') {
    this.socket = socket
    this.#host = host
    this.#listen()
  }

  static async open(port: number, host = '127.0.0.1'): Promise<RawClient> {
    const client = new RawClient(connect({ port, host, noDelay: true }), host)
    await client.reply()
    return client
  }

  static async login(port: number): Promise<RawClient> {
    const client = await RawClient.open(port)
    await client.ask('USER partner')
    const reply = await client.ask('PASS secret')
    if (!reply.startsWith('230')) throw new Error(reply)
    return client
  }

  send(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? `${text}\r\n` : text)
  }

  ask(text: string): Promise<string> {
    this.send(text)
    return this.reply()
  }

  /** The next whole reply; empty when the connection is closed. */
  async reply(): Promise<string> {
    for (;;) {
      const match = /^(\d{3})(?: [^\n]*|-[\s\S]*?\r\n\1 [^\n]*)\r\n/.exec(this.#text)
      if (match) {
        this.#text = this.#text.slice(match[0].length)
        return match[0].trimEnd()
      }
      if (this.#closed) return ''
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  async closed(): Promise<void> {
    while (!this.#closed) await new Promise<void>((resolve) => this.#wake.push(resolve))
  }

  /** The port of a new EPSV. */
  async passivePort(): Promise<number> {
    const reply = await this.ask('EPSV')
    return Number(/\|\|\|(\d+)\|/.exec(reply)?.[1])
  }

  async data(): Promise<Socket> {
    const port = await this.passivePort()
    const socket = connect({ port, host: this.#host })
    socket.on('error', () => undefined)
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return socket
  }

  /** Sends `content` by an upload's command. @returns the last reply */
  async put(command: string, content: string): Promise<string> {
    const data = await this.data()
    const opened = await this.ask(command)
    if (!opened.startsWith('150')) {
      data.destroy()
      return opened
    }
    data.end(content)
    return this.reply()
  }

  /** Wraps the control connection; the certificate is the test's own. */
  async startTls(): Promise<void> {
    this.socket.removeAllListeners('data')
    const raw = this.socket
    this.socket = await new Promise((resolve, reject) => {
      const secured = tlsConnect({ socket: raw, rejectUnauthorized: false }, () => resolve(secured))
      secured.once('error', reject)
    })
    this.#listen()
  }

  #listen(): void {
    this.socket.on('data', (chunk) => {
      this.#text += chunk.toString('utf8')
      this.#notify()
    })
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.#closed = true
      this.#notify()
    })
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

export async function received(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Runs a client program. @returns exit code and output together */
export async function run(command: string, args: readonly string[], input = ''): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await runProgram(command, args, { input })
  return { code, output: stdout + stderr }
}

/** Resolves when the condition holds; the test's own time limit is the end of waiting. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}
