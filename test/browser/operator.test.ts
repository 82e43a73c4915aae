// What an operator does at three in the morning, in a real browser on a real gateway, with real clients and far servers.
// Must not wait by the clock, nor look inside the gateway.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { t as suite, test } from 'tap'
import { launchBrowser, noBrowser, signedIn } from '../support/browser.ts'
import { curlUpload } from '../support/clients.ts'
import { startFarVsftpd } from '../support/far-vsftpd.ts'
import { startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

/** One browser for all; each test has a window of its own. */
let launched: Promise<Browser> | undefined
const browser = (): Promise<Browser> => {
  launched ??= launchBrowser(suite)
  return launched
}

/** What the browser's own live badge says. */
const live = (page: Page) => page.getByText('Live', { exact: true }).waitFor()

test('a delivery failed: the operator reads why, mends the destination, tries again, and sees it delivered without a reload', {
  skip: noBrowser,
}, async (t) => {
  const vsftpd = await startFarVsftpd({ t })
  const gateway = await startGateway(t)
  await gateway.apply({
    users: [{ username: 'customer1', password: PASSWORD }],
    destinations: [
      { name: 'hq', type: 'ftp', host: vsftpd.host, port: vsftpd.port, username: vsftpd.username, password: 'not-that-password' },
    ],
    rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'hq' }] }],
  })
  const { page, open, complaints } = await signedIn(await browser(), gateway)
  await page.getByText('All clear').waitFor()
  await live(page)
  const file = join(gateway.folder, 'order.xml')
  await writeFile(file, '<order/>')
  t.equal((await curlUpload(gateway, 'customer1', PASSWORD, file, 'order.xml')).code, 0)

  // the failure comes to the page by itself, with its cause in words
  const failures = page.getByRole('region', { name: 'Last failures' })
  await failures.getByText('The destination refused the login.').waitFor()
  await page.getByText('1 delivery is dead: nobody tries again').waitFor()

  // an act on many says on how many, and to where
  await open('/deliveries?state=dead&destination=hq')
  await page.getByRole('button', { name: 'Retry all of these' }).click()
  await page.getByRole('dialog', { name: 'Retry the one dead delivery to hq?' }).getByRole('button', { name: 'Cancel' }).click()
  await open('/')
  await failures.getByRole('link', { name: '/order.xml' }).click()
  await page.getByText('Attempt 1 failed: hq').waitFor()
  t.match(
    await page.locator('.timeline').innerText(),
    /Logged in by FTP[\s\S]*Upload began[\s\S]*Whole on disk: 8 B[\s\S]*sha256 [0-9a-f]{64}[\s\S]*Given up/,
  )
  const timeline = page.url()

  await open('/destinations/hq')
  await page.getByRole('tab', { name: 'Settings' }).click()
  await page.getByLabel('Password', { exact: true }).fill(vsftpd.password)
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('hq was saved.').waitFor()

  await page.goto(timeline)
  await live(page)
  await page.getByRole('button', { name: 'Retry the delivery of /order.xml to hq' }).click()
  await page.getByText('Delivered to hq').waitFor()
  t.equal(await readFile(join(vsftpd.root, 'order.xml'), 'utf8'), '<order/>')
  await open('/destinations/hq')
  const history = page.getByRole('region', { name: 'Health history' })
  await history.getByText(/^Did not take files for \d/).waitFor()
  await history.getByText('The destination refused the login.').waitFor()
  await open('/')
  await page.getByText('All clear').waitFor()
  t.same(complaints, [])
})

