// The configured folders themselves: where they really are, and whether files were left in an earlier one.
// Must not look below them.
import { existsSync, readdirSync, realpathSync } from 'node:fs'

/** Without links. */
export const realFolder = (path: string): string => realpathSync(path)

/** Nothing is in the new place, and the old one is there with what it held. */
export function isLeftBehind(before: string, now: string): boolean {
  const holds = (folder: string): boolean => existsSync(folder) && readdirSync(folder).length > 0
  return !holds(now) && holds(before)
}
