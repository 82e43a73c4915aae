// What applications drop in a watched folder arrives once, whole and only when it is finished.
// Must not ask how: real gateways, real files, and a look at the far folder. No test here relies on how long something takes.
import { execFileSync } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Test, test } from 'tap'
import type { RuleSpec } from '../../src/core/rule.ts'
import { type GatewayOptions, startGateway, type TestGateway, until } from '../support/gateway.ts'

interface Stage {
  readonly folder: string
  /** Watched. */
  readonly out: string
  /** Delivered into. */
  readonly into: string
  start(env?: GatewayOptions['env']): Promise<TestGateway>
  drop(name: string, content?: string): Promise<void>
  /** All files at the far end, with their content. */
  arrived(): Promise<Record<string, string>>
}

async function stage(t: Test): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-watch-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const [out, into] = [join(folder, 'out'), join(folder, 'into')]
  await mkdir(out)
  await mkdir(into)
  return {
    folder,
    out,
    into,
    start: (env = {}) =>
      startGateway(t, {
        folder,
        env: { FILEFLOW_FTP_ENABLED: 'false', FILEFLOW_SFTP_ENABLED: 'false', FILEFLOW_UPLOADS_SETTLE: '100ms', ...env },
      }),
    async drop(name, content = name) {
      await mkdir(dirname(join(out, name)), { recursive: true })
      await writeFile(join(out, name), content)
    },
    arrived: () => filesIn(into),
  }
}

async function filesIn(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile()) found[path.slice(folder.length + 1)] = await readFile(path, 'utf8')
  }
  return found
}

const declare = (
  gateway: TestGateway,
  { out, into }: Stage,
  rule: Partial<Omit<RuleSpec, 'source'>> & { source?: object } = {},
): Promise<void> =>
  gateway.apply({
    destinations: [{ name: 'here', type: 'local', base_path: into }],
    rules: [{ name: 'outbox', deliver: [{ to: 'here' }], ...rule, source: { watch: out, path: '**', ...rule.source } }],
  })

const delivered = async (gateway: TestGateway): Promise<string[]> =>
  (await gateway.deliveries('&state=delivered')).map(({ path }) => path).sort()

/** What was dropped before this one has been looked at: a scan goes through the folder in one go, and events come in order. */
async function untilArrived(s: Stage, name: string): Promise<void> {
  await s.drop(name)
  await until(`${name} arrives`, async () => (await s.arrived())[name] === name)
}

const watcherState = async (gateway: TestGateway) =>
  (await gateway.api<{ items: { name: string; state: string }[] }>('GET', '/services')).items.find(({ name }) => name === 'watcher')?.state

test('files, folders made and moved whole, and renames into place arrive byte for byte, once; links, pipes and excluded names never do', async (t) => {
  const s = await stage(t)
  const gateway = await s.start()
  t.equal(await watcherState(gateway), 'stopped', 'nothing is watched, so no thread runs')
  await declare(gateway, s)
  await until('the watcher runs', async () => (await watcherState(gateway)) === 'running')

  const odd = Buffer.concat([Buffer.from(`${s.out}/caf`), Buffer.from([0xe9]), Buffer.from('.txt')])
  await writeFile(odd, 'latin')
  await s.drop('empty.txt', '')
  await s.drop('deep/er/still.txt')
  await mkdir(join(s.folder, 'made/sub'), { recursive: true })
  await writeFile(join(s.folder, 'made/sub/moved.txt'), 'moved')
  await rename(join(s.folder, 'made'), join(s.out, 'made'))
  await writeFile(join(s.folder, 'secret.txt'), 'secret')
  await symlink(join(s.folder, 'secret.txt'), join(s.out, 'link.txt'))
  await symlink(s.folder, join(s.out, 'linked'))
  execFileSync('mkfifo', [join(s.out, 'pipe')])
  await s.drop('half.tmp', 'whole at last')
  await untilArrived(s, 'marker-1.txt')
  await rename(join(s.out, 'half.tmp'), join(s.out, 'half.txt'))
  await untilArrived(s, 'marker-2.txt')
  const wanted = {
    'café.txt': 'latin',
    'deep/er/still.txt': 'deep/er/still.txt',
    'empty.txt': '',
    'half.txt': 'whole at last',
    'made/sub/moved.txt': 'moved',
    'marker-1.txt': 'marker-1.txt',
    'marker-2.txt': 'marker-2.txt',
  }
  await until('all are delivered', async () => (await delivered(gateway)).length >= Object.keys(wanted).length)
  t.same(await s.arrived(), wanted)
  t.same(
    await delivered(gateway),
    Object.keys(wanted)
      .map((name) => `/${name}`)
      .sort(),
    'one delivery each',
  )
  const [transfer] = await gateway.transfers('&q=still')
  t.match(transfer, { protocol: 'watch', direction: 'upload', user: `watch:${s.out}`, state: 'completed', evidence: ['settled'] })
  t.match((await gateway.transfer(transfer!.id)).timeline[0]!.text, s.out)
  t.same(await gateway.transfers('&protocol=watch&q=link'), [])
})

