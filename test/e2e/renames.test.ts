// Renames into a rule's path, by whoever may: real clients of several users that share a home, at a real gateway.
// Must not look into the gateway; only at what arrives and what the API says.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { lftp, sftp } from '../support/clients.ts'
import { run, startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

/** One for all tests of this file. */
const gateway = await startGateway(root, { env: { FILEFLOW_THREADS_SFTP: '1' } })
let scenes = 0

/** Users, a home and a destination that no other test has; no rule but these wants what is in `ready`. */
async function scene(t: Test) {
  const n = ++scenes
  const ready = `ready${n}`
  const [alice, bob, carol, home, to] = ['alice', 'bob', 'carol', 'shared', 'inbox'].map((name) => `${name}${n}`) as [
    string,
    string,
    string,
    string,
    string,
  ]
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-renames-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const inbox = join(folder, 'inbox')
  const local = join(folder, 'local')
  for (const each of [inbox, local]) await mkdir(each)
  const other = join(gateway.files, home, 'inner')
  await gateway.apply({
    users: [
      { username: alice, password: PASSWORD, home, directories: [`/${ready}`, '/inner'] },
      { username: bob, password: PASSWORD, home },
      { username: carol, password: PASSWORD, mounts: [{ path: `/alice${n}`, target: other }] },
    ],
    destinations: [{ name: to, type: 'local', base_path: inbox }],
    rules: [
      { name: `any${n}`, source: { path: `/${ready}/**` }, deliver: [{ to, path: '/any/{path}' }] },
      { name: `of-alice${n}`, source: { users: [alice], path: `/${ready}/**` }, deliver: [{ to, path: '/of-alice/{path}' }] },
      { name: `of-bob${n}`, source: { users: [bob], path: `/${ready}/**` }, deliver: [{ to, path: '/of-bob/{path}' }] },
      {
        name: `of-carol${n}`,
        source: { users: [carol], path: `/alice${n}/**` },
        deliver: [{ to, path: '/of-carol/{path}' }],
        after: 'delete',
      },
    ],
  })
  const content = randomBytes(70_000)
  await writeFile(join(local, 'f'), content)
  const arrived = async (name: string): Promise<boolean> =>
    existsSync(join(inbox, name)) && (await readFile(join(inbox, name))).equals(content)
  const deliveries = () => gateway.deliveries(`&destination=${to}`)
  const uploads = (query = '') => gateway.transfers(`&user=${alice}${query}`)
  const delivered = (count: number) =>
    until(`${count} deliveries`, async () => {
      const all = await deliveries()
      return all.length === count && all.every(({ state }) => state === 'delivered')
    })
  const asSftp = async (user: string, commands: string[]): Promise<void> => {
    const ran = await sftp(gateway, user, PASSWORD, commands)
    t.equal(ran.code, 0, ran.stderr)
  }
  const asFtp = async (user: string, commands: string[]): Promise<void> => {
    const ran = await lftp(gateway, user, PASSWORD, commands)
    t.equal(ran.code, 0, ran.stderr)
  }
  return { gateway, alice, bob, carol, ready, inbox, local, other, content, arrived, deliveries, uploads, delivered, asSftp, asFtp }
}

test('a file that another user of the home renames into a rule’s path is sent once by each rule that wants it from either', async (t) => {
  const s = await scene(t)
  await s.asFtp(s.alice, [`put ${join(s.local, 'f')} -o report.part`])
  t.same(await s.deliveries(), [])
  await s.asSftp(s.bob, [`rename report.part ${s.ready}/report`])
  await s.delivered(3)
  for (const name of ['any/report', 'of-alice/report', 'of-bob/report']) t.ok(await s.arrived(name), name)
  await s.asFtp(s.bob, [`mv ${s.ready}/report ${s.ready}/again`])
  await s.delivered(6)
  t.ok(await s.arrived('of-alice/again'))
  t.equal((await s.uploads()).length, 1, 'one logical file')
  t.match(await s.uploads(), [{ user: s.alice, path: `/${s.ready}/again` }])
})

test('who sees the file by a mount sends it under that name, and what its rule wants done with it then is done', async (t) => {
  const s = await scene(t)
  await s.asSftp(s.alice, [`put ${join(s.local, 'f')} inner/x.part`])
  await s.asSftp(s.carol, [`rename ${s.alice}/x.part ${s.alice}/x`])
  await s.delivered(1)
  t.ok(await s.arrived('of-carol/x'))
  await until('the file is gone', async () => (await readdir(s.other)).length === 0)
})

test('each name of a file with two is an arrival of its own, whichever is renamed first', async (t) => {
  const s = await scene(t)
  await s.asSftp(s.alice, [`put ${join(s.local, 'f')} first`, 'ln first second', `rename first ${s.ready}/first`])
  await s.delivered(2)
  await s.asSftp(s.bob, [`rename second ${s.ready}/second`])
  await s.delivered(5)
  for (const name of ['any/first', 'any/second', 'of-bob/second']) t.ok(await s.arrived(name), name)
  // what came to a name later is its, whatever link was there before
  await s.asSftp(s.alice, [
    `put ${join(s.local, 'f')} one`,
    'ln one two',
    'rm one',
    `put ${join(s.local, 'f')} one`,
    `rename one ${s.ready}/one`,
  ])
  await s.delivered(7)
  t.equal((await s.uploads(`&q=/${s.ready}/one`)).length, 1)
  t.equal((await s.uploads('&q=/two')).length, 1)
})

for (const by of ['FTP', 'SFTP'] as const) {
  test(`a folder that another user renames into a rule’s path by ${by} is an arrival of each file below`, async (t) => {
    const s = await scene(t)
    const files = Array.from({ length: 230 }, (_, i) => `${i % 2 ? 'sub/' : ''}n${i}`)
    await mkdir(join(s.local, 'batch', 'sub'), { recursive: true })
    for (const name of files) await writeFile(join(s.local, 'batch', name), s.content.subarray(0, 1000))
    await s.asSftp(s.alice, [`put -R ${join(s.local, 'batch')} batch`])
    if (by === 'FTP') await s.asFtp(s.bob, [`mv batch ${s.ready}/batch`])
    else await s.asSftp(s.bob, [`rename batch ${s.ready}/batch`])
    const count = async (rule: string): Promise<number> =>
      (await readdir(join(s.inbox, rule, 'batch'), { recursive: true }).catch(() => [])).filter((name) => /n\d+$/.test(name)).length
    for (const rule of ['any', 'of-alice', 'of-bob']) await until(rule, async () => (await count(rule)) === files.length)
  })
}

test('a folder keeps its name while another user’s upload is on its way into it; the upload ends whole, and the rename then sends it', async (t) => {
  const s = await scene(t)
  await s.asSftp(s.alice, ['mkdir batch'])
  const url = `ftp://127.0.0.1:${s.gateway.ports.ftp}/batch/slow`
  const uploading = run('curl', [
    '-sS',
    '--ssl-reqd',
    '-k',
    '-u',
    `${s.alice}:${PASSWORD}`,
    '--limit-rate',
    '20k',
    '-T',
    join(s.local, 'f'),
    url,
  ])
  await until('bytes of it', async () => (await s.uploads('&state=open')).length === 1)
  const refused = await sftp(s.gateway, s.bob, PASSWORD, [`rename batch ${s.ready}/batch`])
  t.not(refused.code, 0)
  t.equal((await uploading).code, 0)
  t.same(await s.deliveries(), [])
  await s.asSftp(s.bob, [`rename batch ${s.ready}/batch`])
  await s.delivered(3)
  t.ok(await s.arrived('of-alice/batch/slow'))
})
