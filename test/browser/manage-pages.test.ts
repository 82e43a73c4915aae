// The pages of set-up and guarding: no fault that axe-core finds in either scheme, nothing over the edge at 390 px, and Italian words.
// Must not wait by the clock.
import { test } from 'tap'
import { keyboardFaults, launchBrowser, layoutFaults, noBrowser, signedIn, wcagFaultsInBoth } from '../support/browser.ts'
import { startGateway } from '../support/gateway.ts'

const STATE = {
  users: [{ username: 'customer1', partner: 'Müller \u202eGmbH', password: 'first-steps-1', mounts: [{ path: '/m', target: '/srv/m' }] }],
  destinations: [
    { name: 'inbox', type: 'local' as const, base_path: '/tmp/fileflow-pages-test' },
    { name: 'hq', type: 'sftp' as const, host: 'files.hq.invalid', username: 'g', password: 'x', host_keys: 'insecure' as const },
  ],
  rules: [
    { name: 'first', source: { path: '/a/**' }, exclude: ['draft-*'], deliver: [{ to: 'inbox' }] },
    { name: 'second', mode: 'shadow' as const, source: { users: ['customer1'], path: '/b/**' }, deliver: [{ to: 'hq' }, { to: 'inbox' }] },
  ],
}

/** Address, English title, Italian title. */
const PAGES = [
  ['/users', 'Users', 'Utenti'],
  ['/users/+new', 'New user', 'Nuovo utente'],
  ['/users/customer1', 'customer1', 'customer1'],
  ['/users/customer1?tab=sheet', 'customer1', 'customer1'],
  ['/destinations', 'Destinations', 'Destinazioni'],
  ['/destinations/+new', 'New destination', 'Nuova destinazione'],
  ['/destinations/hq', 'hq', 'hq'],
  ['/destinations/hq?tab=settings', 'hq', 'hq'],
  ['/rules', 'Rules', 'Regole'],
  ['/rules/+new', 'New rule', 'Nuova regola'],
  ['/rules/second', 'second', 'second'],
  ['/security/bans', 'Security', 'Sicurezza'],
  ['/security/failures', 'Security', 'Sicurezza'],
  ['/security/admins', 'Security', 'Sicurezza'],
  ['/security/tokens', 'Security', 'Sicurezza'],
  ['/security/keys', 'Security', 'Sicurezza'],
  ['/security/me', 'Security', 'Sicurezza'],
  ['/audit', 'Audit', 'Registro delle azioni'],
  ['/settings?only=set', 'Settings', 'Impostazioni'],
] as const

test('the pages of set-up and guarding are for everybody', { skip: noBrowser }, async (t) => {
  const gateway = await startGateway(t)
  await gateway.apply(STATE)
  const browser = await launchBrowser(t)

  await t.test('in English at 1440 px, light and dark', async (t) => {
    const { page, visit, complaints } = await signedIn(browser, gateway)
    for (const [path, title] of PAGES) {
      await visit(path, title)
      t.same(await wcagFaultsInBoth(page), [], path)
      t.same(await keyboardFaults(page), [], `${path}: by keyboard`)
    }
    t.same(complaints, [])
    await page.context().close()
  })

  await t.test('in Italian at 390 px', async (t) => {
    const { page, visit, complaints } = await signedIn(browser, gateway, { locale: 'it-IT', viewport: { width: 390, height: 844 } })
    for (const [path, , title] of PAGES) {
      await visit(path, title)
      t.equal(await page.evaluate('document.documentElement.scrollWidth'), 390, `${path}: nothing runs over the edge`)
      t.same(await layoutFaults(page), [], path)
    }
    await visit('/users', 'Utenti')
    await page.getByText('Müller \\u202eGmbH').waitFor()
    await visit('/settings', 'Impostazioni')
    await page.getByText('la porta SSH; 0 ne sceglie una libera').waitFor()
    t.same(complaints, [])
  })
})
