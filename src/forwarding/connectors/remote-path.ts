// Names at the far side: where a delivery goes, its temporary name, and the next free names when one is taken.
// Must not let a name leave the destination's base path.
import { FileFlowError } from '../../core/errors.ts'
import { visible } from '../../core/visible-text.ts'
import type { Delivery } from '../connector.ts'

export interface Places {
  /** The folder of both names. */
  readonly folder: string
  readonly final: string
  readonly temp: string
}

/**
 * @param base the destination's own, or the folder that the far side says the login begins in
 * @throws FileFlowError `path.invalid` when a name is not plain: the last check before it goes on the wire; `remote.failed` when the folder's is not
 */
export function placesOf(base: string, delivery: Pick<Delivery, 'remotePath' | 'tempName'>): Places {
  if (visible(base) !== base)
    throw new FileFlowError('remote.failed', `The folder at the destination has no plain name: ${visible(base).slice(0, 200)}`)
  if (!base.startsWith('/'))
    throw new FileFlowError(
      'remote.failed',
      `The login begins in no absolute path (${base.slice(0, 200)}): the destination needs a base_path.`,
    )
  const parts = delivery.remotePath.split('/')
  for (const part of [...parts, delivery.tempName]) checkName(part)
  if (delivery.tempName.includes('/')) throw new FileFlowError('path.invalid')
  const folder = below(base, parts.slice(0, -1).join('/'))
  return { folder, final: below(folder, parts.at(-1)!), temp: below(folder, delivery.tempName) }
}

function checkName(name: string): void {
  if (name === '' || name === '.' || name === '..' || /[\0\r\n]/.test(name)) throw new FileFlowError('path.invalid')
}

/** `rest` below `base`, with one slash between; `base` itself when `rest` is empty. */
export function below(base: string, rest: string): string {
  const root = base.replace(/\/+$/, '')
  return rest === '' ? root || '/' : `${root}/${rest}`
}

/** Every folder on the way to `path`, the outermost first, without the root. */
export function foldersTo(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '')
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`)
}

/** More names than a person would sort out by hand; then it is an error. */
const MOST_NAMES = 1000

/** The path itself, then `name (1).ext`, `name (2).ext` … */
export function* namesLike(path: string): Generator<string> {
  yield path
  const slash = path.lastIndexOf('/')
  const dot = path.lastIndexOf('.')
  const cut = dot > slash + 1 ? dot : path.length
  for (let n = 1; n < MOST_NAMES; n++) yield `${path.slice(0, cut)} (${n})${path.slice(cut)}`
}

/** The folder of an absolute path. */
export const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'

/** A folder that was seen is not looked for again with each file; when it is gone after all, the next attempt makes it. */
export const folderGone = (cause: unknown): FileFlowError =>
  new FileFlowError('remote.failed', 'The folder at the destination is gone; it is made again.', { cause })

/** A server says that it renamed, and did not. */
export const notRenamed = (): FileFlowError =>
  new FileFlowError('remote.verify', 'The server says that it gave the file its name, but the temporary name is still there.')
