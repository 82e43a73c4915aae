// An SSH connection to a destination: host key pinning, login, the SFTP channel, one watch over silence. All that touches ssh2's insides is here.
// Must not move files, and must not log in to a host whose key is not on record.
import { createHash } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { Client, ClientChannel, ServerHostKeyAlgorithm, SFTPWrapper } from 'ssh2'
import SftpClient from 'ssh2-sftp-client'
import type { DestinationSpec } from '../../core/destination.ts'
import { DEFAULT_PORT } from '../../core/destination-check.ts'
import type { FileFlowError } from '../../core/errors.ts'
import { visible } from '../../core/visible-text.ts'
import { type Ciphered, useFastCiphers } from '../../ssh/fast-ciphers.ts'
import { type Translator, translatorFor } from './errors.ts'
import type { OpenHooks } from './remote-session.ts'
import { type AnswerKind, asking, guardAnswers } from './sftp-replies.ts'
import { type Channels, refuseTinyPackets, sendWrite, TOGETHER, whenTaken, writeTogether } from './sftp-sending.ts'
import { within } from './within.ts'

const CONNECT_MS = 20_000
const SILENCE_MS = 60_000

/** What ssh2-sftp-client holds and its types do not tell. */
interface Insides {
  readonly client: Client & { readonly _remoteVer?: string; readonly _sock: Socket; readonly _protocol: Ciphered & Channels }
}

type Answer<T> = (error: Error | null | undefined, value: T) => void

export class SftpConnection {
  readonly sftp: SFTPWrapper
  readonly #owner: SftpClient
  readonly #client: Insides['client']
  readonly #translate: Translator
  readonly #waiting = new Set<(error: FileFlowError) => void>()
  #dead: FileFlowError | null = null
  /** Requests that the watch is over. */
  #watched = 0
  #watch: NodeJS.Timeout | undefined

