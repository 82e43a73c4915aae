// The face of partner files: what a session may do, by virtual path, under its principal's permissions.
// Must not be gone round: listeners see no other door to a disk.
import type { Permission } from '../core/permission.ts'
import type { Obligations, Verdict } from '../core/transfer.ts'
import type { Principal } from '../core/user.ts'
import type { VirtualPath } from '../core/virtual-path.ts'

export type FileKind = 'file' | 'directory' | 'link' | 'other'

export interface FileEntry {
  /** The last part of its path, in the lossless text of core/virtual-path. */
  readonly name: string
  readonly kind: FileKind
  readonly size: number
  /** Permission bits only (07777). */
  readonly mode: number
  readonly mtimeMs: number
  readonly atimeMs: number
  readonly uid: number
  readonly gid: number
  readonly links: number
  /** Device and inode in one, stable while the file lives (MLSD `unique`). */
  readonly unique: string
  /** Only its uploader sees it: an upload that did not finish, or that hangs in another session of the user. */
  readonly partial: boolean
}

export interface UploadOptions {
  /**
   * `replace`: a new file takes the name at commit (STOR, O_TRUNC).
   * `resume`: joins the upload that this session has going on under that name, as one more handle of it (each that ends publishes what is there by then); or goes on from the user's partial (an upload to that name that hangs in another session of the user is ended first), or else from a copy of the published file (REST+STOR, O_WRONLY without O_TRUNC, `reput`).
   * `create`: as replace, but the name must be free (O_EXCL).
   */
  readonly mode: 'replace' | 'resume' | 'create'
  /** With `resume`: the content is cut to this length first (REST n); absent keeps all of it. */
  readonly truncateTo?: number
  /** With `resume`: the name must hold a file or a partial already; otherwise a missing one is made empty. */
  readonly mustExist?: boolean
  /** Permission bits for a new file; default 0644. */
  readonly fileMode?: number
  /** Bytes that the client announced, for who watches; nothing is decided by it. */
  readonly expected?: number | undefined
}

export type DigestAlgorithm = 'sha256' | 'sha512' | 'sha1' | 'md5' | 'crc32'

export interface DigestOptions {
  /** First byte; default 0. @throws `request.invalid` behind the end */
  readonly start?: number
  /** Bytes; what there is when it is less; absent is all. */
  readonly length?: number
  /** A digest for each block of that many bytes, the last one shorter; absent is one digest for all. @throws `request.invalid` for more than 65,536 blocks */
  readonly blockSize?: number
  /** Ends it early with `transfer.aborted`. */
  readonly signal?: AbortSignal
}

export interface FileDigest {
  /** Of all blocks, one behind the other. crc32: 4 bytes, big-endian. */
  readonly digest: Uint8Array
  /** The part of the file it is of: from `start`, up to but not including `end`. */
  readonly start: number
  readonly end: number
  /** Length of the file. */
  readonly size: number
}

/** An upload in flight. Bytes are in a staging file outside every virtual root; the name changes hands at commit only. */
export interface Upload {
  readonly transferId: string
  readonly path: VirtualPath
  /** Present length of the staged content. */
  readonly size: number
  /** @throws FileFlowError `quota.exceeded`, `file.too_large`, `disk.full`, `session.revoked`. `chunk` must not be touched until it resolves. */
  write(chunk: Uint8Array, at: number): Promise<void>
  /**
   * As {@link write} for adjoining buffers: one system call. With `release` it resolves when they are written; they must not be touched until `release` is called,
   * in the order of the writes, which a failed one ends.
   */
  writev(chunks: readonly Uint8Array[], at: number, release?: () => void): Promise<void>
  /** As {@link writev}, behind all that was written so far: what several append at once stays apart. */
  append(chunks: readonly Uint8Array[]): Promise<void>
  /** Bytes read into `into` from `at`; 0 is the end. For handles opened for reading too. */
  read(into: Uint8Array, at: number): Promise<number>
  /** Of the staged content as it is once every write before it has ended; needs `download`, as reading does. @throws `limit.rate` */
  digest(algorithm: DigestAlgorithm, options?: DigestOptions): Promise<FileDigest>
  truncate(size: number): Promise<void>
  stat(): Promise<FileEntry>
  /** Times and mode that the published file shall have. */
  setAttributes(attributes: Attributes): Promise<void>
  /** Durable now, under its staging name (fsync@openssh.com). */
  sync(): Promise<void>
  /** Resolves when acknowledged-means-kept holds; only then 226 / OK. Rejects: nothing was published, the partial stays. @returns how many deliveries it owes; where rules are only asked later, 1 says that some may want it. @param mustStand asked once more right before the file is on record: throws what else the upload is ended for */
  commit(verdict: Verdict, mustStand?: () => void): Promise<Obligations>
  /** Ends without publishing; keeps what came as a partial for resuming (nothing, when nothing came). Idempotent, never rejects. */
  abort(why: Error): Promise<void>
}

