// The open files and folders of one SFTP channel. Each has its own lane: what is asked of one handle is done in order, handles do not wait for each other.
// Must not answer requests.
import { type ErrorCode, FileFlowError } from '../../core/errors.ts'
import type { VirtualPath } from '../../core/virtual-path.ts'
import type { Download, FileEntry, Upload } from '../../files/virtual-filesystem.ts'
import type { Moving, Session } from './session.ts'

export interface OpenUpload {
  readonly kind: 'upload'
  readonly upload: Upload
  readonly moving: Moving
  readonly readable: boolean
  /** Writes go to the end, whatever their offset (SSH_FXF_APPEND). */
  readonly append: boolean
  /** A write failed: the content has a hole, CLOSE must not publish it. */
  failure: unknown
}
export interface OpenDownload {
  readonly kind: 'download'
  readonly download: Download
  readonly moving: Moving
}
export interface OpenFolder {
  readonly kind: 'folder'
  readonly path: VirtualPath
  readonly entries: AsyncIterator<FileEntry>
  /** Read already, not sent yet. */
  ahead: FileEntry | null
}
export type OpenFile = OpenUpload | OpenDownload | OpenFolder

export interface Lane<Request> {
  readonly waiting: Request[]
  running: boolean
  /** Settles when the lane last came to rest. */
  done: Promise<void>
}

export interface Handle<Request> {
  readonly number: number
  readonly file: OpenFile
  readonly lane: Lane<Request>
}

export class Handles<Request> {
  readonly #session: Session
  readonly #open = new Map<number, Handle<Request>>()
  #next = 0

  constructor(session: Session) {
    this.#session = session
  }

  /** The session's count was taken before the file was opened. */
  add(file: OpenFile): Handle<Request> {
    const number = this.#next
    this.#next = (this.#next + 1) >>> 0
    const handle = { number, file, lane: { waiting: [], running: false, done: Promise.resolve() } }
    this.#open.set(number, handle)
    return handle
  }

  /** @throws FileFlowError `unknown` for a handle that is not open: FAILURE, but to CLOSE OpenSSH says NO_SUCH_FILE */
  get(wire: Uint8Array, unknown: ErrorCode = 'state.conflict'): Handle<Request> {
    const handle = wire.length === 4 ? this.#open.get(((wire[0]! << 24) | (wire[1]! << 16) | (wire[2]! << 8) | wire[3]!) >>> 0) : undefined
    if (handle === undefined) throw notOpen(unknown)
    return handle
  }

  /** False when it was taken out before: each handle is ended once. */
  remove(handle: Handle<Request>): boolean {
    if (!this.#open.delete(handle.number)) return false
    this.#session.releaseHandle()
    return true
  }

  /** The channel or session is over: uploads keep their partials, nothing is published. */
  async abandon(why: Error): Promise<void> {
    await Promise.all(
      [...this.#open.values()].map(async (handle) => {
        if (!this.remove(handle)) return
        // What is being read or written comes to its end first.
        await handle.lane.done
        await abandon(this.#session, handle.file, why)
      }),
    )
  }
}

export const notOpen = (code: ErrorCode): FileFlowError => new FileFlowError(code, 'The handle is not open.')

async function abandon(session: Session, file: OpenFile, why: Error): Promise<void> {
  if (file.kind === 'folder') {
    await file.entries.return?.()
    return
  }
  if (file.kind === 'upload') await file.upload.abort(why)
  else await file.download.end(file.moving.bytes, why)
  session.end(file.moving)
}
