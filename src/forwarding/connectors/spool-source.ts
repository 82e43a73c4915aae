// The spooled content as a stream that is hashed again while it is sent, so that what leaves is what was acknowledged.
// Must not write, and must not hold more than one chunk.
import { createHash, type Hash } from 'node:crypto'
import { constants, type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { FileFlowError } from '../../core/errors.ts'
import type { Delivery } from '../connector.ts'
import type { HashAlgorithm } from './remote-session.ts'

const CHUNK = 256 * 1024
const SPOOL_FAULTS: Record<string, 'spool.missing' | 'spool.changed'> = { ENOENT: 'spool.missing', ELOOP: 'spool.changed' }

export interface SpoolSource {
  readonly stream: Readable
  /** After the stream ended. @throws FileFlowError `spool.changed` when it was not the content that was acknowledged */
  check(): void
  close(): Promise<void>
}

/** What a far side's answer is compared with. */
export interface Content {
  readonly size: number
  /** Lower-case hex. Reads the spool again for anything but sha256. */
  digest(algorithm: HashAlgorithm): Promise<string>
}

/** @param from where the stream begins; what lies before is hashed all the same. @param started called when the first of it is asked for. @throws FileFlowError `spool.missing`, `spool.changed` */
export async function openSpool(delivery: Delivery, from = 0, started: () => void = () => {}): Promise<SpoolSource> {
  const handle = await openContent(delivery)
  const hash = createHash('sha256')
  let count = 0
  const stream = Readable.from(
    after(
      from,
      started,
      chunksOf(handle, delivery.size, (chunk) => {
        hash.update(chunk)
        count += chunk.length
      }),
    ),
    { objectMode: false, highWaterMark: CHUNK },
  )
  // A broken transfer destroys the stream with its error after the transfer itself has reported it: nobody else listens then.
  stream.on('error', () => undefined)
  return {
    stream,
    check() {
      if (count !== delivery.size || hash.digest('hex') !== delivery.sha256) throw new FileFlowError('spool.changed')
    },
    async close() {
      stream.destroy()
      await handle.close()
    },
  }
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
  let handle: FileHandle
  try {
    // a plain file of our own: whatever else stands there is neither followed nor waited for
    handle = await open(Buffer.from(delivery.spool), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (cause) {
    throw new FileFlowError(SPOOL_FAULTS[(cause as NodeJS.ErrnoException).code ?? ''] ?? 'storage.failed', undefined, { cause })
  }
  const stats = await handle.stat()
  if (stats.isFile() && stats.size === delivery.size) return handle
  await handle.close()
  throw new FileFlowError('spool.changed')
}

/** At most `size` bytes: a file that grows meanwhile is not followed. */
async function* chunksOf(handle: FileHandle, size: number, seen: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; ) {
    const into = Buffer.allocUnsafe(Math.min(CHUNK, size - at))
    const { bytesRead } = await handle.read(into, 0, into.length, at).catch((cause: unknown) => {
      throw new FileFlowError('storage.failed', undefined, { cause })
    })
    if (bytesRead === 0) return
    const chunk = into.subarray(0, bytesRead)
    seen(chunk)
    at += bytesRead
    yield chunk
  }
}
