// Login over SSH (RFC 4252, 4256): password, public key, and keyboard-interactive carrying a password, one request at a time, bounded.
// Must not verify credentials itself, but for the signature of a key; the gatekeeper decides.
import { codeOf, FileFlowError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { errorFields } from '../../core/log.ts'
import type { Peer } from '../../core/transfer.ts'
import type { Credential, Gatekeeper, OpenedSession } from '../../gatekeeper/messages.ts'
import type { AuthMethod, AuthRequest } from './auth-request.ts'
import type { Tuning } from './tuning.ts'

const METHODS: readonly AuthMethod[] = ['publickey', 'password', 'keyboard-interactive']
const MAX_USERNAME = 255
const MAX_PASSWORD = 1024

export interface AuthenticationParts {
  readonly gatekeeper: Gatekeeper
  readonly peer: Peer
  readonly log: Logger
  readonly tuning: Tuning
  client(): string
  /** Runs before the client is told; false refuses the login after all. */
  opened(session: OpenedSession): boolean
  /** The login was right, but there is no room for the session. */
  refused(why: Error): void
  /** The client used up its tries. */
  exhausted(): void
}

export class Authentication {
  readonly #parts: AuthenticationParts
  #failures = 0
  #requests = 0
  #done = false
  /** Grows with each request: a decision about an older one is not acted upon. */
  #turn = 0

  constructor(parts: AuthenticationParts) {
    this.#parts = parts
  }

  /** Answers the request, in time. Never rejects. */
  async take(request: AuthRequest): Promise<void> {
    const turn = ++this.#turn
    if (this.#done) return
    if (++this.#requests > this.#parts.tuning.maxLoginRequests) return this.#parts.exhausted()
    if (request.username.length > MAX_USERNAME || request.method === 'none') return request.refuse(METHODS)
    try {
      if (request.method === 'password') await this.#password(request, turn, request.password, 'password')
      else if (request.method === 'publickey') await this.#key(request, turn)
      else if (request.method === 'keyboard-interactive') this.#ask(request, turn)
      else request.refuse(METHODS)
    } catch (error) {
      if (codeOf(error) === 'internal') this.#parts.log.error('login.failed', 'a login could not be decided', errorFields(error))
      if (turn === this.#turn) this.#refuse(request)
    }
  }

  #ask(request: AuthRequest, turn: number): void {
    request.ask('Password: ', (answer) => {
      if (turn !== this.#turn) return
      this.#password(request, turn, answer, 'keyboard-interactive').catch((error: unknown) => {
        if (codeOf(error) === 'internal') this.#parts.log.error('login.failed', 'a login could not be decided', errorFields(error))
        if (turn === this.#turn) this.#refuse(request)
      })
    })
  }

  async #password(request: AuthRequest, turn: number, password: string | null, method: string): Promise<void> {
    if (password === null || password.length > MAX_PASSWORD) return this.#refuse(request)
    await this.#decide(request, turn, { kind: 'password', password }, method)
  }

  async #key(request: AuthRequest, turn: number): Promise<void> {
    const { key } = request
    if (key === null) return request.refuse(METHODS)
    const credential = { kind: 'publickey', algorithm: key.algorithm, blob: new Uint8Array(key.blob) } as const
    if (key.query) {
      const principal = await this.#authenticate(request, { ...credential, proven: false })
      if (turn !== this.#turn) return
      if (principal === null) request.refuse(METHODS)
      else request.accept()
      return
    }
    if (!key.verify()) return this.#refuse(request)
    await this.#decide(request, turn, { ...credential, proven: true }, 'publickey')
  }

  #authenticate(request: AuthRequest, credential: Credential) {
    return this.#parts.gatekeeper.authenticate({ peer: this.#parts.peer, username: request.username, credential, secure: true })
  }

  async #decide(request: AuthRequest, turn: number, credential: Credential, method: string): Promise<void> {
    const { gatekeeper, peer } = this.#parts
    const principal = await this.#authenticate(request, credential)
    if (turn !== this.#turn || this.#done) return
    if (principal === null) return this.#refuse(request)
    let session: OpenedSession
    try {
      session = await gatekeeper.openSession(principal.username, peer, method, this.#parts.client())
    } catch (error) {
      if (error instanceof FileFlowError && error.code !== 'auth.failed') return this.#parts.refused(error)
      throw error
    }
    let opened = false
    try {
      opened = turn === this.#turn && !this.#done && this.#parts.opened(session)
    } finally {
      if (!opened) gatekeeper.closeSession(session.id, 'the connection was lost during login')
    }
    if (!opened) return
    this.#done = true
    request.accept()
  }

  #refuse(request: AuthRequest): void {
    if (++this.#failures >= this.#parts.tuning.maxLoginFailures) this.#parts.exhausted()
    else request.refuse(METHODS)
  }
}
