// Files going out: positional reads one ahead of the socket, so that disk and network work at the same time.
// Must not leave a download without its end.
import { FileFlowError } from '../../core/errors.ts'
import type { VirtualPath } from '../../core/virtual-path.ts'
import type { Download } from '../../files/virtual-filesystem.ts'
import type { FtpConnection } from './connection.ts'
import { stepOf } from './data-reader.ts'
import { DataWriter } from './data-writer.ts'
import { Refusal } from './replies.ts'
import { toWireText } from './text-mode.ts'
import type { RunningTransfer } from './transfer.ts'

/** Two buffers of this size are in use; smaller ones for smaller files. */
const READ_SIZE = 1024 * 1024

/** RETR from the open to the last byte in the kernel's hands; 226 is the caller's. */
export async function sendDownload(connection: FtpConnection, transfer: RunningTransfer, path: VirtualPath, typed: string): Promise<void> {
  const offset = connection.settings.restAt
  const download = await connection.files.openDownload(path, offset)
  try {
    // RFC 3659 §5.4: a restart point that is not there.
    if (offset > download.size) throw new Refusal(554, 'The file is shorter than REST says.')
    const mode = connection.settings.type === 'A' ? 'ASCII' : 'BINARY'
    const end = Math.min(download.size, connection.settings.rangeEnd ?? download.size)
    await connection.reply(150, `Opening ${mode} mode data connection for ${typed} (${end - offset} bytes).`)
    const socket = await connection.openData(transfer, false)
    const writer = new DataWriter(socket)
    transfer.watchStall(socket, connection.gateway.config.limits.transfer_stall_timeout, () => writer.busy)
    await pump(connection, transfer, download, writer, offset, end)
    await writer.finish()
    transfer.signal.throwIfAborted()
    await download.end(transfer.bytes)
  } catch (error) {
    const why = transfer.reason(error)
    await download.end(transfer.bytes, why instanceof Error ? why : new Error(String(why)))
    throw why
  }
}

type Read = { readonly bytes: number } | { readonly failed: unknown }

/** A read whose failure waits to be looked at: it may come while the other buffer is still being sent. */
const readInto = (download: Download, buffer: Buffer, at: number): Promise<Read> =>
  download.read(buffer, at).then(
    (bytes) => ({ bytes }),
    (failed: unknown) => ({ failed }),
  )

/** No more of the buffer than is wanted. */
const upTo = (buffer: Buffer, bytes: number): Buffer => (bytes < buffer.length ? buffer.subarray(0, bytes) : buffer)

async function pump(
  connection: FtpConnection,
  transfer: RunningTransfer,
  download: Download,
  writer: DataWriter,
  offset: number,
  end: number,
): Promise<void> {
  const remaining = end - offset
  if (remaining === 0) return
  const text = connection.settings.type === 'A' ? toWireText() : null
  // a rate that is set meanwhile is kept all the same, only less evenly
  const size = stepOf(connection.files.principal.limits.downloadRate, READ_SIZE)
  let current = Buffer.allocUnsafeSlow(Math.min(size, remaining))
  let other = remaining > size ? Buffer.allocUnsafeSlow(size) : current
  let at = offset
  let reading: Promise<Read> | null = readInto(download, upTo(current, end - at), at)
  while (reading !== null) {
    const read: Read = await reading
    if ('failed' in read) throw read.failed
    transfer.signal.throwIfAborted()
    // someone beside us cut it: less than was announced must not look like all
    if (read.bytes === 0) throw new FileFlowError('storage.failed', 'The file was cut short meanwhile.')
    const ready = current.subarray(0, read.bytes)
    at += read.bytes
    reading = null
    // With one buffer only (a small file that came in pieces) the next read waits for the write.
    if (at < end && other !== current) reading = readInto(download, upTo(other, end - at), at)
    const content = text === null ? ready : text.convert(ready)
    try {
      await writer.write(content)
    } catch (error) {
      await reading
      throw error
    }
    transfer.bytes += content.length
    if (at < end && reading === null) reading = readInto(download, upTo(current, end - at), at)
    else [current, other] = [other, current]
  }
}
