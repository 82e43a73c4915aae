// Files coming in: from the data connection to an upload.
// Must not commit anything that was cut, aborted, stalled or is not as long as announced.
import type { Socket } from 'node:net'
import { monotonic } from '../../core/clock.ts'
import { codeOf, FileFlowError } from '../../core/errors.ts'
import type { VirtualPath } from '../../core/virtual-path.ts'
import type { Upload, UploadOptions } from '../../files/virtual-filesystem.ts'
import type { FtpConnection } from './connection.ts'
import { DataReader } from './data-reader.ts'
import { judge, mustLive } from './end-of-data.ts'
import { Refusal } from './replies.ts'
import { fromWireText } from './text-mode.ts'
import type { RunningTransfer } from './transfer.ts'

/** STOR, APPE and STOU from the open to the commit; 226 is the caller's, and only when this resolves. */
export async function receiveUpload(
  connection: FtpConnection,
  transfer: RunningTransfer,
  path: VirtualPath,
  options: UploadOptions,
  opening: string,
): Promise<void> {
  const announced = connection.settings.allocated
  const upload = await connection.files.beginUpload(path, { ...options, expected: announced ?? undefined }).catch((error: unknown) => {
    // RFC 3659 §5.4: a restart point that is not there
    throw codeOf(error) === 'request.invalid' && options.truncateTo !== undefined ? new Refusal(554, (error as Error).message) : error
  })
  try {
    const start = options.mode === 'resume' ? (options.truncateTo ?? upload.size) : 0
    if (start > upload.size) throw new Refusal(554, 'The file is shorter than REST says.')
    await connection.reply(150, opening)
    const socket = await connection.openData(transfer, true)
    const began = monotonic()
    const end = await pour(connection, transfer, socket, upload, start)
    // of a resumed upload clients announce the rest or the whole; in text their own count of line ends or ours
    const asAnnounced = announced === transfer.bytes || announced === end
    // more is no fault: ALLO asks for room (RFC 959 §4.1.3), and some files grow while they are sent
    if (announced !== null && !asAnnounced && announced > end - start) {
      throw new FileFlowError('upload.incomplete', `ALLO said ${announced} bytes, ${transfer.bytes} came.`)
    }
    const verdict = await judge(connection, transfer, socket, { asAnnounced, tookMs: monotonic() - began })
    const mustStand = verdict.confidence === 'likely' ? () => mustLive(connection, transfer) : undefined
    const { deliveries } = await upload.commit(verdict, mustStand)
    if (verdict.confidence === 'likely') connection.confirmations.hold(upload.transferId, deliveries > 0)
  } catch (error) {
    const why = transfer.reason(error)
    await upload.abort(why instanceof Error ? why : new Error(String(why)))
    throw why
  }
}

/** @returns the length of the file when all is written */
async function pour(connection: FtpConnection, transfer: RunningTransfer, socket: Socket, upload: Upload, start: number): Promise<number> {
  const reader = new DataReader(socket, () => connection.files.principal.limits.uploadRate)
  const text = connection.settings.type === 'A' ? fromWireText() : null
  let at = start
  let writing = false
  transfer.watchStall(socket, connection.gateway.config.limits.transfer_stall_timeout, () => reader.empty && !writing)
  try {
    for (;;) {
      const batch = await reader.next()
      if (batch === null) break
      let bytes = 0
      for (const chunk of batch) bytes += chunk.length
      const content = text === null ? batch : batch.map((chunk) => text.convert(chunk)).filter((chunk) => chunk.length > 0)
      writing = true
      // what is hashed for longer than it was written does not hold up the next write
      const release = () => reader.done(bytes)
      if (content.length > 0) await upload.writev(content, at, release)
      else release()
      writing = false
      for (const chunk of content) at += chunk.length
      transfer.bytes += bytes
      transfer.signal.throwIfAborted()
    }
    const rest = text?.flush()
    if (rest && rest.length > 0) await upload.write(rest, at)
    return at + (rest?.length ?? 0)
  } catch (error) {
    // refused while the client is sending
    if (!transfer.signal.aborted && !socket.destroyed) {
      transfer.letGo()
      connection.partWith(socket)
      reader.dismiss()
    }
    throw error
  }
}
