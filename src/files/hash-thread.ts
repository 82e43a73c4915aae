// The thread that hashes large uploads: from memory that their owner shares with it, else reading behind the writes, from the page cache, what the owner says is written.
// Must not open, close or change anything: it is given descriptors, and says when it is done with them.
import { createHash, type Hash } from 'node:crypto'
import { readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'

export type ToHashThread =
  | { readonly type: 'begin'; readonly id: number; readonly fd: number }
  /** All bytes before this place are written and stay. */
  | { readonly type: 'written'; readonly id: number; readonly to: number }
  /** The bytes from `at` on, in memory that stays as it is until they are hashed; all before them are written. */
  | { readonly type: 'passed'; readonly id: number; readonly at: number; readonly to: number; readonly chunks: readonly Uint8Array[] }
  /** As `written`, and nothing follows. */
  | { readonly type: 'end'; readonly id: number; readonly to: number }
  | { readonly type: 'drop'; readonly id: number }

export type FromHashThread =
  | { readonly type: 'at'; readonly id: number; readonly at: number }
  /** The last word about an id: from here on its descriptor is not used. `sha256` is null when it was dropped or could not be read. */
  | { readonly type: 'done'; readonly id: number; readonly sha256: string | null }

/** Small enough to stay in the processor's nearest cache between read and hash. */
const PIECE = 128 * 1024
/** Of one upload before the next one's turn. */
const TURN_BYTES = 2 * 1024 * 1024
const TELL_BYTES = 8 * 1024 * 1024

interface Job {
  readonly fd: number
  readonly hash: Hash
  /** In their order. */
  readonly passed: { readonly at: number; readonly chunks: readonly Uint8Array[] }[]
  at: number
  told: number
  to: number
  ends: boolean
}

const port = parentPort
if (!port) throw new Error('this file is the entry of a worker thread')
const say = (message: FromHashThread): void => port.postMessage(message)
const jobs = new Map<number, Job>()
const piece = Buffer.allocUnsafeSlow(PIECE)
let awake = false

port.on('message', (message: ToHashThread) => {
  const { id } = message
  if (message.type === 'begin') {
    jobs.set(id, { fd: message.fd, hash: createHash('sha256'), passed: [], at: 0, told: 0, to: 0, ends: false })
    return
  }
  const job = jobs.get(id)
  // it failed before: the owner knows
  if (!job) return
  if (message.type === 'drop') {
    done(id, null)
    return
  }
  if (message.type === 'passed') job.passed.push(message)
  job.to = message.to
  job.ends = message.type === 'end'
  wake()
})

function done(id: number, sha256: string | null): void {
  jobs.delete(id)
  say({ type: 'done', id, sha256 })
}

/** Messages are taken between two rounds. */
function wake(): void {
  if (awake) return
  awake = true
  setImmediate(() => {
    awake = false
    for (const [id, job] of jobs) turn(id, job)
  })
}

/** @returns whether the file had all that should be there */
function readBehind(job: Job, until: number): boolean {
  while (job.at < until) {
    let n = 0
    try {
      n = readSync(job.fd, piece, 0, Math.min(PIECE, until - job.at), job.at)
    } catch {
      // whoever reads it again at commit hears why
    }
    if (n === 0) return false
    job.hash.update(n === PIECE ? piece : piece.subarray(0, n))
    job.at += n
  }
  return true
}

function turn(id: number, job: Job): void {
  const until = job.at + TURN_BYTES
  while (job.at < Math.min(job.to, until)) {
    const [first] = job.passed
    if (first?.at === job.at) {
      job.passed.shift()
      for (const chunk of first.chunks) {
        job.hash.update(chunk)
        job.at += chunk.length
      }
      // its memory is waited for
      job.told = job.at
      say({ type: 'at', id, at: job.at })
    } else if (!readBehind(job, Math.min(first?.at ?? job.to, until))) {
      done(id, null)
      return
    }
  }
  if (job.at < job.to) wake()
  else if (job.ends) {
    done(id, job.hash.digest('hex'))
    return
  }
  if (job.at - job.told < TELL_BYTES && job.at < job.to) return
  job.told = job.at
  say({ type: 'at', id, at: job.at })
}
