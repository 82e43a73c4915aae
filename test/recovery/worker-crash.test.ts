// A listener's thread that dies in the middle of an upload: the service comes back by itself, the file is a partial, nobody else notices.
// Must not look inside the process; the API and the disk tell.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t as root, test } from 'tap'
import type { ServiceView } from '../../src/core/views.ts'
import { curlUpload, sftp } from '../support/clients.ts'
import { startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

const folder = await mkdtemp(join(tmpdir(), 'fileflow-crash-'))
root.teardown(() => rm(folder, { recursive: true, force: true }))
/** Which point is live, while it is there. */
const fuse = join(folder, 'fuse')
/** One for all tests of this file, each with a user of its own. */
const gateway = await startGateway(root, {
  folder,
  env: { FILEFLOW_TEST_POINT: 'crash', FILEFLOW_TEST_FUSE: fuse, FILEFLOW_THREADS_SFTP: '1', FILEFLOW_THREADS_FTP: '1' },
})

for (const protocol of ['sftp', 'ftp'] as const) {
  test(`a crash of the ${protocol} thread during an upload leaves a partial, never a published file, and only that service restarts`, async (t) => {
    const user = `by-${protocol}`
    const inbox = join(folder, user)
    await mkdir(inbox)
    await gateway.apply({
      users: [{ username: user, password: PASSWORD }],
      destinations: [{ name: user, type: 'local', base_path: inbox }],
      rules: [{ name: user, source: { path: '/**', users: [user] }, deliver: [{ to: user }] }],
    })
    const content = randomBytes(3_000_000)
    const local = join(folder, 'big.bin')
    await writeFile(local, content)
    await writeFile(fuse, 'upload.written')
    const put = (verb: 'put' | 'resume') =>
      protocol === 'sftp'
        ? sftp(gateway, user, PASSWORD, [`${verb === 'put' ? 'put' : 'reput'} ${local} big.bin`])
        : curlUpload(gateway, user, PASSWORD, local, 'big.bin', verb === 'resume')
    const services = async (): Promise<readonly ServiceView[]> => (await gateway.api<{ items: ServiceView[] }>('GET', '/services')).items
    const before = new Map((await services()).map(({ name, restarts }) => [name, restarts]))
    t.not((await put('put')).code, 0, 'the partner is not told that it worked')
    const back = await until('the service is back', async () =>
      (await services()).find((s) => s.name === protocol && s.state === 'running' && s.restarts === before.get(protocol)! + 1),
    )
    t.ok(back)
    for (const other of (await services()).filter((s) => s.name !== protocol && s.name !== 'watcher'))
      t.match(other, { state: 'running', restarts: before.get(other.name) }, `${other.name} was not touched`)
    t.notOk(existsSync(join(gateway.files, user, 'big.bin')), 'nothing stands under the name')
    await until('the transfer ended as aborted', async () => {
      const [transfer] = await gateway.transfers(`&user=${user}`)
      return transfer?.state === 'aborted'
    })
    t.same(await gateway.api('GET', '/sessions').then((page) => (page as { items: unknown[] }).items), [], 'its session is over')
    t.same(await gateway.deliveries(`&rule=${user}`), [])
    t.ok(
      gateway.log.some((line) => line.event === 'worker.crashed' && /test crash/.test(String(line.error))),
      'the log names the cause',
    )
    const again = await put('resume')
    t.equal(again.code, 0, again.stderr)
    await until('the delivery', async () => (await gateway.deliveries(`&rule=${user}&state=delivered`))[0])
    t.ok((await readFile(join(inbox, 'big.bin'))).equals(content), 'resumed to the whole file')
    t.same(await readdir(join(gateway.folder, 'data', 'staging')), [])
  })
}

test('who gets the name of a removed account sees nothing of what that one did not finish', async (t) => {
  await gateway.apply({ users: [{ username: 'customer1', password: PASSWORD }] })
  const local = join(folder, 'secret.bin')
  await writeFile(local, randomBytes(300_000))
  await writeFile(fuse, 'upload.written')
  t.not((await sftp(gateway, 'customer1', PASSWORD, [`put ${local} secret.bin`])).code, 0)
  const sees = async () => (await sftp(gateway, 'customer1', PASSWORD, ['ls'])).stdout.includes('secret.bin')
  await until('its own uploader sees it', sees)
  await gateway.api('DELETE', '/users/customer1')
  await gateway.apply({ users: [{ username: 'customer1', password: PASSWORD, home: 'another' }] })
  t.notOk(await sees())
})
