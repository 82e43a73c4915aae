// data_dir and storage_root are elsewhere when the gateway starts again after a kill: what was acknowledged is there, and is sent once.
// Must not simulate: the process really dies, and the folders are really moved or copied.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { test } from 'tap'
import { sftp } from '../support/clients.ts'
import { startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
/** What no test here uses, and each start would make. */
const LESS = { FILEFLOW_FTP_ENABLED: 'false', FILEFLOW_THREADS_SFTP: '1' }

for (const [point, how, quota, storage] of [
  ['upload.committed', 'moved', false, 'inside'],
  ['upload.committed', 'copied', true, 'apart'],
  ['upload.renamed', 'moved', true, 'inside'],
  ['rename.renamed', 'copied', false, 'inside'],
  ['rename.committed', 'moved', false, 'apart'],
  ['upload.committed', 'moved behind a link', false, 'inside'],
  ['upload.renamed', 'moved behind a link', true, 'apart'],
] as const) {
  test(`killed at ${point}, then all folders are ${how} (storage_root ${storage}, ${quota ? 'with' : 'without'} quota): the file is whole, sent once, and its name is known`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'fileflow-moved-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const [inbox, old, next, fuse, local] = ['inbox', 'old', 'next', 'fuse', 'local'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
      string,
      string,
    ]
    for (const each of [inbox, old]) await mkdir(each)
    const content = randomBytes(70_000)
    await writeFile(local, content)
    const files = (at: string): string => join(at, storage === 'inside' ? 'data/files' : 'homes')
    const start = (at: string, env: NodeJS.ProcessEnv = {}) =>
      startGateway(t, { folder: at, env: { ...LESS, FILEFLOW_STORAGE_ROOT: files(at), ...env } })
    const first = await start(old, { FILEFLOW_TEST_POINT: 'kill', FILEFLOW_TEST_FUSE: fuse })
    await first.apply({
      users: [{ username: 'u', password: PASSWORD, directories: ['/out'], ...(quota ? { quota: { files: 100 } } : {}) }],
      destinations: [{ name: 'inbox', type: 'local', base_path: inbox }],
      rules: [{ name: 'r', source: { path: '/out/**' }, deliver: [{ to: 'inbox', path: '/{filename}' }] }],
    })
    const before = await sftp(first, 'u', PASSWORD, [`put ${local} early`])
    t.equal(before.code, 0, before.stderr)
    await writeFile(fuse, point)
    await sftp(
      first,
      'u',
      PASSWORD,
      point.startsWith('upload') ? [`put ${local} out/file`] : [`put ${local} file.part`, 'rename file.part out/file'],
    )
    t.equal(await first.ended, 'SIGKILL')
    if (how !== 'copied') await rename(old, next)
    else {
      execFileSync('cp', ['-a', old, next])
      await rm(old, { recursive: true })
    }
    if (how === 'moved behind a link') await symlink(next, old)
    const second = await start(how === 'moved behind a link' ? old : next)
    if (point === 'rename.committed') t.equal((await sftp(second, 'u', PASSWORD, ['rename file.part out/file'])).code, 0)
    await until('the delivery', async () => (await second.deliveries()).some(({ state }) => state === 'delivered'))
    t.ok((await readFile(join(files(next), 'u/out/file'))).equals(content), 'it stands under its name')
    t.equal((await sftp(second, 'u', PASSWORD, ['rename early out/early'])).code, 0)
    await until('its delivery', async () => (await second.deliveries('&state=delivered')).length === 2)
    t.equal((await second.deliveries()).length, 2)
    t.same((await readdir(inbox)).sort(), ['early', 'file'])
    for (const name of ['early', 'file']) t.ok((await readFile(join(inbox, name))).equals(content), name)
    await until('the spool is empty', async () => (await readdir(join(next, 'data/spool'))).length === 0)
    t.same(await readdir(join(next, 'data/staging')), [])
    t.ok(second.log.some(({ event }) => event === 'roots.moved'))
    await second.stop()
  })
}

test('a storage_root that is another one while the files stayed where they were is said, with what to do, and nothing on record is touched', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-left-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const local = join(folder, 'local')
  await writeFile(local, 'content')
  const start = (root: string) => startGateway(t, { folder, env: { ...LESS, FILEFLOW_STORAGE_ROOT: join(folder, root) } })
  const first = await start('one')
  await first.apply({ users: [{ username: 'u', password: PASSWORD }] })
  t.equal((await sftp(first, 'u', PASSWORD, [`put ${local} a`])).code, 0)
  await first.stop()
  const second = await start('two')
  t.ok(second.log.some(({ event, msg }) => event === 'roots.left_behind' && msg.includes(join(folder, 'one'))))
  t.notOk(second.log.some(({ event }) => event === 'roots.moved'))
  await second.stop()
})

test('a file waits for its destination when data_dir is named by another way to the same folder, by a version that noted none: its content stays', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-alias-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const [next, inbox, local] = ['next', 'inbox', 'local'].map((name) => join(folder, name)) as [string, string, string]
  await mkdir(inbox)
  await writeFile(local, 'content')
  const first = await startGateway(t, { folder, env: LESS })
  await first.apply({
    users: [{ username: 'u', password: PASSWORD }],
    destinations: [{ name: 'inbox', type: 'local', base_path: inbox }],
    rules: [{ name: 'r', source: { path: '/**' }, deliver: [{ to: 'inbox', path: '/{filename}' }] }],
  })
  await first.api('POST', '/services/forwarder/stop')
  t.equal((await sftp(first, 'u', PASSWORD, [`put ${local} a`])).code, 0)
  t.equal((await readdir(join(folder, 'data/spool'))).length, 1)
  await first.stop()
  await rename(join(folder, 'data'), next)
  await symlink(next, join(folder, 'data'))
  const db = new SqliteDatabase(join(next, 'fileflow.db'))
  db.exec('DELETE FROM roots')
  db.close()
  const second = await startGateway(t, { folder, env: { ...LESS, FILEFLOW_DATA_DIR: next, FILEFLOW_STORAGE_ROOT: join(next, 'files') } })
  t.notOk(second.log.some(({ event }) => event === 'recover.orphan'))
  await until('the delivery', async () => (await readdir(inbox)).length === 1)
  await second.stop()
})
