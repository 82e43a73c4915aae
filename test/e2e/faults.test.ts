// What goes wrong around one partner or one destination must stay there: others work on, and nothing is applied by half.
// Must not look inside the process.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { sftp } from '../support/clients.ts'
import { fileflow, startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

async function folderFor(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-faults-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('a read-only volume can be mounted and listed, and a home that is gone stops nobody else, also at the next start', async (t) => {
  const folder = await folderFor(t)
  const first = await startGateway(t, { folder })
  await first.apply({
    users: [
      { username: 'reader', password: PASSWORD, mounts: [{ path: '/shared', target: '/sys/kernel', read_only: true }] },
      { username: 'homeless', password: PASSWORD },
    ],
  })
  const listed = await sftp(first, 'reader', PASSWORD, ['ls /shared'])
  t.equal(listed.code, 0, listed.stderr)
  t.match(listed.stdout, /\/shared\/\w+/)
  t.not((await sftp(first, 'reader', PASSWORD, ['mkdir /shared/x'])).code, 0, 'and not changed')
  await first.stop()
  await rm(join(first.files, 'homeless'), { recursive: true })
  await writeFile(join(first.files, 'homeless'), 'a file where a home should be')
  const second = await startGateway(t, { folder })
  t.ok(second.log.some((line) => line.event === 'home.failed' && line.user === 'homeless'))
  t.equal((await sftp(second, 'reader', PASSWORD, ['ls /shared', 'put /etc/hostname name.txt'])).code, 0)
  t.not((await sftp(second, 'homeless', PASSWORD, ['put /etc/hostname name.txt'])).code, 0)
})

test('a state file with one home that cannot be made changes nothing at all, and says which', async (t) => {
  const folder = await folderFor(t)
  const gateway = await startGateway(t, { folder })
  await writeFile(
    join(folder, 'state.yaml'),
    `users:\n  - { username: good, password: ${PASSWORD} }\n  - { username: bad, password: ${PASSWORD}, home: /dev/null/x }\nrules: []\n`,
  )
  const { code, stderr } = await fileflow(['apply', 'state.yaml'], { cwd: folder })
  t.equal(code, 1)
  t.match(stderr, /user bad: home/)
  t.match(await gateway.api('GET', '/users'), { items: [] })
})

test('an older version never overwrites a newer one at the destination', async (t) => {
  const folder = await folderFor(t)
  const inbox = join(folder, 'inbox')
  const gateway = await startGateway(t, { folder, env: { FILEFLOW_FORWARDING_RETRY_FIRST_DELAY: '1s' } })
  await gateway.apply({
    users: [{ username: 'customer1', password: PASSWORD }],
    // a file stands where the folder should be: every attempt fails for now
    destinations: [{ name: 'inbox', type: 'local', base_path: join(inbox, 'sub') }],
    rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'inbox' }] }],
  })
  await writeFile(inbox, 'in the way')
  const put = async (content: string) => {
    await writeFile(join(folder, 'list.csv'), content)
    t.equal((await sftp(gateway, 'customer1', PASSWORD, [`put ${join(folder, 'list.csv')}`])).code, 0)
  }
  await put('version 1')
  const older = await until('a failed attempt', async () =>
    (await gateway.deliveries()).find((d) => d.attempts > 0 && d.state !== 'running'),
  )
  await rm(inbox)
  await mkdir(inbox)
  await put('version 2')
  if (older.state === 'dead')
    await gateway.api('POST', `/deliveries/${older.id}/retry`).catch((error: unknown) => t.match(error, { code: 'state.conflict' }))
  await until('nothing waits', async () => (await gateway.deliveries()).every((d) => d.state === 'delivered' || d.state === 'dead'))
  t.equal(await readFile(join(inbox, 'sub', 'list.csv'), 'utf8'), 'version 2')
})
