// Renames as arrivals: a folder with its files, killed at every named point, and a temporary name put into place much later.
// Must not simulate: the process really dies, and a new one really starts on what it left.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { t as root, test } from 'tap'
import { connect, RawSftp, statusOf, str, u32, u64 } from '../listeners/sftp/raw-client.ts'
import { sftp } from '../support/clients.ts'
import { until } from '../support/gateway.ts'
import { killed } from '../support/killed.ts'

const PASSWORD = 'correct-horse-battery'

const { folder, start, arm } = await killed(root, { FILEFLOW_THREADS_SFTP: '1', FILEFLOW_FTP_ENABLED: 'false' })
let running = await start()

let stages = 0

/** A user and a destination that no other test has. */
async function stage() {
  const name = `customer${++stages}`
  const inbox = join(folder, `inbox-${name}`)
  await mkdir(inbox)
  const content = randomBytes(70_000)
  const local = join(folder, `${name}.bin`)
  await writeFile(local, content)
  await running.apply({
    users: [{ username: name, password: PASSWORD }],
    destinations: [{ name, type: 'local', base_path: inbox }],
    rules: [{ name, source: { path: '/ready/**', users: [name] }, deliver: [{ to: name, path: '/{path}' }] }],
  })
  return { name, inbox, content, local }
}

const renamedFolders = (files: number) =>
  Array.from({ length: files }, (_, i) => ({ name: `${i < 3 ? '' : 'sub/'}file ${i}`, content: Buffer.from(`content of ${i}`) }))

for (const point of ['rename.committed', 'rename.renamed'] as const) {
  test(`killed at ${point} of a folder's rename into a rule's path, hours after its files came in another session: each file below is forwarded once`, async (t) => {
    const at = await stage()
    const first = running
    // more than one transaction of them
    const files = renamedFolders(220)
    const local = join(folder, `batch-${at.name}`)
    await mkdir(join(local, 'sub'), { recursive: true })
    for (const { name, content } of files) await writeFile(join(local, name), content)
    const came = await sftp(first, at.name, PASSWORD, ['mkdir ready', `put -R ${local} batch`, `put ${at.local} batch/left.tmp`])
    t.equal(came.code, 0, came.stderr)
    t.same(await first.deliveries(`&rule=${at.name}`), [], 'nothing is owed yet')
    await arm(point)
    await sftp(first, at.name, PASSWORD, ['rename batch ready/batch'])
    t.equal(await first.ended, 'SIGKILL')
    const second = await start()
    running = second
    if (!existsSync(join(second.files, at.name, 'ready', 'batch'))) {
      t.same(await second.deliveries(`&rule=${at.name}`), [], 'nothing is owed for a rename that did not happen')
      await until('the spool is empty', async () => (await readdir(join(second.folder, 'data', 'spool'))).length === 0)
      const again = await sftp(second, at.name, PASSWORD, ['rename batch ready/batch'])
      t.equal(again.code, 0, again.stderr)
    }
    const counts = () => second.deliveries(`&rule=${at.name}&state=delivered`)
    await until('all deliveries', async () => (await counts()).length === files.length)
    t.equal((await second.deliveries(`&rule=${at.name}`)).length, files.length, 'one for each, and none for an excluded name')
    for (const { name, content } of files) if (!(await readFile(join(at.inbox, 'batch', name))).equals(content)) t.fail(name)
    t.same((await readdir(join(at.inbox, 'batch'))).length, 4, 'three files, a folder, nothing temporary')
    t.ok(
      (await second.transfers(`&user=${at.name}&q=left.tmp`)).every((transfer) => transfer.path === '/ready/batch/left.tmp'),
      'rows follow the files',
    )
    await until('the spool is empty', async () => (await readdir(join(second.folder, 'data', 'spool'))).length === 0)
    // a file of it goes on to another name: that is found by the name it has now
    const next = await sftp(second, at.name, PASSWORD, ['rename ready/batch/left.tmp ready/batch/right'])
    t.equal(next.code, 0, next.stderr)
    await until('its delivery', async () => (await counts()).length === files.length + 1)
    t.ok((await readFile(join(at.inbox, 'batch', 'right'))).equals(at.content))
  })
}

