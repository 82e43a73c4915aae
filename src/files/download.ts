// One download: bound to the file as it was when it was opened.
// Must not write.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import type { VirtualPath } from '../core/virtual-path.ts'
import { entryAt } from './attributes.ts'
import { digestOf } from './digest.ts'
import { AT_ONCE_BYTES, readAt, readvAt, translated } from './file-io.ts'
import type { RateLimiter } from './rate-limiter.ts'
import type { DigestAlgorithm, DigestOptions, Download, FileDigest, FileEntry } from './virtual-filesystem.ts'

export interface DownloadHost {
  readonly limiter: RateLimiter
  /** Throws when the session is over. */
  check(): void
  progress(transferId: string, bytes: number): void
  /** Runs it when not too many run already. */
  digest(work: () => Promise<FileDigest>): Promise<FileDigest>
  ended(download: OpenDownload, sent: number, error: Error | undefined): void
}

export class OpenDownload implements Download {
  readonly transferId: string
  readonly path: VirtualPath
  readonly size: number
  readonly #fd: number
  readonly #host: DownloadHost
  readonly #partial: boolean
  #passed = 0
  #reading = 0
  #ended = false

  constructor(
    host: DownloadHost,
    transferId: string,
    { path, fd, size, partial }: { path: VirtualPath; fd: number; size: number; partial: boolean },
  ) {
    this.#host = host
    this.transferId = transferId
    this.path = path
    this.#fd = fd
    this.size = size
    this.#partial = partial
  }

  read(into: Uint8Array, at: number): Promise<number> {
    if (this.size <= AT_ONCE_BYTES) return this.#take(() => translated(() => fs.readSync(this.#fd, into, 0, into.length, at)))
    return this.#take(() => readAt(this.#fd, into, at))
  }

  readv(into: readonly Uint8Array[], at: number): Promise<number> {
    if (this.size <= AT_ONCE_BYTES) return this.#take(() => translated(() => fs.readvSync(this.#fd, into, at)))
    return this.#take(() => readvAt(this.#fd, into, at))
  }

  async #take(read: () => Promise<number> | number): Promise<number> {
    this.#usable()
    this.#reading++
    try {
      const n = await read()
      this.#passed += n
      this.#host.progress(this.transferId, this.#passed)
      const wait = this.#host.limiter.take(n)
      if (wait) await wait
      return n
    } finally {
      this.#readingEnded()
    }
  }

  async digest(algorithm: DigestAlgorithm, options: DigestOptions = {}): Promise<FileDigest> {
    this.#usable()
    return this.#host.digest(async () => {
      this.#reading++
      try {
        return await digestOf(this.#fd, this.size, algorithm, options, () => this.#usable())
      } finally {
        this.#readingEnded()
      }
    })
  }

  #usable(): void {
    if (this.#ended) throw new FileFlowError('transfer.aborted')
    this.#host.check()
  }

  /** A read that is under way when the download ends still uses the descriptor: the last one closes it. */
  #readingEnded(): void {
    this.#reading--
    if (this.#ended && this.#reading === 0) fs.closeSync(this.#fd)
  }

  async stat(): Promise<FileEntry> {
    if (this.#ended) throw new FileFlowError('transfer.aborted')
    return entryAt(
      this.path,
      translated(() => fs.fstatSync(this.#fd)),
      this.#partial,
    )
  }

  async end(sent: number, error?: Error): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    if (this.#reading === 0) fs.closeSync(this.#fd)
    this.#host.ended(this, sent, error)
  }
}
