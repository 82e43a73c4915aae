// Begins an upload: what it may build on (nothing, the user's partial, a copy of the published file), and the staging file for it.
// Must not touch what is published.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import type { Permission } from '../core/permission.ts'
import type { TransferGrant } from '../core/transfer.ts'
import { safeMode } from './attributes.ts'
import { fromErrno, isMissing, translated, truncate } from './file-io.ts'
import type { Place } from './jail.ts'
import { keepPartial } from './kept-partials.ts'
import { copyPlain } from './plain-file.ts'
import { StagedUpload } from './upload.ts'
import type { UploadHost } from './upload-host.ts'
import type { Vault } from './vaults.ts'
import type { UploadOptions } from './virtual-filesystem.ts'

export interface StageContext {
  need(permission: Permission): void
  /** The partial of that path, if there is one that counts. */
  partial(kept: Buffer, found: fs.Stats | null): Buffer | null
  readonly vault: Vault
  /** A folder of the vault was missing: they are made again. */
  restoreVault(): void
  readonly username: string
  /** @param replaces length of what is published under the name, or null */
  begin(offset: number, replaces: number | null): BegunUpload | Promise<BegunUpload>
  /** Ends the transfer's row when staging fails. */
  undo(transferId: string, error: Error): void
  readonly host: UploadHost
}

export interface BegunUpload {
  readonly transferId: string
  readonly grant: TransferGrant
  /** Tells the control plane, if nobody has; settles when it has answered, which a grant that was known before need not wait for. */
  announce(): Promise<unknown>
}

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants

/** @throws FileFlowError `path.*`, `permission.denied`, `request.invalid` for a restart behind the end */
export async function stage(place: Place, options: UploadOptions, context: StageContext): Promise<StagedUpload> {
  if (place.name === null) throw new FileFlowError('path.is_directory')
  const found = translated(() => place.lstat())
  if (found?.isDirectory()) throw new FileFlowError('path.is_directory')
  if (found && options.mode === 'create') throw new FileFlowError('path.exists')
  if (found && !found.isFile()) throw new FileFlowError('path.not_regular')
  const kept = context.vault.partial(context.username, place.path)
  const partial = context.partial(kept, found)
  if (found) context.need('overwrite')
  const base = options.mode === 'resume' ? resumable(partial, found, options) : null
  if (base) context.need('resume')
  // the folder must be writable before the row is made, not only when the file is whole
  translated(() => place.folder.mustBeWritable())
  const offset = base ? (options.truncateTo ?? base.size) : 0
  const begun = context.begin(offset, found?.size ?? null)
  const { transferId, grant, announce } = begun instanceof Promise ? await begun : begun
  const staging = context.vault.staging(transferId)
  let fd: number | undefined
  try {
    // a staging file without a row is removed after a kill, and the partial with it
    if (base?.isPartial) await announce()
    const mode = safeMode(options.fileMode ?? 0o644, 'file')
    // what is taken over waits at a place of its own
    if (base) context.restoreVault()
    fd = base ? await openAgain(staging, { ...base, real: base.isPartial ? base.real : place.real }) : openNew(staging, mode, context)
    // what was looked at before the row was made may have changed since: what was taken over counts
    const taken = base ? fs.fstatSync(fd).size : 0
    if (options.truncateTo !== undefined && options.truncateTo > taken) throw behindTheEnd(options.truncateTo, taken)
    const size = options.truncateTo ?? taken
    if (size < taken) await truncate(fd, size)
    // what it goes on from counts as its own, also when it hangs before a byte comes
    if (base?.isPartial) context.host.progress(transferId, size)
    return new StagedUpload(context.host, {
      transferId,
      announce,
      path: place.path,
      fd,
      size,
      foundInode: found?.ino ?? null,
      vault: context.vault,
      staging,
      partial: kept,
      replacesPartial: partial !== null,
      mustBeNew: options.mode === 'create',
      tookName: false,
      doomed: null,
      isCopy: base !== null && !base.isPartial,
      maxSize: grant.maxSize,
      maxSizeCode: grant.maxSizeCode,
    })
  } catch (error) {
    if (fd !== undefined) fs.closeSync(fd)
    // a partial that was taken over must not be lost with the attempt
    if (base?.isPartial && fs.existsSync(staging)) keepPartial(staging, base.real as Buffer)
    else fs.rmSync(staging, { force: true })
    const why = fromErrno(error)
    context.undo(transferId, why)
    throw why
  }
}

const behindTheEnd = (at: number, size: number): FileFlowError =>
  new FileFlowError('request.invalid', `Cannot go on at ${at}: there are ${size} bytes.`)

interface Base {
  readonly real: Buffer | string
  readonly size: number
  readonly isPartial: boolean
}

function resumable(partial: Buffer | null, found: fs.Stats | null, { truncateTo, mustExist }: UploadOptions): Base | null {
  const base = partial
    ? { real: partial, size: fs.lstatSync(partial).size, isPartial: true }
    : found
      ? { real: '', size: found.size, isPartial: false }
      : null
  if (!base && mustExist) throw new FileFlowError('path.not_found')
  if (truncateTo !== undefined && truncateTo > (base?.size ?? 0)) throw behindTheEnd(truncateTo, base?.size ?? 0)
  return base
}

async function openAgain(staging: string, base: Base): Promise<number> {
  if (base.isPartial) fs.renameSync(base.real, staging)
  else {
    await copyPlain(base.real, staging)
    fs.chmodSync(staging, 0o600)
  }
  return fs.openSync(staging, O_RDWR | O_NOFOLLOW)
}

function openNew(staging: string, mode: number, { restoreVault }: StageContext): number {
  const open = (): number => fs.openSync(staging, O_RDWR | O_NOFOLLOW | O_CREAT | O_EXCL, mode)
  try {
    return open()
  } catch (error) {
    if (!isMissing(error)) throw error
    restoreVault()
    return open()
  }
}
