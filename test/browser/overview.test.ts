// What an admin sees and does on the first page, in a real browser.
// Must not depend on a running gateway.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { type Test, test } from 'tap'
import { createAdminServer } from '../../src/admin/server.ts'
import { ensureUiBuilt } from '../../src/cli/build-ui.ts'
import { createLogger } from '../../src/core/log.ts'
import { busyDay, type FakeControlPlane, fakeControlPlane } from '../admin/fake-control-plane.ts'

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
const skip = existsSync(CHROMIUM) ? false : 'no chromium here'

async function open(t: Test, data?: FakeControlPlane['data']) {
  const log = createLogger('admin', () => {})
  t.ok(await ensureUiBuilt(ROOT, log))
  const control = fakeControlPlane(data)
  const server = await createAdminServer({
    config: { host: '127.0.0.1', port: 0, trusted_proxies: [] },
    control,
    log,
    publicDir: join(ROOT, 'dist/public'),
    tls: null,
  })
  t.teardown(() => server.close())
  const port = await server.listen()
  const browser: Browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (line) => {
    if (/Content Security Policy/.test(line.text())) complaints.push(line.text())
  })
  const signIn = async (username: string, password = `${username}-password`) => {
    await page.getByLabel('Username').fill(username)
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  await page.goto(`http://127.0.0.1:${port}/`)
  return { control, page, complaints, signIn, server }
}

test('an admin signs in and sees where each file went', { skip }, async (t) => {
  const { page, signIn, complaints, control } = await open(t, busyDay(Date.now()))
  await signIn('admin', 'wrong')
  await page.getByText('Username or password is wrong.').waitFor()
  await signIn('admin')
  const deliveries = page.getByRole('list', { name: 'Deliveries of /filescma/invoice-2026-11.xml' })
  await deliveries.waitFor()
  const text = await deliveries.innerText()
  t.match(text, /hq[\s\S]*\/incoming\/filescma\/invoice-2026-11\.xml[\s\S]*Delivered[\s\S]*hash verified \(sha256 by sha256sum\)/)
  t.match(text, /archive[\s\S]*Retrying[\s\S]*The destination cannot be reached\./)

  const hostile = page.getByRole('list', { name: /img src=x/ })
  t.match(await hostile.innerText(), /\\u202egpj\.exe\\u0007<img src=x onerror=alert\(1\)>\.xml/, 'a hostile name is text')
  t.equal(await page.locator('main img').count(), 0)

  await hostile.getByRole('button', { name: /^Retry/ }).click()
  await page.getByText('The delivery was put back in the queue.').waitFor()
  t.match(control.acts, [{ verb: 'delivery.retry', object: 'd7', actor: { name: 'admin' } }])
  t.same(complaints, [])
})

test('a session ends and a service restarts only after a question', { skip }, async (t) => {
  const { page, signIn, control } = await open(t, busyDay(Date.now()))
  await signIn('olga')
  await page.getByRole('button', { name: 'End session: customer1' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('button', { name: 'Restart SFTP' }).click()
  t.equal(control.acts.length, 0)
  await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click()
  await page.getByText('SFTP: running').waitFor()
  t.match(control.acts, [{ verb: 'service.restart', object: 'sftp' }])
})

test('what happens shows without a reload, and a lost connection is said', { skip }, async (t) => {
  const { page, signIn, control, server } = await open(t)
  await signIn('rita')
  await page.getByText('npx fileflow apply examples/first-steps.yaml').waitFor()
  t.equal(await page.getByRole('button', { name: /Restart/ }).count(), 0, 'an auditor has no buttons that would be refused')
  await page.getByText('Live', { exact: true }).waitFor()
  const { transfers, deliveries } = busyDay(Date.now())
  control.data.transfers.push(...transfers)
  control.data.deliveries.push(...deliveries)
  control.emit({ type: 'transfer.completed', data: {} })
  await page.getByText('stock-levels.csv').first().waitFor()
  await server.close()
  await page.getByText(/Stale since/).waitFor()
  t.ok(await page.getByText('stock-levels.csv').first().isVisible(), 'what was read stays on the page')
})
