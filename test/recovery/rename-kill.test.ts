// Renames as arrivals: a folder with its files, killed at every named point, and a temporary name put into place much later.
// Must not simulate: the process really dies, and a new one really starts on what it left.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { sftp } from '../support/clients.ts'
import { startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

async function stage(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-rename-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const inbox = join(folder, 'inbox')
  await mkdir(inbox)
  const content = randomBytes(70_000)
  const local = join(folder, 'report.bin')
  await writeFile(local, content)
  const fuse = join(folder, 'fuse')
  const start = (point?: string): Promise<TestGateway> =>
    startGateway(t, {
      folder,
      env: { FILEFLOW_THREADS_SFTP: '1', ...(point ? { FILEFLOW_TEST_POINT: point, FILEFLOW_TEST_FUSE: fuse } : {}) },
    })
  const declare = (gateway: TestGateway): Promise<void> =>
    gateway.apply({
      users: [{ username: 'customer1', password: PASSWORD, home: 'shared' }],
      destinations: [{ name: 'inbox', type: 'local', base_path: inbox }],
      rules: [{ name: 'ready', source: { path: '/ready/**' }, deliver: [{ to: 'inbox', path: '/{path}' }] }],
    })
  return { folder, inbox, content, local, fuse, start, declare }
}

const renamedFolders = (files: number) =>
  Array.from({ length: files }, (_, i) => ({ name: `${i < 3 ? '' : 'sub/'}file ${i}`, content: Buffer.from(`content of ${i}`) }))

for (const point of ['rename.committed', 'rename.renamed'] as const) {
  test(`killed at ${point} of a folder's rename into a rule's path, hours after its files came in another session: each file below is forwarded once`, async (t) => {
    const at = await stage(t)
    const first = await at.start(`kill:${point}`)
    await at.declare(first)
    // more than one transaction of them
    const files = renamedFolders(220)
    const local = join(at.folder, 'batch')
    await mkdir(join(local, 'sub'), { recursive: true })
    for (const { name, content } of files) await writeFile(join(local, name), content)
    const came = await sftp(first, 'customer1', PASSWORD, ['mkdir ready', `put -R ${local} batch`, `put ${at.local} batch/left.tmp`])
    t.equal(came.code, 0, came.stderr)
    t.same(await first.deliveries(), [], 'nothing is owed yet')
    await writeFile(at.fuse, '')
    await sftp(first, 'customer1', PASSWORD, ['rename batch ready/batch'])
    t.equal(await first.ended, 'SIGKILL')
    const second = await at.start()
    if (!existsSync(join(second.files, 'shared', 'ready', 'batch'))) {
      t.same(await second.deliveries(), [], 'nothing is owed for a rename that did not happen')
      await until('the spool is empty', async () => (await readdir(join(second.folder, 'data', 'spool'))).length === 0)
      const again = await sftp(second, 'customer1', PASSWORD, ['rename batch ready/batch'])
      t.equal(again.code, 0, again.stderr)
    }
    const counts = () => second.deliveries('&state=delivered')
    await until('all deliveries', async () => (await counts()).length === files.length)
    t.equal((await second.deliveries()).length, files.length, 'one for each, and none for an excluded name')
    for (const { name, content } of files) if (!(await readFile(join(at.inbox, 'batch', name))).equals(content)) t.fail(name)
    t.same((await readdir(join(at.inbox, 'batch'))).length, 4, 'three files, a folder, nothing temporary')
    t.ok(
      (await second.transfers('&q=left.tmp')).every((transfer) => transfer.path === '/ready/batch/left.tmp'),
      'rows follow the files',
    )
    await until('the spool is empty', async () => (await readdir(join(second.folder, 'data', 'spool'))).length === 0)
    // a file of it goes on to another name: that is found by the name it has now
    const next = await sftp(second, 'customer1', PASSWORD, ['rename ready/batch/left.tmp ready/batch/right'])
    t.equal(next.code, 0, next.stderr)
    await until('its delivery', async () => (await counts()).length === files.length + 1)
    t.ok((await readFile(join(at.inbox, 'batch', 'right'))).equals(at.content))
    await second.stop()
  })
}

test('x.filepart renamed to x by another session of a restarted gateway fires once, for x', async (t) => {
  const at = await stage(t)
  const first = await at.start()
  await at.declare(first)
  const put = await sftp(first, 'customer1', PASSWORD, ['mkdir ready', `put ${at.local} ready/x.filepart`])
  t.equal(put.code, 0, put.stderr)
  t.same(await first.deliveries(), [], 'a temporary name fires nothing')
  await first.stop()
  const second = await at.start()
  const moved = await sftp(second, 'customer1', PASSWORD, ['rename ready/x.filepart ready/x'])
  t.equal(moved.code, 0, moved.stderr)
  await until('its delivery', async () => (await second.deliveries('&state=delivered')).length === 1)
  t.match(await second.deliveries(), [{ path: '/ready/x' }])
  t.equal((await second.deliveries()).length, 1)
  t.same(await readdir(at.inbox), ['x'])
  t.ok((await readFile(join(at.inbox, 'x'))).equals(at.content))
  t.equal((await second.transfers()).length, 1, 'one logical file')
  await second.stop()
})
