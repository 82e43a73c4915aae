// A real browser on a real gateway's admin page, for tests: signs in, notes what the page complains about, looks for WCAG faults.
// Must not wait by the clock: tests wait for what a person would see.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { ensureUiBuilt } from '../../src/cli/build-ui.ts'
import { createLogger } from '../../src/core/log.ts'
import type { TearsDown } from './far-process.ts'
import type { TestGateway } from './gateway.ts'

const CHROMIUM = '/usr/bin/chromium'
const ROOT = join(import.meta.dirname, '../..')
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
]
/** A machine that does other things, too. */
const PATIENCE_MS = 60_000

/** For `test(…, { skip })`: why there is no browser test here, or false. */
export const noBrowser: string | false = existsSync(CHROMIUM) ? false : 'no chromium here'

export async function launchBrowser(t: TearsDown): Promise<Browser> {
  if (
    !(await ensureUiBuilt(
      ROOT,
      createLogger('admin', () => {}),
    ))
  )
    throw new Error('the admin page could not be built')
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
  t.teardown(() => browser.close())
  return browser
}

export interface AdminPage {
  readonly page: Page
  /** Errors of scripts and of the content security policy so far. */
  readonly complaints: readonly string[]
  /** Goes to a path of the admin page, which starts anew. */
  open(path: string): Promise<void>
  /** As a link does it, until the page of that title has read what it shows. */
  visit(path: string, title: string): Promise<void>
}

/** A browser window of its own, signed in. Without `as`, as the gateway's first admin. */
export async function signedIn(
  browser: Browser,
  gateway: TestGateway,
  { as, ...options }: BrowserContextOptions & { as?: { readonly username: string; readonly password: string } } = {},
): Promise<AdminPage> {
  const base = `http://127.0.0.1:${gateway.ports.admin}`
  // what slides and fades is drawn by the processor here
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce', ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (line) => {
    if (/Content Security Policy|Minified React error/.test(line.text())) complaints.push(line.text())
  })
  await page.goto(`${base}/`)
  // by what they are, so that it works in each language
  await page.locator('input[autocomplete="username"]').fill(as?.username ?? 'admin')
  await page.locator('input[autocomplete="current-password"]').fill(as?.password ?? gateway.adminPassword)
  await page.locator('button[type="submit"]').click()
  await page.locator('#content h1').waitFor()
  return {
    page,
    complaints,
    async open(path) {
      await page.goto(`${base}${path}`)
      await page.locator('#content h1').waitFor()
    },
    async visit(path, title) {
      await page.evaluate(`history.pushState(null, '', ${JSON.stringify(path)}); dispatchEvent(new Event('fileflow:moved'))`)
      await page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor()
      await page.locator('[aria-busy="true"]:visible').first().waitFor({ state: 'detached' })
    },
  }
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const ALL = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] } as const

/** What axe-core finds against WCAG 2.2 AA in what is shown now, or in the part `within` (a selector): a line for each fault. */
export const wcagFaults = (page: Page, within = 'html'): Promise<readonly string[]> => faultsOf(page, within, ALL)

/** As {@link wcagFaults} without the colours, for what was looked at in its colours at another width. */
export const layoutFaults = (page: Page): Promise<readonly string[]> =>
  faultsOf(page, 'html', ALL, { 'color-contrast': { enabled: false } })

/** As {@link wcagFaults}, in the light and the dark: those differ in their colours alone. */
export async function wcagFaultsInBoth(page: Page, within = 'html'): Promise<readonly string[]> {
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  const light = await wcagFaults(page, within)
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
  const dark = await faultsOf(page, within, { type: 'rule', values: ['color-contrast'] })
  return [...light, ...dark.map((fault) => `in the dark: ${fault}`)]
}

async function faultsOf(
  page: Page,
  within: string,
  runOnly: { readonly type: string; readonly values: readonly string[] },
  rules: Readonly<Record<string, { readonly enabled: boolean }>> = {},
): Promise<readonly string[]> {
  // The page's policy forbids scripts from outside; the debugger's door is not bound by it.
  if (!(await page.evaluate<boolean>("typeof axe === 'object'"))) await page.evaluate(AXE)
  return page.evaluate(
    async ([part, runOnly, rules]) => {
      const { axe } = globalThis as unknown as {
        axe: {
          run(
            context: unknown,
            options: unknown,
          ): Promise<{ violations: { id: string; help: string; nodes: { target: string[]; failureSummary: string }[] }[] }>
        }
      }
      // what is in order is not listed, nor are style sheets fetched once more
      const { violations } = await axe.run(part, { runOnly, rules, resultTypes: ['violations'], preload: false })
      return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(' ')}: ${node.failureSummary}`))
    },
    [within, runOnly, rules] as const,
  )
}

const WALK = readFileSync(join(import.meta.dirname, 'keyboard-walk.mjs'), 'utf8')

/**
 * What somebody without a mouse cannot reach in what is shown now, or reaches without seeing where they are or hearing what it is: a line for each fault.
 * Walks the page by Tab, from its beginning until it comes round.
 */
export async function keyboardFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(WALK)
  const wanted = await page.evaluate<number>('walk.begin()')
  // the frame around the page may take the focus for a step when it comes round
  // what comes live meanwhile makes the way longer
  for (let n = 0; n < wanted * 2 + 10 && !(await page.evaluate<boolean>('walk.round')); n += 10)
    for (let step = 0; step < 10; step++) await page.keyboard.press('Tab')
  return page.evaluate<string[]>('walk.end()')
}
