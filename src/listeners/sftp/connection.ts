// One SSH connection from its first byte to its last: admission, login, channels, timers, and one clean end for all of it.
// Must not speak SFTP or scp; it starts those who do.
import type { Socket } from 'node:net'
import type { Config } from '../../config/schema.ts'
import { monotonic } from '../../core/clock.ts'
import { type ErrorRecord, FileFlowError, toErrorRecord } from '../../core/errors.ts'
import { errorFields, type Logger } from '../../core/log.ts'
import type { Peer } from '../../core/transfer.ts'
import type { Principal } from '../../core/user.ts'
import type { OpenedSession } from '../../gatekeeper/messages.ts'
import type { ListenerContext } from '../listener.ts'
import type { AuthRequest } from './auth-request.ts'
import { Authentication } from './authentication.ts'
import { FILES_ONLY, startCommand } from './commands.ts'
import { departure, ENDS, type End, type Farewell, isGoodbye, leftOpen, sentAway } from './ends.ts'
import type { ScpStream } from './scp-stream.ts'
import { Session } from './session.ts'
import { SftpChannel } from './sftp-channel.ts'
import { guardSocket } from './socket-guard.ts'
import { type AskedChannel, DISCONNECT, type SshConnection, type SshEngine } from './ssh-engine.ts'
import type { Tuning } from './tuning.ts'

export interface ConnectionParts {
  readonly context: ListenerContext
  readonly engine: SshEngine
  readonly config: Config
  readonly tuning: Tuning
  /** A session was opened; before the client knows. */
  opened(sessionId: string): void
  /** Nothing is left of the connection. */
  closed(): void
}

export function peerOf(socket: Socket): Peer {
  const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:(?=\d+\.)/, '')
  return {
    protocol: 'sftp',
    address: plain(socket.remoteAddress),
    port: socket.remotePort ?? 0,
    localAddress: plain(socket.localAddress),
    localPort: socket.localPort ?? 0,
  }
}

export class Connection {
  readonly #socket: Socket
  readonly #parts: ConnectionParts
  readonly #log: Logger
  readonly #peer: Peer
  readonly #channels = new Set<SftpChannel>()
  readonly #commands = new Set<ScpStream>()
  readonly #authentication: Authentication
  #ssh: SshConnection | null = null
  #session: Session | null = null
  #sessionId: string | null = null
  /** Why the connection ended, once it did. */
  #over: End | null = null
  /** Settles when what was left open has been ended, and the gatekeeper knows: a thread that stops must not go before. */
  #released: Promise<void> = Promise.resolve()
  /** What the client said as it left. */
  #farewell: Farewell | null = null
  #deadline: NodeJS.Timeout | undefined
  #rekeyDeadline: NodeJS.Timeout | undefined
  #linger: NodeJS.Timeout | undefined
  #tick: NodeJS.Timeout | undefined
  #keysSince = 0
  #keysAtBytes = 0
  #draining = false

