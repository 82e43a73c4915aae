// The pages that show what happens.
// Must not hold anything but their entries.
import { LayoutDashboard, Plug } from 'lucide-react'
import { strings } from '../strings.ts'
import { type PageEntry, page } from './page.ts'

const { nav } = strings

export const WATCH: readonly PageEntry[] = [
  {
    path: '/',
    Page: page(() => import('../pages/overview.tsx'), 'Overview'),
    nav: { label: nav.overview, Icon: LayoutDashboard, group: 'watch' },
  },
  {
    path: '/sessions',
    Page: page(() => import('../pages/sessions.tsx'), 'Sessions'),
    nav: { label: nav.sessions, Icon: Plug, group: 'watch' },
  },
]
