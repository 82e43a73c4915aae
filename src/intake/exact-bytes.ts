// Paths in rows: beside the shown text the exact bytes, where the text does not say it all.
// Must not be needed for what is UTF-8.
import { nameToBytes, type VirtualPath } from '../core/virtual-path.ts'

/** Bytes to store beside a shown path, where that does not say it all. */
export const exactBytes = (path: VirtualPath): Buffer | null => (path.isWellFormed() ? null : nameToBytes(path))
