// What an admin sets up by hand in a real browser: a destination, a user, a rule. Proven by a partner's file that arrives at a real OpenSSH server.
// Must not set anything up by another way.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { parsePublicKey } from '../../src/accounts/public-keys.ts'
import { launchBrowser, noBrowser, signedIn } from '../support/browser.ts'
import { lftp } from '../support/clients.ts'
import { startFarSshd } from '../support/far-sshd.ts'
import { startGateway, until } from '../support/gateway.ts'
import { sshKeyPair } from '../support/ssh-keys.ts'

test('a manager sets up a partner, a destination and a rule without a shell, and the file arrives', { skip: noBrowser }, async (t) => {
  const far = await startFarSshd(t)
  const gateway = await startGateway(t)
  const { page, open, complaints } = await signedIn(await launchBrowser(t), gateway)
  const button = (name: string | RegExp) => page.getByRole('button', { name })
  const field = (name: string) => page.getByLabel(name, { exact: true })

  await t.test('a host key is fetched, shown, and trusted only by a click; the test says each step', async (t) => {
    await open('/destinations')
    await page.getByText('There is no destination yet.').waitFor()
    await button('New destination').first().click()
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('hq')
    await page.getByRole('textbox', { name: 'Host', exact: true }).fill(far.host)
    await page.getByRole('textbox', { name: 'Port', exact: true }).fill(String(far.port))
    await page.getByRole('textbox', { name: 'Username', exact: true }).fill(far.username)
    await field('Private key').fill(far.privateKey)
    await field('Base folder').fill(far.root)
    await button('Create').click()
    await page.getByRole('alert').filter({ hasText: 'host_keys is missing' }).waitFor()
    await button('Fetch the host keys').click()
    await page.getByText(far.rsaFingerprint).waitFor()
    t.equal(await page.getByLabel('Host key fingerprints: 1').count(), 0, 'nothing is trusted by itself')
    await button(`Trust this key: ${far.fingerprint}`).click()
    await page.getByText('Trusted', { exact: true }).waitFor()
    await button('Create').click()
    await page.getByRole('heading', { level: 1, name: 'hq' }).waitFor()
    await button('Test now').click()
    await page.getByText('Everything worked.').waitFor()
    t.match(await page.locator('.steps').innerText(), /Connect[\s\S]*Log in[\s\S]*Write a file[\s\S]*Verify it[\s\S]*Remove it/)
  })

  await t.test('a stored secret is never shown, and stays when something else is changed', async (t) => {
    await page.getByRole('tab', { name: 'Settings' }).click()
    t.equal(await field('Private key').inputValue(), '')
    await field('Connections at a time').fill('2')
    await button('Save').click()
    await page.getByText('hq was saved.').waitFor()
    t.match(await gateway.api('GET', '/destinations/hq'), { max_connections: 2, has_private_key: true })
    await field('Connections at a time').fill('many')
    await button('Save').click()
    await page.getByRole('alert').filter({ hasText: 'max_connections' }).waitFor()
  })

  await t.test('a user gets a password, a key and permissions, and its partner a sheet without secrets', async (t) => {
    const key = sshKeyPair('ed25519', undefined, 'erp@partner')
    await open('/users/+new')
    await page.getByRole('textbox', { name: 'Username', exact: true }).fill('customer1')
    await field('Partner (organisation)').fill('Customer \u202eOne')
    await page.getByLabel('Password', { exact: true }).fill('correct-horse-battery')
    await field('Add a key').fill('ssh-ed25519 nonsense')
    await button('Add a key').click()
    await page.getByRole('alert').filter({ hasText: 'base64' }).waitFor()
    await field('Add a key').fill(key.public)
    await button('Add a key').click()
    await page.getByText(/erp@partner/).waitFor()
    await button('Add a folder').click()
    await page.keyboard.type('/outgoing')
    await button('Add a path').click()
    await page.getByLabel('Path', { exact: true }).last().fill('/reports')
    t.equal(await page.getByLabel('Kind').last().inputValue(), 'read')
    await button('Create').click()
    await page.getByText('customer1 was created.').waitFor()
    const sheet = page.locator('.sheet-text')
    await sheet.filter({ hasText: 'SHA256:' }).waitFor()
    const text = await sheet.innerText()
    t.match(text, new RegExp(`sftp -P ${gateway.ports.sftp} customer1@127\\.0\\.0\\.1`))
    t.match(text, new RegExp(`ftpes://customer1@127\\.0\\.0\\.1:${gateway.ports.ftp}`))
    t.notMatch(text, /correct-horse/)
    const user = await gateway.api<{ permissions: object[]; directories: string[]; key_fingerprints: string[] }>('GET', '/users/customer1')
    t.match(user, { directories: ['/outgoing'], permissions: [{ path: '/' }, { path: '/reports', allow: ['list', 'download'] }] })
    t.equal(user.key_fingerprints.length, 1)
  })

  await t.test('a rule shows what it would do while it is written', async () => {
    await open('/rules/+new')
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('customer1-to-hq')
    await page.getByRole('textbox', { name: 'Path pattern', exact: true }).fill('/outgoing/*.xml')
    await page.getByRole('combobox', { name: 'Destination', exact: true }).selectOption('hq')
    await field('Remote name').fill('/in/{user}/')
    await button('Insert {filename}').click()
    const preview = page.locator('.builder-side')
    await preview.getByLabel('User', { exact: true }).fill('customer1')
    await preview.getByLabel('Path', { exact: true }).fill('/outgoing/a.txt')
    await preview.getByText('the path does not match /outgoing/*.xml').waitFor()
    await preview.getByLabel('Path', { exact: true }).fill('/outgoing/a.xml')
    await preview.locator('.preview-hit').filter({ hasText: 'in/customer1/a.xml' }).waitFor()
    await button('Create').click()
    await page.getByText('customer1-to-hq was created.').waitFor()
    await page.getByRole('table', { name: 'Rules' }).getByText('/in/{user}/{filename}').waitFor()
  })

  await t.test('a partner’s file goes where the rule says', async (t) => {
    const file = join(gateway.folder, 'a.xml')
    await writeFile(file, '<invoice/>')
    t.match(await lftp(gateway, 'customer1', 'correct-horse-battery', [`put ${file} -o /outgoing/a.xml`]), { code: 0 })
    await until('it is there', () => readFile(join(far.root, 'in/customer1/a.xml'), 'utf8').catch(() => null))
    await open('/destinations/hq')
    await page.getByText('Working', { exact: true }).waitFor()
    await page.getByText('Delivered', { exact: true }).nth(1).waitFor()
  })

  await t.test('what lies on the disk is counted anew by a click, which says what it found', async (t) => {
    await writeFile(join(gateway.files, 'customer1/outgoing/by-hand.bin'), Buffer.alloc(2048))
    await open('/users/customer1')
    await button('Recount').click()
    await page.getByText('Counted on the disk: 2 files, 2.0 KiB.').waitFor()
    await page.locator('.usage').filter({ hasText: '2 files' }).waitFor()
    await rm(join(gateway.files, 'customer1/outgoing/by-hand.bin'))
    t.match(await gateway.api('GET', '/audit?action=user.recount'), {
      items: [{ actor: 'admin', object: 'customer1', detail: { files: 2 } }],
    })
  })

  await t.test('a changed rule is compared with what really came, before it is saved', async (t) => {
    await open('/rules/customer1-to-hq')
    await page.getByRole('textbox', { name: 'Path pattern', exact: true }).fill('/outgoing/*.csv')
    await button('Compare').click()
    await page.getByText('Would no longer be delivered: 1').waitFor()
    await page.getByRole('textbox', { name: 'Path pattern', exact: true }).fill('/outgoing/*')
    await button('Compare').click()
    await page.getByText('Nothing would be different.').waitFor()
    t.match(await gateway.api('GET', '/rules/customer1-to-hq'), { source: { path: '/outgoing/*.xml' } }, 'comparing saves nothing')
  })

  await t.test('deleting a user asks for its name, and nothing less', async (t) => {
    await open('/users/customer1')
    await button('Delete all files').click()
    const dialog = page.getByRole('dialog')
    t.ok(await dialog.getByRole('button', { name: 'Delete all files' }).isDisabled())
    await dialog.getByLabel('Type customer1 to confirm').fill('customer1')
    await dialog.getByRole('button', { name: 'Delete all files' }).click()
    await page.getByText('1 file was deleted (10 B).').waitFor()
    await button('Delete').last().click()
    await page.getByRole('dialog').getByLabel('Type customer1 to confirm').fill('customer1')
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByText('There is no user yet.').waitFor()
  })

  await t.test('what was deleted comes back by one click, at once or a while later, with what nobody can read again', async (t) => {
    const before = { has_password: true, key_fingerprints: [String] }
    const said = page.getByRole('alert').filter({ hasText: 'customer1 was deleted.' })
    await said.getByRole('button', { name: 'Undo' }).click()
    await page.getByRole('table', { name: 'Users' }).getByText('customer1').waitFor()
    t.match(await gateway.api('GET', '/users/customer1'), before)

    await gateway.api('DELETE', '/users/customer1')
    await page.reload()
    await button('Restore customer1').click()
    await page.getByText('customer1 is back, as it was.').waitFor()
    await page.getByRole('table', { name: 'Users' }).getByText('customer1').waitFor()
    t.match(await lftp(gateway, 'customer1', 'correct-horse-battery', ['cls -1 /']), { code: 0, stdout: /outgoing/ })

    await open('/rules/customer1-to-hq')
    await button('Delete').click()
    await page.getByRole('dialog').getByText('For 30 minutes it can be restored').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByText('There is no rule yet.').waitFor()
    await open('/destinations/hq?tab=settings')
    await button('Delete').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('alert').filter({ hasText: 'hq was deleted.' }).getByRole('button', { name: 'Undo' }).click()
    await page.getByText('It was taken back.').waitFor()
    await open('/destinations/hq')
    await button('Test now').click()
    await page.getByText('Everything worked.').waitFor()
    await open('/rules')
    await button('Restore customer1-to-hq').click()
    await page.getByRole('table', { name: 'Rules' }).getByText('customer1-to-hq').waitFor()
  })

  await t.test(
    'a server that comes to show another host key gets nothing; the page names both keys, and the new one is trusted by a click',
    async (t) => {
      const other = sshKeyPair('ed25519')
      const shown = parsePublicKey(other.public).fingerprint
      await writeFile(join(far.root, '../host_ed25519'), other.private)
      process.kill(far.process.pid, 'SIGHUP')
      await until('the server has read its key again', async () => far.process.output().split('Server listening').length > 2)
      await rm(join(far.root, 'in'), { recursive: true })
      const file = join(gateway.folder, 'a.xml')
      t.match(await lftp(gateway, 'customer1', 'correct-horse-battery', [`put ${file} -o /outgoing/b.xml`]), { code: 0 })
      await open('/destinations/hq')
      const history = page.getByRole('region', { name: 'Health history' })
      await history.getByText('Does not take files').waitFor()
      for (const key of [far.fingerprint, shown]) await history.getByText(key).waitFor()
      t.notOk((await readdir(far.root)).includes('in'), 'nothing was written there')
      await page.getByRole('tab', { name: 'Settings' }).click()
      await button('Fetch the host keys').click()
      await button(`Trust this key: ${shown}`).click()
      await button('Save').click()
      await page.getByText('hq was saved.').waitFor()
      await gateway.api('POST', '/deliveries/retry', { destination: 'hq' })
      await until('it is there', () => readFile(join(far.root, 'in/customer1/b.xml'), 'utf8').catch(() => null))
    },
  )
  t.same(complaints, [])
})
