// The one place that touches ftp-srv 4.6.3: its server, connection, command class and registry, typed, with the faults of their constructors undone.
// Must not hold behaviour of ours beyond that; the versions are pinned because these are deep imports (ENGINES.md).
import type { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import type { Server, Socket } from 'node:net'

/** What ftp-srv hands to the `login` event; `resolve({ fs })` logs the connection in. */
export interface LoginEvent {
  readonly connection: StockConnection
  readonly username: string
  readonly password: string
}

export interface StockConnection extends EventEmitter {
  readonly id: string
  readonly server: StockServer
  commandSocket: Socket
  commands: StockCommands
  authenticated: boolean | undefined
  secure: boolean
  login(username: string, password: string): PromiseLike<void>
  reply(code: number, ...lines: string[]): Promise<void>
}

export interface StockCommands {
  readonly connection: StockConnection
  parse(message: unknown): unknown
  handle(command: unknown): unknown
}

export interface StockServer extends EventEmitter {
  readonly options: Record<string, unknown>
  readonly connections: Record<string, StockConnection>
  server: Server
}

/** A verb in ftp-srv's registry: one object a verb, its flags beside its handler. */
export interface RegistryEntry {
  readonly directive: string
  readonly syntax: string
  readonly description: string
  readonly flags: { readonly no_auth?: boolean; readonly feat?: string }
  readonly handler: (this: StockConnection, input: { readonly command: unknown }) => unknown
}

interface StockLog {
  child(): StockLog
  trace(): void
  debug(): void
  info(): void
  warn(): void
  error(): void
}

const require = createRequire(import.meta.url)
const nothing = (): void => undefined
/** ftp-srv logs command lines; ours go through the listener's own logger instead. */
const quiet: StockLog = { child: () => quiet, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }

const StockServerClass = require('ftp-srv') as new (options: Record<string, unknown>) => StockServer
const StockConnectionClass = require('ftp-srv/src/connection') as new (
  server: StockServer,
  options: { log: StockLog; socket: Socket },
) => StockConnection
const ShellCommands = require('ftp-srv/src/commands') as new (connection: StockConnection) => StockCommands
const registry = require('ftp-srv/src/commands/registry') as Record<string, RegistryEntry>

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const

/** FtpServer without its signal handlers, which would exit the process, and with `server` replaced by one of ours. */
export class ShellServer extends StockServerClass {
  constructor(server: Server) {
    const before = new Set(SIGNALS.flatMap((signal) => process.listeners(signal)))
    super({ log: quiet, url: 'ftp://127.0.0.1:0' })
    for (const signal of SIGNALS) {
      for (const listener of process.listeners(signal)) if (!before.has(listener)) process.removeListener(signal, listener)
    }
    this.server.removeAllListeners()
    this.server = server
  }
}

const HANDLED = ['data', 'error', 'timeout', 'close'] as const

/** FtpConnection without the socket listeners of its constructor, which split lines wrongly and leak after resets. */
export class ShellConnection extends StockConnectionClass {
  constructor(server: StockServer, socket: Socket) {
    const before = new Set<unknown>(HANDLED.flatMap((event) => socket.listeners(event)))
    super(server, { log: quiet, socket })
    for (const event of HANDLED) {
      for (const listener of socket.listeners(event)) if (!before.has(listener)) socket.removeListener(event, listener as () => void)
    }
  }
}

export { ShellCommands }

/** Puts our verbs in place of all stock ones. The registry is one object of the whole process: filling it twice is harmless. */
export function fillRegistry(entries: readonly RegistryEntry[]): void {
  for (const verb of Object.keys(registry)) delete registry[verb]
  for (const entry of entries) registry[entry.directive] = entry
}

export const registered = (verb: string): RegistryEntry | undefined => (Object.hasOwn(registry, verb) ? registry[verb] : undefined)