test('an empty gateway leads to its first delivered file, step by step', { skip: noBrowser }, async (t) => {
  const gateway = await startGateway(t)
  await gateway.apply({ destinations: [{ name: 'hq', type: 'local', base_path: join(gateway.folder, 'hq') }] })
  await mkdir(join(gateway.folder, 'hq'))
  const { page, open } = await signedIn(await browser(), gateway)
  const steps = page.getByRole('region', { name: 'From nothing to the first delivered file' })
  await steps.getByRole('link', { name: 'Add a user' }).click()
  await page.getByLabel('Username').fill('customer1')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await page.getByText('customer1 was created.').waitFor()
  await open('/')
  await steps.getByRole('link', { name: 'Make a rule' }).waitFor()
  t.equal(await steps.getByRole('img', { name: 'Done' }).count(), 2, 'the partner and the destination are ticked off')
  await gateway.apply({ rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'hq' }] }] })
  const file = join(gateway.folder, 'hello.txt')
  await writeFile(file, 'hello')
  await live(page)
  t.equal((await curlUpload(gateway, 'customer1', PASSWORD, file, 'hello.txt')).code, 0)
  await page.getByRole('list', { name: 'Deliveries of /hello.txt' }).getByText('Delivered').waitFor()
  await steps.waitFor({ state: 'detached' })
  t.equal(await readFile(join(gateway.folder, 'hq', 'hello.txt'), 'utf8'), 'hello')
})

test('log lines appear as they are written, can be held and filtered, and lead to their transfer', { skip: noBrowser }, async (t) => {
  const gateway = await startGateway(t)
  await gateway.apply({ users: [{ username: 'customer1', password: PASSWORD }] })
  const { page, open } = await signedIn(await browser(), gateway)
  await open('/logs')
  const lines = page.getByRole('list', { name: 'Log lines, newest first' })
  await lines.getByText(/ready/i).first().waitFor()
  const file = join(gateway.folder, 'a.txt')
  await writeFile(file, 'a')
  t.equal((await curlUpload(gateway, 'customer1', PASSWORD, file, 'a.txt')).code, 0)
  await lines.getByText('A partner logged in.').first().waitFor()
  await page.getByRole('button', { name: 'Pause' }).click()
  t.equal((await curlUpload(gateway, 'customer1', PASSWORD, file, 'b.txt')).code, 0)
  await page.getByText(/Paused: \d+ new lines? waits?/).waitFor()
  await page.getByText(/Paused: [1-9]\d* new/).waitFor()
  const before = await lines.getByText('A partner logged in.').count()
  await page.getByRole('button', { name: 'Go on' }).click()
  await lines.getByText('A partner logged in.').nth(before).waitFor()
  await page.getByLabel('Text in the line').fill('no line holds this')
  await page.getByText('Nothing fits these filters.').waitFor()
  t.match(page.url(), /q=no\+line/, 'the filter is in the address')
  await page.getByRole('button', { name: 'Clear the filters' }).click()
  await lines.getByRole('link', { name: 'customer1' }).first().waitFor()
})

test('a delivery that was given up comes back by Undo, with its content', { skip: noBrowser }, async (t) => {
  const gateway = await startGateway(t)
  await mkdir(join(gateway.folder, 'hq'))
  await gateway.apply({
    users: [{ username: 'customer1', password: PASSWORD }],
    destinations: [{ name: 'hq', type: 'local', base_path: join(gateway.folder, 'hq'), enabled: false }],
    rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'hq' }] }],
  })
  const file = join(gateway.folder, 'order.xml')
  await writeFile(file, '<order/>')
  t.equal((await curlUpload(gateway, 'customer1', PASSWORD, file, 'order.xml')).code, 0)
  const { page, open } = await signedIn(await browser(), gateway)
  await open('/deliveries?state=pending&destination=hq')
  await page.getByRole('button', { name: 'Give up the delivery of /order.xml to hq' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Give up' }).click()
  const said = page.getByRole('alert').filter({ hasText: 'The delivery was cancelled.' })
  await said.waitFor()
  t.match(await gateway.deliveries(), [{ state: 'cancelled' }])
  // the partner's own copy is gone, too
  await rm(join(gateway.files, 'customer1', 'order.xml'))
  await said.getByRole('button', { name: 'Undo' }).click()
  await page.getByText('It was taken back.').waitFor()
  await gateway.api('POST', '/destinations/hq/enable')
  await until('it is delivered', async () => (await gateway.deliveries('&state=delivered')).length === 1)
  t.equal(await readFile(join(gateway.folder, 'hq', 'order.xml'), 'utf8'), '<order/>')
})
