// A logged-in FTP control connection: plain, explicit or implicit TLS, the certificate checked before any credential is sent.
// Must not move files. All that goes round basic-ftp's public face is here and in ftp-control.ts.
import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { type ConnectionOptions, TLSSocket } from 'node:tls'
import { Client, type FTPContext } from 'basic-ftp'
import type { DestinationSpec } from '../../core/destination.ts'
import { DEFAULT_PORT } from '../../core/destination-check.ts'
import type { FileFlowError } from '../../core/errors.ts'
import { visible } from '../../core/visible-text.ts'
import { type Translator, translatorFor } from './errors.ts'
import { guardReplies } from './ftp-control.ts'
import { HASH_ALGORITHMS, type HashAlgorithm, type HashMethod, type OpenHooks } from './remote-session.ts'
import { within } from './within.ts'

const CONNECT_MS = 20_000
/** Silence on control or data connection; basic-ftp watches both. */
export const SILENCE_MS = 60_000

/** Folders of some 50,000 names: a listing is the last resort, and not worth more memory. */
const LONGEST_LISTING = 4 * 1024 * 1024

/** How the far side is asked for a hash: `HASH` (draft-bryan-ftpext-hash) or one of the X… commands. */
export interface HashCommand {
  readonly algorithm: HashAlgorithm
  readonly command: Extract<HashMethod, 'HASH' | `X${string}`>
}

export interface FtpConnection {
  readonly client: Client
  readonly translate: Translator
  readonly server: string | null
  readonly home: string
  /** Commands of the FEAT reply, upper case. */
  readonly features: ReadonlyMap<string, string>
  readonly hash: HashCommand | null
}

/** @throws FileFlowError `remote.auth`, `remote.tls`, `remote.unreachable` */
export async function connectFtp(destination: DestinationSpec, hooks: OpenHooks): Promise<FtpConnection> {
  const translate = translatorFor(destination)
  const client = new Client(SILENCE_MS, { allowSeparateTransferHost: false, maxListingBytes: LONGEST_LISTING })
  guardReplies(client.ftp)
  try {
    return await within(logIn(client, destination, hooks, translate), CONNECT_MS, hooks.signal, () => client.close())
  } catch (error) {
    client.close()
    throw translate(error, 'connect')
  }
}

async function logIn(client: Client, destination: DestinationSpec, hooks: OpenHooks, translate: Translator): Promise<FtpConnection> {
  const { type } = destination
  const host = destination.host!
  const port = destination.port ?? DEFAULT_PORT[type]
  const tls = tlsOptions(destination)
  const welcome = type === 'ftps-implicit' ? await client.connectImplicitTLS(host, port, tls) : await client.connect(host, port)
  if (type === 'ftps') await startTls(client, tls, translate)
  if (client.ftp.socket instanceof TLSSocket) {
    const shown = certificateOf(client.ftp.socket)
    hooks.fingerprint(shown ?? '')
    const wrong = pinFault(destination, shown)
    if (wrong) throw translate.fail('remote.tls', wrong)
  }
  const greeting = firstLine(welcome.message)
  hooks.connected(greeting)
  guardDataConnections(client, destination, translate)
  await client.sendIgnoringError('OPTS UTF8 ON')
  await client.login(destination.username!, destination.password ?? '')
  const features = await featuresOf(client)
  await client.send('TYPE I')
  await client.sendIgnoringError('OPTS UTF8 ON')
  if (type !== 'ftp') {
    await client.send('PBSZ 0')
    // Without PROT P the files themselves would travel in clear (RFC 4217 §9): that is refused.
    await client.send('PROT P')
  }
  const hash = hashCommand(features)
  if (hash?.command === 'HASH') await client.sendIgnoringError(`OPTS HASH ${HASH_NAMES[hash.algorithm]}`)
  const home = await client.pwd().catch(() => '/')
  return { client, translate, server: greeting || null, home, features, hash }
}

async function startTls(client: Client, options: ConnectionOptions, translate: Translator): Promise<void> {
  try {
    // biome-ignore lint/correctness/useHookAtTopLevel: the name is basic-ftp's; no React here
    await client.useTLS(options)
  } catch (error) {
    // A refusal of AUTH itself, not of the certificate: the same to an operator, but in words.
    const said = typeof (error as { code?: unknown }).code === 'number' ? 'the server offers no TLS: ' : ''
    const known: FileFlowError = translate(error, 'connect')
    if (said) throw translate.fail('remote.tls', `${said}${(error as Error).message}`, error)
    throw known
  }
}

