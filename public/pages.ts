// The register of pages: what address shows what. A new page is one entry in a file of registry/.
// Must not load a page before it is opened.
import type { Me } from './api.ts'
import { MANAGE } from './registry/manage.ts'
import type { PageEntry } from './registry/page.ts'
import { WATCH } from './registry/watch.ts'

export const PAGES: readonly PageEntry[] = [...WATCH, ...MANAGE]

const RANK: Readonly<Record<Me['role'], number>> = { auditor: 1, operator: 2, admin: 3 }
export const may = (me: Me, least: Me['role']): boolean => RANK[me.role] >= RANK[least]

export interface Found {
  readonly entry: PageEntry
  readonly params: Readonly<Record<string, string>>
}

/** The page of an address; a path without `:words` comes before one with them. */
export function findPage(address: string): Found | undefined {
  const parts = address.split('/')
  const fits = ({ path }: PageEntry) => {
    const wanted = path.split('/')
    return wanted.length === parts.length && wanted.every((part, at) => part === parts[at] || (part.startsWith(':') && parts[at] !== ''))
  }
  const entry = PAGES.filter(fits).sort((a, b) => a.path.split(':').length - b.path.split(':').length)[0]
  if (!entry) return undefined
  const params: Record<string, string> = {}
  for (const [at, part] of entry.path.split('/').entries()) if (part.startsWith(':')) params[part.slice(1)] = decoded(parts[at]!)
  return { entry, params }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
