// Renames into a rule's path, by whoever may: real clients of several users that share a home, at a real gateway.
// Must not look into the gateway; only at what arrives and what the API says.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { lftp, sftp } from '../support/clients.ts'
import { run, startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

async function scene(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-renames-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const inbox = join(folder, 'inbox')
  const local = join(folder, 'local')
  for (const each of [inbox, local]) await mkdir(each)
  const gateway = await startGateway(t, { env: { FILEFLOW_THREADS_SFTP: '1' } })
  const other = join(gateway.files, 'shared', 'inner')
  await gateway.apply({
    users: [
      { username: 'alice', password: PASSWORD, home: 'shared', directories: ['/ready', '/inner'] },
      { username: 'bob', password: PASSWORD, home: 'shared' },
      { username: 'carol', password: PASSWORD, home: 'carol', mounts: [{ path: '/alice', target: other }] },
    ],
    destinations: [{ name: 'inbox', type: 'local', base_path: inbox }],
    rules: [
      { name: 'any', source: { path: '/ready/**' }, deliver: [{ to: 'inbox', path: '/any/{path}' }] },
      { name: 'of-alice', source: { users: ['alice'], path: '/ready/**' }, deliver: [{ to: 'inbox', path: '/of-{user}/{path}' }] },
      { name: 'of-bob', source: { users: ['bob'], path: '/ready/**' }, deliver: [{ to: 'inbox', path: '/of-{user}/{path}' }] },
      {
        name: 'of-carol',
        source: { users: ['carol'], path: '/alice/**' },
        deliver: [{ to: 'inbox', path: '/of-{user}/{path}' }],
        after: 'delete',
      },
    ],
  })
  const content = randomBytes(70_000)
  await writeFile(join(local, 'f'), content)
  const arrived = async (name: string): Promise<boolean> =>
    existsSync(join(inbox, name)) && (await readFile(join(inbox, name))).equals(content)
  const delivered = (count: number) =>
    until(`${count} deliveries`, async () => {
      const all = await gateway.deliveries()
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
  return { gateway, inbox, local, other, content, arrived, delivered, asSftp, asFtp }
}

test('a file that another user of the home renames into a rule’s path is sent once by each rule that wants it from either', async (t) => {
  const s = await scene(t)
  await s.asFtp('alice', [`put ${join(s.local, 'f')} -o report.part`])
  t.same(await s.gateway.deliveries(), [])
  await s.asSftp('bob', ['rename report.part ready/report'])
  await s.delivered(3)
  for (const name of ['any/report', 'of-alice/report', 'of-bob/report']) t.ok(await s.arrived(name), name)
  await s.asFtp('bob', ['mv ready/report ready/again'])
  await s.delivered(6)
  t.ok(await s.arrived('of-alice/again'))
  t.equal((await s.gateway.transfers()).length, 1, 'one logical file')
  t.match(await s.gateway.transfers(), [{ user: 'alice', path: '/ready/again' }])
})

test('who sees the file by a mount sends it under that name, and what its rule wants done with it then is done', async (t) => {
  const s = await scene(t)
  await s.asSftp('alice', [`put ${join(s.local, 'f')} inner/x.part`])
  await s.asSftp('carol', ['rename alice/x.part alice/x'])
  await s.delivered(1)
  t.ok(await s.arrived('of-carol/x'))
  await until('the file is gone', async () => (await readdir(s.other)).length === 0)
})

test('each name of a file with two is an arrival of its own, whichever is renamed first', async (t) => {
  const s = await scene(t)
  await s.asSftp('alice', [`put ${join(s.local, 'f')} first`, 'ln first second', 'rename first ready/first'])
  await s.delivered(2)
  await s.asSftp('bob', ['rename second ready/second'])
  await s.delivered(5)
  for (const name of ['any/first', 'any/second', 'of-bob/second']) t.ok(await s.arrived(name), name)
  // what came to a name later is its, whatever link was there before
  await s.asSftp('alice', [
    `put ${join(s.local, 'f')} one`,
    'ln one two',
    'rm one',
    `put ${join(s.local, 'f')} one`,
    'rename one ready/one',
  ])
  await s.delivered(7)
  t.equal((await s.gateway.transfers('&q=/ready/one')).length, 1)
  t.equal((await s.gateway.transfers('&q=/two')).length, 1)
})

for (const by of ['FTP', 'SFTP'] as const) {
  test(`a folder that another user renames into a rule’s path by ${by} is an arrival of each file below`, async (t) => {
    const s = await scene(t)
    const files = Array.from({ length: 230 }, (_, i) => `${i % 2 ? 'sub/' : ''}n${i}`)
    await mkdir(join(s.local, 'batch', 'sub'), { recursive: true })
    for (const name of files) await writeFile(join(s.local, 'batch', name), s.content.subarray(0, 1000))
    await s.asSftp('alice', [`put -R ${join(s.local, 'batch')} batch`])
    if (by === 'FTP') await s.asFtp('bob', ['mv batch ready/batch'])
    else await s.asSftp('bob', ['rename batch ready/batch'])
    const count = async (rule: string): Promise<number> =>
      (await readdir(join(s.inbox, rule, 'batch'), { recursive: true }).catch(() => [])).filter((name) => /n\d+$/.test(name)).length
    for (const rule of ['any', 'of-alice', 'of-bob']) await until(rule, async () => (await count(rule)) === files.length, 120_000)
  })
}

test('a folder keeps its name while another user’s upload is on its way into it; the upload ends whole, and the rename then sends it', async (t) => {
  const s = await scene(t)
  await s.asSftp('alice', ['mkdir batch'])
  const url = `ftp://127.0.0.1:${s.gateway.ports.ftp}/batch/slow`
  const uploading = run('curl', [
    '-sS',
    '--ssl-reqd',
    '-k',
    '-u',
    `alice:${PASSWORD}`,
    '--limit-rate',
    '20k',
    '-T',
    join(s.local, 'f'),
    url,
  ])
  await until('bytes of it', async () => (await s.gateway.transfers('&state=open')).length === 1)
  const refused = await sftp(s.gateway, 'bob', PASSWORD, ['rename batch ready/batch'])
  t.not(refused.code, 0)
  t.equal((await uploading).code, 0)
  t.same(await s.gateway.deliveries(), [])
  await s.asSftp('bob', ['rename batch ready/batch'])
  await s.delivered(3)
  t.ok(await s.arrived('of-alice/batch/slow'))
})
