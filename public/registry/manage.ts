// The pages on which the gateway is set up and guarded.
// Must not hold anything but their entries.
import { ClipboardList, MapPin, Settings as SettingsIcon, ShieldCheck, Split, Users as UsersIcon } from 'lucide-react'
import { strings } from '../strings.ts'
import { type PageEntry, page } from './page.ts'

const { nav } = strings

/** A name begins with a letter or digit, so that no user, destination or rule can be called `+new`. */
export const MANAGE: readonly PageEntry[] = [
  {
    path: '/users',
    Page: page(() => import('../pages/users.tsx'), 'Users'),
    nav: { label: nav.users, Icon: UsersIcon, group: 'manage' },
  },
  { path: '/users/+new', Page: page(() => import('../pages/users/one.tsx'), 'NewUser'), role: 'admin' },
  { path: '/users/:username', Page: page(() => import('../pages/users/one.tsx'), 'OneUser') },
  {
    path: '/destinations',
    Page: page(() => import('../pages/destinations.tsx'), 'Destinations'),
    nav: { label: nav.destinations, Icon: MapPin, group: 'manage' },
  },
  { path: '/destinations/+new', Page: page(() => import('../pages/destinations/one.tsx'), 'NewDestination'), role: 'admin' },
  { path: '/destinations/:name', Page: page(() => import('../pages/destinations/one.tsx'), 'OneDestination') },
  { path: '/rules', Page: page(() => import('../pages/rules.tsx'), 'Rules'), nav: { label: nav.rules, Icon: Split, group: 'manage' } },
  { path: '/rules/+new', Page: page(() => import('../pages/rules/one.tsx'), 'NewRule'), role: 'admin' },
  { path: '/rules/:name', Page: page(() => import('../pages/rules/one.tsx'), 'OneRule') },
  {
    path: '/security',
    Page: page(() => import('../pages/security.tsx'), 'Security'),
    nav: { label: nav.security, Icon: ShieldCheck, group: 'guard' },
  },
  { path: '/security/:part', Page: page(() => import('../pages/security.tsx'), 'Security') },
  {
    path: '/audit',
    Page: page(() => import('../pages/audit.tsx'), 'Audit'),
    nav: { label: nav.audit, Icon: ClipboardList, group: 'guard' },
  },
  {
    path: '/settings',
    Page: page(() => import('../pages/settings.tsx'), 'Settings'),
    nav: { label: nav.settings, Icon: SettingsIcon, group: 'guard' },
  },
]
