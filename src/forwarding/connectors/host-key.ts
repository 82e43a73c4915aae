// The host keys a server shows, before anyone trusts them: for a person who compares fingerprints.
// Must not log in, send a credential, or put a key on record.
import { createHash } from 'node:crypto'
import ssh2, { type ServerHostKeyAlgorithm } from 'ssh2'
import { FileFlowError } from '../../core/errors.ts'
import { translatorFor } from './errors.ts'
import { within } from './within.ts'

const CONNECT_MS = 10_000

/** One handshake each: a server shows only the key of the kind that was agreed on. */
const KINDS: readonly { readonly type: string; readonly algorithms: readonly ServerHostKeyAlgorithm[] }[] = [
  { type: 'ssh-ed25519', algorithms: ['ssh-ed25519'] },
  { type: 'ecdsa', algorithms: ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'] },
  { type: 'ssh-rsa', algorithms: ['rsa-sha2-512', 'rsa-sha2-256'] },
]

export interface ShownHostKey {
  readonly type: string
  /** `SHA256:…` as ssh-keygen -l prints it. */
  readonly fingerprint: string
}

/** @throws FileFlowError `remote.*` when it cannot be reached or shows no key that is safe today */
export async function fetchHostKeys(host: string, port: number, signal: AbortSignal): Promise<ShownHostKey[]> {
  const translate = translatorFor({ name: host, type: 'sftp', host, port })
  const shown: ShownHostKey[] = []
  let reached = false
  for (const { algorithms } of KINDS) {
    try {
      const key = await handshake(host, port, algorithms, signal)
      reached = true
      if (key)
        shown.push({ type: typeOf(key), fingerprint: `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}` })
    } catch (error) {
      // it speaks SSH but has no key of this kind
      if (/no matching/i.test((error as Error).message)) reached = true
      else if (!reached) throw translate(error, 'connect')
    }
  }
  if (shown.length === 0) throw new FileFlowError('remote.failed', `${host}: shows no host key of a kind that is safe today`)
  return shown
}

function handshake(
  host: string,
  port: number,
  serverHostKey: readonly ServerHostKeyAlgorithm[],
  signal: AbortSignal,
): Promise<Buffer | null> {
  const client = new ssh2.Client()
  const work = new Promise<Buffer | null>((resolve, reject) => {
    let key: Buffer | null = null
    // ssh2 emits errors also after the end; one of them without a listener would end the process
    client.on('error', (error) => (key ? resolve(key) : reject(error)))
    client.on('close', () => (key ? resolve(key) : reject(new Error('connection closed'))))
    client.connect({
      host,
      port,
      username: 'fileflow',
      readyTimeout: CONNECT_MS,
      algorithms: { serverHostKey: [...serverHostKey] },
      hostVerifier: (shown: Buffer) => {
        key = shown
        return false
      },
    })
  })
  return within(work, CONNECT_MS, signal, () => client.destroy()).finally(() => client.destroy())
}

/** RFC 4253 §6.6: the blob begins with its type. */
const typeOf = (blob: Buffer): string => blob.toString('latin1', 4, 4 + Math.min(64, blob.readUInt32BE(0)))
