// Paths in rows: the shown text, and beside it the exact bytes, where the text does not say it all.
// Must not be needed for what is UTF-8.
import { nameFromBytes, nameToBytes, toDisplay, type VirtualPath } from '../core/virtual-path.ts'

export interface PathColumns {
  readonly path: string
  readonly path_bytes: Uint8Array | null
}

/** Bytes to store beside a shown path, where that does not say it all. */
export const exactBytes = (path: VirtualPath): Buffer | null => (path.isWellFormed() ? null : nameToBytes(path))

/** What a row says of a path. */
export const pathColumns = (path: VirtualPath): PathColumns => ({ path: toDisplay(path), path_bytes: exactBytes(path) })

/** The path that a row was made of. */
export const pathOf = ({ path, path_bytes }: PathColumns): VirtualPath => (path_bytes ? nameFromBytes(path_bytes) : path) as VirtualPath
