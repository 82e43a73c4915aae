// Permissions: verbs allowed on a path and all below it; the longest matching path decides alone.
// Must not touch a disk; the virtual filesystem asks, and nothing else does.
import { isWithin, type VirtualPath } from './virtual-path.ts'

export const PERMISSIONS = [
  'list',
  'download',
  'upload',
  'overwrite',
  'resume',
  'rename',
  'delete',
  'mkdir',
  'rmdir',
  'chmod',
  'utime',
  'symlink',
] as const
export type Permission = (typeof PERMISSIONS)[number]

export interface PermissionEntry {
  readonly path: VirtualPath
  readonly allow: readonly Permission[]
}

/** What a user without a table may do: everything but chmod and symlink. */
export const DEFAULT_PERMISSIONS: readonly PermissionEntry[] = [
  { path: '/' as VirtualPath, allow: PERMISSIONS.filter((p) => p !== 'chmod' && p !== 'symlink') },
]

/** Each of them is reason enough to go into a folder; who has none learns nothing of it. */
export const ENTERING: readonly Permission[] = ['list', 'download', 'upload', 'mkdir']

const WRITING: ReadonlySet<Permission> = new Set(PERMISSIONS.filter((p) => p !== 'list' && p !== 'download'))
export const isWriting = (permission: Permission): boolean => WRITING.has(permission)

/** Whether the table allows the verb at the path. No matching row means no. */
export function isAllowed(table: readonly PermissionEntry[], path: VirtualPath, permission: Permission): boolean {
  let best: PermissionEntry | undefined
  for (const entry of table) {
    if (isWithin(path, entry.path) && (best === undefined || entry.path.length > best.path.length)) best = entry
  }
  return best?.allow.includes(permission) ?? false
}
