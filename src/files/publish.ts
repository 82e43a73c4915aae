// The last steps of an upload: on record, in the spool, under its name.
// Must not modify a published file: a name changes hands by rename, and what was published stays as it was for whoever holds it.
import fs from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { testPoint } from '../core/test-point.ts'
import type { Obligations, Verdict } from '../core/transfer.ts'
import { applyAttributes, safeMode } from './attributes.ts'
import { sync } from './file-io.ts'
import { dropPartial } from './kept-partials.ts'
import { moveToFree } from './plain-file.ts'
import { makeSpoolLink } from './spool-link.ts'
import type { StagedFile, UploadHost } from './upload-host.ts'
import type { Attributes } from './virtual-filesystem.ts'

export interface WholeUpload {
  readonly size: number
  readonly sha256: string
  readonly verdict: Verdict
  /** What the client set. */
  readonly attributes: Attributes
  /** Whoever ends the upload waits for it. */
  underWay(work: Promise<unknown>): void
  /** The name holds the file: from here on there is no way back. */
  published(): void
}

/** @throws FileFlowError `path.*`, `permission.denied`, `quota.exceeded`, `storage.failed` */
export async function publish(host: UploadHost, file: StagedFile, whole: WholeUpload): Promise<Obligations> {
  const { transferId, fd, staging, vault } = file
  const { attributes, size } = whole
  using place = host.place(file.path)
  if (place.name === null) throw new FileFlowError('path.is_directory')
  const before = place.lstat()
  if (before?.isDirectory()) throw new FileFlowError('path.is_directory')
  if (before && !before.isFile() && !file.tookName) throw new FileFlowError('path.not_regular')
  if (before && file.mustBeNew) throw new FileFlowError('path.exists')
  if (before) host.need('overwrite', place.path)
  if (before && attributes.mode === undefined && !file.tookName) fs.fchmodSync(fd, safeMode(before.mode, 'file'))
  applyAttributes(fd, attributes)
  testPoint('upload.whole')
  const spool = vault.spool(transferId)
  // the disk takes both at the same time; a row whose content did not get there is known by its digest (intake/recover)
  const synced = host.durable ? sync(fd) : undefined
  if (synced) whole.underWay(synced)
  const committed = host.commit({
    transferId,
    path: file.path,
    staging,
    final: place.realPathThen(),
    spool,
    replaced: lengthOf(before),
    size,
    sha256: whole.sha256,
    verdict: whole.verdict,
  })
  const waits = synced !== undefined || committed instanceof Promise
  const owed = waits ? (await Promise.all([committed, synced]))[0] : committed
  testPoint('upload.committed')
  if (owed.deliveries > 0) await makeSpoolLink(staging, spool, host.durable)
  testPoint('upload.spooled')
  // asked again with nothing between the answer and the act, where others had time to come or go while it was recorded
  const replaced = lengthOf(waits || owed.deliveries > 0 ? place.lstat() : before)
  // a name that was free must still be, for who may not overwrite
  if (file.mustBeNew || !host.mayOverwrite(place.path)) moveToFree(staging, place.real)
  else fs.renameSync(staging, place.real)
  whole.published()
  testPoint('upload.renamed')
  const durable = host.published(transferId, String(place.folder.at(null)), replaced)
  if (durable) await durable
  testPoint('upload.published')
  if (file.replacesPartial) dropPartial(file.partial)
  return owed
}

/** Of a file that counts; a link that is replaced never did. */
const lengthOf = (stats: fs.Stats | null): number | null => (stats?.isFile() ? stats.size : null)
