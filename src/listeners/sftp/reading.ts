// READ: adjoining requests become one positional read into a buffer that already has gaps for the reply headers.
// Must not read ahead of what was asked.
import { FileFlowError, SFTP_STATUS } from '../../core/errors.ts'
import type { OpenDownload, OpenUpload } from './handles.ts'
import type { Request, SftpChannel } from './sftp-channel.ts'
import { TUNING } from './tuning.ts'

const DATA = 103
/** length, type, id, length of the data */
const HEADER = 13
/** Large batches use memory again that others have left: fresh pages and their collection cost as much as the reading. */
const pool: Buffer[] = []
const POOLED_BYTES = TUNING.maxBatch + 64 * HEADER
const LEAST_POOLED = 128 * 1024
const MOST_POOLED = 8

const take = (bytes: number): Buffer =>
  bytes < LEAST_POOLED || bytes > POOLED_BYTES ? Buffer.allocUnsafe(bytes) : (pool.pop() ?? Buffer.allocUnsafeSlow(POOLED_BYTES))

function giveBack(memory: Buffer): void {
  if (memory.length === POOLED_BYTES && pool.length < MOST_POOLED) pool.push(memory)
}

/** Behind the end that is known: a file that grows is read on, and most are not. */
const BEHIND_END = 2048

export async function readData(channel: SftpChannel, requests: readonly Request[]): Promise<void> {
  const file = requests[0]!.handle!.file
  if (file.kind === 'folder') throw new FileFlowError('path.is_directory')
  if (file.kind === 'upload' && !file.readable) throw new FileFlowError('permission.denied', 'The file is not open for reading.')
  for (let done = 0; done < requests.length; ) done += await readRun(channel, file, requests.slice(done))
}

/** Answers at least one request. @returns how many */
async function readRun(channel: SftpChannel, file: OpenDownload | OpenUpload, requests: readonly Request[]): Promise<number> {
  const run = file.kind === 'upload' ? requests.slice(0, 1) : requests
  // clients ask for far more than a small file has: memory is taken for what there is
  const { size } = file.kind === 'upload' ? file.upload : file.download
  const lengths = run.map(({ offset, length }) => Math.min(length, offset < size ? size - offset : BEHIND_END))
  let total = 0
  for (const length of lengths) total += HEADER + length
  const packets = take(total)
  const parts: Buffer[] = []
  let at = 0
  for (const length of lengths) {
    parts.push(packets.subarray(at + HEADER, at + HEADER + length))
    at += HEADER + length
  }
  const from = run[0]!.offset
  const got = await (file.kind === 'upload'
    ? file.upload.read(parts[0]!, from)
    : parts.length === 1
      ? file.download.read(parts[0]!, from)
      : file.download.readv(parts, from))
  if (got === 0 && run[0]!.length > 0) {
    channel.status(run[0]!, SFTP_STATUS.EOF, 'End of file')
    return 1
  }
  let left = got
  let end = 0
  let answered = 0
  for (const [i, request] of run.entries()) {
    const length = Math.min(lengths[i]!, left)
    if (length === 0 && answered > 0) break
    packets.writeUInt32BE(HEADER - 4 + length, end)
    packets[end + 4] = DATA
    packets.writeUInt32BE(request.id, end + 5)
    packets.writeUInt32BE(length, end + 9)
    request.answered = true
    end += HEADER + length
    left -= length
    answered++
    if (length < request.length) break
  }
  // the transport has copied what it was told to send when it says so
  channel.out.raw(packets.subarray(0, end), () => giveBack(packets))
  channel.session.moved(file.moving, got)
  return answered
}
