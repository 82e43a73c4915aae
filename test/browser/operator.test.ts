// What an operator does at three in the morning, in a real browser on a real gateway, with real clients and far servers.
// Must not wait by the clock, nor look inside the gateway.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import type { StateFile } from '../../src/core/state-file.ts'
import { launchBrowser, noBrowser, signedIn } from '../support/browser.ts'
import { curlUpload } from '../support/clients.ts'
import { startFarVsftpd } from '../support/far-vsftpd.ts'
import { startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const USERS = [{ username: 'customer1', password: PASSWORD }]
const all = (to: string, path = '/**') => [{ name: 'all', source: { path }, deliver: [{ to }] }]

test('an operator is led, told, and helped, in one browser on one gateway', { skip: noBrowser }, async (t) => {
  const gateway = await startGateway(t)
  const [hq, later] = ['hq', 'later'].map((name) => join(gateway.folder, name)) as [string, string]
  await Promise.all([mkdir(hq), mkdir(later)])
  await gateway.apply({ destinations: [{ name: 'hq', type: 'local', base_path: hq }] })
  /** This and nothing else. */
  const declare = (state: StateFile) => gateway.api('POST', '/state/apply?prune=1', state)
  const { page, open, complaints } = await signedIn(await launchBrowser(t), gateway)
  /** What the browser's own live badge says. */
  const live = () => page.getByText('Live', { exact: true }).waitFor()
  const upload = async (name: string, content: string) => {
    const file = join(gateway.folder, name)
    await writeFile(file, content)
    t.equal((await curlUpload(gateway, 'customer1', PASSWORD, file, name)).code, 0)
  }

  await t.test('an empty gateway leads to its first delivered file, step by step', async (t) => {
    const steps = page.getByRole('region', { name: 'From nothing to the first delivered file' })
    await steps.getByRole('link', { name: 'Add a user' }).click()
    await page.getByLabel('Username').fill('customer1')
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
    await page.getByRole('button', { name: 'Create', exact: true }).click()
    await page.getByText('customer1 was created.').waitFor()
    await open('/')
    await steps.getByRole('link', { name: 'Make a rule' }).waitFor()
    t.equal(await steps.getByRole('img', { name: 'Done' }).count(), 2, 'the partner and the destination are ticked off')
    await gateway.apply({ rules: all('hq') })
    await live()
    await upload('hello.txt', 'hello')
    await page.getByRole('list', { name: 'Deliveries of /hello.txt' }).getByText('Delivered').waitFor()
    await steps.waitFor({ state: 'detached' })
    t.equal(await readFile(join(hq, 'hello.txt'), 'utf8'), 'hello')
  })

  await t.test('log lines appear as they are written, can be held and filtered, and lead to their transfer', async (t) => {
    await declare({ users: USERS, destinations: [{ name: 'hq', type: 'local', base_path: hq }], rules: all('hq', '/*.xml') })
    await open('/logs')
    const lines = page.getByRole('list', { name: 'Log lines, newest first' })
    await lines.getByText(/ready/i).first().waitFor()
    await upload('a.txt', 'a')
    await lines.getByText('A partner logged in.').first().waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    await upload('b.txt', 'b')
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
    // and the transfer answers why it went nowhere
    await open(`/transfers/${(await gateway.transfers('&q=a.txt'))[0]!.id}`)
    await page.getByText('the path does not match /*.xml').waitFor()
  })

  await t.test(
    'a delivery failed: the operator reads why, mends the destination, tries again, and sees it delivered without a reload',
    async (t) => {
      const vsftpd = await startFarVsftpd({ t })
      await declare({
        users: USERS,
        destinations: [
          { name: 'far', type: 'ftp', host: vsftpd.host, port: vsftpd.port, username: vsftpd.username, password: 'not-that-password' },
        ],
        rules: all('far'),
      })
      await open('/')
      await page.getByText('All clear').waitFor()
      await live()
      const top = async () => (await page.getByRole('region', { name: 'Services' }).boundingBox())!.y
      const before = await top()
      await upload('order.xml', '<order/>')

      // the failure comes to the page by itself, with its cause in words
      const failures = page.getByRole('region', { name: 'Last failures' })
      await failures.getByText('The destination refused the login.').waitFor()
      await page.getByText('1 delivery is dead: nobody tries again').waitFor()
      t.equal(await top(), before, 'what is read or reached for stays in its place')

      // an act on many says on how many, and to where
      await open('/deliveries?state=dead&destination=far')
      await page.getByRole('button', { name: 'Retry all of these' }).click()
      await page.getByRole('dialog', { name: 'Retry the one dead delivery to far?' }).getByRole('button', { name: 'Cancel' }).click()
      await open('/')
      await failures.getByRole('link', { name: '/order.xml' }).click()
      await page.getByText('Attempt 1 failed: far').waitFor()
      t.match(
        await page.locator('.timeline').innerText(),
        /Logged in by FTP[\s\S]*Upload began[\s\S]*Whole on disk: 8 B[\s\S]*sha256 [0-9a-f]{64}[\s\S]*Given up/,
      )
      t.match(
        await page.locator('.timeline time').first().getAttribute('title'),
        /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$/,
        'the exact time is on hover',
      )
      const timeline = page.url()

      await open('/destinations/far')
      await page.getByRole('tab', { name: 'Settings' }).click()
      await page.getByLabel('Password', { exact: true }).fill(vsftpd.password)
      await page.getByRole('button', { name: 'Save' }).click()
      await page.getByText('far was saved.').waitFor()

      await page.goto(timeline)
      await live()
      await page.getByRole('button', { name: 'Retry the delivery of /order.xml to far' }).click()
      await page.getByText('Delivered to far').waitFor()
      t.equal(await readFile(join(vsftpd.root, 'order.xml'), 'utf8'), '<order/>')
      await open('/destinations/far')
      const history = page.getByRole('region', { name: 'Health history' })
      await history.getByText(/^Did not take files for \d/).waitFor()
      await history.getByText('The destination refused the login.').waitFor()
      await open('/')
      await page.getByText('All clear').waitFor()
    },
  )

  await t.test('a delivery that was given up comes back by Undo, with its content', async (t) => {
    await declare({ users: USERS, destinations: [{ name: 'later', type: 'local', base_path: later, enabled: false }], rules: all('later') })
    await upload('undone.xml', '<order/>')
    await open('/deliveries?state=pending&destination=later')
    await page.getByRole('button', { name: 'Give up the delivery of /undone.xml to later' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Give up' }).click()
    const said = page.getByRole('alert').filter({ hasText: 'The delivery was cancelled.' })
    await said.waitFor()
    t.match(await gateway.deliveries('&destination=later'), [{ state: 'cancelled' }])
    // the partner's own copy is gone, too
    await rm(join(gateway.files, 'customer1', 'undone.xml'))
    await said.getByRole('button', { name: 'Undo' }).click()
    await page.getByText('It was taken back.').waitFor()
    await gateway.api('POST', '/destinations/later/enable')
    await until('it is delivered', async () => (await gateway.deliveries('&state=delivered&destination=later')).length === 1)
    t.equal(await readFile(join(later, 'undone.xml'), 'utf8'), '<order/>')
  })
  t.same(complaints, [])
})
