// What counts for a quota after the process died between an act and its row, and after somebody changed files by hand.
// Must not simulate: the process really dies, and a new one really starts on what it left.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { t as root, test } from 'tap'
import type { UserView } from '../../src/core/views.ts'
import { sftp } from '../support/clients.ts'
import { fileflow, until } from '../support/gateway.ts'
import { killed } from '../support/killed.ts'

const PASSWORD = 'correct-horse-battery'
const SIZE = 70_000

const { folder, start, arm } = await killed(root, { FILEFLOW_FTP_ENABLED: 'false' })
const local = join(folder, 'file')
await writeFile(local, randomBytes(SIZE))
let running = await start()

let stages = 0

/** Users and folders that no other test has. */
async function stage() {
  const [u, v, w] = ['u', 'v', 'w'].map((letter) => `${letter}${stages}`) as [string, string, string]
  const [own, common] = ['own', 'common'].map((name) => join(folder, `${name}${stages}`)) as [string, string]
  for (const each of [own, common]) await mkdir(each)
  const both = `both${stages++}`
  await running.apply({
    users: [
      {
        username: u,
        password: PASSWORD,
        quota: { bytes: 1_000_000, files: 100 },
        mounts: [
          { path: '/own', target: own },
          { path: '/common', target: common },
        ],
      },
      { username: v, password: PASSWORD, home: both, quota: { files: 5 }, mounts: [{ path: '/common', target: common }] },
      { username: w, password: PASSWORD, home: both },
    ],
  })
  const usage = async () => (await running.api<UserView>('GET', `/users/${u}`)).usage
  const says = (files: number, bytes: number) =>
    until(`${files} files of ${bytes}`, async () => {
      const now = await usage()
      return now.files === files && now.bytes === bytes
    })
  return { u, v, w, own, common, usage, says }
}

for (const [point, command, left] of [
  ['remove.removed', 'rm a', 1],
  ['rename.renamed', 'rename a b', 1],
  ['upload.committed', 'put LOCAL c', 3],
] as const) {
  test(`killed at ${point}: what counts for the quota is what lies on the disk soon after the next start`, async (t) => {
    const s = await stage()
    const put = await sftp(running, s.u, PASSWORD, [`put ${local} a`, `put ${local} b`])
    t.equal(put.code, 0, put.stderr)
    t.same(await s.usage(), { files: 2, bytes: 2 * SIZE })
    await arm(point)
    await sftp(running, s.u, PASSWORD, [command.replace('LOCAL', local)])
    t.equal(await running.ended, 'SIGKILL')
    running = await start()
    await s.says(left, left * SIZE)
    t.match(await running.api('GET', '/audit/verify'), { ok: true })
  })
}

test('files that somebody put or removed by hand count once they were counted; what others reach, too, counts for nobody, and links lead nowhere', async (t) => {
  const s = await stage()
  const gateway = running
  const home = join(gateway.files, s.u)
  await until('the home', () => existsSync(home))
  await mkdir(join(home, 'deep/er'), { recursive: true })
  await writeFile(join(home, 'deep/er/x'), 'abc')
  await writeFile(join(s.own, 'y'), 'de')
  await writeFile(join(s.common, 'z'), 'not counted')
  await sftp(gateway, s.u, PASSWORD, ['ln -s /common/z link', 'mkdir empty'])
  const recount = async (who: string) => fileflow(['user', 'recount', who], { cwd: folder })
  t.match(await recount(s.u), { code: 0, stdout: `${s.u} has 2 files of 5 bytes.\n` })
  t.same(await s.usage(), { files: 2, bytes: 5 })
  await rm(join(home, 'deep/er/x'))
  t.match(await recount(s.u), { code: 0, stdout: `${s.u} has 1 files of 2 bytes.\n` })
  t.match(await recount(s.v), { code: 1, stderr: new RegExp(`also reached by ${s.w}`) })
  t.match(await recount('nobody'), { code: 1, stderr: /no user nobody/ })
  const rows = await gateway.api<{ items: { actor: string; detail: unknown }[] }>('GET', '/audit?action=user.recount')
  t.match(rows.items, [{ detail: { files: 1, bytes: 2, was: { files: 2, bytes: 5 } } }, { detail: { files: 2, bytes: 5 } }])
})

test('what partners upload and remove while it is counted is not lost', async (t) => {
  const s = await stage()
  const gateway = running
  const commands = Array.from({ length: 40 }, (_, i) => [`put ${local} f${i % 7}`, ...(i % 3 ? [] : [`rm f${i % 7}`])]).flat()
  const busy = sftp(gateway, s.u, PASSWORD, commands)
  for (let i = 0; i < 4; i++) await gateway.api('POST', `/users/${s.u}/recount`)
  t.equal((await busy).code, 0)
  const { files, bytes } = await gateway.api<{ files: number; bytes: number }>('POST', `/users/${s.u}/recount`)
  t.equal(bytes, files * SIZE)
  t.same(await gateway.api('POST', `/users/${s.u}/recount`), { files, bytes })
  const listed = await sftp(gateway, s.u, PASSWORD, ['ls -1 f*'])
  t.equal(listed.stdout.split('\n').filter((line) => /^f\d$/.test(line)).length, files)
})
