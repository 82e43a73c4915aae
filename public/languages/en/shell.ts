// English: the frame, signing in, errors and what all pages share.
// Must not hold markup or logic beyond plurals.
import { ERRORS, type ErrorCode } from '../../../src/core/errors.ts'

const errorTexts = (): Record<ErrorCode, string> =>
  Object.fromEntries(Object.entries(ERRORS).map(([code, { text }]) => [code, text])) as Record<ErrorCode, string>

export const shell = {
  product: 'FileFlow',
  tagline: 'File transfer gateway',
  skip: 'Skip to content',
  nav: {
    label: 'Main',
    open: 'Open the menu',
    groups: { watch: 'What happens', manage: 'What is set up', guard: 'Who and what is allowed' },
    overview: 'Overview',
    transfers: 'Transfers',
    deliveries: 'Deliveries',
    sessions: 'Sessions',
    logs: 'Logs',
    users: 'Users',
    destinations: 'Destinations',
    rules: 'Rules',
    audit: 'Audit',
    security: 'Security',
    settings: 'Settings',
  },
  missing: {
    title: 'There is no such page',
    text: 'The address may be old or mistyped.',
    back: 'To the overview',
  },
  language: { label: 'Language' },
  table: {
    acts: 'Actions',
    more: 'Show more',
    shown: (n: number) => `${n} shown`,
    end: (n: number) => (n === 1 ? 'That is the only one.' : `That is all ${n}.`),
    filters: 'Filters',
    search: 'Search',
    all: 'All',
    clear: 'Clear the filters',
    nothing: 'Nothing fits these filters.',
  },
  copy: { copy: (what: string) => `Copy ${what}`, copied: 'Copied', failed: 'Copying was not allowed by the browser.' },
  /** In plain words, by code of the catalogue: each has some. */
  codes: errorTexts(),
  /** What the gateway says beyond the code, in this language where it is known. */
  said: (text: string): string => text,
  errors: {
    network: 'The gateway does not answer. Is it running, and can this computer reach it?',
    unexpected: (status: number) => `The gateway answered with an unexpected error (${status}).`,
    title: 'That did not work',
    load: 'This could not be loaded',
    again: 'Try again',
    crash: 'The page ran into an error. Reload it; if it comes back, the browser console has the cause.',
    reload: 'Reload',
    close: 'Close',
  },
  login: {
    title: 'Sign in',
    username: 'Username',
    password: 'Password',
    show: 'Show what is typed',
    submit: 'Sign in',
    hint: 'The first start prints the password of the user admin once to the terminal.',
    failed: 'Username or password is wrong.',
    failedWithCode: 'Username, password or code is wrong.',
    code: 'Code',
    codeHint: 'Of your authenticator app, or one of your recovery codes.',
  },
  account: {
    menu: (name: string) => `Account: ${name}`,
    own: 'Password and second factor',
    logout: 'Sign out',
    role: { admin: 'Admin', operator: 'Operator', auditor: 'Auditor' },
  },
  scheme: { label: 'Colours', light: 'Light', dark: 'Dark', auto: 'As the system' },
  live: {
    on: 'Live',
    connecting: 'Connecting…',
    stale: (since: string) => `Stale since ${since}`,
    hint: 'Changes appear by themselves. When the connection is lost, what you see may be out of date.',
  },
  time: { never: 'never', utc: (iso: string) => `${iso} UTC` },
  confirm: { cancel: 'Cancel' },
  undo: { undo: 'Undo', undone: 'It was taken back.' },
}