  constructor(owner: SftpClient, sftp: SFTPWrapper, translate: Translator) {
    this.sftp = sftp
    this.#owner = owner
    this.#client = clientOf(owner)
    this.#translate = translate
    const lost = (error?: unknown) => this.#die(translate.fail('remote.lost', error instanceof Error ? error.message : 'connection closed'))
    for (const emitter of [this.#client, sftp] as EventEmitter[]) {
      for (const event of ['close', 'end', 'error']) emitter.on(event, lost)
    }
    // one WRITE of several connections may take minutes over a slow line
    whenTaken(this.#client._protocol, () => this.#watch?.refresh())
    guardAnswers(sftp, (what) => this.#die(translate.fail('remote.failed', `the server breaks the protocol: ${what}`)))
  }

  get server(): string | null {
    return nameOf(this.#client)
  }

  get usable(): boolean {
    return this.#dead === null
  }

  offers(extension: string): boolean {
    const { _extensions } = this.sftp as unknown as { _extensions?: Record<string, string> }
    return _extensions?.[extension] !== undefined
  }

  /** Bytes that one WRITE may carry. */
  get longestWrite(): number {
    return (this.sftp as unknown as { _maxWriteLen?: number })._maxWriteLen ?? 0
  }

  /**
   * Writes all of `data`, not more than {@link longestWrite} says; of its memory nothing is looked at afterwards.
   * @throws FileFlowError `remote.*`
   */
  write(handle: Buffer, data: Buffer, position: number): Promise<void> {
    return this.call('status', (answer) => sendWrite(this.sftp, handle, data, position, (error) => answer(error)))
  }

  /** Bytes that one READ may ask for. */
  get longestRead(): number {
    return (this.sftp as unknown as { _maxReadLen?: number })._maxReadLen ?? 0
  }

  /**
   * One request, its failure translated. A minute without an answer, or a sign that the server takes of what is sent, ends the connection while requests wait.
   * @param kind of the answer, when all is well
   */
  call<T = void>(kind: AnswerKind, start: (answer: Answer<T>) => void): Promise<T> {
    return this.raw(kind, start).catch((error: unknown) => {
      throw this.failure(error)
    })
  }

  failure(error: unknown): FileFlowError {
    return this.#translate(error, 'work')
  }

  /**
   * As {@link call}, the server's status left as it is: an Error with a numeric code.
   * @param ms for what takes its time, in the place of the watch: then it is `remote.timeout`, and the connection lives on
   */
  raw<T = void>(kind: AnswerKind, start: (answer: Answer<T>) => void, ms?: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#dead) return reject(this.#dead)
      this.#waiting.add(reject)
      const late = () => this.#translate.fail('remote.timeout', 'no answer')
      const own = ms === undefined ? undefined : setTimeout(() => settle(() => reject(late())), ms)
      if (!own) {
        this.#watched++
        this.#watch ??= setTimeout(() => this.#die(late()), SILENCE_MS)
      }
      const settle = (end: () => void) => {
        // only once: an answer may still come after its time
        if (!this.#waiting.delete(reject)) return
        clearTimeout(own)
        if (!own && --this.#watched > 0) this.#watch?.refresh()
        else if (!own) this.#unwatch()
        end()
      }
      try {
        const answered: Answer<T> = (error, value) =>
          settle(() => {
            if (!error) return resolve(value)
            if (typeof (error as { code?: unknown }).code === 'number') return reject(error)
            // What ssh2 gives up has no code: the channel went, or the answer makes no sense.
            const lost = this.#translate.fail('remote.lost', error.message, error)
            reject(lost)
            this.#die(lost)
          })
        asking(this.sftp, kind, () => start(answered))
      } catch (error) {
        settle(() => reject(error))
      }
    })
  }

  /** Runs a command and gives what it printed, at most 1 KiB; null when it is refused, fails or takes longer than `ms`; undefined when there is no channel for it (RFC 4254 §5.1). */
  run(command: string, ms: number): Promise<string | null | undefined> {
    return new Promise((resolve) => {
      let out = ''
      let channel: ClientChannel | undefined
      let settled = false
      const done = (text: string | null | undefined) => {
        settled = true
        clearTimeout(timer)
        this.#waiting.delete(gone)
        channel?.close()
        resolve(text)
      }
      const gone = () => done(null)
      const timer = setTimeout(gone, ms)
      if (this.#dead) return gone()
      this.#waiting.add(gone)
      try {
        this.#client.exec(command, (error, opened) => {
          if (error) return done('reason' in error ? undefined : null)
          // Opened after all, but too late.
          if (settled) return opened.close()
          channel = opened
          opened.on('data', (chunk: Buffer) => {
            if (out.length < 1024) out += chunk.toString('latin1').slice(0, 1024)
          })
          opened.stderr.resume()
          opened.on('error', gone)
          opened.on('close', (code: unknown) => done(code === 0 ? out : null))
          opened.end()
        })
      } catch {
        gone()
      }
    })
  }

  destroy(): void {
    this.#die(this.#translate.fail('remote.lost', 'broken off'))
  }

  async end(): Promise<void> {
    if (this.#dead) return
    this.#dead = this.#translate.fail('remote.lost', 'closed')
    this.#unwatch()
    // A far side that does not answer the goodbye is cut off.
    const late = setTimeout(() => this.#client.destroy(), 2_000)
    await this.#owner.end().catch(() => undefined)
    clearTimeout(late)
    this.#client.destroy()
  }

  #die(error: FileFlowError): void {
    if (this.#dead) return
    this.#dead = error
    this.#unwatch()
    for (const reject of [...this.#waiting]) reject(error)
    this.#waiting.clear()
    this.#client.destroy()
  }

  #unwatch(): void {
    clearTimeout(this.#watch)
    this.#watch = undefined
  }
}

/** Software as it names itself. */
const nameOf = ({ _remoteVer }: Insides['client']): string | null => (_remoteVer ? visible(_remoteVer).slice(0, 200) : null)

const clientOf = (owner: SftpClient): Insides['client'] => (owner as unknown as Insides).client

/** Host key kinds in the order they are asked for when the first one shown is not the one on record. */
const KEY_KINDS: readonly (readonly ServerHostKeyAlgorithm[])[] = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
]

/**
 * A server has a key of each kind, and the record may name only one of them: the other kinds are asked for before it is a mismatch.
 * @throws FileFlowError `remote.host_key`, `remote.auth`, `remote.unreachable`
 */
export async function connectSftp(destination: DestinationSpec, hooks: OpenHooks): Promise<SftpConnection> {
  const translate = translatorFor(destination)
  const shown = new Set<string>()
  let refused: FileFlowError | undefined
  for (const kinds of [undefined, ...KEY_KINDS]) {
    try {
      return await connectOnce(destination, hooks, translate, kinds, shown)
    } catch (error) {
      const failure = error as FileFlowError
      if (failure.code === 'remote.host_key') refused = failure
      else if (!refused) throw failure
      if (!refused || hooks.signal.aborted) throw failure
    }
  }
  throw refused!
}

async function connectOnce(
  destination: DestinationSpec,
  hooks: OpenHooks,
  translate: Translator,
  kinds: readonly ServerHostKeyAlgorithm[] | undefined,
  shown: Set<string>,
): Promise<SftpConnection> {
  const quiet = () => undefined
  const owner = new SftpClient('fileflow', { error: quiet, end: quiet, close: quiet })
  const client = clientOf(owner)
  let refused = false
  let greeted = false
  /** What is said of a server that takes too little in a packet. */
  let tiny: string | null = null
  /** Nothing, until the channel says how much it takes at once. */
  const together = { longest: 0 }
  // ssh2 emits errors also after the promise is settled; one of them without a listener would end the worker.
  client.on('error', quiet)
  // Many small requests and answers: Nagle's delay would cost 40 ms each.
  client.on('connect', () => client.setNoDelay(true))
  client.on('handshake', () => {
    useFastCiphers(client._protocol)
    if (!greeted) {
      writeTogether(client._sock, client._protocol, together)
      refuseTinyPackets(client._protocol, (bytes) => {
        tiny = `the server takes only ${bytes} bytes in a packet`
        client.emit('error', new Error(tiny))
        client.destroy()
      })
    }
    greeted = true
    hooks.connected(nameOf(client) ?? 'connected')
  })
  client.on('keyboard-interactive', (_name, _instructions, _language, prompts, finish) => {
    finish(prompts.map((prompt) => (prompt.echo ? '' : (destination.password ?? ''))))
  })
  const connecting = owner.connect({
    host: destination.host!,
    port: destination.port ?? DEFAULT_PORT.sftp,
    username: destination.username!,
    readyTimeout: CONNECT_MS,
    keepaliveInterval: 15_000,
    keepaliveCountMax: 4,
    tryKeyboard: destination.password !== undefined,
    ...(destination.password === undefined ? {} : { password: destination.password }),
    ...(destination.private_key === undefined ? {} : { privateKey: destination.private_key }),
    ...(destination.passphrase === undefined ? {} : { passphrase: destination.passphrase }),
    ...(kinds ? { algorithms: { serverHostKey: [...kinds] } } : {}),
    hostVerifier: (key: Buffer) => {
      const fingerprint = fingerprintOf(key)
      shown.add(fingerprint)
      hooks.fingerprint(fingerprint)
      refused = !isPinned(destination, fingerprint)
      return !refused
    },
  })
  try {
    const sftp = await within(connecting, CONNECT_MS, hooks.signal, () => client.destroy())
    together.longest = Math.min(TOGETHER, (sftp as unknown as { outgoing: { packetSize: number } }).outgoing.packetSize)
    return new SftpConnection(owner, sftp, translate)
  } catch (error) {
    client.destroy()
    if (refused) {
      const expected = destination.host_keys === 'insecure' ? '' : (destination.host_keys ?? []).join(' or ')
      throw translate.fail('remote.host_key', `the server shows the host key ${[...shown].join(', ')}, on record is ${expected}`, error)
    }
    const { message } = error as Error
    if (/privateKey|passphrase|key format|Unsupported key/i.test(message)) {
      throw translate.fail('remote.auth', 'the private key cannot be read, or its passphrase is wrong')
    }
    if (tiny !== null) throw translate.fail('remote.failed', tiny, error)
    // After the handshake the far side answers: what fails now is the login or the SFTP service behind it.
    if (greeted && /subsystem|channel/i.test(message)) throw translate.fail('remote.denied', 'the server gives this login no SFTP', error)
    if (NONSENSE.test(message)) {
      throw translate.fail('remote.unreachable', 'what the server says is no SFTP; does a start-up file of this login print text?', error)
    }
    throw translate(error, 'connect')
  }
}

/** What ssh2 says of, or stumbles over, before the service is there. */
const NONSENSE = /Packet length|packet length|Malformed|Unknown packet type|Expected VERSION|Cannot read properties/

/** As ssh-keygen -l prints it. */
const fingerprintOf = (key: Buffer): string => `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`

function isPinned(destination: DestinationSpec, fingerprint: string): boolean {
  const { host_keys } = destination
  if (host_keys === 'insecure') return true
  return (host_keys ?? []).some((pinned) => pinned.replace(/=+$/, '') === fingerprint)
}
