// The pages that show what happens have no fault that axe-core finds, in both colour schemes.
// Must not wait by the clock.
import { test } from 'tap'
import { launchBrowser, noBrowser, signedIn, wcagFaults } from '../support/browser.ts'
import { busyGateway, HOSTILE_ID } from '../support/busy-gateway.ts'

const PAGES = ['/', '/transfers', `/transfers/${HOSTILE_ID}`, '/deliveries', '/deliveries?state=dead', '/sessions', '/logs', '/nowhere']

test('no page that shows what happens has WCAG faults, in the light or the dark', { skip: noBrowser }, async (t) => {
  const { page, open, complaints } = await signedIn(await launchBrowser(t), await busyGateway(t, 60))
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    for (const path of PAGES) {
      await open(path)
      await page.locator('[aria-busy="true"]:visible').first().waitFor({ state: 'detached' })
      t.same(await wcagFaults(page), [], `${path} (${colorScheme})`)
    }
  }
  t.same(complaints, [])

  const stranger = await (await page.context().browser()!.newContext()).newPage()
  await stranger.goto(page.url())
  await stranger.locator('input[autocomplete="username"]').waitFor()
  for (const colorScheme of ['light', 'dark'] as const) {
    await stranger.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    t.same(await wcagFaults(stranger), [], `the sign-in page (${colorScheme})`)
  }

  await open('/deliveries?state=dead')
  await page.getByRole('button', { name: /^Give up the delivery/ }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Give up' }).waitFor()
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    t.same(await wcagFaults(page, '[role="dialog"]'), [], `a question (${colorScheme})`)
  }
})
