// The pages that show what happens are for everybody: without a fault that axe-core finds, by keyboard, at 390 px, in Italian; also while they load and when they cannot.
// Must not wait by the clock.
import { test } from 'tap'
import { keyboardFaults, launchBrowser, layoutFaults, noBrowser, signedIn, wcagFaults, wcagFaultsInBoth } from '../support/browser.ts'
import { busyGateway, HOSTILE_ID } from '../support/busy-gateway.ts'

const HOSTILE = '\\u202egpj.exe\\u0007<img src=x onerror=alert(1)>.xml'
/** Address, English title, Italian title. */
const PAGES = [
  ['/', 'Overview', 'Panoramica'],
  ['/transfers', 'Transfers', 'Trasferimenti'],
  [`/transfers/${HOSTILE_ID}`, HOSTILE, HOSTILE],
  ['/deliveries', 'Deliveries', 'Consegne'],
  ['/sessions', 'Live sessions', 'Sessioni attive'],
  ['/deliveries?state=dead', 'Deliveries', 'Consegne'],
  ['/logs', 'Logs', 'Log'],
  ['/nowhere', 'There is no such page', 'Questa pagina non esiste'],
] as const

test('the pages that show what happens are for everybody', { skip: noBrowser }, async (t) => {
  const gateway = await busyGateway(t, 60)
  const browser = await launchBrowser(t)
  const english = await signedIn(browser, gateway)
  const { page, open, visit } = english

  await t.test('the first page comes in less than 300 kB of scripts, and the sign-in page has no fault', async (t) => {
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
    t.same(await wcagFaultsInBoth(first), [])
    t.same(await keyboardFaults(first), [])
    await first.locator('input[autocomplete="username"]').fill('nobody')
    await first.locator('input[autocomplete="current-password"]').fill('wrong')
    await first.keyboard.press('Enter')
    await first.getByRole('alert').filter({ hasText: 'Username or password is wrong.' }).waitFor()
    t.same(await wcagFaultsInBoth(first), [], 'nor after a refused login')
    await fresh.close()
  })

  await t.test('in English at 1440 px, light and dark, by keyboard', async (t) => {
    for (const [path, title] of PAGES) {
      await visit(path, title)
      t.same(await wcagFaultsInBoth(page), [], path)
      t.same(await keyboardFaults(page), [], `${path}: by keyboard`)
    }
    t.same(english.complaints, [])
  })

  await t.test('menus open, move and close by keys, and give the keyboard back', async (t) => {
    await visit('/deliveries?state=dead', 'Deliveries')
    const button = page.getByRole('button', { name: 'Colours' })
    await button.press('Enter')
    await page.getByRole('menuitem', { name: 'Light' }).waitFor()
    t.same(await wcagFaults(page, '[role="menu"]'), [], 'an open menu')
    for (const name of ['Light', 'Dark', 'As the system', 'Light']) {
      await page.locator('[role="menuitem"]:focus', { hasText: name }).waitFor()
      await page.keyboard.press('ArrowDown')
    }
    await page.keyboard.press('Escape')
    await page.getByRole('menu').waitFor({ state: 'detached' })
    await page.locator('[aria-label="Colours"]:focus').waitFor()
    await page.getByRole('radio', { name: 'Dead letters (1)' }).press('ArrowRight')
    await page.waitForURL(/state=retrying/)
    await page.getByRole('radio', { name: 'Retrying' }).press('ArrowLeft')
    await page.waitForURL(/state=dead/)
  })

  await t.test('a question has no fault, and Escape takes it back', async (t) => {
    await page.getByRole('button', { name: /^Give up the delivery/ }).press('Enter')
    await page.getByRole('dialog').getByRole('button', { name: 'Give up' }).waitFor()
    t.same(await wcagFaultsInBoth(page, '[role="dialog"]'), [])
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.locator('[aria-label^="Give up the delivery"]:focus').waitFor()
    t.match(await gateway.deliveries(), [{ state: 'dead' }])
  })

  const italian = await signedIn(browser, gateway, { locale: 'it-IT', viewport: { width: 390, height: 844 } })
  const small = italian.page

  await t.test('in Italian at 390 px nothing runs over the edge', async (t) => {
    for (const [path, , title] of PAGES) {
      await italian.visit(path, title)
      t.equal(await small.evaluate('document.documentElement.scrollWidth'), 390, path)
      t.same(await layoutFaults(small), [], path)
    }
    t.equal(await small.getAttribute('html', 'lang'), 'it')
    t.same(italian.complaints, [])
  })

  await t.test('the menu is a drawer there, opened, walked and left by keyboard', async (t) => {
    const drawer = small.getByRole('dialog')
    await small.getByRole('button', { name: 'Apri il menu' }).press('Enter')
    await drawer.getByRole('link', { name: 'Consegne' }).waitFor()
    t.same(await wcagFaultsInBoth(small, '[role="dialog"]'), [])
    await small.keyboard.press('Escape')
    await drawer.waitFor({ state: 'detached' })
    await small.getByRole('button', { name: 'Apri il menu' }).press('Enter')
    await drawer.getByRole('link', { name: 'Consegne' }).press('Enter')
    await small.getByRole('heading', { level: 1, name: 'Consegne' }).waitFor()
    await drawer.waitFor({ state: 'detached' })
    t.match(small.url(), /\/deliveries$/)
  })

  await t.test('a question on many holds the keyboard, and gives it back to where it was', async (t) => {
    await italian.visit('/deliveries?state=dead', 'Consegne')
    await small.getByRole('button', { name: 'Ritenta tutte queste' }).press('Enter')
    const dialog = small.getByRole('dialog', { name: 'Ritentare l’unica consegna fallita?' })
    await dialog.waitFor()
    t.same(await wcagFaults(small, '[role="dialog"]'), [])
    for (let n = 0; n < 6; n++) {
      await small.keyboard.press('Tab')
      t.ok(await small.evaluate("document.activeElement.closest('[role=dialog]') !== null"), `Tab ${n + 1} stays in the dialog`)
    }
    await small.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await small.waitForFunction("document.activeElement.textContent.includes('Ritenta tutte queste')")
  })

  await t.test('what the gateway records and refuses is said in Italian, and in English again when asked', async (t) => {
    await small.getByText('Il file esiste già nella destinazione.').waitFor()
    await italian.visit('/audit', 'Registro delle azioni')
    await small.getByRole('table').getByText('Accesso di amministratore').first().waitFor()
    await small.getByRole('button', { name: 'Filtri' }).click()
    await small.getByLabel('Dal', { exact: true }).fill('2001-01-01')
    await small.waitForURL(/since=2001-01-01/)
    await small.getByText('Dettagli').first().click()
    await small.getByRole('definition').filter({ hasText: 'amministratore sconosciuto' }).first().waitFor()
    await italian.visit('/users/nobody', 'nobody')
    await small.getByRole('alert').getByText('L’utente nobody non esiste.').waitFor()
    await italian.visit('/users/+new', 'Nuovo utente')
    await small.getByRole('textbox', { name: 'Nome utente' }).fill('joe')
    await small.getByLabel('Spazio').fill('molto')
    await small.getByRole('button', { name: 'Crea' }).click()
    await small.getByText('quota.bytes: byte: un numero, o con un’unità (10GiB) (ora è "molto")').waitFor()
    t.same(await wcagFaultsInBoth(small), [], 'a refused form')
    await small.getByRole('textbox', { name: 'Nome utente' }).fill('')
    await small.getByLabel('Spazio').fill('')
    await small.getByRole('button', { name: 'Lingua' }).click()
    await small.getByRole('menuitem', { name: 'English' }).click()
    await small.getByRole('heading', { level: 1, name: 'New user' }).waitFor()
    await small.reload()
    await small.getByRole('heading', { level: 1, name: 'New user' }).waitFor()
    t.same(italian.complaints, [])
    await small.context().close()
  })

  await t.test('all that are dead are given up by keyboard, after a question that says how many', async (t) => {
    await visit('/deliveries?state=dead', 'Deliveries')
    await page.getByRole('button', { name: 'Give up all of these' }).press('Enter')
    await page.getByRole('dialog', { name: 'Give up the one dead delivery?' }).getByRole('button', { name: 'Give up' }).press('Enter')
    await page.getByText('No dead letters.').waitFor()
    t.match(await gateway.deliveries(), [{ state: 'cancelled' }])
  })

  await t.test('while the gateway hangs and when it is gone, pages say so, without a fault', async (t) => {
    const lost = [
      ['/transfers', 'Transfers'],
      ['/users', 'Users'],
      ['/users/somebody', 'somebody'],
      ['/audit', 'Audit'],
    ] as const
    for (const [path, title] of lost) await visit(path, title)
    await open('/')
    await page.getByText('Live', { exact: true }).waitFor()
    for (const [path, title] of lost) await visit(path, title)
    gateway.kill('SIGSTOP')
    const shows = (path: string, title: string) =>
      page
        .evaluate(`history.pushState(null, '', '${path}'); dispatchEvent(new Event('fileflow:moved'))`)
        .then(() => page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor())
    await shows('/users/another', 'another')
    await page.locator('[aria-busy="true"]:visible').first().waitFor()
    t.same(await wcagFaultsInBoth(page), [], 'while it loads')
    gateway.kill('SIGKILL')
    await page
      .getByText(/^Stale since/)
      .first()
      .waitFor()
    for (const [path, title] of [
      ['/users/another', 'another'],
      ['/transfers?q=new', 'Transfers'],
      ['/audit?q=new', 'Audit'],
      ['/users?q=new', 'Users'],
    ] as const) {
      await shows(path, title)
      await page.getByRole('alert').filter({ hasText: 'The gateway does not answer.' }).waitFor()
      t.same(await wcagFaultsInBoth(page), [], path)
      t.same(await keyboardFaults(page), [], `${path}: by keyboard`)
    }
    await shows('/', 'Overview')
    await page
      .getByText(/No word from the gateway since|Stale since/)
      .first()
      .waitFor()
    t.same(await wcagFaultsInBoth(page), [], 'the overview of a gateway that is gone')
    t.same(english.complaints, [])
  })
})
