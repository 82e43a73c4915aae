// How Mantine's parts look and behave here: colours, dialogs, buttons at work.
// Must not hold what only one page needs.
import { createTheme } from '@mantine/core'
import type { ComponentProps, MouseEvent } from 'react'
import { strings } from './strings.ts'

/** The head of a dialog is no banner of the page. */
const PLAIN_HEADER = { attributes: { header: { role: 'presentation' } } }

/** It appears where it stays: what slides is missed by a press that began while it came. */
const STILL = { transitionProps: { transition: 'fade' as const } }

type Native = ComponentProps<'button'> & { readonly 'data-loading'?: boolean; readonly href?: string }

/** A button at work refuses to be pressed, but is not disabled for the browser: that would take the keyboard's place from it. */
function StaysFocused({ disabled, onClick, href, ...rest }: Native) {
  if (href !== undefined) return <a href={href} {...(rest as ComponentProps<'a'>)} />
  if (!rest['data-loading']) return <button {...rest} disabled={disabled} onClick={onClick} />
  return <button {...rest} aria-disabled="true" aria-busy="true" onClick={(event: MouseEvent) => event.preventDefault()} />
}
const AT_WORK = { renderRoot: (props: Native) => <StaysFocused {...props} /> }

export const theme = createTheme({
  primaryColor: 'blue',
  primaryShade: { light: 8, dark: 8 },
  defaultRadius: 'md',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  headings: { fontWeight: '650' },
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Modal: { defaultProps: { ...PLAIN_HEADER, ...STILL } },
    // the keyboard goes to the first choice, not to an empty box before it
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
    Drawer: { defaultProps: PLAIN_HEADER },
    Button: { defaultProps: AT_WORK },
    ActionIcon: { defaultProps: AT_WORK },
    // for the keyboard, too
    PasswordInput: { defaultProps: { visibilityToggleButtonProps: { tabIndex: 0, 'aria-label': strings.login.show } } },
  },
})
