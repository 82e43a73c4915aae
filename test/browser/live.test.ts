// What an operator stops, starts and cuts off from the page, and what clients feel of it.
// Must not wait by the clock, nor look inside the gateway.
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { launchBrowser, noBrowser, signedIn } from '../support/browser.ts'
import { startGateway } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

test('what happens is seen as it happens, and can be ended', { skip: noBrowser }, async (t) => {
  const gateway = await startGateway(t)
  await gateway.apply({
    users: [
      { username: 'customer1', password: PASSWORD, partner: 'Customer One', limits: { upload_rate: '64KiB' } },
      { username: 'customer2', password: PASSWORD, limits: { upload_rate: '256KiB' } },
    ],
  })
  const { page, open, complaints } = await signedIn(await launchBrowser(t), gateway)
  /** What the browser's own live badge says. */
  const live = () => page.getByText('Live', { exact: true }).waitFor()
  const file = join(gateway.folder, 'big.bin')
  await writeFile(file, Buffer.alloc(64 * 2 ** 20))

  await t.test('a user who is uploading is disabled: the session goes from the page and the client is cut off', async (t) => {
    await open('/sessions')
    await page.getByText('Nobody is connected.').waitFor()
    await live()
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

  await t.test('an upload that announced its size says how far it is and how long it takes, and is ended with its session', async (t) => {
    await open('/transfers')
    await live()
    const commands = `set ssl:verify-certificate no; set ftp:use-allo yes; open -u customer2,${PASSWORD} ftp://127.0.0.1:${gateway.ports.ftp}; put ${file} -o announced.bin`
    const client = spawn('lftp', ['--norc', '-c', commands])
    t.teardown(() => client.kill('SIGKILL'))
    const row = page.getByRole('row').filter({ hasText: 'announced.bin' })
    await row.getByText(/^\d+(\.\d)? [KM]iB of 64 MiB$/).waitFor()
    await row.getByText(/^\d+m( \d+s)? left$/).waitFor()
    t.ok(await row.getByRole('progressbar', { name: 'Progress' }).getAttribute('aria-valuenow'))
    await row.getByRole('link').click()
    await page.getByText('Not yet: rules are asked once the upload is whole.').waitFor()

    await open('/sessions')
    await page.getByRole('button', { name: 'End session: customer2' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'End session' }).click()
    await page.getByText(/Last one gone: customer2/).waitFor()
  })

  await t.test('FTP is stopped and started again from the overview, and clients feel it', async (t) => {
    await open('/')
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
  t.same(complaints, [])
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
