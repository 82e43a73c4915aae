// What an operator does at three in the morning, in a real browser on a real gateway, with real clients and far servers.
// Must not wait by the clock, nor look inside the gateway.
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { teardown, test } from 'tap'
import { launchBrowser, noBrowser, signedIn } from '../support/browser.ts'
import { curlUpload } from '../support/clients.ts'
import { startFarVsftpd } from '../support/far-vsftpd.ts'
import { startGateway } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

/** One browser for all; each test has a window of its own. */
let launched: Promise<Browser> | undefined
const browser = (): Promise<Browser> => {
  launched ??= launchBrowser({ teardown })
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
  await open('/')
  await page.getByText('All clear').waitFor()
  t.same(complaints, [])
})

test('FTP is stopped and started again from the overview, and clients feel it', { skip: noBrowser }, async (t) => {
  const gateway = await startGateway(t)
  const { page } = await signedIn(await browser(), gateway)
  const services = page.getByRole('region', { name: 'Services' })
  const ftp = services.getByRole('listitem').filter({ hasText: 'FTP and FTPS' })
  t.ok(await reachable(gateway.ports.ftp))
  await page.getByRole('button', { name: 'Stop FTP and FTPS' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click()
  await ftp.getByText('Stopped', { exact: true }).waitFor()
  await page.getByText('FTP and FTPS is stopped').waitFor()
  t.notOk(await reachable(gateway.ports.ftp))
  t.ok(await reachable(gateway.ports.sftp), 'the other service is not touched')
  await page.getByRole('button', { name: 'Start FTP and FTPS' }).click()
  await ftp.getByText('Running', { exact: true }).waitFor()
  const port = Number(/port (\d+)/.exec(await ftp.innerText())![1])
  t.ok(await reachable(port))
})

test('a user who is uploading is disabled: the session goes from the page and the client is cut off', { skip: noBrowser }, async (t) => {
  const gateway = await startGateway(t)
  await gateway.apply({ users: [{ username: 'customer1', password: PASSWORD, partner: 'Customer One', limits: { upload_rate: '64KiB' } }] })
  const { page, open } = await signedIn(await browser(), gateway)
  await open('/sessions')
  await page.getByText('Nobody is connected.').waitFor()
  await live(page)
  const file = join(gateway.folder, 'big.bin')
  await writeFile(file, Buffer.alloc(64 * 2 ** 20))
  const client = spawn('curl', [
    '-sS',
    '-k',
    '--ssl-reqd',
    '-u',
    `customer1:${PASSWORD}`,
    '-T',
    file,
    `ftp://127.0.0.1:${gateway.ports.ftp}/`,
  ])
  const ended = new Promise<number | null>((resolve) => client.once('exit', (code) => resolve(code)))
  t.teardown(() => client.kill('SIGKILL'))

  const row = page.getByRole('row').filter({ hasText: 'customer1' })
  await row.getByText('big.bin').waitFor()
  await row.getByText(/KiB\/s/).waitFor()

  // disabled in a second window; the first one only watches
  const second = await page.context().newPage()
  await second.goto(`http://127.0.0.1:${gateway.ports.admin}/users/customer1`)
  await second.getByRole('button', { name: 'Disable' }).click()
  await second.getByRole('dialog').getByRole('button', { name: 'Disable' }).click()
  await second.getByText('customer1 is disabled.').waitFor()

  await page.getByText('Nobody is connected.').waitFor()
  await page.getByText(/Last one gone: customer1/).waitFor()
  t.not(await ended, 0, 'the client was told that the upload failed')
  await open('/transfers')
  await page.getByRole('row').filter({ hasText: 'big.bin' }).getByText('Aborted').waitFor()
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

function reachable(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const answer = (yes: boolean) => {
      socket.destroy()
      resolve(yes)
    }
    // a listener greets; a port that only takes connections does not count
    socket
      .once('data', () => answer(true))
      .once('error', () => answer(false))
      .once('close', () => answer(false))
  })
}
