// The spooled content as a stream that is hashed again while it is sent, so that what leaves is what was acknowledged.
// Must not write, and must not hold more than one chunk.
import { createHash, type Hash } from 'node:crypto'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { FileFlowError } from '../../core/errors.ts'
import { type Delivery, SMALL } from '../connector.ts'
import type { HashAlgorithm, UploadSource } from './remote-session.ts'

/** Bytes read at a time: what OpenSSH takes in one WRITE. */
export const CHUNK = 255 * 1024
const SPOOL_FAULTS: Record<string, 'spool.missing' | 'spool.changed'> = { ENOENT: 'spool.missing', ELOOP: 'spool.changed' }
/** A plain file of our own: whatever else stands there is neither followed nor waited for. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

const storageFault = (cause: unknown): FileFlowError => new FileFlowError('storage.failed', undefined, { cause })
const openFault = (cause: NodeJS.ErrnoException): FileFlowError =>
  new FileFlowError(SPOOL_FAULTS[cause.code ?? ''] ?? 'storage.failed', undefined, { cause })

export interface SpoolSource {
  /** The bytes of a small file, else a stream. */
  readonly content: UploadSource
  /** After it was sent. @throws FileFlowError `spool.changed` when it was not the content that was acknowledged */
  check(): void
  close(): Promise<void>
}

/** What a far side's answer is compared with. */
export interface Content {
  readonly size: number
  /** Lower-case hex. Reads the spool again for anything but sha256. */
  digest(algorithm: HashAlgorithm): Promise<string>
}

/**
 * @param from where the stream begins; what lies before is hashed all the same. @param started called when the first of it is asked for.
 * @param copied whoever sends it is done with a chunk when it asks for the next: then two buffers do for all of it
 * @throws FileFlowError `spool.missing`, `spool.changed`
 */
export async function openSpool(delivery: Delivery, from = 0, started: () => void = () => {}, copied = false): Promise<SpoolSource> {
  if (delivery.size <= SMALL && from === 0) return smallSource(delivery, started)
  const handle = await openContent(delivery)
  const hash = createHash('sha256')
  let count = 0
  const seen = (chunk: Buffer): void => {
    hash.update(chunk)
    count += chunk.length
  }
  const check = (): void => {
    if (count !== delivery.size || hash.digest('hex') !== delivery.sha256) throw new FileFlowError('spool.changed')
  }
  if (copied) {
    const chunks = after(from, started, chunksByTurns(handle, delivery.size, seen))
    return { content: chunks, check, close: () => chunks.return(undefined).then(() => handle.close()) }
  }
  const stream = Readable.from(after(from, started, chunksOf(handle, delivery.size, seen)), { objectMode: false, highWaterMark: CHUNK })
  // A broken transfer destroys the stream with its error after the transfer itself has reported it: nobody else listens then.
  stream.on('error', () => undefined)
  return {
    content: stream,
    check,
    async close() {
      stream.destroy()
      await handle.close()
    },
  }
}

/** All at once, and compared before any of it leaves. */
function smallSource(delivery: Delivery, started: () => void): SpoolSource {
  const bytes = readSmall(delivery)
  if (createHash('sha256').update(bytes).digest('hex') !== delivery.sha256) throw new FileFlowError('spool.changed')
  return {
    content() {
      started()
      return bytes
    },
    check: () => undefined,
    close: () => Promise.resolve(),
  }
}

/**
 * Asks for one byte more than there should be: the answer tells the size, which spares a question. At once: for so little, handing it to another thread and
 * back three times takes ten times as long as doing it.
 */
function readSmall({ spool, size }: Delivery): Buffer {
  const into = Buffer.allocUnsafe(size + 1)
  let fd: number
  try {
    fd = openSync(Buffer.from(spool), FLAGS)
  } catch (error) {
    throw openFault(error as NodeJS.ErrnoException)
  }
  try {
    // a folder, a pipe and a file of another size are all not what was kept
    if (readSync(fd, into, 0, size + 1, 0) !== size) throw new FileFlowError('spool.changed')
  } catch (error) {
    if (error instanceof FileFlowError) throw error
    throw (error as NodeJS.ErrnoException).code === 'EIO'
      ? storageFault(error)
      : new FileFlowError('spool.changed', undefined, { cause: error })
  } finally {
    closeSync(fd)
  }
  return into.subarray(0, size)
}

async function* after(from: number, started: () => void, chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  started()
  let skip = from
  for await (const chunk of chunks) {
    if (skip < chunk.length) yield skip === 0 ? chunk : chunk.subarray(skip)
    skip = Math.max(0, skip - chunk.length)
  }
}

/** The hash of the content's first `size` bytes, lower-case hex. */
export async function digestOfStart(delivery: Delivery, size: number, algorithm: HashAlgorithm): Promise<string> {
  return digestOf(delivery, createHash(algorithm), size)
}

export const contentOf = (delivery: Delivery): Content => ({
  size: delivery.size,
  digest: (algorithm) => (algorithm === 'sha256' ? Promise.resolve(delivery.sha256) : digestOf(delivery, createHash(algorithm))),
})

async function digestOf(delivery: Delivery, hash: Hash, size = delivery.size): Promise<string> {
  const handle = await openContent(delivery)
  try {
    for await (const chunk of chunksOf(handle, size, () => undefined)) hash.update(chunk)
    return hash.digest('hex')
  } finally {
    await handle.close()
  }
}

async function openContent(delivery: Delivery): Promise<FileHandle> {
  const handle = await open(Buffer.from(delivery.spool), FLAGS).catch((cause: NodeJS.ErrnoException) => {
    throw openFault(cause)
  })
  const stats = await handle.stat()
  if (stats.isFile() && stats.size === delivery.size) return handle
  await handle.close()
  throw new FileFlowError('spool.changed')
}

/** As {@link chunksOf}, in two buffers by turns: the next chunk is read while this one is sent, and lies where the one before it lay. */
async function* chunksByTurns(handle: FileHandle, size: number, seen: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  const buffers = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)] as const
  const readAt = (at: number, turn: number): Promise<number> => {
    const reading = handle.read(buffers[turn & 1]!, 0, Math.min(CHUNK, size - at), at).then(
      ({ bytesRead }) => bytesRead,
      (cause: unknown) => {
        throw storageFault(cause)
      },
    )
    // it is waited for later: until then a failure is nobody's surprise
    reading.catch(() => undefined)
    return reading
  }
  let next = readAt(0, 0)
  try {
    for (let at = 0, turn = 0; at < size; turn++) {
      const count = await next
      if (count === 0) return
      at += count
      next = at < size ? readAt(at, turn + 1) : Promise.resolve(0)
      const chunk = buffers[turn & 1]!.subarray(0, count)
      seen(chunk)
      yield chunk
    }
  } finally {
    // nobody closes the file under a read
    await next.catch(() => undefined)
  }
}

/** At most `size` bytes: a file that grows meanwhile is not followed. */
async function* chunksOf(handle: FileHandle, size: number, seen: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; ) {
    const into = Buffer.allocUnsafe(Math.min(CHUNK, size - at))
    const { bytesRead } = await handle.read(into, 0, into.length, at).catch((cause: unknown) => {
      throw storageFault(cause)
    })
    if (bytesRead === 0) return
    const chunk = into.subarray(0, bytesRead)
    seen(chunk)
    at += bytesRead
    yield chunk
  }
}
