// Hashing of large uploads beside the thread that moves their bytes: one thread for all uploads of a worker, made when the first one needs it.
// Must not fail an upload: without an answer the file is hashed again at commit.
import fs from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { FromHashThread, ToHashThread } from './hash-thread.ts'

/** As far as hashing may stay behind writing: what a commit waits for at most. */
const MOST_BEHIND = 64 * 1024 * 1024
/** Written and not told of to the thread yet, at most: each message wakes it. */
const TELL_BYTES = 4 * 1024 * 1024

export class Hasher {
  readonly #failed: (error: unknown) => void
  #thread: Worker | null = null
  #lastId = 0
  readonly #trails = new Map<number, HashTrail>()

  /** @param failed told when the thread dies; the uploads that it followed are hashed another way */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed
  }

  /** Follows a file from its beginning. @param fd of the upload; the trail has its own */
  follow(fd: number): HashTrail {
    const thread = this.#start()
    const id = ++this.#lastId
    const own = fs.openSync(`/proc/self/fd/${fd}`, fs.constants.O_RDONLY)
    const trail = new HashTrail(own, (message) => thread.postMessage({ ...message, id } satisfies ToHashThread))
    this.#trails.set(id, trail)
    thread.ref()
    thread.postMessage({ type: 'begin', id, fd: own } satisfies ToHashThread)
    return trail
  }

  #start(): Worker {
    if (this.#thread) return this.#thread
    const thread = new Worker(new URL('./hash-thread.ts', import.meta.url), { name: 'hasher' })
    this.#thread = thread
    thread.on('message', (message: FromHashThread) => {
      const trail = this.#trails.get(message.id)
      if (message.type === 'at') return trail?.reached(message.at)
      this.#trails.delete(message.id)
      if (this.#trails.size === 0) thread.unref()
      trail?.done(message.sha256)
    })
    thread.on('error', this.#failed)
    thread.on('exit', () => {
      this.#thread = null
      for (const trail of this.#trails.values()) trail.done(null)
      this.#trails.clear()
    })
    return thread
  }
}

type Message =
  | { readonly type: 'written' | 'end'; readonly to: number }
  | { readonly type: 'passed'; readonly at: number; readonly to: number; readonly chunks: readonly Uint8Array[] }
  | { readonly type: 'drop' }

/** Whether other threads see these bytes without copying them. */
export const areShared = (chunks: readonly Uint8Array[]): boolean => chunks.every((chunk) => chunk.buffer instanceof SharedArrayBuffer)

/** What is known of one upload's hash so far. */
export class HashTrail {
  readonly #fd: number
  readonly #send: (message: Message) => void
  #told = 0
  #at = 0
  #over = false
  /** Who waits for the thread to be so far. */
  readonly #waiting: { readonly at: number; readonly goOn: () => void }[] = []
  readonly #sha256: Promise<string | null>
  #resolve: (sha256: string | null) => void = () => undefined

  constructor(fd: number, send: (message: Message) => void) {
    this.#fd = fd
    this.#send = send
    this.#sha256 = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** All bytes before `to` are written and stay. @returns what to wait for when hashing is too far behind */
  written(to: number): Promise<void> | undefined {
    if (this.#over || to - this.#told < TELL_BYTES) return undefined
    this.#told = to
    this.#send({ type: 'written', to })
    return to - this.#at < MOST_BEHIND ? undefined : this.#until(to - MOST_BEHIND / 2)
  }

  /**
   * The bytes from `at` to `to` where no copy is needed ({@link areShared}); all before them are written and stay. Cheaper than reading them again.
   * @returns settles when their memory is not looked at any more
   */
  pass(chunks: readonly Uint8Array[], at: number, to: number): Promise<void> | undefined {
    if (this.#over) return undefined
    this.#told = to
    this.#send({ type: 'passed', at, to, chunks })
    return this.#until(to)
  }

  #until(at: number): Promise<void> {
    return new Promise((goOn) => this.#waiting.push({ at, goOn }))
  }

  /** Of the first `size` bytes; null when it could not be found out. */
  end(size: number): Promise<string | null> {
    if (!this.#over) this.#send({ type: 'end', to: size })
    return this.#sha256
  }

  /** Nobody wants to know any more. */
  drop(): void {
    if (!this.#over) this.#send({ type: 'drop' })
  }

  /** The thread is there. */
  reached(at: number): void {
    this.#at = at
    while (this.#waiting.length > 0 && this.#waiting[0]!.at <= at) this.#waiting.shift()!.goOn()
  }

  /** The thread's last word. */
  done(sha256: string | null): void {
    if (this.#over) return
    this.#over = true
    fs.closeSync(this.#fd)
    for (const { goOn } of this.#waiting.splice(0)) goOn()
    this.#resolve(sha256)
  }
}
