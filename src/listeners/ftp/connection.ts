// One control connection: lines in, one command at a time, replies out, and an end that happens exactly once.
// Must not know what any command does.
import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { RESET_MS } from '../../core/doubt.ts'
import { FileFlowError } from '../../core/errors.ts'
import { errorFields } from '../../core/log.ts'
import type { Peer } from '../../core/transfer.ts'
import type { VirtualFilesystem } from '../../files/virtual-filesystem.ts'
import { Activity } from './activity.ts'
import { type Command, FtpCommands, interrupts, runsAtOnce } from './commands/dispatch.ts'
import { Confirmations } from './confirmations.ts'
import { CONNECT_MS, type DataChannel, handshake } from './data-channel.ts'
import { ShellConnection } from './ftp-srv.ts'
import { LineReader } from './line-reader.ts'
import { Output } from './output.ts'
import { formatReply, Refusal, type Reply, replyOf } from './replies.ts'
import type { FtpGateway } from './server.ts'
import { freshSettings, type SessionSettings } from './session-settings.ts'
import { SessionTimers } from './session-timers.ts'
import { drop, secureServerSide } from './tls.ts'
import { RunningTransfer } from './transfer.ts'

/** Commands waiting while one runs; beyond them the socket is not read. */
const MOST_QUEUED = 64
/** Commands answered beside a transfer at one time. */
const MOST_BESIDE = 8
/** How long a client may take to read the last reply. */
const FAREWELL_MS = 2000

