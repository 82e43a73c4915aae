// The gateway's own keys and certificates: read where the operator names them, made once under data_dir/keys where not.
// Must not run in a worker: workers are given the texts and open no key files.
import { createHash, createPrivateKey, generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto'
import { type FileHandle, mkdir, open, readFile, rename, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { promisify } from 'node:util'
import ssh2 from 'ssh2'
import type { Config } from '../config/schema.ts'
import { newSecret, systemClock } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import { selfSignedCertificate } from './self-signed.ts'

const DAY = 86_400_000
const CERTIFICATE_LIFE = 730 * DAY
const RENEW_BEFORE = 30 * DAY

const generate = promisify(generateKeyPair)

/** In the order a client prefers them. PEM where ssh2 reads it; ed25519 has only OpenSSH's own form. */
const HOST_KEYS: readonly { readonly file: string; make(): Promise<string> }[] = [
  { file: 'ssh_host_ed25519_key', make: async () => opensshEd25519((await generate('ed25519')).privateKey) },
  {
    file: 'ssh_host_ecdsa_key',
    make: async () => (await generate('ec', { namedCurve: 'P-256' })).privateKey.export({ type: 'sec1', format: 'pem' }) as string,
  },
  {
    file: 'ssh_host_rsa_key',
    make: async () => (await generate('rsa', { modulusLength: 3072 })).privateKey.export({ type: 'pkcs1', format: 'pem' }) as string,
  },
]

/**
 * The SSH host keys as texts that ssh2 reads: the configured files, or those under data_dir/keys, made once (0600) with their `.pub` beside them.
 * @throws FileFlowError `config.invalid` naming the file that cannot be read or used.
 */
export async function ensureHostKeys(config: Pick<Config, 'data_dir' | 'sftp'>): Promise<string[]> {
  if (config.sftp.host_keys.length > 0) {
    return Promise.all(config.sftp.host_keys.map(async (file) => checkedHostKey(await read(file), file)))
  }
  const folder = await keyFolder(config)
  const keys: string[] = []
  for (const { file, make } of HOST_KEYS) {
    const path = join(folder, file)
    const text = checkedHostKey((await readIfThere(path)) ?? (await written(path, await make())), path)
    if ((await readIfThere(`${path}.pub`)) === undefined) await written(`${path}.pub`, `${publicLine(text)}\n`, 0o644)
    keys.push(text)
  }
  return keys
}

/**
 * The certificate of FTPS as PEM: the configured pair, or a self-signed one under data_dir/keys, renewed (for the same key) in its last 30 days.
 * @throws FileFlowError `config.invalid` naming the file that cannot be read or used.
 */
export async function ensureTlsCertificate(
  config: Pick<Config, 'data_dir' | 'ftp'>,
  now: number = systemClock.now(),
): Promise<{ cert: string; key: string }> {
  const { cert, key } = config.ftp.tls
  if (cert !== null && key !== null) return readCertificatePair(cert, key)
  const folder = await keyFolder(config)
  const keyFile = join(folder, 'tls_key.pem')
  const certFile = join(folder, 'tls_cert.pem')
  const keyText = (await readIfThere(keyFile)) ?? (await written(keyFile, await newTlsKey()))
  const privateKey = parsedKey(keyText, keyFile)
  const present = await readIfThere(certFile)
  if (present !== undefined && stillGood(present, privateKey, now)) return { cert: present, key: keyText }
  const made = selfSignedCertificate({
    key: privateKey,
    names: ownNames(),
    notBefore: now - DAY,
    notAfter: now + CERTIFICATE_LIFE,
    serial: Buffer.from(newSecret(16), 'base64url'),
  })
  return { cert: await written(certFile, made, 0o644), key: keyText }
}

/** A PEM certificate chain and its key, known to fit together. @throws FileFlowError `config.invalid` naming the file. */
export async function readCertificatePair(certFile: string, keyFile: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = await Promise.all([read(certFile), read(keyFile)])
  const privateKey = parsedKey(key, keyFile)
  const leaf = guarded(certFile, 'is not a PEM certificate', () => new X509Certificate(cert))
  if (!leaf.checkPrivateKey(privateKey)) throw unusable(keyFile, `is not the key of ${certFile}`)
  guarded(certFile, 'cannot be used for TLS', () => createSecureContext({ cert, key }))
  return { cert, key }
}

export interface Fingerprints {
  /** As `ssh-keygen -l` prints them: `SHA256:…`, without padding. */
  readonly hostKeys: readonly { readonly type: string; readonly fingerprint: string }[]
  /** SHA-256 of the certificate in hex with colons, as openssl and `destinations[].tls.fingerprint` have it. */
  readonly tls: string | null
}

/** What partners compare at their first connection. */
export function fingerprints(credentials: { hostKeys: readonly string[]; tls: { cert: string } | null }): Fingerprints {
  return {
    hostKeys: credentials.hostKeys.map((text) => {
      const key = checkedParse(text, 'host key')
      const digest = createHash('sha256').update(key.getPublicSSH()).digest('base64').replace(/=+$/, '')
      return { type: key.type, fingerprint: `SHA256:${digest}` }
    }),
    tls: credentials.tls ? new X509Certificate(credentials.tls.cert).fingerprint256 : null,
  }
}

const newTlsKey = async (): Promise<string> =>
  (await generate('ec', { namedCurve: 'P-256' })).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

function stillGood(cert: string, key: KeyObject, now: number): boolean {
  try {
    const leaf = new X509Certificate(cert)
    return leaf.checkPrivateKey(key) && Date.parse(leaf.validTo) - now > RENEW_BEFORE
  } catch {
    // a damaged certificate of our own is made anew: the key is what counts
    return false
  }
}

function ownNames(): string[] {
  const host = hostname()
  const usable = /^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$/i.test(host) && host !== 'localhost'
  return [...(usable ? [host] : []), 'localhost', '127.0.0.1', '::1']
}

function checkedHostKey(text: string, file: string): string {
  const key = checkedParse(text, file)
  if (!key.isPrivateKey()) throw unusable(file, 'is a public key; the private one is needed')
  return text
}

function checkedParse(text: string, file: string): ssh2.ParsedKey {
  const parsed = ssh2.utils.parseKey(text)
  const key = Array.isArray(parsed) ? parsed[0] : parsed
  if (key === undefined || key instanceof Error) {
    const locked = key !== undefined && /passphrase|encrypted/i.test(key.message)
    throw unusable(file, locked ? 'has a passphrase; host keys are read without one' : 'is not a private key that SSH can use', key)
  }
  return key
}

function publicLine(text: string): string {
  const key = checkedParse(text, 'host key')
  return `${key.type} ${key.getPublicSSH().toString('base64')} fileflow`
}

function parsedKey(text: string, file: string): KeyObject {
  return guarded(file, 'is not a PEM private key without a passphrase', () => createPrivateKey(text))
}

function guarded<T>(file: string, fault: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw unusable(file, fault, error)
  }
}

const unusable = (file: string, fault: string, cause?: unknown): FileFlowError =>
  new FileFlowError('config.invalid', `${file}: ${fault}`, { cause })

/** An ed25519 key in OpenSSH's form (PROTOCOL.key), unencrypted. */
function opensshEd25519(key: KeyObject): string {
  const jwk = key.export({ format: 'jwk' })
  const [seed, point] = [Buffer.from(jwk.d!, 'base64url'), Buffer.from(jwk.x!, 'base64url')]
  const text = (content: Buffer | string) => {
    const bytes = Buffer.from(content)
    return Buffer.concat([uint32(bytes.length), bytes])
  }
  const check = Buffer.from(newSecret(4), 'base64url')
  const secret = Buffer.concat([check, check, text('ssh-ed25519'), text(point), text(Buffer.concat([seed, point])), text('fileflow')])
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (secret.length % 8)) % 8))
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    text('none'),
    text('none'),
    text(''),
    uint32(1),
    text(Buffer.concat([text('ssh-ed25519'), text(point)])),
    text(Buffer.concat([secret, padding])),
  ])
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${body.toString('base64').replace(/.{1,70}/g, '$&\n')}-----END OPENSSH PRIVATE KEY-----\n`
}

function uint32(n: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(n)
  return bytes
}

async function keyFolder({ data_dir }: Pick<Config, 'data_dir'>): Promise<string> {
  const folder = join(data_dir, 'keys')
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unusable(folder, `cannot be made (${reason(error)})`, error)
  }
  return folder
}

const reason = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown error'

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw unusable(file, `cannot be read (${reason(error)})`, error)
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (reason(error) === 'ENOENT') return undefined
    throw unusable(file, `cannot be read (${reason(error)})`, error)
  }
}

/** Whole and durable under its name, or not there at all: a half key would lock every partner out. @returns the text. */
async function written(file: string, text: string, mode = 0o600): Promise<string> {
  const temporary = `${file}.${newSecret(6)}.tmp`
  try {
    await synced(await open(temporary, 'wx', mode), (handle) => handle.writeFile(text))
    await rename(temporary, file)
    await synced(await open(dirname(file), 'r'), async () => {})
  } catch (error) {
    // what is told is why it could not be written, not that its remains could not be removed
    await unlink(temporary).catch(() => {})
    throw unusable(file, `cannot be written (${reason(error)})`, error)
  }
  return text
}

async function synced(handle: FileHandle, act: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    await act(handle)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
