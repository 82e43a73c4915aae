// System calls on open files as promises, and errno as our errors. Data goes through the thread pool; it never blocks a worker.
// Must not resolve names: that is the jail's.
import fs from 'node:fs'
import { type ErrorCode, FileFlowError } from '../core/errors.ts'

const ERRNO: Record<string, ErrorCode> = {
  ENOENT: 'path.not_found',
  EEXIST: 'path.exists',
  ENOTDIR: 'path.not_directory',
  EISDIR: 'path.is_directory',
  ENOTEMPTY: 'path.not_empty',
  ELOOP: 'path.link_loop',
  ENAMETOOLONG: 'path.invalid',
  EINVAL: 'path.invalid',
  EXDEV: 'path.other_volume',
  EACCES: 'permission.denied',
  EPERM: 'permission.denied',
  EROFS: 'permission.denied',
  EBUSY: 'permission.denied',
  ENXIO: 'path.not_regular',
  ENODEV: 'path.not_regular',
  ENOSPC: 'disk.full',
  EDQUOT: 'disk.full',
  EFBIG: 'file.too_large',
  EMFILE: 'limit.handles',
  ENFILE: 'limit.handles',
}

/** Any thrown value as ours; the real path stays in `cause`, for the log alone. */
export function fromErrno(error: unknown): FileFlowError {
  if (error instanceof FileFlowError) return error
  const code = (error as NodeJS.ErrnoException | null)?.code
  return new FileFlowError((code !== undefined && ERRNO[code]) || 'storage.failed', undefined, { cause: error })
}

/** Runs `work` with errno translated. */
export function translated<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw fromErrno(error)
  }
}

export const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException | null)?.code === 'ENOENT'

/** @returns bytes read, 0 at the end */
export function readAt(fd: number, into: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) =>
    fs.read(fd, into, 0, into.length, at, (error, n) => (error ? reject(fromErrno(error)) : resolve(n))),
  )
}

export function readvAt(fd: number, into: readonly Uint8Array[], at: number): Promise<number> {
  return new Promise((resolve, reject) => fs.readv(fd, into, at, (error, n) => (error ? reject(fromErrno(error)) : resolve(n))))
}

/** Writes all of `chunk`, however often the kernel takes only a part. */
export async function writeAt(fd: number, chunk: Uint8Array, at: number): Promise<void> {
  let done = 0
  while (done < chunk.length) {
    done += await new Promise<number>((resolve, reject) =>
      fs.write(fd, chunk, done, chunk.length - done, at + done, (error, n) => (error ? reject(fromErrno(error)) : resolve(n))),
    )
  }
}

/** Writes all of `chunks`, one behind the other. */
export async function writevAt(fd: number, chunks: readonly Uint8Array[], at: number): Promise<void> {
  let total = 0
  for (const chunk of chunks) total += chunk.length
  const written = await new Promise<number>((resolve, reject) =>
    fs.writev(fd, chunks, at, (error, n) => (error ? reject(fromErrno(error)) : resolve(n))),
  )
  if (written === total) return
  let passed = 0
  for (const chunk of chunks) {
    const start = Math.min(chunk.length, Math.max(0, written - passed))
    if (start < chunk.length) await writeAt(fd, chunk.subarray(start), at + passed + start)
    passed += chunk.length
  }
}

/** Up to this place in a file, data is moved at once: for so little, handing it to the thread pool and back takes longer than the act, and opening the file blocked as long. */
export const AT_ONCE_BYTES = 64 * 1024

/** As {@link writevAt}, but at once. */
export function writeNow(fd: number, chunks: readonly Uint8Array[], at: number): void {
  translated(() => {
    for (const chunk of chunks) {
      for (let done = 0; done < chunk.length; ) {
        const n = fs.writeSync(fd, chunk, done, chunk.length - done, at)
        done += n
        at += n
      }
    }
  })
}

export function sync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fs.fsync(fd, (error) => (error ? reject(fromErrno(error)) : resolve())))
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const fd = translated(() => fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY))
  try {
    await sync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

export function truncate(fd: number, size: number): Promise<void> {
  return new Promise((resolve, reject) => fs.ftruncate(fd, size, (error) => (error ? reject(fromErrno(error)) : resolve())))
}
