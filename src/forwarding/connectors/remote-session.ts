// One logged-in conversation with a far side, as small as delivering needs it. deliver.ts drives it; sftp, ftp and local implement it.
// Must not decide anything about conflicts, verification or retries.
import { Readable } from 'node:stream'

/** Hashes that a far side may be able to name, best first. */
export const HASH_ALGORITHMS = ['sha256', 'sha512', 'sha1', 'md5'] as const
export type HashAlgorithm = (typeof HASH_ALGORITHMS)[number]

/** How the far side's hash was had: an extension or command of its protocol, or by reading all of the file. */
export type HashMethod = 'check-file' | 'sha256sum' | 'HASH' | 'XSHA256' | 'XSHA512' | 'XSHA1' | 'XMD5' | 'read-back'

export interface RemoteHash {
  /** Lower-case hex. */
  readonly hex: string
  readonly method: HashMethod
}

export interface RemoteEntry {
  readonly kind: 'file' | 'other'
  /** Bytes; 0 for what is no file. */
  readonly size: number
}

/** What is sent: chunk by chunk, or the bytes of a small file, asked for once the far side takes them. */
export type UploadSource = AsyncIterable<Buffer> | (() => Buffer)

/** For protocols that know streams alone. */
export const asStream = (source: UploadSource): Readable => {
  if (source instanceof Readable) return source
  return typeof source === 'function' ? Readable.from(once(source)) : Readable.from(source, { objectMode: false })
}

function* once(source: () => Buffer): Generator<Buffer> {
  const bytes = source()
  if (bytes.length > 0) yield bytes
}

export interface UploadOptions {
  /** Bytes that are there already: `source` begins behind them. */
  readonly from: number
  /** The modification time to set there, ms, where the far side lets us. */
  readonly mtimeMs: number
}

/** All paths are absolute at the far side. Every failure is a FileFlowError of the `remote.*` family. */
export interface RemoteSession {
  /** The folder of the login: where a destination without a base path begins. */
  readonly home: string
  /** Software as the server names itself. */
  readonly server: string | null
  /** What {@link hash} will answer in; null when the far side offers no hash. */
  readonly hashAlgorithm: HashAlgorithm | null
  /** False once the connection is broken or its state unknown: it is not used again. */
  readonly usable: boolean
  /** null: there is nothing of this name. */
  stat(path: string): Promise<RemoteEntry | null>
  /** As `mkdir -p`. */
  makeFolder(path: string): Promise<void>
  /** {@link upload} is done with a chunk when it asks for the next. */
  readonly copies: boolean
  /** How much at the end of a broken-off file may be missing in between, in bytes; null where a file cannot be gone on with. */
  readonly resumeSlack: number | null
  /** Writes a file, replacing what has the name, or going on with it. @returns its size as the far side tells it at the end, where that costs nothing */
  upload(path: string, source: UploadSource, options?: UploadOptions): Promise<number | null>
  /** The hash the far side computed; null when it will not after all. `size` bounds the waiting. */
  hash(path: string, size: number): Promise<RemoteHash | null>
  /** Hands all bytes of the file to `take`, in order. */
  download(path: string, take: (chunk: Uint8Array) => void): Promise<void>
  /** Gives `from` the name `to`. @throws `remote.exists` when the name is taken and `replace` is false, as far as the protocol can tell */
  rename(from: string, to: string, replace: boolean): Promise<void>
  /** Removes a file; one that is not there is fine. */
  remove(path: string): Promise<void>
  /** Breaks off at once: every running call fails. Idempotent. */
  destroy(): void
  /** Says goodbye. Idempotent, never rejects. */
  end(): Promise<void>
}

/** What opening a session tells as it goes, for the probe's report. */
export interface OpenHooks {
  readonly signal: AbortSignal
  /** The connection stands and the far side is who it should be; the login comes next. */
  connected(detail: string): void
  /** The SSH host key or certificate that was shown, trusted or not. */
  fingerprint(shown: string): void
}

export type OpenSession = (hooks: OpenHooks) => Promise<RemoteSession>
