// Digests of an open file, whole or by blocks, as partners ask for them (HASH, XCRC, check-file, md5sum).
// Must not hold more than one piece of the file in memory, nor go on for a session that is over.
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { FileFlowError } from '../core/errors.ts'
import { readAt } from './file-io.ts'
import type { DigestAlgorithm, DigestOptions, FileDigest } from './virtual-filesystem.ts'

const PIECE = 1024 * 1024
/** 4 MiB of SHA-512 at most. */
const MOST_BLOCKS = 65_536
/** At once in one session; each takes a core while it runs. */
const MOST_AT_ONCE = 4

/** The digests of one session: no more than a few at once. */
export class DigestDesk {
  #running = 0

  /** @throws FileFlowError `limit.rate` when too many run */
  async run(work: () => Promise<FileDigest>): Promise<FileDigest> {
    if (this.#running >= MOST_AT_ONCE) throw new FileFlowError('limit.rate', 'Too many digests at once.')
    this.#running++
    try {
      return await work()
    } finally {
      this.#running--
    }
  }
}

/**
 * @param size length of the file now
 * @param check called before every piece; throws when the file's holder is gone
 * @throws FileFlowError `request.invalid` for a start behind the end, or too many blocks; `transfer.aborted` on the signal
 */
export async function digestOf(
  fd: number,
  size: number,
  algorithm: DigestAlgorithm,
  { start = 0, length, blockSize, signal }: DigestOptions,
  check: () => void,
): Promise<FileDigest> {
  if (![start, length ?? 0, blockSize ?? 1].every((n) => Number.isSafeInteger(n) && n >= 0) || blockSize === 0)
    throw new FileFlowError('request.invalid')
  if (start > size) throw new FileFlowError('request.invalid', `Cannot begin at ${start}: there are ${size} bytes.`)
  const end = length === undefined ? size : Math.min(size, start + length)
  if (blockSize !== undefined && (end - start) / blockSize > MOST_BLOCKS)
    throw new FileFlowError('request.invalid', `That would be more than ${MOST_BLOCKS} blocks.`)
  const piece = Buffer.allocUnsafe(Math.min(PIECE, Math.max(1, end - start)))
  const digests: Uint8Array[] = []
  let at = start
  do {
    const until = blockSize === undefined ? end : Math.min(end, at + blockSize)
    const sum = summing(algorithm)
    while (at < until) {
      if (signal?.aborted) throw new FileFlowError('transfer.aborted')
      check()
      const n = await readAt(fd, piece.subarray(0, Math.min(piece.length, until - at)), at)
      // someone beside us cut it short
      if (n === 0) throw new FileFlowError('state.conflict', 'The file changed meanwhile.')
      sum.update(piece.subarray(0, n))
      at += n
    }
    digests.push(sum.digest())
  } while (at < end)
  return { digest: digests.length === 1 ? digests[0]! : Buffer.concat(digests), start, end, size }
}

function summing(algorithm: DigestAlgorithm): { update(piece: Uint8Array): void; digest(): Uint8Array } {
  if (algorithm !== 'crc32') {
    const hash = createHash(algorithm)
    return { update: (piece) => void hash.update(piece), digest: () => hash.digest() }
  }
  let value = 0
  return {
    update(piece) {
      value = crc32(piece, value)
    },
    digest() {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(value)
      return bytes
    },
  }
}
