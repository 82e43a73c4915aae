// The pages that show what happens have no fault that axe-core finds, in both colour schemes.
// Must not wait by the clock.
import { test } from 'tap'
import { launchBrowser, noBrowser, signedIn, wcagFaults, wcagFaultsInBoth } from '../support/browser.ts'
import { busyGateway, HOSTILE_ID } from '../support/busy-gateway.ts'

const PAGES = ['/', '/transfers', `/transfers/${HOSTILE_ID}`, '/deliveries', '/deliveries?state=dead', '/sessions', '/logs', '/nowhere']

test('no page that shows what happens has WCAG faults, in the light or the dark', { skip: noBrowser }, async (t) => {
  const [browser, gateway] = [await launchBrowser(t), await busyGateway(t, 60)]
  const { page, open, complaints } = await signedIn(browser, gateway)
  for (const path of PAGES) {
    await open(path)
    await page.locator('[aria-busy="true"]:visible').first().waitFor({ state: 'detached' })
    t.same(await wcagFaultsInBoth(page), [], path)
  }
  t.same(complaints, [])

  const stranger = await (await page.context().browser()!.newContext()).newPage()
  await stranger.goto(page.url())
  await stranger.locator('input[autocomplete="username"]').waitFor()
  t.same(await wcagFaultsInBoth(stranger), [], 'the sign-in page')

  await open('/deliveries?state=dead')
  await page.getByRole('button', { name: /^Give up the delivery/ }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Give up' }).waitFor()
  t.same(await wcagFaultsInBoth(page, '[role="dialog"]'), [], 'a question')

  const small = await signedIn(browser, gateway, { locale: 'it-IT', viewport: { width: 390, height: 844 } })
  for (const path of PAGES) {
    await small.open(path)
    await small.page.locator('[aria-busy="true"]:visible').first().waitFor({ state: 'detached' })
    t.same(await wcagFaultsInBoth(small.page), [], `${path} (in Italian at 390 px)`)
  }
  const drawer = small.page.getByRole('dialog')
  await small.page.getByRole('button', { name: 'Apri il menu' }).click()
  await drawer.getByRole('link', { name: 'Consegne' }).waitFor()
  t.same(await wcagFaults(small.page, '[role="dialog"]'), [], 'the open menu')
  // a dialog holds the keyboard, and gives it back to where it was
  await small.page.keyboard.press('Escape')
  await drawer.waitFor({ state: 'detached' })
  await small.open('/deliveries?state=dead')
  const asks = small.page.getByRole('button', { name: 'Ritenta tutte queste' })
  await asks.focus()
  await small.page.keyboard.press('Enter')
  await small.page.getByRole('dialog', { name: 'Ritentare l’unica consegna fallita?' }).waitFor()
  t.same(await wcagFaults(small.page, '[role="dialog"]'), [], 'a question on many')
  for (let n = 0; n < 6; n++) {
    await small.page.keyboard.press('Tab')
    t.ok(await small.page.evaluate("document.activeElement.closest('[role=dialog]') !== null"), `Tab ${n + 1} stays in the dialog`)
  }
  await small.page.keyboard.press('Escape')
  await drawer.waitFor({ state: 'detached' })
  await small.page.waitForFunction("document.activeElement.textContent.includes('Ritenta tutte queste')")
  t.same(small.complaints, [])
})