test('a file that a writer holds open is waited for, however quiet it is', async (t) => {
  const s = await stage(t)
  const gateway = await s.start()
  await declare(gateway, s)
  const writer = await open(join(s.out, 'slow.txt'), 'w')
  await writer.write('first half, ')
  for (const n of [1, 2, 3]) await untilArrived(s, `other-${n}.txt`)
  t.notOk('slow.txt' in (await s.arrived()), 'files dropped later have long settled and arrived')
  await writer.write('second half')
  await writer.close()
  await until('it arrives', async () => (await s.arrived())['slow.txt'])
  t.equal((await s.arrived())['slow.txt'], 'first half, second half')
  t.equal((await gateway.deliveries('&q=slow')).length, 1)
})

test('what was taken in is sent as it was then, whatever the application does to its file; the new content is a delivery of its own, in order', async (t) => {
  const s = await stage(t)
  const gateway = await s.start()
  await declare(gateway, s, { deliver: [{ to: 'here', path: '/{transfer}.txt' }] })
  await gateway.api('POST', '/destinations/here/disable')
  await s.drop('report.txt', 'first')
  await until('taken in', async () => (await gateway.deliveries()).length === 1)
  await appendFile(join(s.out, 'report.txt'), ' and more')
  await until('taken in again', async () => (await gateway.deliveries()).length === 2)
  await rm(join(s.out, 'report.txt'))
  await gateway.api('POST', '/destinations/here/enable')
  await until('both arrive', async () => (await delivered(gateway)).length === 2)
  t.same(
    Object.entries(await s.arrived())
      .sort()
      .map(([, content]) => content),
    ['first', 'first and more'],
  )
  await gateway.stop()
  t.same(await readdir(join(s.folder, 'data', 'spool')), [], 'no copy is left')
})

test('after: archive moves a delivered file to archive/DATE below the folder, where it is left alone; a taken name gets a number', async (t) => {
  const s = await stage(t)
  const gateway = await s.start()
  await declare(gateway, s, { after: 'archive' })
  for (const round of ['one', 'two']) {
    await s.drop('sub/a.txt', round)
    await until(`${round} is archived`, async () => Object.values(await filesIn(join(s.out, 'archive'))).includes(round))
  }
  const archived = await filesIn(join(s.out, 'archive'))
  t.match(Object.keys(archived).sort(), [/^\d{4}-\d\d-\d\d\/sub\/a\.txt$/, /^\d{4}-\d\d-\d\d\/sub\/a\.txt\.1$/])
  t.same(Object.values(archived).sort(), ['one', 'two'])
  t.same(await readdir(join(s.out, 'sub')), [])
  await declare(gateway, s, { after: 'delete' })
  await s.drop('b.txt')
  await until('it is deleted', async () => !(await readdir(s.out)).includes('b.txt'))
  t.equal((await delivered(gateway)).length, 3, 'the archive was not taken in')
})

