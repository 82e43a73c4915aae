// Attributes a partner sets by path: on the published file, on an upload in flight, or on the partial, whichever the partner sees there.
// Must not change the content of a published file: another length is a new version of it.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import type { Permission } from '../core/permission.ts'
import type { VirtualPath } from '../core/virtual-path.ts'
import { type Access, REQUIRED } from './access.ts'
import { setAttributesAt, timeOf } from './attributes.ts'
import { fromErrno, translated } from './file-io.ts'
import type { Place } from './jail.ts'
import type { PartialOverlay } from './partials.ts'
import type { Attributes, Upload, UploadOptions } from './virtual-filesystem.ts'

export interface AttributesContext {
  readonly access: Access
  readonly partials: PartialOverlay
  beginUpload(path: VirtualPath, options: UploadOptions): Promise<Upload>
  /** @see SessionTransfers.endHanging */
  endHanging(place: Place): Promise<void>
}

/** @returns the place whose mode or times were set, for the audit trail; null when an unpublished upload took them, or none were given */
export async function setAttributes(
  path: VirtualPath,
  { size, ...rest }: Attributes,
  followLink: boolean,
  context: AttributesContext,
): Promise<VirtualPath | null> {
  const { access, partials } = context
  const needed: Permission[] = []
  if (rest.mode !== undefined) needed.push(REQUIRED.chmod)
  if (rest.mtimeMs !== undefined || rest.atimeMs !== undefined) needed.push(REQUIRED.utime)
  for (const each of needed) access.need(each, path)
  if (size !== undefined) await resize(path, size, context)
  if (needed.length === 0) return null
  using place = access.reach(path, needed, followLink)
  const found = translated(() => place.lstat())
  if (!found) await context.endHanging(place)
  const staged = partials.openAt(place.path)
  if (staged) {
    await staged.setAttributes(rest)
    return null
  }
  const partial = partials.fileAt(place, found)
  if (!found && !partial) throw new FileFlowError('path.not_found')
  if (found?.isSymbolicLink()) {
    if (rest.mode !== undefined) throw new FileFlowError('operation.unsupported', 'A link has no permissions of its own.')
    // never followed: what stands there by now gets the times itself
    translated(() => fs.lutimesSync(place.real, timeOf(rest.atimeMs ?? found.atimeMs), timeOf(rest.mtimeMs ?? found.mtimeMs)))
    return place.path
  }
  translated(() => setAttributesAt(partial ?? place.real, rest))
  return place.path
}

/** A new version of the file with another length, published as an upload is. */
async function resize(path: VirtualPath, size: number, { access, partials, beginUpload, endHanging }: AttributesContext): Promise<void> {
  using place = access.reach(path, REQUIRED.resize, true)
  await endHanging(place)
  const staged = partials.openAt(place.path)
  if (staged) return staged.truncate(size)
  const partial = partials.fileAt(
    place,
    translated(() => place.lstat()),
  )
  // what did not finish must not be published by another way than resuming
  if (partial) return partials.cut(partial, size)
  const upload = await beginUpload(path, { mode: 'resume', mustExist: true })
  try {
    await upload.truncate(size)
  } catch (error) {
    await upload.abort(fromErrno(error))
    throw error
  }
  await upload.commit({ confidence: 'certain', evidence: ['set size'] })
}
