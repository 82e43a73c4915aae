// The frame around every page: header, navigation, colours, sign-out, and whether what is shown is live.
// Must not load what pages show.
import { ActionIcon, AppShell, Group, Menu, Text, Tooltip, UnstyledButton, useMantineColorScheme } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { useQueryClient } from '@tanstack/react-query'
import { ArrowLeftRight, Check, ChevronDown, LayoutDashboard, LogOut, Monitor, Moon, Sun } from 'lucide-react'
import { type ReactNode, useSyncExternalStore } from 'react'
import { logOut, type Me } from './api.ts'
import { localTime } from './format.ts'
import type { Live, LiveState } from './live.ts'
import { Link, usePath } from './router.tsx'
import { strings } from './strings.ts'

const PAGES = [{ path: '/', label: strings.nav.overview, Icon: LayoutDashboard }]

export function Shell({ me, live, children }: { me: Me; live: Live | null; children: ReactNode }) {
  const path = usePath()
  return (
    <AppShell header={{ height: 56 }} padding={{ base: 'sm', sm: 'lg' }}>
      <a className="skip" href="#content">
        {strings.skip}
      </a>
      <AppShell.Header>
        <Group h="100%" px={{ base: 'sm', sm: 'lg' }} justify="space-between" wrap="nowrap" className="bar">
          <Group gap="lg" wrap="nowrap">
            <Link href="/" className="brand">
              <span className="logo" aria-hidden="true">
                <ArrowLeftRight size={16} strokeWidth={2.5} />
              </span>
              {strings.product}
            </Link>
            <nav aria-label={strings.nav.label} className="nav">
              {PAGES.map(({ path: to, label, Icon }) => (
                <Link key={to} href={to} aria-current={path === to ? 'page' : undefined}>
                  <Icon size={16} aria-hidden="true" />
                  <span>{label}</span>
                </Link>
              ))}
            </nav>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <LiveBadge live={live} />
            <SchemeMenu />
            <AccountMenu me={me} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Main id="content" tabIndex={-1}>
        <div className="page">{children}</div>
      </AppShell.Main>
    </AppShell>
  )
}

const CONNECTING: LiveState = { state: 'connecting' }

function LiveBadge({ live }: { live: Live | null }) {
  const state = useSyncExternalStore(live?.subscribe ?? (() => () => {}), live?.get ?? (() => CONNECTING))
  const text =
    state.state === 'live'
      ? strings.live.on
      : state.state === 'stale'
        ? strings.live.stale(localTime(new Date(state.since).toISOString()))
        : strings.live.connecting
  const tone = state.state === 'live' ? 'good' : state.state === 'stale' ? 'warn' : undefined
  return (
    <Tooltip label={strings.live.hint} multiline w={260}>
      <span role="status" className="badge round" data-tone={tone}>
        <span className={`dot ${state.state}`} aria-hidden="true" />
        {text}
      </span>
    </Tooltip>
  )
}

function SchemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const choices = [
    ['light', strings.scheme.light, Sun],
    ['dark', strings.scheme.dark, Moon],
    ['auto', strings.scheme.auto, Monitor],
  ] as const
  const Present = choices.find(([key]) => key === colorScheme)?.[2] ?? Monitor
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={strings.scheme.label}>
          <Present size={18} aria-hidden="true" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {choices.map(([key, label, Icon]) => (
          <Menu.Item
            key={key}
            leftSection={<Icon size={16} aria-hidden="true" />}
            rightSection={key === colorScheme ? <Check size={16} aria-hidden="true" /> : null}
            onClick={() => setColorScheme(key)}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

function AccountMenu({ me }: { me: Me }) {
  const queries = useQueryClient()
  const leave = async () => {
    try {
      await logOut()
    } catch (error) {
      notifications.show({ color: 'red', title: strings.errors.title, message: (error as Error).message })
      return
    }
    queries.clear()
    queries.setQueryData(['me'], null)
  }
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <UnstyledButton className="account" aria-label={strings.account.menu(me.username)}>
          <span className="avatar" aria-hidden="true">
            {me.username.slice(0, 1).toUpperCase()}
          </span>
          <span className="account-name">{me.username}</span>
          <ChevronDown size={14} aria-hidden="true" />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <Text size="sm" fw={600} c="var(--mantine-color-text)">
            {me.username}
          </Text>
          {strings.account.role[me.role]}
          {me.version ? ` · ${strings.product} ${me.version}` : ''}
        </Menu.Label>
        <Menu.Divider />
        <Menu.Item leftSection={<LogOut size={16} aria-hidden="true" />} onClick={() => void leave()}>
          {strings.account.logout}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
