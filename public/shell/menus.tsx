// The right end of the header: live or stale, language, colours, account.
// Must not navigate.
import { ActionIcon, Menu, Text, Tooltip, UnstyledButton, useMantineColorScheme, VisuallyHidden } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { Check, ChevronDown, KeyRound, Languages, LogOut, Monitor, Moon, Sun } from 'lucide-react'
import { useSyncExternalStore } from 'react'
import { logOut, type Me } from '../api.ts'
import { localTime } from '../format.ts'
import { LANGUAGES, type Language, language, speak } from '../language.ts'
import type { Live, LiveState } from '../live.ts'
import { failed } from '../parts/failure.tsx'
import { go } from '../router.tsx'
import { strings } from '../strings.ts'

const CONNECTING: LiveState = { state: 'connecting' }

export function LiveBadge({ live }: { live: Live | null }) {
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

export function LanguageMenu() {
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={strings.language.label}>
          <Languages size={18} aria-hidden="true" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {(Object.entries(LANGUAGES) as [Language, string][]).map(([code, name]) => (
          <Menu.Item
            key={code}
            lang={code}
            rightSection={code === language ? <Check size={16} aria-hidden="true" /> : null}
            onClick={() => speak(code)}
          >
            {name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

export function SchemeMenu() {
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

export function AccountMenu({ me }: { me: Me }) {
  const queries = useQueryClient()
  const leave = async () => {
    try {
      await logOut()
    } catch (error) {
      failed(error)
      return
    }
    queries.clear()
    queries.setQueryData(['me'], null)
  }
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <UnstyledButton className="account">
          <VisuallyHidden>{strings.account.menu(me.username)}</VisuallyHidden>
          <span className="avatar" aria-hidden="true">
            {me.username.slice(0, 1).toUpperCase()}
          </span>
          <span className="account-name" aria-hidden="true">
            {me.username}
          </span>
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
        <Menu.Item leftSection={<KeyRound size={16} aria-hidden="true" />} onClick={() => go('/security/me')}>
          {strings.account.own}
        </Menu.Item>
        <Menu.Item leftSection={<LogOut size={16} aria-hidden="true" />} onClick={() => void leave()}>
          {strings.account.logout}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