function tlsOptions(destination: DestinationSpec): ConnectionOptions {
  const host = destination.host!
  const { verify = true, ca = null, fingerprint = null } = destination.tls ?? {}
  return {
    // The identity also under which a session may be used again for data connections.
    host,
    ...(isIP(host) ? {} : { servername: host }),
    // A pinned certificate is trusted for itself, whoever signed it.
    rejectUnauthorized: verify && fingerprint === null,
    ...(ca === null ? {} : { ca }),
  }
}

/** SHA-256 of the certificate in upper-case hex with colons, as `openssl x509 -fingerprint` prints it. */
function certificateOf(socket: TLSSocket): string | null {
  const { raw } = socket.getPeerCertificate()
  if (!raw) return null
  return createHash('sha256').update(raw).digest('hex').toUpperCase().match(/../g)!.join(':')
}

function pinFault(destination: DestinationSpec, shown: string | null): string | null {
  const pinned = destination.tls?.fingerprint
  if (!pinned) return null
  const plain = (text: string) => text.replaceAll(':', '').toUpperCase()
  if (shown !== null && plain(shown) === plain(pinned)) return null
  return `the certificate on record is ${pinned}, the server shows ${shown ?? 'none'}`
}

/**
 * Each data connection is checked as the control connection was: a resumed session proves the same far side, a new handshake must show the pinned
 * certificate. And PASV's address is never followed: data goes where control goes (servers behind NAT name addresses of their own).
 */
function guardDataConnections(client: Client, destination: DestinationSpec, translate: Translator): void {
  const guard = (inner: Client['prepareTransfer']): Client['prepareTransfer'] => {
    const guarded = async (ftp: FTPContext) => {
      const reply = await inner(ftp)
      // basic-ftp puts its own choice (EPSV or PASV) in this place once it is made.
      client.prepareTransfer = client.prepareTransfer === guarded ? guarded : guard(client.prepareTransfer)
      const socket = ftp.dataSocket
      if (socket instanceof TLSSocket) {
        socket.prependOnceListener('secureConnect', () => {
          const wrong = socket.isSessionReused() ? null : pinFault(destination, certificateOf(socket))
          if (wrong) socket.destroy(translate.fail('remote.tls', `data connection: ${wrong}`))
        })
      }
      return reply
    }
    return guarded
  }
  client.prepareTransfer = guard(client.prepareTransfer)
  const request = client.ftp.request.bind(client.ftp)
  client.ftp.request = async (command) => {
    const reply = await request(command)
    const address = client.ftp.socket.remoteAddress?.replace(/^::ffff:/i, '')
    if (command !== 'PASV' || !address || isIP(address) !== 4) return reply
    return { ...reply, message: reply.message.replace(/\d+,\d+,\d+,\d+(?=,\d+,\d+)/, address.replaceAll('.', ',')) }
  }
}

const firstLine = (message: string): string =>
  visible(
    message
      .split('\n')[0]!
      .replace(/^\d{3}[ -]/, '')
      .trim(),
  ).slice(0, 200)

async function featuresOf(client: Client): Promise<Map<string, string>> {
  const { code, message } = await client.sendIgnoringError('FEAT')
  const found = new Map<string, string>()
  if (code >= 400) return found
  for (const line of message.split('\n').slice(1, -1)) {
    const [, name, rest] = /^\s*(\S+)\s*(.*)$/.exec(line) ?? []
    if (name) found.set(name.toUpperCase(), rest ?? '')
  }
  return found
}

const HASH_NAMES: Record<HashAlgorithm, string> = { sha256: 'SHA-256', sha512: 'SHA-512', sha1: 'SHA-1', md5: 'MD5' }
const X_COMMANDS: Record<HashAlgorithm, HashCommand['command']> = { sha256: 'XSHA256', sha512: 'XSHA512', sha1: 'XSHA1', md5: 'XMD5' }

/** FEAT names them as ` HASH SHA-256*;SHA-1;MD5` and ` XSHA256`. */
function hashCommand(features: ReadonlyMap<string, string>): HashCommand | null {
  const named = (features.get('HASH') ?? '')
    .toUpperCase()
    .replaceAll('*', '')
    .split(/[;,\s]+/)
  for (const algorithm of HASH_ALGORITHMS) {
    if (named.includes(HASH_NAMES[algorithm])) return { algorithm, command: 'HASH' }
    if (features.has(X_COMMANDS[algorithm])) return { algorithm, command: X_COMMANDS[algorithm] }
  }
  return null
}
