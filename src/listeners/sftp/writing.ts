// WRITE: adjoining requests become one vectored write; a handle has one write in flight, so their order is kept.
// Must not copy data, nor let a failed write pass for a whole file: CLOSE asks `failure`.
import { FileFlowError } from '../../core/errors.ts'
import type { Request, SftpChannel } from './sftp-channel.ts'

export async function writeData(channel: SftpChannel, requests: readonly Request[]): Promise<void> {
  const file = requests[0]!.handle!.file
  if (file.kind !== 'upload') throw new FileFlowError('permission.denied', 'The file is not open for writing.')
  if (file.failure !== null) throw file.failure
  const pieces: Buffer[] = []
  let bytes = 0
  for (const { data, length } of requests) {
    for (const piece of data) pieces.push(piece)
    bytes += length
  }
  const at = requests[0]!.offset
  try {
    if (file.append) await file.upload.append(pieces)
    else if (pieces.length === 1) await file.upload.write(pieces[0]!, at)
    else if (pieces.length > 1) await file.upload.writev(pieces, at)
  } catch (error) {
    file.failure = error
    throw error
  }
  channel.session.moved(file.moving, bytes)
  for (const request of requests) channel.ok(request)
}
