// TLS of control and data connections: the shared context, the server side of a handshake, and whether an end was announced (close_notify).
// Must not decide who needs TLS.
import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import type { Config } from '../../config/schema.ts'

export interface TlsMaterial {
  readonly cert: string
  readonly key: string
}

/** One context for all connections of a worker, unless `require_ssl_reuse` wants one a session: its ticket keys are what lets data connections resume the control connection's session. */
export function makeSecureContext(config: Config, material: TlsMaterial | null): SecureContext | null {
  if (config.ftp.tls.mode === 'off' || material === null) return null
  return createSecureContext({
    cert: material.cert,
    key: material.key,
    minVersion: config.ftp.tls.min_version,
    sessionIdContext: 'fileflow-ftp',
    // a client could make the server do handshakes without end
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  })
}

/** The server's end of TLS over a connection none of whose bytes may have been read. */
export function secureServerSide(raw: Socket, context: SecureContext, askCertificate = false): TLSSocket {
  // no authority is asked about the client's certificate: users are bound to fingerprints
  return endingOnErrors(
    new TLSSocket(raw, { isServer: true, secureContext: context, requestCert: askCertificate, rejectUnauthorized: false }),
  )
}

/** Of sockets that no tls.Server made Node keeps the errors after the handshake to itself: a broken record would leave both sides waiting for each other. */
function endingOnErrors<T extends TLSSocket>(socket: T): T {
  return socket.on('_tlsError', (error: Error) => socket.destroy(error))
}

/** SHA-256 fingerprint of the certificate that the client proved to hold, hex with colons; null without one, or outside its validity. */
export function clientCertificate(socket: Socket, now: number): string | null {
  if (!(socket instanceof TLSSocket)) return null
  const certificate = socket.getPeerCertificate()
  // an empty object stands for none
  if (!certificate?.fingerprint256) return null
  const valid = Date.parse(certificate.valid_from) <= now && now <= Date.parse(certificate.valid_to)
  return valid ? certificate.fingerprint256 : null
}

/**
 * As {@link secureServerSide}, for receiving files: Node reports the same plain end whether the peer announced it (close_notify) or the connection was just
 * closed. With the raw connection under our eyes the two differ: an end of the TLS stream while the raw one still runs can only be a close_notify.
 */
export class WatchedTls extends TLSSocket {
  readonly #tap: RawTap
  #secured = false
  #announced = false
  #ended = false
  #dropped = false

  constructor(raw: Socket, context: SecureContext) {
    const tap = new RawTap(raw)
    super(tap, { isServer: true, secureContext: context })
    this.#tap = tap
    endingOnErrors(this)
    this.once('secure', () => {
      this.#secured = true
    })
  }

  /** The peer said in TLS that this is the end. */
  get endAnnounced(): boolean {
    return this.#announced
  }

  /**
   * Node destroys a TLSSocket over a stream of ours as soon as that stream has closed, though bytes are still unread: a short file would lose its end. So a plain
   * destroy waits for the reader; {@link abandon} does not.
   */
  override destroy(error?: Error): this {
    if (error || !this.#ended || this.readableEnded || this.#dropped) return super.destroy(error)
    this.once('end', () => super.destroy())
    return this
  }

  /** Destroys at once, whatever is unread. */
  abandon(): void {
    this.#dropped = true
    super.destroy()
  }

  /** Below us all is gone: there is nobody to say goodbye to, and Node 24 fails an assertion when asked to (JSStreamSocket without a handle). */
  override _final(done: (error?: Error | null) => void): void {
    if (this.#tap.destroyed) done()
    else super._final(done)
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    // the end came before the handshake was over: nobody will ever read here
    if (chunk === null && !this.#secured) {
      this.abandon()
      return false
    }
    if (chunk === null && !this.#tap.over && !this.destroyed) this.#announced = true
    if (chunk === null && !this.#announced && this.#tap.failure) {
      this.destroy(this.#tap.failure)
      return false
    }
    this.#ended ||= chunk === null
    return super.push(chunk, encoding)
  }
}

/** Ends a data connection at once. */
export function drop(socket: Socket): void {
  if (socket instanceof WatchedTls) socket.abandon()
  else socket.destroy()
}

/** A raw connection as a stream that is not a socket, so that TLSSocket reads it through JavaScript. */
class RawTap extends Duplex {
  readonly #raw: Socket
  over = false
  /** Why the raw connection broke. What came before is still read: a client that closes with our session tickets unread (lftp) resets it right behind its close_notify. */
  failure: Error | undefined

  constructor(raw: Socket) {
    super({ allowHalfOpen: true })
    this.#raw = raw
    this.on('end', () => {
      this.over = true
    })
    raw.on('data', (chunk) => {
      if (!this.push(chunk)) raw.pause()
    })
    raw.on('end', () => this.push(null))
    raw.on('error', (error) => {
      this.failure ??= error
      this.push(null)
    })
    raw.on('close', () => {
      if (this.failure) return
      // what came before the end is still read, however slowly; then TLS closes us
      if (raw.readableEnded) return
      this.over = true
      this.destroy()
    })
  }

  override _read(): void {
    this.#raw.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#raw.write(chunk, (error) => {
      // nobody reads any more; what the peer sent before decides how this ended
      if (error) this.failure ??= error
      done()
    })
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#raw.end(() => done())
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#raw.destroy()
    done(error)
  }
}