test('what arrives while the gateway is down is sent at its start, and nothing is sent twice', async (t) => {
  const s = await stage(t)
  const first = await s.start()
  await declare(first, s)
  for (const name of ['same.txt', 'grown.txt', 'gone.txt', 'volume/kept.txt']) await untilArrived(s, name)
  await first.stop()
  await rm(s.into, { recursive: true })
  await mkdir(s.into)
  await appendFile(join(s.out, 'grown.txt'), ' more')
  await rm(join(s.out, 'gone.txt'))
  await rename(join(s.out, 'volume'), join(s.folder, 'volume'))
  await s.drop('new.txt')
  const second = await s.start()
  await until('both arrive', async () => Object.keys(await s.arrived()).length === 2)
  await untilArrived(s, 'marker.txt')
  t.same(await s.arrived(), { 'grown.txt': 'grown.txt more', 'marker.txt': 'marker.txt', 'new.txt': 'new.txt' })
  await rename(join(s.folder, 'volume'), join(s.out, 'volume'))
  await untilArrived(s, 'last.txt')
  t.notOk('volume/kept.txt' in (await s.arrived()), 'what was away while it started, as a volume that is mounted late, is not new')
  t.equal((await second.deliveries()).length, 8)
})

test('files that lay there before wait for baseline: skip leaves them for ever, send sends them', async (t) => {
  const s = await stage(t)
  await s.drop('history.txt')
  const gateway = await s.start()
  await declare(gateway, s)
  await untilArrived(s, 'new.txt')
  await until('somebody is asked', () => gateway.log.some(({ event, files }) => event === 'watch.held' && files === 1))
  t.same(Object.keys(await s.arrived()), ['new.txt'])
  await declare(gateway, s, { source: { baseline: 'send' } })
  await until('it arrives', async () => 'history.txt' in (await s.arrived()))

  await s.drop('elsewhere/history.txt')
  // what came within the kernel's tick before the rule counts as new
  const { ctimeMs } = await stat(join(s.out, 'elsewhere/history.txt'))
  await until('it is history', () => Date.now() > ctimeMs + 100)
  const elsewhere = { watch: join(s.folder, 'elsewhere'), path: '**', baseline: 'skip' }
  await rename(join(s.out, 'elsewhere'), join(s.folder, 'elsewhere'))
  await gateway.apply({ rules: [{ name: 'second', source: elsewhere, deliver: [{ to: 'here', path: '/second/{path}' }] } as RuleSpec] })
  await writeFile(join(s.folder, 'elsewhere/later.txt'), 'later')
  await until('the later one arrives', async () => 'second/later.txt' in (await s.arrived()))
  t.notOk('second/history.txt' in (await s.arrived()))
})

test('rules and folders may come and go while it runs: a disabled rule catches up, a folder made later is found, a stopped watcher stays stopped', async (t) => {
  const s = await stage(t)
  const gateway = await s.start()
  await declare(gateway, s)
  await untilArrived(s, 'a.txt')
  await gateway.api('POST', '/rules/outbox/disable')
  await s.drop('b.txt')
  const late = join(s.folder, 'late')
  await gateway.apply({ rules: [{ name: 'late', source: { watch: late, path: '*.csv' }, deliver: [{ to: 'here' }] }] })
  await mkdir(late)
  await writeFile(join(late, 'c.txt'), 'not wanted')
  await writeFile(join(late, 'c.csv'), 'c')
  await until('the late folder is found', async () => 'c.csv' in (await s.arrived()))
  t.same(Object.keys(await s.arrived()).sort(), ['a.txt', 'c.csv'])
  await gateway.api('POST', '/rules/outbox/enable')
  await until('it catches up', async () => 'b.txt' in (await s.arrived()))

  await gateway.api('POST', '/services/watcher/stop')
  t.equal(await watcherState(gateway), 'stopped')
  await s.drop('d.txt')
  await gateway.api('POST', '/rules/late/disable')
  t.equal(await watcherState(gateway), 'stopped', 'a change of rules does not start it')
  await gateway.api('POST', '/services/watcher/start')
  await until('what was dropped meanwhile arrives', async () => 'd.txt' in (await s.arrived()))
})

test('folders that must not be watched are refused with the reason', async (t) => {
  const s = await stage(t)
  const gateway = await s.start()
  await t.rejects(declare(gateway, s, { source: { watch: join(s.folder, 'data/files') } }), /data_dir/)
  await t.rejects(declare(gateway, s, { source: { watch: s.folder } }), /data_dir/)
  await gateway.apply({ destinations: [{ name: 'here', type: 'local', base_path: join(s.out, 'done') }] })
  await t.rejects(
    gateway.api('POST', '/rules', { name: 'loop', source: { watch: s.out, path: '**' }, deliver: [{ to: 'here' }] }),
    /taken in again/,
  )
  t.equal(await watcherState(gateway), 'stopped')
})
