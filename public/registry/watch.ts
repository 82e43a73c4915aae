// The pages that show what happens.
// Must not hold anything but their entries.
import { ArrowLeftRight, LayoutDashboard, Plug, ScrollText, Send } from 'lucide-react'
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
    path: '/transfers',
    Page: page(() => import('../pages/transfers.tsx'), 'Transfers'),
    nav: { label: nav.transfers, Icon: ArrowLeftRight, group: 'watch' },
  },
  { path: '/transfers/:id', Page: page(() => import('../pages/transfer.tsx'), 'Transfer') },
  {
    path: '/deliveries',
    Page: page(() => import('../pages/deliveries.tsx'), 'Deliveries'),
    nav: { label: nav.deliveries, Icon: Send, group: 'watch' },
  },
  {
    path: '/sessions',
    Page: page(() => import('../pages/sessions.tsx'), 'Sessions'),
    nav: { label: nav.sessions, Icon: Plug, group: 'watch' },
  },
  { path: '/logs', Page: page(() => import('../pages/logs.tsx'), 'Logs'), nav: { label: nav.logs, Icon: ScrollText, group: 'watch' } },
]
