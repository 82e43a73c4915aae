// check-file-name, check-file-handle (draft-ietf-secsh-filexfer-extensions-00 §3) and the older check-file that paramiko asks: digests made where the file is.
// Must not answer with more than fits one packet.
import { FileFlowError } from '../../core/errors.ts'
import type { DigestAlgorithm, DigestOptions, FileDigest } from '../../files/virtual-filesystem.ts'
import type { Fields } from './fields.ts'
import type { Request, SftpChannel } from './sftp-channel.ts'
import { MAX_DATA } from './tuning.ts'

const EXTENDED_REPLY = 201
/** The draft's own bound. */
const LEAST_BLOCK = 256
const TOUCH_MS = 1000
const BYTES: Readonly<Record<DigestAlgorithm, number>> = { sha256: 32, sha512: 64, sha1: 20, md5: 16, crc32: 4 }

/** As VERSION names them. */
export const CHECK_ALGORITHMS = Object.keys(BYTES).join(',')

export async function checkByName(channel: SftpChannel, request: Request): Promise<void> {
  const { vfs } = channel.session
  const path = await channel.session.place(request.fields.text())
  await check(channel, request, '', {
    size: async () => (await vfs.stat(path)).size,
    digest: (algorithm, options) => vfs.digest(path, algorithm, options),
  })
}

/** @param name an answer begins with it, where the client of this form expects it */
export async function checkByHandle(channel: SftpChannel, request: Request, name = ''): Promise<void> {
  const { file } = channel.handles.get(request.fields.bytes())
  if (file.kind === 'folder') throw new FileFlowError('path.is_directory')
  if (file.kind === 'upload' && !file.readable) throw new FileFlowError('permission.denied', 'The file is not open for reading.')
  const open = file.kind === 'upload' ? file.upload : file.download
  await check(channel, request, name, {
    size: async () => open.size,
    digest: (algorithm, options) => open.digest(algorithm, options),
  })
}

interface Checked {
  size(): Promise<number>
  digest(algorithm: DigestAlgorithm, options: DigestOptions): Promise<FileDigest>
}

async function check(channel: SftpChannel, request: Request, name: string, file: Checked): Promise<void> {
  const algorithm = chosen(request.fields)
  const start = request.fields.u64()
  const length = request.fields.u64()
  const blockSize = request.fields.u32()
  if (blockSize > 0) {
    if (blockSize < LEAST_BLOCK) throw new FileFlowError('request.invalid', `A block has at least ${LEAST_BLOCK} bytes.`)
    const left = Math.max(0, (await file.size()) - start)
    const blocks = Math.ceil((length === 0 ? left : Math.min(left, length)) / blockSize)
    if (blocks * BYTES[algorithm] > MAX_DATA) throw new FileFlowError('request.invalid', 'Too many blocks for one answer.')
  }
  const { digest } = await whileBusy(channel, () =>
    file.digest(algorithm, {
      start,
      ...(length > 0 ? { length } : {}),
      ...(blockSize > 0 ? { blockSize } : {}),
      signal: channel.over,
    }),
  )
  const out = channel.reply(request, EXTENDED_REPLY)
  if (name !== '') out.text(name)
  out.text(algorithm).plain(digest).end()
}

/** The first of the client's list that is known. */
function chosen(fields: Fields): DigestAlgorithm {
  for (const one of fields.text().split(',', 50)) if (Object.hasOwn(BYTES, one)) return one as DigestAlgorithm
  throw new FileFlowError('operation.unsupported', `Known algorithms: ${CHECK_ALGORITHMS}.`)
}

/** A session that hashes a large file for its client is not idle. */
export async function whileBusy<T>({ session }: Pick<SftpChannel, 'session'>, work: () => Promise<T>): Promise<T> {
  const alive = setInterval(() => session.touch(), TOUCH_MS)
  try {
    return await work()
  } finally {
    clearInterval(alive)
    session.touch()
  }
}
