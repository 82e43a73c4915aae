// The spooled content as a stream that is hashed again while it is sent, so that what leaves is what was acknowledged.
// Must not write, and must not hold more than one chunk.
import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { FileFlowError } from '../../core/errors.ts'
import type { Delivery } from '../connector.ts'
import type { HashAlgorithm } from './remote-session.ts'

const CHUNK = 256 * 1024

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

/** @throws FileFlowError `spool.missing`, `spool.changed` */
export async function openSpool(delivery: Delivery): Promise<SpoolSource> {
  const handle = await openContent(delivery)
  const hash = createHash('sha256')
  let count = 0
  const stream = Readable.from(
    chunksOf(handle, delivery.size, (chunk) => {
      hash.update(chunk)
      count += chunk.length
    }),
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

export const contentOf = (delivery: Delivery): Content => ({
  size: delivery.size,
  digest: (algorithm) => (algorithm === 'sha256' ? Promise.resolve(delivery.sha256) : digestOf(delivery, createHash(algorithm))),
})

async function digestOf(delivery: Delivery, hash: Hash): Promise<string> {
  const handle = await openContent(delivery)
  try {
    for await (const chunk of chunksOf(handle, delivery.size, () => undefined)) hash.update(chunk)
    return hash.digest('hex')
  } finally {
    await handle.close()
  }
}

async function openContent(delivery: Delivery): Promise<FileHandle> {
  let handle: FileHandle
  try {
    handle = await open(Buffer.from(delivery.spool), 'r')
  } catch (cause) {
    throw new FileFlowError((cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'spool.missing' : 'storage.failed', undefined, { cause })
  }
  const { size } = await handle.stat()
  if (size === delivery.size) return handle
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
