// The frame around every page: header, navigation, and whether what is shown is live.
// Must not load what pages show.
import { AppShell, Burger, Drawer, Group } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { ArrowLeftRight } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Me } from './api.ts'
import type { Live } from './live.ts'
import { findPage, may, PAGES } from './pages.ts'
import { Link, usePath } from './router.tsx'
import { AccountMenu, LanguageMenu, LiveBadge, SchemeMenu } from './shell/menus.tsx'
import { strings } from './strings.ts'

export function Shell({ me, live, children }: { me: Me; live: Live | null; children: ReactNode }) {
  const [menu, { open, close }] = useDisclosure(false)
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 232, breakpoint: 'md', collapsed: { mobile: true } }}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <a className="skip" href="#content">
        {strings.skip}
      </a>
      <AppShell.Header>
        <Group h="100%" px={{ base: 'sm', sm: 'lg' }} justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger size="sm" hiddenFrom="md" opened={menu} onClick={open} aria-label={strings.nav.open} aria-expanded={menu} />
            <Link href="/" className="brand" aria-label={strings.product}>
              <span className="logo" aria-hidden="true">
                <ArrowLeftRight size={16} strokeWidth={2.5} />
              </span>
              <span className="brand-name">{strings.product}</span>
            </Link>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <LiveBadge live={live} />
            <LanguageMenu />
            <SchemeMenu />
            <AccountMenu me={me} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar component="div" className="rail">
        <Navigation me={me} />
      </AppShell.Navbar>
      <Drawer
        opened={menu}
        onClose={close}
        size={280}
        hiddenFrom="md"
        title={strings.product}
        closeButtonProps={{ 'aria-label': strings.errors.close }}
      >
        <Navigation me={me} onChosen={close} />
      </Drawer>
      <AppShell.Main id="content" tabIndex={-1}>
        <div className="page">{children}</div>
      </AppShell.Main>
    </AppShell>
  )
}

const GROUPS = ['watch', 'manage', 'guard'] as const

function Navigation({ me, onChosen }: { me: Me; onChosen?: () => void }) {
  const path = usePath()
  const present = findPage(path)?.entry
  // A page without a place in the menu belongs to the one above it: /transfers/123 to /transfers.
  const lit = present?.nav ? present.path : PAGES.find(({ nav, path: to }) => nav && to !== '/' && path.startsWith(`${to}/`))?.path
  return (
    <nav aria-label={strings.nav.label} className="nav">
      {GROUPS.map((group) => {
        const entries = PAGES.filter((entry) => entry.nav?.group === group && may(me, entry.role ?? 'auditor'))
        if (entries.length === 0) return null
        return (
          <div key={group} className="nav-group">
            <p id={`nav-${group}`}>{strings.nav.groups[group]}</p>
            <ul aria-labelledby={`nav-${group}`}>
              {entries.map(({ path: to, nav }) => {
                const { label, Icon } = nav!
                return (
                  <li key={to}>
                    <Link href={to} aria-current={to === lit ? 'page' : undefined} onClick={onChosen}>
                      <Icon size={17} aria-hidden="true" />
                      <span>{label}</span>
                    </Link>
                  </li>
                )
              })}
            </ul>
          </div>
        )
      })}
    </nav>
  )
}