test('x.filepart renamed to x by another session of a restarted gateway fires once, for x', async (t) => {
  const at = await stage()
  const first = running
  const put = await sftp(first, at.name, PASSWORD, ['mkdir ready', `put ${at.local} ready/x.filepart`])
  t.equal(put.code, 0, put.stderr)
  t.same(await first.deliveries(`&rule=${at.name}`), [], 'a temporary name fires nothing')
  await first.stop()
  const second = await start()
  running = second
  const moved = await sftp(second, at.name, PASSWORD, ['rename ready/x.filepart ready/x'])
  t.equal(moved.code, 0, moved.stderr)
  await until('its delivery', async () => (await second.deliveries(`&rule=${at.name}&state=delivered`)).length === 1)
  t.match(await second.deliveries(`&rule=${at.name}`), [{ path: '/ready/x' }])
  t.equal((await second.deliveries(`&rule=${at.name}`)).length, 1)
  t.same(await readdir(at.inbox), ['x'])
  t.ok((await readFile(join(at.inbox, 'x'))).equals(at.content))
  t.equal((await second.transfers(`&user=${at.name}`)).length, 1, 'one logical file')
})

test("killed after open uploads were renamed into a rule's path: what came is found under the new names, gone on with, and forwarded once", async (t) => {
  const at = await stage()
  const first = running
  t.equal((await sftp(first, at.name, PASSWORD, ['mkdir ready'])).code, 0)
  const client = await connect(first.ports.sftp, { username: at.name, password: PASSWORD })
  const raw = await RawSftp.open(client)
  const begin = async (name: string, content: Buffer) => {
    const { body: handle } = await raw.ask(3, str(name), u32(2 | 8 | 16), u32(0))
    t.equal(statusOf(await raw.ask(6, handle, u64(0), str(content))), 0)
    return handle
  }
  const large = await begin('/large.tmp', at.content.subarray(0, 66_000))
  // nobody was told of it before its rename
  await begin('/small.tmp', at.content.subarray(0, 10))
  for (const name of ['large', 'small']) t.equal(statusOf(await raw.ask(18, str(`/${name}.tmp`), str(`/ready/${name}`))), 0)
  t.same((await first.transfers(`&user=${at.name}&state=open`)).map(({ path }) => path).sort(), ['/ready/large', '/ready/small'])
  await arm('upload.written')
  raw.send(6, large, u64(66_000), str(at.content.subarray(66_000)))
  t.equal(await first.ended, 'SIGKILL')
  const second = await start()
  running = second
  t.same((await second.transfers(`&user=${at.name}`)).map(({ path, state }) => `${path} ${state}`).sort(), [
    '/ready/large aborted',
    '/ready/small aborted',
  ])
  t.same(await readdir(join(second.files, at.name, 'ready')), [], 'nothing half is visible')
  const seen = await sftp(second, at.name, PASSWORD, ['ls -1', 'ls -1 ready'])
  t.match(seen.stdout, /^ready\/? *\nsftp> .*\nready\/large *\nready\/small *\n$/m)
  const again = await sftp(second, at.name, PASSWORD, [`reput ${at.local} ready/large`, `reput ${at.local} ready/small`])
  t.equal(again.code, 0, again.stderr)
  await until('their deliveries', async () => (await second.deliveries(`&rule=${at.name}&state=delivered`)).length === 2)
  for (const name of ['large', 'small']) t.ok((await readFile(join(at.inbox, name))).equals(at.content))
})

test('killed while a file goes to its new name with its edit: the file is there once, forwarded once, and the edit is gone on with there', async (t) => {
  const at = await stage()
  const first = running
  t.equal((await sftp(first, at.name, PASSWORD, ['mkdir ready', `put ${at.local} x`])).code, 0)
  const client = await connect(first.ports.sftp, { username: at.name, password: PASSWORD })
  const raw = await RawSftp.open(client)
  const { body: handle } = await raw.ask(3, str('/x'), u32(2), u32(0))
  t.equal(statusOf(await raw.ask(6, handle, u64(70_000), str('edited'))), 0)
  await arm('rename.renamed')
  raw.send(18, str('/x'), str('/ready/x'))
  t.equal(await first.ended, 'SIGKILL')
  const second = await start()
  running = second
  t.same(await readdir(join(second.files, at.name)), ['ready'])
  await until('its delivery', async () => (await second.deliveries(`&rule=${at.name}&state=delivered`)).length === 1)
  t.ok((await readFile(join(at.inbox, 'x'))).equals(at.content))
  const local = join(folder, 'edited')
  await writeFile(local, Buffer.concat([at.content, Buffer.from('edited')]))
  const again = await sftp(second, at.name, PASSWORD, ['ls -1', `reput ${local} ready/x`])
  t.equal(again.code, 0, again.stderr)
  t.notMatch(again.stdout, /^x/m)
  t.equal((await readFile(join(second.files, at.name, 'ready', 'x'))).subarray(70_000).toString(), 'edited')
})
