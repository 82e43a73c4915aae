// A burst of 10,000 files in a watched folder, with kill -9 in the midst of it.
// Must not rely on how long it takes.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { startGateway, until } from '../support/gateway.ts'

test('a burst of 10,000 files is taken in whole though the gateway is killed in the midst of it: each file once', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-burst-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const out = join(folder, 'out')
  await mkdir(out)
  // what is synced to the disk when is the other tests' matter
  const env = {
    FILEFLOW_FTP_ENABLED: 'false',
    FILEFLOW_SFTP_ENABLED: 'false',
    FILEFLOW_UPLOADS_SETTLE: '100ms',
    FILEFLOW_UPLOADS_DURABILITY: 'process',
  }
  const first = await startGateway(t, { folder, env })
  await first.apply({
    destinations: [{ name: 'here', type: 'local', base_path: join(folder, 'into'), enabled: false }],
    rules: [{ name: 'outbox', source: { watch: out, path: '**' }, deliver: [{ to: 'here' }] }],
  })
  const names = Array.from({ length: 10_000 }, (_, i) => `burst/${i % 10}/${i}.txt`)
  for (let i = 0; i < 10; i++) await mkdir(join(out, `burst/${i}`), { recursive: true })
  for (const name of names.slice(0, 5000)) await writeFile(join(out, name), name)
  await until('some are taken in', async () => (await readdir(join(folder, 'data', 'spool'))).length > 100)
  first.kill('SIGKILL')
  await first.ended
  const second = await startGateway(t, { folder, env })
  for (const name of names.slice(5000)) await writeFile(join(out, name), name)
  const waiting = async () => (await second.api<{ queue: { pending: number } }>('GET', '/stats')).queue.pending
  await until('all are taken in', async () => (await waiting()) >= 10_000, 600_000)
  t.equal(await waiting(), 10_000)
  await second.stop()
  t.equal((await readdir(join(folder, 'data', 'spool'))).length, 10_000, 'one copy each')
})
