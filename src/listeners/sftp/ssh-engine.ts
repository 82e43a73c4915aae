// The only door to ssh2: transport, authentication messages and raw channels, with every guard that ssh2 lacks put on from outside.
// Must not decide who may come in or what a channel may do; it is pinned to ssh2 1.17, whose private fields it uses.
import type { Socket } from 'node:net'
import ssh2, { type Connection, type ServerChannel, type Session, type Server as Ssh2Server } from 'ssh2'
import { FileFlowError } from '../../core/errors.ts'
import { readsOnly, useFastCiphers } from '../../ssh/fast-ciphers.ts'
import { type AuthRequest, authRequest } from './auth-request.ts'
import type { Farewell } from './ends.ts'
import { KeyExchange } from './key-exchange.ts'
import { readShared } from './shared-read.ts'
import { ECDSA, LEGACY, MODERN } from './ssh-algorithms.ts'
import { makeOffer } from './ssh-offer.ts'
import type { Private, Protocol } from './ssh2-private.ts'

const MESSAGE = { DISCONNECT: 1, USERAUTH_INFO_RESPONSE: 61, CHANNEL_REQUEST: 98 }
/** RFC 4253 §11.1. */
export const DISCONNECT = { PROTOCOL_ERROR: 2, BY_APPLICATION: 11, NO_MORE_AUTH_METHODS: 14 } as const
/** Below this a client's maximum packet makes ssh2 split without end. */
const MIN_PACKET = 1024
/** Packets ssh2 may queue while a key exchange runs. */
const MAX_QUEUED = 8192
/** Bytes of what a client says as it leaves. */
const MAX_FAREWELL = 255

/** A channel that asked for the sftp subsystem or for a command. */
export interface AskedChannel {
  accept(): ServerChannel | undefined
  /** Runs at once when the client closes the channel; the channel's own `close` waits until its input was read, which may be never. */
  whenGone(handler: () => void): void
}

export interface SshEvents {
  /** The client named itself; nothing is encrypted yet. */
  opened(connection: SshConnection): void
  authentication(request: AuthRequest): void
  sftp(asked: AskedChannel): void
  exec(command: string, asked: AskedChannel): void
  /** A shell was asked for. */
  shell(asked: AskedChannel): void
  /** New keys are in use, for the first time or again. */
  keysChanged(): void
  /** The client says that it leaves; the end of the connection follows. */
  leaving(farewell: Farewell): void
  /** @param silent the client did not answer to signs of life */
  failed(error: Error, silent?: boolean): void
}

export interface SshEngine {
  /** Takes over a connected socket. `maxChannels` are open at once at most. */
  accept(socket: Socket, events: SshEvents, maxChannels: number): void
}

export interface SshEngineOptions {
  /** Private keys as texts. */
  readonly hostKeys: readonly string[]
  /** The operator named the keys: what they are is offered. */
  readonly named: boolean
  /** Shown before the login. */
  readonly banner: string | null
  /** Old algorithms, too. */
  readonly legacy: boolean
  /** A client is asked for a sign of life so often; one that misses four is gone. */
  readonly keepaliveMs: number
}

/** @throws FileFlowError `config.invalid` when no host key can be used */
export function createSshEngine({ hostKeys, named, banner, legacy, keepaliveMs }: SshEngineOptions): SshEngine {
  const algorithms = legacy ? LEGACY : named ? { ...MODERN, hostKeys: [...MODERN.hostKeys, ...ECDSA] } : MODERN
  const pending = new WeakMap<Socket, { events: SshEvents; maxChannels: number; named: (protocol: Protocol) => void }>()
  let server: Ssh2Server
  try {
    server = new ssh2.Server({
      hostKeys: [...hostKeys],
      ident: 'FileFlow',
      keepaliveInterval: keepaliveMs,
      keepaliveCountMax: 4,
      ...(banner === null ? {} : { banner: banner.replaceAll(/\r?\n/g, '\r\n') }),
      algorithms: { kex: [...algorithms.kex], cipher: [...algorithms.ciphers], hmac: [...algorithms.macs], compress: ['none'] },
    } as ConstructorParameters<typeof ssh2.Server>[0])
  } catch (cause) {
    throw new FileFlowError('config.invalid', 'A host key cannot be read.', { cause })
  }
  server.on('connection', (client, info) => {
    const privateClient = client as unknown as Private
    const socket = privateClient._sock
    const waiting = pending.get(socket)
    if (waiting === undefined) return void client.end()
    pending.delete(socket)
    waiting.named(privateClient._protocol)
    const ident = (info.header as unknown as { identRaw: string }).identRaw
    makeOffer(privateClient._protocol, algorithms, ident)
    wire(client, waiting.events, waiting.maxChannels, legacy)
    waiting.events.opened(new SshConnection(client, ident))
  })
  return {
    accept(socket, events, maxChannels) {
      let protocol: Protocol | null = null
      const named = (its: Protocol): void => {
        protocol = its
      }
      pending.set(socket, { events, maxChannels, named })
      readShared(socket, () => protocol !== null && readsOnly(protocol))
      server.injectSocket(socket)
    },
  }
}