/** A download in flight, bound to the file as it was at open, whatever happens to its name. */
export interface Download {
  readonly transferId: string
  readonly path: VirtualPath
  readonly size: number
  /** Bytes read; 0 is the end. One read ahead of another is fine. */
  read(into: Uint8Array, at: number): Promise<number>
  /** As {@link read} over several buffers: one system call. */
  readv(into: readonly Uint8Array[], at: number): Promise<number>
  /** Of the file as it was at open. @throws `limit.rate` */
  digest(algorithm: DigestAlgorithm, options?: DigestOptions): Promise<FileDigest>
  stat(): Promise<FileEntry>
  /** `sent` bytes went out; `error` absent means the client got what it asked for. Idempotent, never rejects. */
  end(sent: number, error?: Error): Promise<void>
}

export interface Attributes {
  readonly mode?: number
  readonly mtimeMs?: number
  readonly atimeMs?: number
  /** Cuts or extends; a new version of the file, published like an upload. */
  readonly size?: number
}

export interface SpaceReport {
  readonly blockSize: number
  /** In blocks; the quota where there is one, and what it leaves. */
  readonly totalBlocks: number
  readonly freeBlocks: number
  readonly totalFiles: number
  readonly freeFiles: number
}

/** Every failure is a FileFlowError of the `path.*`, `permission.*`, `quota.*`, `disk.*` or `session.*` family. Links are followed inside the root unless said otherwise. */
export interface VirtualFilesystem {
  readonly principal: Principal
  readonly sessionId: string
  /** Entries in no order, without `.` and `..`, streamed: memory does not grow with the folder. */
  list(path: VirtualPath): AsyncIterable<FileEntry>
  stat(path: VirtualPath): Promise<FileEntry>
  /** Does not follow a link in the last part. */
  lstat(path: VirtualPath): Promise<FileEntry>
  /** That a folder stands there: for who may list it, or fetch something from it or put it there. @throws FileFlowError `path.not_found`, `path.not_directory`, `permission.denied` */
  mustBeFolder(path: VirtualPath): Promise<void>
  /** Whether the table and the place allow it; for MLSD `perm` and cheap early answers. The operations check for themselves. */
  may(permission: Permission, path: VirtualPath): boolean
  openDownload(path: VirtualPath, offset?: number): Promise<Download>
  beginUpload(path: VirtualPath, options: UploadOptions): Promise<Upload>
  /**
   * A digest of the file's bytes, the user's own partial included. Needs `download`; no transfer is recorded.
   * @throws `limit.rate` when four run already in this session; `request.invalid`
   */
  digest(path: VirtualPath, algorithm: DigestAlgorithm, options?: DigestOptions): Promise<FileDigest>
  mkdir(path: VirtualPath, mode?: number): Promise<void>
  rmdir(path: VirtualPath): Promise<void>
  /** Removes a file or a link (never a directory), and the user's partial of that name. */
  remove(path: VirtualPath): Promise<void>
  /** @throws `path.exists` when the target exists and `overwrite` is false */
  rename(from: VirtualPath, to: VirtualPath, options: { overwrite: boolean }): Promise<void>
  /**
   * A second name (hard link) for a published file; an arrival, as a rename is, and counted for the quota. Needs `download` on `from` and `upload` on `to`,
   * and on `from` whatever of `chmod` and `utime` is allowed on `to`. @throws `path.exists`, `path.other_volume`, `state.conflict` for a partial
   */
  link(from: VirtualPath, to: VirtualPath): Promise<void>
  setAttributes(path: VirtualPath, attributes: Attributes, options?: { followLink?: boolean }): Promise<void>
  readlink(path: VirtualPath): Promise<string>
  /** `target` is kept as text; it is only ever read inside the virtual root. */
  symlink(target: string, path: VirtualPath): Promise<void>
  /** The canonical virtual path; the last part need not exist. */
  realpath(path: VirtualPath): Promise<VirtualPath>
  space(path: VirtualPath): Promise<SpaceReport>
  /** The session is over or was revoked: every later call and every open handle fails with `why`; uploads abort, partials stay. */
  close(why: Error): Promise<void>
}