  constructor(socket: Socket, parts: ConnectionParts) {
    this.#socket = socket
    this.#parts = parts
    this.#log = parts.context.log
    this.#peer = peerOf(socket)
    this.#authentication = new Authentication({
      gatekeeper: parts.context.gatekeeper,
      peer: this.#peer,
      log: this.#log,
      tuning: parts.tuning,
      client: () => this.#ssh?.ident ?? '',
      opened: (session) => this.#loggedIn(session),
      refused: (why) => this.end(sentAway(toErrorRecord(why))),
      exhausted: () => this.end(sentAway({ code: 'auth.failed', message: 'Too many login attempts.' }), DISCONNECT.NO_MORE_AUTH_METHODS),
    })
  }

  get sessionId(): string | null {
    return this.#sessionId
  }

  /** A channel has not come to its end. */
  get #busy(): boolean {
    return [...this.#channels, ...this.#commands].some(({ going }) => going)
  }

  /** Asks the gatekeeper, then hands the socket (paused until then) to SSH. Never rejects. */
  async start(): Promise<void> {
    const socket = this.#socket
    // paramiko and curl end their channel and close the socket with our last words unread: their kernel sends a reset
    socket.on('error', (error) => this.end(this.#farewell || !this.#busy ? departure(this.#farewell, false) : ENDS.lost(error)))
    socket.on('close', () => {
      this.#parts.context.gatekeeper.departed(this.#peer)
      this.#closed()
    })
    socket.on('drain', () => this.#pump())
    this.#deadline = setTimeout(
      () => this.end(sentAway({ code: 'auth.failed', message: 'Login took too long.' })),
      this.#parts.config.limits.login_timeout,
    )
    try {
      const admission = await this.#parts.context.gatekeeper.admit(this.#peer)
      if (!admission.allowed) {
        this.#log.debug('connection.refused', admission.message, { address: this.#peer.address, code: admission.code })
        return this.end(sentAway(admission))
      }
      if (this.#over !== null) return
      guardSocket(socket)
      this.#parts.engine.accept(
        socket,
        {
          opened: (ssh) => {
            this.#ssh = ssh
          },
          authentication: (request) => this.#authenticate(request),
          sftp: (asked) => this.#sftp(asked),
          exec: (command, asked) => this.#exec(command, asked),
          shell: (asked) => this.#shell(asked),
          keysChanged: () => this.#keysChanged(),
          leaving: (farewell) => this.#leaving(farewell),
          failed: (error, silent) => this.#failed(error, silent),
        },
        this.#parts.tuning.maxChannels,
      )
    } catch (error) {
      this.#log.error('connection.failed', 'a connection could not be taken', errorFields(error))
      this.end(sentAway(toErrorRecord(new FileFlowError('service.unavailable'))))
    }
  }

  /** Ends the connection and tells the client why. Idempotent, never throws. */
  end(how: End, code: number = DISCONNECT.BY_APPLICATION): void {
    if (this.#over !== null) return
    this.#over = how
    if (this.#ssh === null) {
      this.#socket.destroy()
    } else {
      this.#ssh.disconnect(code, how.why.message)
      this.#socket.end()
      this.#linger = setTimeout(() => this.#socket.destroy(), this.#parts.tuning.lingerMs)
    }
    this.#release(how)
  }

  revoke(reason: ErrorRecord): void {
    this.end(sentAway(reason))
  }

  principalChanged(principal: Principal): void {
    if (!principal.protocols.includes('sftp')) this.end(sentAway(toErrorRecord(new FileFlowError('session.revoked'))))
    else if (this.#session) this.#session.principal = principal
  }

  /** No new transfers; ends now when none runs, else with the last one. */
  drain(): void {
    this.#draining = true
    if (this.#session === null || this.#session.transfers === 0) this.end(ENDS.draining())
    else this.#session.drain()
  }

  #authenticate(request: AuthRequest): void {
    if (this.#over === null) void this.#authentication.take(request)
  }

  #loggedIn(opened: OpenedSession): boolean {
    if (this.#over !== null || this.#draining) return false
    const { context, tuning, config } = this.#parts
    // A moment for what follows a transfer: its acknowledgement, a rename to the final name.
    const drained = (): void => {
      setTimeout(() => this.end(ENDS.draining()), tuning.drainGraceMs)
    }
    this.#session = new Session(context.openFilesystem(opened), context.gatekeeper, this.#log, tuning, drained)
    clearTimeout(this.#deadline)
    this.#sessionId = opened.id
    this.#parts.opened(opened.id)
    const every = Math.max(50, Math.min(tuning.lookMs, config.limits.idle_timeout / 4))
    this.#tick = setInterval(() => this.#look(), every)
    return true
  }

  #sftp(asked: AskedChannel): void {
    const session = this.#session
    if (session === null || this.#over !== null) return
    const channel = asked.accept()
    if (channel === undefined) return
    session.touch()
    const sftp = new SftpChannel(channel, session, () => this.#socket.writableLength)
    this.#channels.add(sftp)
    asked.whenGone(() => sftp.gone())
    channel.on('close', () => this.#channels.delete(sftp))
  }

  #exec(command: string, asked: AskedChannel): void {
    const session = this.#session
    if (session === null || this.#over !== null) return
    const channel = asked.accept()
    if (channel === undefined) return
    session.touch()
    const stream = startCommand(session, channel, command)
    this.#commands.add(stream)
    asked.whenGone(() => stream.abort(leftOpen()))
    channel.on('close', () => this.#commands.delete(stream))
  }

  /** Said in words: a refusal alone tells people nothing. */
  #shell(asked: AskedChannel): void {
    if (this.#session === null || this.#over !== null) return
    const channel = asked.accept()
    channel?.on('error', () => {})
    channel?.stderr.write(FILES_ONLY)
    channel?.exit(1)
    channel?.end()
  }

  #pump(): void {
    for (const channel of this.#channels) channel.pump()
  }

  /** A complaint is for people to read: something between the client and us does not work. */
  #leaving(farewell: Farewell): void {
    this.#farewell ??= farewell
    if (this.#over !== null || isGoodbye(farewell)) return
    this.#log.warn('connection.complaint', 'a client broke off its connection with a complaint', {
      address: this.#peer.address,
      session: this.#sessionId,
      code: farewell.code,
      said: farewell.text,
    })
  }

  #failed(error: Error, silent = false): void {
    if (this.#farewell) {
      this.end(departure(this.#farewell, true))
      return
    }
    if (this.#over === null) {
      this.#log.debug('connection.failed', 'the SSH connection failed', { address: this.#peer.address, error: error.message })
    }
    this.end(silent ? ENDS.silent(error) : ENDS.broken(error), DISCONNECT.PROTOCOL_ERROR)
  }

  #keysChanged(): void {
    clearTimeout(this.#rekeyDeadline)
    this.#rekeyDeadline = undefined
    this.#keysSince = monotonic()
    this.#keysAtBytes = this.#socket.bytesRead + this.#socket.bytesWritten
  }

  /** Every few seconds: idle sessions end, old keys are replaced. */
  #look(): void {
    const session = this.#session
    if (session === null || this.#over !== null) return
    const { limits } = this.#parts.config
    const { tuning } = this.#parts
    const now = monotonic()
    // A client that does not take its replies is stalled, not idle: they wait in the socket, or for the window of a channel.
    const stalled = this.#socket.writableLength > 0 || [...this.#channels, ...this.#commands].some(({ unsent }) => unsent > 0)
    const patience = stalled ? Math.min(limits.transfer_stall_timeout, limits.idle_timeout) : limits.idle_timeout
    if (now - session.lastActivity > patience) {
      this.end(stalled ? ENDS.stalled() : ENDS.idle())
      return
    }
    const moved = this.#socket.bytesRead + this.#socket.bytesWritten - this.#keysAtBytes
    if (this.#rekeyDeadline === undefined && (moved > tuning.rekeyBytes || now - this.#keysSince > tuning.rekeyMs)) {
      this.#rekeyDeadline = setTimeout(() => this.#failed(new Error('The client did not renew its keys')), tuning.rekeyDeadlineMs)
      this.#ssh?.rekey()
    }
  }

  #closed(): void {
    clearTimeout(this.#linger)
    this.#over ??= departure(this.#farewell, this.#busy)
    this.#release(this.#over)
    void this.#released.then(() => this.#parts.closed())
  }

  /** Session, filesystem and channels end exactly once. */
  #release({ reason, why }: End): void {
    clearTimeout(this.#deadline)
    clearTimeout(this.#rekeyDeadline)
    clearInterval(this.#tick)
    const channels = [...this.#channels].map((channel) => channel.close(why))
    this.#channels.clear()
    for (const stream of this.#commands) stream.abort(why)
    this.#commands.clear()
    const session = this.#session
    const id = this.#sessionId
    this.#session = null
    if (session === null || id === null) return
    const closed = session.vfs
      .close(why)
      .catch((error: unknown) => this.#log.error('session.failed', 'the files of a session could not be closed', errorFields(error)))
    this.#released = Promise.all([closed, ...channels]).then(() => this.#parts.context.gatekeeper.closeSession(id, reason))
  }
}
