// Who may do what on the admin page, and how it is guarded: roles, second factor, tokens, bans, audit.
// Must not trust the page: what a role may not do, the gateway refuses, too.
import { type IncomingMessage, request } from 'node:http'
import { generateSync } from 'otplib'
import { test } from 'tap'
import { launchBrowser, noBrowser, signedIn, wcagFaults, wcagFaultsInBoth } from '../support/browser.ts'
import { run, startGateway } from '../support/gateway.ts'

const STATE = {
  users: [{ username: 'customer1', password: 'first-steps-1' }],
  destinations: [{ name: 'inbox', type: 'local' as const, base_path: '/tmp/fileflow-guard-test' }],
  rules: [
    { name: 'first', source: { path: '/a/**' }, deliver: [{ to: 'inbox' }] },
    { name: 'second', source: { path: '/b/**' }, deliver: [{ to: 'inbox' }] },
  ],
}

test('the page is guarded, and each role sees what it may do', { skip: noBrowser }, async (t) => {
  const gateway = await startGateway(t)
  await gateway.apply(STATE)
  const browser = await launchBrowser(t)
  const admin = await signedIn(browser, gateway)
  const { page } = admin
  const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true })

  await t.test('an admin makes an operator and an auditor', async (t) => {
    await admin.open('/security/admins')
    for (const [username, role] of [
      ['olga', 'operator'],
      ['rita', 'auditor'],
    ] as const) {
      await button('New admin').click()
      const dialog = page.getByRole('dialog')
      await dialog.getByRole('textbox', { name: 'Username', exact: true }).fill(username)
      if (role === 'operator') t.same(await wcagFaultsInBoth(page, '[role="dialog"]'), [])
      await dialog.getByLabel(/^Password/).fill(`${username}-password`)
      await dialog.getByLabel('Role').selectOption(role)
      await dialog.getByRole('button', { name: 'Create' }).click()
      await page.getByText(`${username} was created.`).waitFor()
    }
  })

  await t.test('an auditor sees all and is offered nothing that would be refused', async (t) => {
    const rita = await signedIn(browser, gateway, { as: { username: 'rita', password: 'rita-password' } })
    for (const [path, absent] of [
      ['/users', 'New user'],
      ['/destinations', 'New destination'],
      ['/rules', 'New rule'],
      ['/security/admins', 'New admin'],
      ['/settings', 'Reload'],
      ['/destinations/inbox', 'Test now'],
    ] as const) {
      await rita.open(path)
      await rita.page.locator('[aria-busy="true"]:visible').first().waitFor({ state: 'detached' })
      t.equal(await rita.page.getByRole('button', { name: absent }).count(), 0, path)
    }
    await rita.open('/users/customer1')
    await rita.page.getByText('Your role may look at this, but not change it.').waitFor()
    t.ok(await rita.page.getByLabel('Partner (organisation)').isDisabled())
    t.equal(await rita.page.getByRole('button', { name: 'Save' }).count(), 0)
    await rita.open('/users/+new')
    await rita.page.getByText('There is no such page').waitFor()
    await rita.open('/security/tokens')
    await rita.page.getByText('Only an admin may see tokens.').waitFor()
    const refused = await rita.page.evaluate("fetch('/api/v1/tokens').then((r) => r.status)")
    t.equal(refused, 403)
    await rita.page.context().close()
  })

  await t.test('an operator may test a destination, but change none', async (t) => {
    const olga = await signedIn(browser, gateway, { as: { username: 'olga', password: 'olga-password' } })
    await olga.open('/destinations/inbox')
    await olga.page.getByRole('button', { name: 'Test now' }).click()
    await olga.page.getByText(/Everything worked\.|The test failed\./).waitFor()
    await olga.page.getByRole('tab', { name: 'Settings' }).click()
    t.ok(await olga.page.getByLabel('Base folder').isDisabled())
    await olga.page.context().close()
  })

  await t.test('rules change places and are switched off, by keyboard, which never loses its place', async (t) => {
    const focused = (name: string) => page.locator(`[aria-label="${name}"]:focus`).waitFor()
    const order = async () => (await gateway.api<{ items: { name: string }[] }>('GET', '/rules')).items.map(({ name }) => name)
    await admin.open('/rules')
    await button('Move second up').focus()
    await page.keyboard.press('Enter')
    await page.getByText('The order was saved.').waitFor()
    t.same(await order(), ['second', 'first'])
    await page.getByRole('row').nth(1).getByText('second').waitFor()
    await focused('Move second up')
    await page.keyboard.press('Enter')
    t.same(await order(), ['second', 'first'], 'the first one stays the first')
    await page.keyboard.press('Tab')
    await focused('Move second down')
    await page.keyboard.press('Enter')
    await page.getByRole('row').nth(2).getByText('second').waitFor()
    await focused('Move second down')
    t.same(await order(), ['first', 'second'])

    await page.getByRole('switch', { name: 'first enabled' }).focus()
    await page.keyboard.press('Space')
    const dialog = page.getByRole('dialog', { name: 'Disable first?' })
    await dialog.locator(':focus', { hasText: 'Cancel' }).waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    const notice = page.getByRole('alert').filter({ hasText: 'first is disabled.' })
    await notice.waitFor()
    await dialog.waitFor({ state: 'detached' })
    await focused('first enabled')
    t.match(await gateway.api('GET', '/rules/first'), { enabled: false })
    await notice.getByRole('button', { name: 'Undo' }).press('Enter')
    await page.getByText('It was taken back.').waitFor()
    t.match(await gateway.api('GET', '/rules/first'), { enabled: true })
  })

  await t.test('a question stands still from its first moment: what is pressed while it appears is what is meant', async (t) => {
    await page.emulateMedia({ reducedMotion: 'no-preference' })
    await admin.open('/rules')
    await page.getByRole('switch', { name: 'second enabled' }).waitFor()
    const first = page.evaluate<[number, number]>(`new Promise((resolve) => (function look() {
      const verb = [...document.querySelectorAll('[role=dialog] button')].find((one) => one.textContent === 'Disable')
      if (!verb) return requestAnimationFrame(look)
      const { left, top, width, height } = verb.getBoundingClientRect()
      resolve([left + width / 2, top + height / 2])
    })())`)
    await page.getByRole('switch', { name: 'second enabled' }).press('Space')
    await page.mouse.move(...(await first))
    await page.mouse.down()
    await page.locator('[role="dialog"][style*="opacity: 1"]').waitFor()
    await page.mouse.up()
    await page.getByRole('alert').filter({ hasText: 'second is disabled.' }).getByRole('button', { name: 'Undo' }).click()
    await page.getByText('It was taken back.').waitFor()
    t.match(await gateway.api('GET', '/rules/second'), { enabled: true })
  })

  await t.test('a token is shown once, works, and is revoked', async (t) => {
    await admin.open('/security/tokens')
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('ci')
    await page.getByLabel('Expires at the end of').fill('2031-12-31')
    await button('Make the token').click()
    const shown = page.getByRole('status').filter({ hasText: 'The token ci was made.' })
    const token = await shown.locator('.mono').innerText()
    t.match(token, /^ff_/)
    const call = () =>
      fetch(`http://127.0.0.1:${gateway.ports.admin}/api/v1/users`, { headers: { authorization: `Bearer ${token}` } }).then((r) => r.status)
    t.equal(await call(), 200)
    await admin.open('/security/tokens')
    await button('Revoke ci').waitFor()
    await page
      .getByRole('row')
      .filter({ hasText: 'ci' })
      .getByText(/2032|2031/)
      .waitFor()
    t.equal(await page.getByText(token).count(), 0, 'never again')
    await button('Revoke ci').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await page.getByText('There is no token.').waitFor()
    t.equal(await call(), 401)
  })

  await t.test('an address that failed too often is listed with its failures, and lifted', async () => {
    for (let i = 0; i < 8; i++) {
      const url = `ftp://127.0.0.1:${gateway.ports.ftp}/`
      await run('curl', ['-s', '--interface', '127.0.0.2', '--ssl-reqd', '--insecure', '--user', 'customer1:wrong', url])
    }
    await admin.open('/security/bans')
    await button('Lift the ban of 127.0.0.2').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Lift' }).click()
    await page.getByText('Nobody is banned.').waitFor()
    await page.getByRole('tab', { name: 'Login failures' }).click()
    await page.getByRole('table').getByText('127.0.0.2').first().waitFor()
  })

  await t.test('who guesses at one name from many addresses is told to wait, and the page says how long', async (t) => {
    const guess = (localAddress: string) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        const target = { host: '127.0.0.1', port: gateway.ports.admin, localAddress, path: '/api/v1/session', method: 'POST' }
        request({ ...target, headers: { 'content-type': 'application/json' }, agent: false }, (answer) => resolve(answer.resume()))
          .once('error', reject)
          .end('{"username":"nobody","password":"a guess"}')
      })
    const tries = ['127.0.1.3', '127.0.1.4', '127.0.1.5', '127.0.1.6'].flatMap((address) => Array.from({ length: 5 }, () => guess(address)))
    for (const { statusCode } of await Promise.all(tries)) t.equal(statusCode, 401)
    const { statusCode, headers } = await guess('127.0.1.7')
    t.equal(statusCode, 429)
    t.match(headers['retry-after'], /^(900|8\d\d)$/)
    const context = await browser.newContext({ locale: 'it-IT' })
    const stranger = await context.newPage()
    await stranger.goto(page.url())
    await stranger.locator('input[autocomplete="username"]').fill('nobody')
    await stranger.locator('input[autocomplete="current-password"]').fill('a guess')
    await stranger.keyboard.press('Enter')
    await stranger
      .getByRole('alert')
      .filter({ hasText: /^Troppe password errate per questo account da indirizzi nuovi\. Attendi 1\dm/ })
      .waitFor()
    await stranger.getByLabel('Codice').waitFor()
    t.same(await wcagFaults(stranger), [])
    await context.close()
  })

  await t.test('a second factor is enrolled by its QR code, and asked for at the next login', async (t) => {
    await admin.open('/security/me')
    await page.getByRole('button', { name: 'Turn it on' }).waitFor()
    await page.getByLabel('Present password').last().fill(gateway.adminPassword)
    await button('Turn it on').click()
    await page.getByRole('img', { name: 'QR code for the authenticator app' }).waitFor()
    t.same(await wcagFaults(page), [])
    const secret = await page.locator('.once .mono').innerText()
    await page.getByRole('textbox', { name: 'Code', exact: true }).fill('000000')
    await button('Confirm the code').click()
    await page.getByRole('alert').waitFor()
    await page.getByRole('textbox', { name: 'Code', exact: true }).fill(generateSync({ secret }))
    await button('Confirm the code').click()
    await page.getByRole('list', { name: 'Recovery codes' }).waitFor()
    t.ok((await page.getByRole('list', { name: 'Recovery codes' }).getByRole('listitem').count()) >= 8)
    await button('I have kept them').click()
    await page.getByText('The second factor is on.').waitFor()
    const status = await fetch(`http://127.0.0.1:${gateway.ports.admin}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'admin', password: gateway.adminPassword }),
    })
    t.match(await status.json(), { code: 'auth.totp_required' })
  })

  await t.test('all of it is in the audit log, whose chain is whole', async (t) => {
    await admin.open('/audit')
    await button('Check the chain').click()
    await page.getByText(/^The chain is whole: \d+ rows checked\.$/).waitFor()
    await page.getByLabel('Action', { exact: true }).fill('token.remove')
    await page.getByRole('table').getByText('token.remove').waitFor()
    await page.getByText('That is the only one.').waitFor()
    t.match(page.url(), /action=token\.remove/, 'the view has an address')
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Export' }).click()])
    t.equal(download.suggestedFilename(), 'fileflow-audit.jsonl')
  })

  await t.test('settings say where each value comes from, and a backup is downloaded', async (t) => {
    await admin.open('/settings?q=sftp.port')
    await page.getByRole('table').getByText('Environment').waitFor()
    await page.getByText('FILEFLOW_SFTP_PORT').waitFor()
    await button('Reload').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Reload' }).click()
    await page.getByText('Nothing has changed.').waitFor()
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download a backup' }).click()])
    t.match(download.suggestedFilename(), /fileflow-backup/)
  })
  t.same(admin.complaints, [])
})
