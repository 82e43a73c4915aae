// The pages on which the gateway is set up and guarded.
// Must not hold anything but their entries.
import type { PageEntry } from './page.ts'

export const MANAGE: readonly PageEntry[] = []
