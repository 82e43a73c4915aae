// What counts for a quota after the process died between an act and its row, and after somebody changed files by hand.
// Must not simulate: the process really dies, and a new one really starts on what it left.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { UserView } from '../../src/core/views.ts'
import { sftp } from '../support/clients.ts'
import { fileflow, startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const SIZE = 70_000

async function stage(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-quota-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const local = join(folder, 'file')
  await writeFile(local, randomBytes(SIZE))
  const fuse = join(folder, 'fuse')
  const own = join(folder, 'own')
  const common = join(folder, 'common')
  for (const each of [own, common]) await mkdir(each)
  const start = (point?: string): Promise<TestGateway> =>
    startGateway(t, { folder, env: point ? { FILEFLOW_TEST_POINT: 'kill', FILEFLOW_TEST_FUSE: fuse } : {} })
  const declare = (gateway: TestGateway): Promise<void> =>
    gateway.apply({
      users: [
        {
          username: 'u',
          password: PASSWORD,
          quota: { bytes: 1_000_000, files: 100 },
          mounts: [
            { path: '/own', target: own },
            { path: '/common', target: common },
          ],
        },
        { username: 'v', password: PASSWORD, home: 'both', quota: { files: 5 }, mounts: [{ path: '/common', target: common }] },
        { username: 'w', password: PASSWORD, home: 'both' },
      ],
    })
  const usage = async (gateway: TestGateway) => (await gateway.api<UserView>('GET', '/users/u')).usage
  const says = (gateway: TestGateway, files: number, bytes: number) =>
    until(`${files} files of ${bytes}`, async () => {
      const now = await usage(gateway)
      return now.files === files && now.bytes === bytes
    })
  return { folder, local, fuse, own, common, start, declare, usage, says }
}

for (const [point, command, left] of [
  ['remove.removed', 'rm a', 1],
  ['rename.renamed', 'rename a b', 1],
  ['upload.committed', 'put LOCAL c', 3],
] as const) {
  test(`killed at ${point}: what counts for the quota is what lies on the disk soon after the next start`, async (t) => {
    const s = await stage(t)
    const first = await s.start(point)
    await s.declare(first)
    const put = await sftp(first, 'u', PASSWORD, [`put ${s.local} a`, `put ${s.local} b`])
    t.equal(put.code, 0, put.stderr)
    t.same(await s.usage(first), { files: 2, bytes: 2 * SIZE })
    await writeFile(s.fuse, point)
    await sftp(first, 'u', PASSWORD, [command.replace('LOCAL', s.local)])
    t.equal(await first.ended, 'SIGKILL')
    const second = await s.start()
    await s.says(second, left, left * SIZE)
    t.match(await second.api('GET', '/audit/verify'), { ok: true })
    await second.stop()
  })
}

test('files that somebody put or removed by hand count once they were counted; what others reach, too, counts for nobody, and links lead nowhere', async (t) => {
  const s = await stage(t)
  const gateway = await s.start()
  await s.declare(gateway)
  const home = join(gateway.files, 'u')
  await until('the home', () => existsSync(home))
  await mkdir(join(home, 'deep/er'), { recursive: true })
  await writeFile(join(home, 'deep/er/x'), 'abc')
  await writeFile(join(s.own, 'y'), 'de')
  await writeFile(join(s.common, 'z'), 'not counted')
  await sftp(gateway, 'u', PASSWORD, ['ln -s /common/z link', 'mkdir empty'])
  const recount = async (who: string) => fileflow(['user', 'recount', who], { cwd: s.folder })
  t.match(await recount('u'), { code: 0, stdout: 'u has 2 files of 5 bytes.\n' })
  t.same(await s.usage(gateway), { files: 2, bytes: 5 })
  await rm(join(home, 'deep/er/x'))
  t.match(await recount('u'), { code: 0, stdout: 'u has 1 files of 2 bytes.\n' })
  t.match(await recount('v'), { code: 1, stderr: /also reached by w/ })
  t.match(await recount('nobody'), { code: 1, stderr: /no user nobody/ })
  const rows = await gateway.api<{ items: { actor: string; detail: unknown }[] }>('GET', '/audit?action=user.recount')
  t.match(rows.items, [{ detail: { files: 1, bytes: 2, was: { files: 2, bytes: 5 } } }, { detail: { files: 2, bytes: 5 } }])
  await gateway.stop()
})

test('what partners upload and remove while it is counted is not lost', async (t) => {
  const s = await stage(t)
  const gateway = await s.start()
  await s.declare(gateway)
  const commands = Array.from({ length: 40 }, (_, i) => [`put ${s.local} f${i % 7}`, ...(i % 3 ? [] : [`rm f${i % 7}`])]).flat()
  const busy = sftp(gateway, 'u', PASSWORD, commands)
  for (let i = 0; i < 4; i++) await gateway.api('POST', '/users/u/recount')
  t.equal((await busy).code, 0)
  const { files, bytes } = await gateway.api<{ files: number; bytes: number }>('POST', '/users/u/recount')
  t.equal(bytes, files * SIZE)
  t.same(await gateway.api('POST', '/users/u/recount'), { files, bytes })
  const listed = await sftp(gateway, 'u', PASSWORD, ['ls -1 f*'])
  t.equal(listed.stdout.split('\n').filter((line) => /^f\d$/.test(line)).length, files)
  await gateway.stop()
})
