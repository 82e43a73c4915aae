// The FTP server of one worker: its sockets, its connections, and what the control plane does to them.
// Must not parse or answer commands.
import { createServer, type Server, type Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Config } from '../../config/schema.ts'
import { ERRORS, type ErrorRecord, fromErrorRecord } from '../../core/errors.ts'
import { errorFields } from '../../core/log.ts'
import type { Principal } from '../../core/user.ts'
import type { Admission } from '../../gatekeeper/messages.ts'
import type { ListenerContext } from '../listener.ts'
import { peerOf } from './address.ts'
import { FtpConnection } from './connection.ts'
import { type LoginEvent, ShellServer } from './ftp-srv.ts'
import { openLogin } from './login.ts'
import { PublicAddress } from './public-address.ts'
import { makeSecureContext } from './tls.ts'

const DRAINING = { code: ERRORS['service.draining'].ftp, text: ERRORS['service.draining'].text }
/** How long after the deadline of a stop aborted uploads may take to keep their partials. */
const WIND_UP_MS = 5000

export class FtpGateway extends ShellServer {
  readonly context: ListenerContext
  config: Config
  secureContext: SecureContext | null
  #tls: ListenerContext['credentials']['tls']
  readonly publicAddress: PublicAddress
  #implicit: Server | null = null
  /** Where implicit TLS listens, once bound. */
  implicitPort: number | null = null
  #stopping = false
  readonly #live = new Set<FtpConnection>()

  constructor(context: ListenerContext) {
    super(createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000, pauseOnConnect: true }))
    this.context = context
    this.config = context.config
    this.publicAddress = new PublicAddress(context.log)
    this.#tls = context.credentials.tls
    this.secureContext = makeSecureContext(context.config, this.#tls)
    this.server.on('connection', (socket: Socket) => this.#arrived(socket, false))
    if (context.config.ftp.tls.implicit_port !== null && this.secureContext !== null) {
      this.#implicit = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000, pauseOnConnect: true })
      this.#implicit.on('connection', (socket: Socket) => this.#arrived(socket, true))
    }
    this.on('login', ({ connection, username, password }: LoginEvent, resolve: (value: object) => void, reject: (why: unknown) => void) => {
      openLogin(connection as FtpConnection, username, { kind: 'password', password }).then((files) => resolve({ fs: files }), reject)
    })
  }

  /** Binds both ports. @returns the plain one */
  async start(): Promise<number> {
    const port = await this.#bind(this.server, this.context.port)
    const implicitPort = this.config.ftp.tls.implicit_port
    if (this.#implicit !== null && implicitPort !== null) {
      this.implicitPort = await this.#bind(this.#implicit, this.context.implicitPort ?? implicitPort)
      this.context.log.info('listener.implicit_tls', 'implicit TLS is listening', { port: this.implicitPort })
    }
    return port
  }

  reload(config: Config, credentials: ListenerContext['credentials']): void {
    this.#tls = credentials.tls
    this.secureContext = makeSecureContext(config, this.#tls)
    this.config = config
  }

  /**
   * What a control connection and its data connections are encrypted with. Where data connections have to resume its session, it has ticket keys of its own: nobody
   * else's session can be resumed there, not even one of the same user. Null without TLS.
   */
  contextOfSession(): SecureContext | null {
    return this.config.ftp.tls.require_ssl_reuse ? makeSecureContext(this.config, this.#tls) : this.secureContext
  }

  /** @see Listener.stop */
  async drain(deadlineMs: number): Promise<void> {
    this.#stopping = true
    this.server.close()
    this.#implicit?.close()
    for (const connection of this.#live) connection.drain(DRAINING)
    await this.#emptied(deadlineMs)
    for (const connection of this.#live) connection.terminate(DRAINING, 'drain')
    await this.#emptied(WIND_UP_MS)
    if (this.#live.size > 0) this.context.log.warn('listener.stuck', 'sessions did not end in time', { sessions: this.#live.size })
  }

  revoke(sessionId: string, reason: ErrorRecord): void {
    const why = fromErrorRecord(reason)
    this.#bySession(sessionId)?.terminate({ code: 421, text: why.message }, why.message, why)
  }

  /** The filesystem learns of permissions by itself; what the connection decides is whether it is still safe enough. */
  principalChanged(sessionId: string, principal: Principal): void {
    const connection = this.#bySession(sessionId)
    if (connection && principal.requireTls && !connection.secure) {
      const { text } = ERRORS['auth.tls_required']
      connection.terminate({ code: 421, text }, text)
    }
  }

  forget(connection: FtpConnection): void {
    this.#live.delete(connection)
    delete this.connections[connection.id]
  }

  #bySession(sessionId: string): FtpConnection | undefined {
    for (const connection of this.#live) if (connection.session?.id === sessionId) return connection
    return undefined
  }

  #arrived(socket: Socket, implicit: boolean): void {
    // Before anything else: a reset that nobody listens for would end the process.
    socket.on('error', () => socket.destroy())
    const peer = peerOf(socket)
    if (peer === null || this.#stopping) {
      socket.destroy()
      return
    }
    const connection = new FtpConnection(this, socket, peer)
    this.#live.add(connection)
    this.connections[connection.id] = connection
    socket.on('close', () => this.context.gatekeeper.departed(peer))
    this.#greet(connection, implicit).catch((error: unknown) => {
      this.context.log.error('session.greet', 'a connection could not be greeted', { address: peer.address, ...errorFields(error) })
      connection.terminate({ code: 421, text: ERRORS['service.unavailable'].text }, 'failed')
    })
  }

  async #greet(connection: FtpConnection, implicit: boolean): Promise<void> {
    if (implicit) {
      connection.startTls(null)
      connection.settings.protection = 'P'
      connection.settings.bufferSizeSet = true
    }
    const admission: Admission = await this.context.gatekeeper.admit(connection.peer)
    if (!admission.allowed) connection.terminate({ code: 421, text: admission.message }, 'refused')
    else if (this.#stopping) connection.terminate(DRAINING, 'drain')
    else {
      await connection.reply(220, 'FTP service ready.')
      connection.open()
    }
  }

  #bind(server: Server, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: this.config.ftp.host, port, reusePort: true, backlog: 511 }, () => {
        server.off('error', reject)
        server.on('error', (error) => this.context.log.error('listener.error', 'the listening socket failed', errorFields(error)))
        const bound = server.address()
        resolve(typeof bound === 'object' && bound !== null ? bound.port : port)
      })
    })
  }

  async #emptied(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs)
    })
    await Promise.race([Promise.all([...this.#live].map((connection) => connection.gone)), late])
    clearTimeout(timer)
  }
}
