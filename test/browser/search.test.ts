// Finding one file among very many, whatever it is called.
// Must not wait by the clock.
import { test } from 'tap'
import { launchBrowser, noBrowser, signedIn } from '../support/browser.ts'
import { busyGateway, HOSTILE_ID } from '../support/busy-gateway.ts'

test('one file is found among a hundred thousand, and the list goes on by its cursor', { skip: noBrowser }, async (t) => {
  const gateway = await busyGateway(t, 100_000)
  const { page, open, complaints } = await signedIn(await launchBrowser(t), gateway)

  await t.test('search, filters in the address, paging', async (t) => {
    await open('/transfers')
    const rows = page.getByRole('table', { name: 'Transfers' }).locator('tbody').getByRole('row')
    await page.getByText('50 shown').waitFor()
    await page.getByRole('button', { name: 'Show more' }).click()
    await page.getByText('100 shown').waitFor()
    t.equal(await rows.count(), 100)
    await page.getByLabel('File name or path').fill('file-54321.xml')
    await page.getByText('That is the only one.').waitFor()
    t.match(await rows.innerText(), /file-54321\.xml[\s\S]*customer1[\s\S]*371 KiB/)
    t.match(page.url(), /\?q=file-54321\.xml$/)
    await page.reload()
    await page.getByText('That is the only one.').waitFor()
    await page.getByLabel('File name or path').fill('')
    await page
      .getByRole('textbox', { name: 'User' })
      .or(page.getByRole('searchbox', { name: 'User' }))
      .fill('customer7')
    await page.getByText('50 shown').waitFor()
    await rows.filter({ hasText: 'customer7' }).first().waitFor()
    await page.getByRole('searchbox', { name: 'File name or path' }).fill('nothing is called so')
    await page.getByText('Nothing fits these filters.').waitFor()
  })

  await t.test('a hostile name is text everywhere', async (t) => {
    for (const path of ['/', '/transfers', `/transfers/${HOSTILE_ID}`, '/deliveries?state=dead']) {
      await open(path)
      const name = page.getByText(/\\u202egpj\.exe\\u0007<img src=x onerror=alert\(1\)>\.xml/).first()
      await name.waitFor()
      t.equal(await page.locator('#content img, #content b').count(), 0, path)
    }
    await page.getByText('<b>552</b> it is there\\u202e already').waitFor()
  })
  t.same(complaints, [])
})
