// What an entry of the register of pages is.
// Must not load a page before it is opened.
import type { LucideIcon } from 'lucide-react'
import { type ComponentType, type LazyExoticComponent, lazy } from 'react'
import type { Me } from '../api.ts'

export interface PageProps {
  readonly me: Me
  /** What the `:words` of the path stand for. */
  readonly params: Readonly<Record<string, string>>
}

export interface PageEntry {
  /** `/users/:username` */
  readonly path: string
  readonly Page: LazyExoticComponent<ComponentType<PageProps>>
  /** Absent on pages that are reached from another one. */
  readonly nav?: { readonly label: string; readonly Icon: LucideIcon; readonly group: 'watch' | 'manage' | 'guard' }
  /** The least role that may see it; an auditor without it. */
  readonly role?: Me['role']
}

/** A page in a chunk of its own: `page(() => import('../pages/users.tsx'), 'Users')`. */
export function page<Name extends string>(
  load: () => Promise<Record<Name, ComponentType<PageProps>>>,
  name: Name,
): LazyExoticComponent<ComponentType<PageProps>> {
  return lazy(async () => ({ default: (await load())[name] }))
}