function wire(client: Connection, events: SshEvents, maxChannels: number, legacy: boolean): void {
  const failed = (error: Error): void => events.failed(error)
  const { _protocol: protocol, _sock: socket } = client as unknown as Private
  const guarded =
    <A extends unknown[]>(handler: (...args: A) => void) =>
    (...args: A): void => {
      try {
        handler(...args)
      } catch (error) {
        failed(error instanceof Error ? error : new Error(String(error)))
      }
    }
  client.on('error', (error) => events.failed(error, (error as { level?: string }).level === 'client-timeout'))
  guardPayloads(client as unknown as Private, (farewell) => events.leaving(farewell))
  socket.on(
    'data',
    guarded(() => {
      if ((protocol._queue?.length ?? 0) > MAX_QUEUED) throw new Error('Key exchange does not end')
    }),
  )
  const exchange = new KeyExchange(protocol)
  client.on(
    'handshake',
    guarded(() => {
      useFastCiphers(protocol)
      exchange.ended()
      events.keysChanged()
    }),
  )
  client.on(
    'authentication',
    guarded((context) => {
      // A prompt that the client walks away from leaves its entry at the head of ssh2's queue, where every later answer would throw.
      context.on('abort', () => {
        if (protocol._authsQueue.length > 1 && protocol._authsQueue[0] === 'keyboard-interactive') protocol._authsQueue.shift()
      })
      events.authentication(authRequest(context, legacy, failed))
    }),
  )
  let channels = 0
  client.on(
    'session',
    guarded((accept, reject) => {
      if (channels >= maxChannels) return void reject()
      const session = accept()
      const { outgoing } = (session as unknown as { _chanInfo: { outgoing: { packetSize: number } } })._chanInfo
      if (outgoing.packetSize < MIN_PACKET) throw new Error('Maximum packet size is too small')
      channels++
      session.on('close', () => channels--)
      wireSession(session, events, guarded, exchange)
    }),
  )
}

type Guard = <A extends unknown[]>(handler: (...args: A) => void) => (...args: A) => void

/** Pty, env, agent and X11 requests have no listener: ssh2 refuses them. */
function wireSession(session: Session, events: SshEvents, guarded: Guard, exchange: KeyExchange): void {
  session.on(
    'error',
    guarded(() => {}),
  )
  session.on(
    'subsystem',
    guarded((accept, reject, info) => {
      if (info.name !== 'sftp') return void reject?.()
      events.sftp(asked(session, accept, guarded, exchange))
    }),
  )
  session.on(
    'shell',
    guarded((accept) => events.shell(asked(session, accept, guarded, exchange))),
  )
  session.on(
    'exec',
    guarded((accept, _reject, info) => events.exec(info.command, asked(session, accept, guarded, exchange))),
  )
}

function asked(session: Session, accept: () => unknown, guarded: Guard, exchange: KeyExchange): AskedChannel {
  return {
    accept() {
      const channel = accept() as ServerChannel | undefined
      if (channel) exchange.hold(channel)
      return channel
    },
    whenGone: (handler) => session.on('close', guarded(handler)),
  }
}

/** ssh2 allocates as many answers as a keyboard-interactive response claims to have; we only ever ask for one. And it keeps to itself that a client said goodbye. */
function guardPayloads(client: Private, leaving: (farewell: Farewell) => void): void {
  const { _protocol: protocol } = client
  const handle = protocol._onPayload
  protocol._onPayload = (payload) => {
    if (payload[0] === MESSAGE.USERAUTH_INFO_RESPONSE && (payload.length < 5 || payload.readUInt32BE(1) > 1)) {
      throw new Error('Unexpected number of answers')
    }
    if (payload[0] === MESSAGE.DISCONNECT && payload.length >= 9) {
      const said = payload.subarray(9, 9 + Math.min(payload.readUInt32BE(5), MAX_FAREWELL))
      leaving({ code: payload.readUInt32BE(1), text: printable(said.toString('utf8')) })
    }
    if (payload[0] === MESSAGE.CHANNEL_REQUEST && payload.length >= 9) refuseLate(client, payload)
    return handle(payload)
  }
}

/** ssh2 leaves without an answer what is asked of a session whose command or subsystem runs (PuTTY's winadj): nothing of that is granted. */
function refuseLate({ _chanMgr: channels, _protocol: protocol }: Private, payload: Buffer): void {
  const session = channels.get(payload.readUInt32BE(1))
  if (session?._channel && payload[9 + payload.readUInt32BE(5)]) protocol.channelFailure(session._chanInfo!.outgoing.id)
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?')

/** A connection whose client has named itself. */
export class SshConnection {
  /** The identification line, printable characters only. */
  readonly ident: string
  readonly #client: Connection
  readonly #private: Private

  constructor(client: Connection, ident: string) {
    this.#client = client
    this.#private = client as unknown as Private
    this.ident = printable(ident).slice(0, 255)
  }

  /** Between two key exchanges: the present keys are to be replaced. */
  rekey(): void {
    if (this.#private._protocol._kexinit === undefined) this.#client.rekey()
  }

  /** Says why (RFC 4253 §11.1) and ends the sending side. Never throws. */
  disconnect(reason: number, text: string): void {
    const { _protocol: protocol, _sock: socket } = this.#private
    if (!socket.writable || protocol._destruct === undefined) return
    try {
      const said = Buffer.from(text, 'utf8')
      const { write } = protocol._packetRW
      const at = write.allocStartKEX
      const packet = write.alloc(1 + 4 + 4 + said.length + 4, true)
      packet[at] = MESSAGE.DISCONNECT
      packet.writeUInt32BE(reason, at + 1)
      packet.writeUInt32BE(said.length, at + 5)
      said.copy(packet, at + 9)
      packet.writeUInt32BE(0, at + 9 + said.length)
      protocol._cipher.encrypt(write.finalize(packet, true))
    } catch {
      // The connection is past talking; ending the socket below is all that is left.
    }
    socket.end()
  }
}
