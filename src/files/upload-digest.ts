// The SHA-256 of an upload while it comes in: as it passes, or by a thread where that sees the memory it came in, or must begin with what lies on the disk.
// Must not answer for content that was changed behind it: such a file is read again at commit.
import { createHash, type Hash, hash } from 'node:crypto'
import fs from 'node:fs'
import { digestOf } from './digest.ts'
import { areShared, type Hasher, type HashTrail } from './hasher.ts'

/**
 * From this size on the thread may follow a file: reading its beginning once more costs a few milliseconds of that. Reading all of it once more, where the memory
 * cannot be shown to the thread, costs as much as a third of the hash, which a machine at work has better uses for: that is hashed as it passes.
 */
const LARGE_BYTES = 4 * 1024 * 1024
/** What comes first is taken for all if it is so short (clients send 32 KiB at a time): a hash that is made and not gone on with costs a fraction. */
const SMALL_BYTES = 16 * 1024

const EMPTY = hash('sha256', '')

export class UploadDigest {
  readonly #hasher: Hasher
  readonly #fd: number
  /** Null also where nothing is hashed yet: see {@link #small}. */
  #hash: Hash | null = null
  /** Of all that came so far, where that is one short write, or nothing. Hex. */
  #small: string | null = null
  #trail: HashTrail | null = null
  #givenUp: Error | null = null
  /** Content came in order up to here. */
  #taken: number
  /** And is written up to here. */
  #written: number
  #inOrder = true
  /** The thread has what is being written: it need not be told to read it. */
  #passed = false

  /** @param size what the upload goes on from */
  constructor(hasher: Hasher, fd: number, size: number) {
    this.#hasher = hasher
    this.#fd = fd
    this.#taken = size
    this.#written = size
    if (size === 0) this.#small = EMPTY
  }

  /** A write begins. @returns settles when the memory of the chunks is not looked at any more; undefined where that is so already */
  take(chunks: readonly Uint8Array[], at: number, end: number): Promise<void> | undefined {
    this.#passed = false
    if (at === end) return undefined
    if (!this.#inOrder || at !== this.#taken) {
      this.#lose()
      return undefined
    }
    if (this.#small !== null && !this.#goOn(chunks, at, end)) return undefined
    this.#taken = end
    const isLarge = end > LARGE_BYTES
    const shared = isLarge && areShared(chunks)
    if (!this.#trail && isLarge && (shared || this.#hash === null)) {
      this.#hash = null
      this.#trail = this.#hasher.follow(this.#fd)
    }
    if (this.#trail && this.#written === at && shared) {
      this.#passed = true
      return this.#trail.pass(chunks, at, end)
    }
    if (!this.#trail && this.#hash) for (const chunk of chunks) this.#hash.update(chunk)
    return undefined
  }

  /** What is kept of one short write is all, or gives way to a hash that can be gone on with. @returns whether the chunks are still to be hashed */
  #goOn(chunks: readonly Uint8Array[], at: number, end: number): boolean {
    if (at === 0 && end <= SMALL_BYTES) {
      this.#small = hash('sha256', chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
      this.#taken = end
      return false
    }
    this.#small = null
    this.#hash = createHash('sha256')
    if (at === 0) return true
    // short as it is, it was written at once
    const before = Buffer.allocUnsafe(at)
    try {
      if (fs.readSync(this.#fd, before, 0, at, 0) < at) return this.#lose()
    } catch {
      return this.#lose()
    }
    this.#hash.update(before)
    return true
  }

  /** A write ended well. @returns what to wait for before the next one */
  wrote(at: number, end: number): Promise<void> | undefined {
    if (at > this.#written || end <= this.#written) return undefined
    this.#written = end
    return this.#passed ? undefined : this.#trail?.written(end)
  }

  /** The length changes. @returns what to call once it has, when nothing else went on meanwhile */
  cut(): (size: number) => void {
    const inOrder = this.#inOrder
    this.#inOrder = false
    return (size) => {
      if (size === 0) this.#begin()
      else if (size === this.#taken) this.#inOrder = inOrder
    }
  }

  #begin(): void {
    this.drop()
    this.#small = EMPTY
    this.#inOrder = true
    this.#taken = 0
    this.#written = 0
  }

  #lose(): false {
    this.#inOrder = false
    this.drop()
    return false
  }

  /** Nothing is asked any more. */
  drop(): void {
    this.#trail?.drop()
    this.#trail = null
    this.#hash = null
    this.#small = null
  }

  /** Ends {@link end} with this error, if it is not there yet. */
  giveUp(why: Error): void {
    this.#givenUp = why
    this.#trail?.drop()
  }

  #wanted(): void {
    if (this.#givenUp) throw this.#givenUp
  }

  /** Of the whole file, whose writes have all ended. Hex. */
  async end(size: number): Promise<string> {
    const known = this.#inOrder && this.#taken === size
    if (known && this.#small !== null) return this.#small
    if (known && this.#hash) return this.#hash.digest('hex')
    if (!known) this.drop()
    if (size > LARGE_BYTES) this.#trail ??= this.#hasher.follow(this.#fd)
    const found = await this.#trail?.end(size)
    this.#trail = null
    if (found) return found
    this.#wanted()
    const { digest } = await digestOf(this.#fd, size, 'sha256', {}, () => this.#wanted())
    return Buffer.from(digest).toString('hex')
  }
}