export class FtpConnection extends ShellConnection {
  readonly gateway: FtpGateway
  readonly peer: Peer
  readonly output: Output
  readonly confirmations: Confirmations
  /** Resolves when the session has ended and nothing of it runs any more. */
  readonly gone: Promise<void>
  settings: SessionSettings = freshSettings()
  session: { readonly id: string; readonly files: VirtualFilesystem } | null = null
  failedLogins = 0
  channel: DataChannel | null = null
  transfer: RunningTransfer | null = null
  #parting: Socket | null = null
  ended = false
  /** What the control connection was encrypted with: data connections go on with it, so that they resume its session and show the same certificate after a reload. */
  tlsContext: SecureContext | null = null
  /** `ftp.tls.require_ssl_reuse`, as it was when the encryption began. */
  #mustResume = false
  readonly timers: SessionTimers
  readonly #activity = new Activity((doing) => {
    if (this.session !== null) this.gateway.context.gatekeeper.activity(this.session.id, doing)
  })
  readonly #input = new LineReader()
  #queue: Command[] = []
  #running: Promise<void> | null = null
  #beside = 0
  #quitting = false
  /** The client said QUIT and closed its side: it waits for answers alone. */
  #leaving = false
  /** The client vanished without QUIT. */
  #lost = false
  /** It closed right after a 226, and it is waited for whether a dead one's kernel did that. */
  #leftAfter226 = false
  #drain: Reply | null = null
  #resolveGone: () => void = () => undefined
  /** Takes our ears off the socket: TLS goes on with it. */
  #detach: () => unknown = () => undefined

  constructor(gateway: FtpGateway, socket: Socket, peer: Peer) {
    super(gateway, socket)
    this.gateway = gateway
    this.peer = peer
    this.output = new Output(socket)
    this.confirmations = new Confirmations(gateway.context.gatekeeper)
    this.commands = new FtpCommands(this)
    this.gone = new Promise((resolve) => {
      this.#resolveGone = resolve
    })
    this.timers = new SessionTimers(
      gateway.config.limits,
      () => this.transfer !== null,
      (reply) => this.terminate(reply, 'timeout'),
    )
    this.#attach(socket)
  }

  /** The files of the login. @throws FileFlowError `auth.required` */
  get files(): VirtualFilesystem {
    if (this.session === null) throw new FileFlowError('auth.required')
    return this.session.files
  }

  /** Begins to read commands. */
  open(): void {
    if (!this.ended) this.commandSocket.resume()
  }

  override async reply(code: number, ...lines: string[]): Promise<void> {
    await this.output.write(formatReply(code, lines))
  }

  /** Bytes or commands came behind the one that runs. */
  get hasMore(): boolean {
    return this.#queue.length > 0 || this.#input.pending > 0
  }

  /** Everything from here on is TLS. The reply and the wrapping are of one tick: no byte can come between. */
  startTls(reply: Reply | null): void {
    const context = this.gateway.contextOfSession()
    if (context === null) throw new FileFlowError('operation.unsupported')
    this.#mustResume = this.gateway.config.ftp.tls.require_ssl_reuse
    const raw = this.commandSocket
    this.#detach()
    raw.pause()
    if (reply !== null) raw.write(formatReply(reply.code, [reply.text]))
    const secured = secureServerSide(raw, context, this.gateway.config.ftp.tls.client_certificates)
    this.tlsContext = context
    this.commandSocket = secured
    this.output.moveTo(secured)
    this.secure = true
    this.#attach(secured)
  }

  /** Runs what may take long, one at a time: ABOR and the session's end stop it, idleness does not. */
  async interruptible<T>(verb: string, run: (transfer: RunningTransfer) => Promise<T>): Promise<T> {
    const transfer = new RunningTransfer(verb)
    this.transfer = transfer
    try {
      return await run(transfer)
    } catch (error) {
      transfer.abort(error instanceof Error ? error : new Error(String(error)))
      throw transfer.signal.reason
    } finally {
      this.transfer = null
      this.timers.active()
    }
  }

  /** Runs a transfer: its data channel is used up and REST, RANG and ALLO are forgotten after it. */
  async withTransfer(verb: string, run: (transfer: RunningTransfer) => Promise<void>): Promise<void> {
    try {
      if (this.#leaving) throw new FileFlowError('transfer.aborted', 'The control connection is closed already.')
      await this.interruptible(verb, run)
    } finally {
      Object.assign(this.settings, { restAt: 0, rangeEnd: null, allocated: null })
      this.replaceChannel(null)
    }
  }

  /** The data connection of this transfer, encrypted where PROT P says so. Call it after 150. */
  async openData(transfer: RunningTransfer, receiving: boolean): Promise<Socket> {
    const channel = this.channel
    if (channel === null) throw new FileFlowError('data.no_connection', 'Use PASV or EPSV first.')
    try {
      const withinMs = Math.min(CONNECT_MS, this.gateway.config.limits.transfer_stall_timeout)
      const raw = await channel.connect(transfer.signal, withinMs)
      const context = this.tlsContext
      const wanted = this.settings.protection === 'P'
      if (wanted && context === null) throw new FileFlowError('data.no_connection', 'TLS is not available any more.')
      const socket = wanted && context !== null ? await handshake(raw, context, receiving, transfer.signal, withinMs) : raw
      if (this.#mustResume && socket instanceof TLSSocket && !socket.isSessionReused()) {
        drop(socket)
        throw new Refusal(522, 'The data connection must resume the TLS session of the control connection.')
      }
      // From here on the transfer closes it: gently at its end, at once when it fails.
      this.channel = null
      transfer.governs(socket)
      return socket
    } catch (error) {
      channel.close()
      throw error
    }
  }

  replaceChannel(channel: DataChannel | null): void {
    this.channel?.close()
    this.channel = channel
    if (this.ended) channel?.close()
  }

  /** A data connection that ends by itself soon: at once when the next one parts, or with the session. */
  partWith(socket: Socket | null): void {
    if (this.#parting !== null) drop(this.#parting)
    this.#parting = socket
    if (this.ended && socket !== null) drop(socket)
  }

  /** The login is over (REIN, AUTH, another USER, the end): its files close, its uploads are judged, the control plane is told. */
  async logOut(reason: string, why: Error): Promise<void> {
    const login = this.session
    this.session = null
    this.authenticated = false
    this.#settleUploads()
    if (login === null) return
    if (!this.ended) this.timers.awaitLogin()
    await login.files.close(why).catch((error: unknown) => this.#unexpected('session.close', error))
    if (this.ended) await this.#running
    this.#settleUploads()
    this.gateway.context.gatekeeper.closeSession(login.id, reason)
  }

  /** A last reply after which the connection ends; a running transfer is aborted. Only the first call counts. */
  terminate(reply: Reply | null, reason: string, why: Error = new FileFlowError('transfer.aborted', 'The session ended.')): void {
    // the client has left: its session ends within a second, and what is found out in it decides about an upload that was acknowledged
    if (this.ended || this.#leftAfter226) return
    this.ended = true
    this.timers.stop()
    this.#activity.stop()
    this.transfer?.abort(why)
    this.channel?.close()
    this.partWith(null)
    this.#queue = []
    this.#partFrom(reply)
    void this.#windUp(reason, why)
  }

  /** No further command: after the running transfer, or now. */
  drain(reply: Reply): void {
    if (this.transfer === null) this.terminate(reply, 'drain')
    else this.#drain = reply
  }

  #attach(socket: Socket): void {
    const heard = (segment: Buffer) => {
      this.#input.push(segment)
      this.#take()
    }
    const lost = () => {
      if (this.ended) return
      this.#leftAfter226 = false
      this.#lost = !this.#quitting
      this.terminate(null, this.#quitting ? 'quit' : 'lost', new FileFlowError('transfer.aborted', 'The control connection was lost.'))
    }
    const finished = () => {
      // RFC 959 §4.1.1: QUIT is what ends the session then, after all that came before it
      if (this.#quitting && this.transfer === null) this.#leaving = true
      else if (this.confirmations.waiting && !this.secure && !this.ended) this.#understandEnd(socket, lost)
      else lost()
    }
    const failed = (error: Error) => {
      this.gateway.context.log.debug('session.socket', 'the control connection failed', { session: this.session?.id, error: error.message })
      socket.destroy()
    }
    // the other direction stays open for a moment when the client's end has to be understood
    socket.allowHalfOpen = true
    socket.on('data', heard).on('end', finished).on('close', lost).on('error', failed)
    // others listen to it, too: the server, for its end
    this.#detach = () => socket.off('data', heard).off('end', finished).off('close', lost).off('error', failed)
  }

  /**
   * The client closed right after 226. One that read it has only closed; of one that was dead before, the kernel answers 226 with a reset, which
   * is here a round trip later and fails the next write.
   */
  #understandEnd(socket: Socket, lost: () => void): void {
    this.confirmations.doubt()
    this.#leftAfter226 = true
    const probe = setTimeout(() => {
      socket.write(formatReply(421, ['The connection was closed.']), (error) => {
        if (!error && !this.ended) this.confirmations.settle('confirmed')
        lost()
      })
    }, RESET_MS)
    socket.once('close', () => clearTimeout(probe))
  }

  /** Takes lines while there is room for commands; otherwise the socket waits. */
  #take(): void {
    while (!this.ended && this.#queue.length < MOST_QUEUED) {
      const line = this.#input.next()
      if (line === undefined) break
      this.#accept((this.commands as FtpCommands).parse(line))
    }
    if (this.ended) return
    if (this.#queue.length >= MOST_QUEUED) this.commandSocket.pause()
    else if (this.commandSocket.isPaused()) this.commandSocket.resume()
  }

  #accept(command: Command): void {
    this.timers.active()
    this.confirmations.settle('confirmed')
    if (command.verb === 'QUIT') this.#quitting = true
    if (interrupts(command)) this.transfer?.abort(new FileFlowError('transfer.aborted'))
    if (this.transfer !== null && runsAtOnce(command) && this.#beside < MOST_BESIDE && !this.output.congested) {
      this.#beside++
      void this.#perform(command).then(() => {
        this.#beside--
      })
      return
    }
    this.#queue.push(command)
    this.#pump()
  }

  #pump(): void {
    if (this.#running !== null || this.ended) return
    const command = this.#queue.shift()
    if (command === undefined) return
    this.#activity.set(command.verb)
    this.#running = this.#perform(command).then(() => {
      this.#running = null
      this.#activity.set(null)
      if (this.#drain !== null) this.terminate(this.#drain, 'drain')
      this.#take()
      this.#pump()
    })
  }

  /** Never rejects: whatever a command throws becomes its reply. */
  async #perform(command: Command): Promise<void> {
    try {
      await (this.commands as FtpCommands).handle(command)
    } catch (error) {
      const reply = error instanceof Refusal ? error.reply : replyOf(error)
      if (reply === undefined) this.#unexpected(`command ${command.verb}`, error)
      if (this.ended) return
      const { code, text } = reply ?? { code: 451, text: 'Internal error.' }
      if (code === 421) this.terminate({ code, text }, 'refused', error as Error)
      else await this.reply(code, text)
    }
  }

  #settleUploads(): void {
    this.confirmations.settle(this.#lost ? 'suspect' : 'confirmed')
  }

  #unexpected(what: string, error: unknown): void {
    this.gateway.context.log.error('session.error', `unexpected error: ${what}`, { session: this.session?.id, ...errorFields(error) })
  }

  #partFrom(reply: Reply | null): void {
    const socket = this.commandSocket
    if (reply === null) {
      socket.destroy()
      return
    }
    socket.end(formatReply(reply.code, [reply.text]))
    socket.resume()
    const farewell = setTimeout(() => socket.destroy(), FAREWELL_MS)
    socket.once('close', () => clearTimeout(farewell))
  }

  async #windUp(reason: string, why: Error): Promise<void> {
    try {
      await this.logOut(reason, why)
      await this.#running
      if (!this.commandSocket.destroyed) await new Promise((resolve) => this.commandSocket.once('close', resolve))
    } catch (error) {
      this.#unexpected('session end', error)
    } finally {
      this.#settleUploads()
      this.gateway.forget(this)
      this.#resolveGone()
    }
  }
}
