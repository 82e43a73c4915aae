// Every SFTP request as a row: its name, which lane it waits in, whether it changes anything, and who carries it out.
// Must not hold behaviour.

import type { VirtualPath } from '../../core/virtual-path.ts'
import type { Fields } from './fields.ts'
import { readData } from './reading.ts'
import { CHECK_ALGORITHMS } from './requests-check.ts'
import { extended, extendedHandle, extendedSource } from './requests-extended.ts'
import { closeFile, fileAttributes, openFile, pathToWrite, setFileAttributes } from './requests-files.ts'
import { closeFolderOrFile, nextNames, openFolder } from './requests-folders.ts'
import * as paths from './requests-paths.ts'
import type { Session } from './session.ts'
import type { Request, SftpChannel } from './sftp-channel.ts'
import { writeData } from './writing.ts'

export interface Row {
  readonly name: string
  /** `handle`: in order with all else asked of the handle, whose bytes come first in the packet. `path`: in order with other paths. A function finds the handle, if any. */
  readonly lane: 'path' | 'handle' | ((fields: Fields) => Uint8Array | null)
  /** A second handle whose earlier requests come first. */
  readonly after?: (fields: Fields) => Uint8Array | null
  /** CLOSE. */
  readonly ends?: true
  /** OPEN: the path that is to be written, or null. */
  readonly begins?: (session: Session, fields: Fields) => VirtualPath | null
  /** For READ and WRITE, whose adjoining requests are done together. */
  readonly moves: 'in' | 'out' | null
  /** Changes something; for the record and for tests, the virtual filesystem checks permissions itself. */
  readonly writes: boolean
  /** `requests` holds one, or more where `moves` is set. What it throws is the answer to those that have none yet. */
  run(channel: SftpChannel, requests: readonly Request[]): Promise<void> | void
}

type Single = (channel: SftpChannel, request: Request) => Promise<void> | void
const one =
  (run: Single) =>
  (channel: SftpChannel, requests: readonly Request[]): Promise<void> | void =>
    run(channel, requests[0]!)
const path = (name: string, writes: boolean, run: Single): Row => ({ name, lane: 'path', moves: null, writes, run: one(run) })
const handle = (name: string, writes: boolean, run: Single): Row => ({ name, lane: 'handle', moves: null, writes, run: one(run) })

/** draft-ietf-secsh-filexfer-02 §3; numbers are the packet types. */
export const REQUESTS: ReadonlyMap<number, Row> = new Map<number, Row>([
  [3, { ...path('OPEN', true, openFile), begins: pathToWrite }],
  [4, { ...handle('CLOSE', true, (channel, request) => closeFolderOrFile(channel, request, closeFile)), ends: true }],
  [5, { name: 'READ', lane: 'handle', moves: 'out', writes: false, run: readData }],
  [6, { name: 'WRITE', lane: 'handle', moves: 'in', writes: true, run: writeData }],
  [7, path('LSTAT', false, paths.lstat)],
  [8, handle('FSTAT', false, fileAttributes)],
  [9, path('SETSTAT', true, paths.setAttributes)],
  [10, handle('FSETSTAT', true, setFileAttributes)],
  [11, path('OPENDIR', false, openFolder)],
  [12, handle('READDIR', false, nextNames)],
  [13, path('REMOVE', true, paths.remove)],
  [14, path('MKDIR', true, paths.mkdir)],
  [15, path('RMDIR', true, paths.rmdir)],
  [16, path('REALPATH', false, paths.realpath)],
  [17, path('STAT', false, paths.stat)],
  [18, path('RENAME', true, paths.rename)],
  [19, path('READLINK', false, paths.readlink)],
  [20, path('SYMLINK', true, paths.symlink)],
  [200, { name: 'EXTENDED', lane: extendedHandle, after: extendedSource, moves: null, writes: true, run: one(extended) }],
])

/** Named in VERSION, with their own versions, as OpenSSH names them (its file PROTOCOL §4). */
export const EXTENSIONS: readonly (readonly [string, string])[] = [
  ['posix-rename@openssh.com', '1'],
  ['statvfs@openssh.com', '2'],
  ['fstatvfs@openssh.com', '2'],
  ['fsync@openssh.com', '1'],
  ['hardlink@openssh.com', '1'],
  ['lsetstat@openssh.com', '1'],
  ['limits@openssh.com', '1'],
  ['expand-path@openssh.com', '1'],
  ['copy-data', '1'],
  ['home-directory', '1'],
  ['users-groups-by-id@openssh.com', '1'],
  ['check-file', CHECK_ALGORITHMS],
  ['check-file-name', CHECK_ALGORITHMS],
  ['check-file-handle', CHECK_ALGORITHMS],
]
