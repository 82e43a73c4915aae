// The pages that show what happens: usable at 390 px and by keyboard, and in Italian.
// Must not wait by the clock.
import { test } from 'tap'
import { launchBrowser, noBrowser, signedIn } from '../support/browser.ts'
import { busyGateway, HOSTILE_ID } from '../support/busy-gateway.ts'

const PAGES = ['/', '/transfers', `/transfers/${HOSTILE_ID}`, '/deliveries', '/deliveries?state=dead', '/sessions', '/logs', '/nowhere']

test('the pages that show what happens are for small screens, keyboards and Italians', { skip: noBrowser }, async (t) => {
  const gateway = await busyGateway(t, 60)
  const browser = await launchBrowser(t)
  const { page, open, complaints } = await signedIn(browser, gateway)

  await t.test('the first page comes in less than 300 kB of scripts', async (t) => {
    const fresh = await browser.newContext()
    const first = await fresh.newPage()
    const sizes: Promise<number>[] = []
    first.on('requestfinished', (request) => {
      if (request.resourceType() === 'script') sizes.push(request.sizes().then(({ responseBodySize }) => responseBodySize))
    })
    await first.goto(page.url())
    await first.locator('input[autocomplete="username"]').waitFor()
    await first.waitForLoadState('networkidle')
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
    t.ok(bytes > 50_000 && bytes < 300_000, `${bytes} bytes`)
    await fresh.close()
  })

  await t.test('at 390 px nothing runs over the edge, and the menu is a drawer that the keyboard opens', async (t) => {
    await page.setViewportSize({ width: 390, height: 844 })
    for (const path of PAGES) {
      await open(path)
      await page.locator('[aria-busy="true"]:visible').first().waitFor({ state: 'detached' })
      t.equal(await page.evaluate('document.documentElement.scrollWidth'), 390, path)
    }
    await page.getByRole('button', { name: 'Open the menu' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').getByRole('link', { name: 'Deliveries' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Deliveries', level: 1 }).waitFor()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    t.match(page.url(), /\/deliveries$/)
  })
  t.same(complaints, [])

  await t.test('the pages speak Italian to an Italian browser, and English again when asked', async (t) => {
    const italian = await signedIn(browser, gateway, { locale: 'it-IT' })
    for (const [path, title] of [
      ['/', 'Panoramica'],
      ['/transfers', 'Trasferimenti'],
      ['/deliveries', 'Consegne'],
      ['/sessions', 'Sessioni'],
      ['/logs', 'Log'],
    ] as const) {
      await italian.open(path)
      await italian.page
        .getByRole('heading', { level: 1, name: title })
        .or(italian.page.getByRole('heading', { level: 1, name: 'Sessioni attive' }))
        .waitFor()
      t.equal(await italian.page.getAttribute('html', 'lang'), 'it')
    }
    await italian.open('/deliveries?state=dead')
    await italian.page.getByText('Il file esiste già nella destinazione.').waitFor()
    // what the gateway records by short names and codes is said in Italian, too
    await italian.open('/audit')
    await italian.page.getByRole('table').getByText('Accesso di amministratore').first().waitFor()
    const refused = await italian.page.evaluate("fetch('/api/v1/users/nobody').then((r) => r.json()).then((p) => p.code)")
    t.equal(refused, 'resource.not_found')
    await italian.open('/users/nobody')
    await italian.page.getByRole('alert').getByText('L’utente nobody non esiste.').waitFor()
    await italian.open('/deliveries?state=dead')
    await italian.page.getByRole('button', { name: 'Lingua' }).click()
    await italian.page.getByRole('menuitem', { name: 'English' }).click()
    await italian.page.getByRole('heading', { level: 1, name: 'Deliveries' }).waitFor()
    await italian.page.reload()
    await italian.page.getByRole('heading', { level: 1, name: 'Deliveries' }).waitFor()
    t.same(italian.complaints, [])
  })
})
