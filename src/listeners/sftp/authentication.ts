// Login over SSH (RFC 4252, 4256): password, public key, and keyboard-interactive carrying a password, one request at a time, bounded.
// Must not verify credentials itself, but for the signature of a key; the gatekeeper decides.
import { codeOf, FileFlowError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { errorFields } from '../../core/log.ts'
import type { Peer } from '../../core/transfer.ts'
import { type Credential, type Gatekeeper, KEY_AND_PASSWORD, type OpenedSession } from '../../gatekeeper/messages.ts'
import type { AuthMethod, AuthRequest } from './auth-request.ts'
import type { Tuning } from './tuning.ts'

const METHODS: readonly AuthMethod[] = ['publickey', 'password', 'keyboard-interactive']
const AFTER_KEY: readonly AuthMethod[] = ['password', 'keyboard-interactive']
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
  /** Whose key was proven, while the password is still missing (`ssh_auth: key+password`). */
  #keyOf: string | null = null
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
    if (request.username.length > MAX_USERNAME) return request.refuse(METHODS)
    try {
      // a ban, at the first word or since the last try: no credential is taken any more
      const may = await this.#parts.gatekeeper.mayTry(this.#parts.peer, request.username, true)
      if (turn !== this.#turn) return
      if (!may.allowed) return this.#parts.refused(new FileFlowError(may.code, may.message))
      if (request.method === 'none') return this.#next(request)
      if (request.method === 'password') await this.#password(request, turn, request.password, 'password')
      else if (request.method === 'publickey') await this.#key(request, turn)
      else if (request.method === 'keyboard-interactive') this.#ask(request, turn)
      else this.#next(request)
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
    const keyProven = this.#keyOf === request.username
    await this.#decide(
      request,
      turn,
      { kind: 'password', password, ...(keyProven ? { keyProven } : {}) },
      keyProven ? KEY_AND_PASSWORD : method,
    )
  }

  async #key(request: AuthRequest, turn: number): Promise<void> {
    const { key } = request
    if (key === null) return this.#next(request)
    const credential = { kind: 'publickey', algorithm: key.algorithm, blob: new Uint8Array(key.blob) } as const
    if (key.query) {
      const principal = await this.#authenticate(request, { ...credential, proven: false })
      if (turn !== this.#turn) return
      if (principal === null) this.#next(request)
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
    if (principal.sshAuth === 'key+password' && method !== KEY_AND_PASSWORD) {
      this.#keyOf = request.username
      return request.refuse(AFTER_KEY, true)
    }
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
      if (!opened) gatekeeper.closeSession(session.id, 'abandoned')
    }
    if (!opened) return
    this.#done = true
    request.accept()
  }

  #refuse(request: AuthRequest): void {
    if (++this.#failures >= this.#parts.tuning.maxLoginFailures) this.#parts.exhausted()
    else this.#next(request)
  }

  /** What may be tried now. The same for every user: it tells nothing of the account. */
  #next(request: AuthRequest): void {
    request.refuse(this.#keyOf === request.username ? AFTER_KEY : METHODS)
  }
}
