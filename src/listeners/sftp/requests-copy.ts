// copy-data (draft-ietf-secsh-filexfer-extensions-00 §7, OpenSSH's PROTOCOL §4.10): from one open file to another, without the bytes passing the client.
// Must not hold more than one piece of a file in memory.
import { FileFlowError, SFTP_STATUS } from '../../core/errors.ts'
import type { Fields } from './fields.ts'
import type { Request, SftpChannel } from './sftp-channel.ts'

const PIECE = 1024 * 1024

/** Of a copy-data request behind its name: the file that is read, and the one that is written. */
export function copyHandles(fields: Fields): { readonly from: Buffer; readonly to: Buffer } {
  const from = fields.bytes()
  fields.u64()
  fields.u64()
  return { from, to: fields.bytes() }
}

export async function copyData(channel: SftpChannel, request: Request): Promise<void> {
  const { fields } = request
  const source = channel.handles.get(fields.bytes())
  const from = fields.u64()
  const length = fields.u64()
  const target = channel.handles.get(fields.bytes())
  const to = fields.u64()
  const { file } = target
  if (source.file.kind === 'folder' || file.kind === 'folder') throw new FileFlowError('path.is_directory')
  if (file.kind !== 'upload') throw new FileFlowError('permission.denied', 'The file is not open for writing.')
  if (source.file.kind === 'upload' && !source.file.readable)
    throw new FileFlowError('permission.denied', 'The file is not open for reading.')
  const toTheEnd = length === 0
  // a file that is copied behind its own end never ends
  if (source === target && (toTheEnd || (from < to + length && to < from + length)))
    throw new FileFlowError('state.conflict', 'The two parts of the file overlap.')
  if (file.failure !== null) throw file.failure
  const reader = source.file.kind === 'upload' ? source.file.upload : source.file.download
  const piece = Buffer.allocUnsafe(toTheEnd ? PIECE : Math.min(PIECE, length))
  for (let done = 0; toTheEnd || done < length; ) {
    if (channel.over.aborted) throw new FileFlowError('transfer.aborted')
    const wanted = toTheEnd ? piece : piece.subarray(0, Math.min(piece.length, length - done))
    const got = await reader.read(wanted, from + done)
    if (got === 0) {
      if (toTheEnd) break
      return channel.status(request, SFTP_STATUS.EOF, 'End of file')
    }
    try {
      if (file.append) await file.upload.append([piece.subarray(0, got)])
      else await file.upload.write(piece.subarray(0, got), to + done)
    } catch (error) {
      file.failure = error
      throw error
    }
    done += got
    if (source.file.kind === 'download') channel.session.moved(source.file.moving, got)
    channel.session.moved(file.moving, got)
  }
  channel.ok(request)
}
