// A listener's thread that dies in the middle of an upload: the service comes back by itself, the file is a partial, nobody else notices.
// Must not look inside the process; the API and the disk tell.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import type { ServiceView } from '../../src/core/views.ts'
import { curlUpload, sftp } from '../support/clients.ts'
import { startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

for (const protocol of ['sftp', 'ftp'] as const) {
  test(`a crash of the ${protocol} thread during an upload leaves a partial, never a published file, and only that service restarts`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'fileflow-crash-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const fuse = join(folder, 'fuse')
    const inbox = join(folder, 'inbox')
    await mkdir(inbox)
    const gateway = await startGateway(t, {
      folder,
      env: { FILEFLOW_TEST_POINT: 'crash', FILEFLOW_TEST_FUSE: fuse, FILEFLOW_THREADS_SFTP: '1', FILEFLOW_THREADS_FTP: '1' },
    })
    await gateway.apply({
      users: [{ username: 'customer1', password: PASSWORD }],
      destinations: [{ name: 'inbox', type: 'local', base_path: inbox }],
      rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'inbox' }] }],
    })
    const content = randomBytes(3_000_000)
    const local = join(folder, 'big.bin')
    await writeFile(local, content)
    await writeFile(fuse, 'upload.written')
    const put = (verb: 'put' | 'resume') =>
      protocol === 'sftp'
        ? sftp(gateway, 'customer1', PASSWORD, [`${verb === 'put' ? 'put' : 'reput'} ${local} big.bin`])
        : curlUpload(gateway, 'customer1', PASSWORD, local, 'big.bin', verb === 'resume')
    t.not((await put('put')).code, 0, 'the partner is not told that it worked')
    const services = async (): Promise<readonly ServiceView[]> => (await gateway.api<{ items: ServiceView[] }>('GET', '/services')).items
    const back = await until('the service is back', async () =>
      (await services()).find((s) => s.name === protocol && s.state === 'running' && s.restarts === 1),
    )
    t.ok(back)
    for (const other of (await services()).filter((s) => s.name !== protocol && s.name !== 'watcher'))
      t.match(other, { state: 'running', restarts: 0 }, `${other.name} was not touched`)
    t.notOk(existsSync(join(gateway.files, 'customer1', 'big.bin')), 'nothing stands under the name')
    await until('the transfer ended as aborted', async () => {
      const [transfer] = await gateway.transfers()
      return transfer?.state === 'aborted'
    })
    t.same(await gateway.api('GET', '/sessions').then((page) => (page as { items: unknown[] }).items), [], 'its session is over')
    t.same(await gateway.deliveries(), [])
    t.ok(
      gateway.log.some((line) => line.event === 'worker.crashed' && /test crash/.test(String(line.error))),
      'the log names the cause',
    )
    const again = await put('resume')
    t.equal(again.code, 0, again.stderr)
    await until('the delivery', async () => (await gateway.deliveries('&state=delivered'))[0])
    t.ok((await readFile(join(inbox, 'big.bin'))).equals(content), 'resumed to the whole file')
    t.same(await readdir(join(gateway.folder, 'data', 'staging')), [])
  })
}

test('who gets the name of a removed account sees nothing of what that one did not finish', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-crash-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const fuse = join(folder, 'fuse')
  const gateway = await startGateway(t, {
    folder,
    env: { FILEFLOW_TEST_POINT: 'crash', FILEFLOW_TEST_FUSE: fuse, FILEFLOW_THREADS_SFTP: '1' },
  })
  await gateway.apply({ users: [{ username: 'customer1', password: PASSWORD }] })
  const local = join(folder, 'secret.bin')
  await writeFile(local, randomBytes(300_000))
  await writeFile(fuse, 'upload.written')
  await sftp(gateway, 'customer1', PASSWORD, [`put ${local} secret.bin`])
  const sees = async () => (await sftp(gateway, 'customer1', PASSWORD, ['ls'])).stdout.includes('secret.bin')
  await until('its own uploader sees it', sees)
  await gateway.api('DELETE', '/users/customer1')
  await gateway.apply({ users: [{ username: 'customer1', password: PASSWORD, home: 'another' }] })
  t.notOk(await sees())
})
