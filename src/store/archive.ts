// Archives of backups: gzipped tar (POSIX ustar), which any system can open, too; written and read as streams.
// Must not write anything of an archive to a place that a name in it chooses: the reader is given the names it may meet.
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { createGunzip, createGzip } from 'node:zlib'
import { FileFlowError } from '../core/errors.ts'

const BLOCK = 512
/** Eleven octal digits. */
const OCTAL_MOST = 8 ** 11 - 1
const LEVEL = 1

export interface ArchiveEntry {
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** The content, or the file that holds it. */
  readonly content: Buffer | { readonly file: string }
}

/** @param at ms, the time that the entries bear */
export function packArchive(entries: readonly ArchiveEntry[], at: number): Readable {
  async function* blocks(): AsyncGenerator<Buffer> {
    for (const { name, size, content } of entries) {
      yield headerOf(name, size, at)
      let sent = 0
      for await (const chunk of Buffer.isBuffer(content) ? [content] : createReadStream(content.file)) {
        sent += (chunk as Buffer).length
        yield chunk as Buffer
      }
      if (sent !== size) throw new Error(`${name} changed while it was packed`)
      yield Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)
    }
    yield Buffer.alloc(2 * BLOCK)
  }
  const source = Readable.from(blocks())
  const gzip = createGzip({ level: LEVEL })
  source.on('error', (error) => gzip.destroy(error))
  gzip.on('close', () => source.destroy())
  return source.pipe(gzip)
}

function headerOf(name: string, size: number, at: number): Buffer {
  const header = Buffer.alloc(BLOCK)
  header.write(name, 0, 100, 'latin1')
  header.write('0000600\0', 100, 'latin1')
  header.write('0000000\0', 108, 'latin1')
  header.write('0000000\0', 116, 'latin1')
  if (size <= OCTAL_MOST) header.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1')
  else {
    // GNU tar's base-256 form, for databases from 8 GiB
    header[124] = 0x80
    header.writeBigUInt64BE(BigInt(size), 128)
  }
  header.write(
    `${Math.floor(at / 1000)
      .toString(8)
      .padStart(11, '0')}\0`,
    136,
    'latin1',
  )
  header.write('        ', 148, 'latin1')
  header.write('0', 156, 'latin1')
  header.write('ustar\x0000', 257, 'latin1')
  let sum = 0
  for (const byte of header) sum += byte
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

export interface ReadEntry {
  readonly name: string
  readonly size: number
  /** To be read to its end before the next entry is asked for. */
  readonly content: AsyncIterable<Buffer>
}

const broken = (why: string, cause?: unknown): FileFlowError =>
  new FileFlowError('request.invalid', `This is no backup of FileFlow, or it is damaged: ${why}.`, { cause })

function translated(file: string, error: unknown): FileFlowError {
  if (error instanceof FileFlowError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR')
    return new FileFlowError('request.invalid', `${file}: cannot be read (${code}); it should be a backup`)
  return broken(message, error)
}

/** @throws FileFlowError `request.invalid` when it is no archive, is damaged, or ends too early */
export async function* unpackArchive(file: string): AsyncGenerator<ReadEntry> {
  const source = createReadStream(file)
  const gunzip = source.pipe(createGunzip())
  source.on('error', (error) => gunzip.destroy(error))
  const bytes = byteReader(gunzip, file)
  try {
    for (;;) {
      const header = await bytes.exactly(BLOCK)
      if (header.every((byte) => byte === 0)) {
        // to the end: its checksum is gzip's
        await bytes.rest()
        return
      }
      const { name, size } = readHeader(header)
      let left = size
      const content = async function* (): AsyncGenerator<Buffer> {
        while (left > 0) {
          const chunk = await bytes.upTo(left)
          left -= chunk.length
          yield chunk
        }
      }
      yield { name, size, content: content() }
      if (left > 0) throw broken(`${name} was not read`)
      await bytes.exactly((BLOCK - (size % BLOCK)) % BLOCK)
    }
  } catch (error) {
    throw translated(file, error)
  } finally {
    source.destroy()
    gunzip.destroy()
  }
}

function readHeader(header: Buffer): { name: string; size: number } {
  const text = (from: number, to: number): string => header.toString('latin1', from, to).replace(/\0[\s\S]*$/, '')
  let sum = 0
  for (const [at, byte] of header.entries()) sum += at >= 148 && at < 156 ? 32 : byte
  if (Number.parseInt(text(148, 156).trim(), 8) !== sum) throw broken('a header does not fit its sum')
  if (text(156, 157) !== '0' || text(257, 262) !== 'ustar') throw broken('it holds something else than plain files')
  const size = header[124] === 0x80 ? Number(header.readBigUInt64BE(128)) : Number.parseInt(text(124, 136).trim(), 8)
  if (!Number.isSafeInteger(size) || size < 0) throw broken('a size makes no sense')
  return { name: text(0, 100), size }
}

function byteReader(stream: AsyncIterable<Buffer>, file: string) {
  const chunks = stream[Symbol.asyncIterator]()
  let waiting: Buffer = Buffer.alloc(0)
  const more = async (): Promise<boolean> => {
    // also for who reads an entry in a pipeline of its own
    const next = await chunks.next().catch((error: unknown) => {
      throw translated(file, error)
    })
    if (!next.done) waiting = waiting.length === 0 ? next.value : Buffer.concat([waiting, next.value])
    return !next.done
  }
  return {
    async exactly(count: number): Promise<Buffer> {
      while (waiting.length < count) if (!(await more())) throw broken('it ends too early')
      const taken = waiting.subarray(0, count)
      waiting = waiting.subarray(count)
      return taken
    },
    async upTo(count: number): Promise<Buffer> {
      if (waiting.length === 0 && !(await more())) throw broken('it ends too early')
      const taken = waiting.subarray(0, count)
      waiting = waiting.subarray(taken.length)
      return taken
    },
    async rest(): Promise<void> {
      do waiting = Buffer.alloc(0)
      while (await more())
    },
  }
}
