// A watched folder in bad hands: odd names, things that are no files, files that vanish or change under the gateway’s hands, the folder itself gone and back.
// Must not ask how: real gateways, real files, and a look at the far folder.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { RuleSpec } from '../../src/core/rule.ts'
import { startGateway, type TestGateway, until } from '../support/gateway.ts'

async function stage(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-hostile-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const [out, into] = [join(folder, 'out'), join(folder, 'into')] as const
  for (const each of [out, into]) await mkdir(each)
  const gateway = await startGateway(t, {
    folder,
    env: { FILEFLOW_FTP_ENABLED: 'false', FILEFLOW_SFTP_ENABLED: 'false', FILEFLOW_UPLOADS_SETTLE: '100ms' },
  })
  const arrived = async (): Promise<Record<string, string>> => {
    const found: Record<string, string> = {}
    for (const entry of await readdir(into, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (entry.isFile()) found[path.slice(into.length + 1)] = await readFile(path, 'utf8')
    }
    return found
  }
  /** All that was there before it has been looked at when it has arrived. */
  const marker = async (name: string, at: string = out, as: string = name): Promise<void> => {
    await writeFile(join(at, name), name)
    await until(`${name} arrives`, async () => (await arrived())[as] === name)
  }
  return { folder, out, into, gateway, arrived, marker }
}

const declare = (
  gateway: TestGateway,
  into: string,
  rules: readonly (Partial<RuleSpec> & { name: string; source: object })[],
): Promise<void> =>
  gateway.apply({
    destinations: [{ name: 'here', type: 'local', base_path: into }],
    rules: rules.map((rule) => ({ deliver: [{ to: 'here' }], ...rule })) as RuleSpec[],
  })

test('odd names and bytes that are no text arrive, a line end in a name is said to be in the way; what points outside, is no file or vanishes does not, and holds up nothing', async (t) => {
  const s = await stage(t)
  await declare(s.gateway, s.into, [{ name: 'r', source: { watch: s.out, path: '**' } }])
  await s.marker('first')
  await writeFile(join(s.out, 'two\nlines'), 'n')
  await writeFile(join(s.out, 'quo"te$(x) `y`'), 'q')
  await writeFile(Buffer.concat([Buffer.from(`${s.out}/a`), Buffer.from([0xff, 0xfe])]), 'bytes')
  await writeFile(join(s.folder, 'secret'), 'secret')
  await symlink(join(s.folder, 'secret'), join(s.out, 'link'))
  await symlink('/etc', join(s.out, 'etc'))
  await symlink('.', join(s.out, 'loop'))
  execFileSync('mkfifo', [join(s.out, 'pipe')])
  await mkdir(join(s.out, 'locked'), { mode: 0o000 })
  for (let i = 0; i < 200; i++) await writeFile(join(s.out, `gone-${i}`), 'x')
  for (let i = 0; i < 200; i++) await rm(join(s.out, `gone-${i}`))
  await mkdir(join(s.out, 'tree/below'), { recursive: true })
  await writeFile(join(s.out, 'tree/below/gone'), 'x')
  await rm(join(s.out, 'tree'), { recursive: true })
  await s.marker('second')
  await until('the odd ones', async () => Object.keys(await s.arrived()).length >= 4)
  const found = await s.arrived()
  t.same(
    Object.keys(found).filter((name) => /link|etc|loop|pipe|secret|locked/.test(name)),
    [],
  )
  t.equal(found['quo"te$(x) `y`'], 'q')
  t.match(await s.gateway.deliveries('&q=lines'), [{ state: 'dead', error: { code: 'template.invalid' } }])
  t.ok(Object.values(found).includes('bytes'))
  t.notOk(Object.values(found).includes('secret'))
  await s.gateway.stop()
})

test('a file that is exchanged again and again is taken only as it was at one moment, and its last content arrives', async (t) => {
  const s = await stage(t)
  await declare(s.gateway, s.into, [{ name: 'r', source: { watch: s.out, path: '**' } }])
  await s.marker('first')
  const whole = (n: number): string => `${String(n).padStart(4)} `.repeat(20_000)
  const target = join(s.out, 'data')
  for (let n = 0; n < 60; n++) {
    // now a link in its place, now another file, now written over in place
    if (n % 10 === 3) {
      await rm(target, { force: true })
      await symlink('/etc/passwd', target)
    } else if (n % 3 === 0) {
      await writeFile(join(s.folder, 'next'), whole(n))
      await rename(join(s.folder, 'next'), target)
    } else {
      await rm(target, { force: true })
      await writeFile(target, whole(n))
    }
    const there = (await s.arrived()).data
    if (there !== undefined) t.equal(new Set(there.trim().split(/\s+/)).size, 1, 'of one version')
    if (n % 5 === 0) await s.marker(`m${n}`)
  }
  await rm(target, { force: true })
  await writeFile(target, whole(9999))
  await until('the last content', async () => (await s.arrived()).data === whole(9999))
  await s.gateway.stop()
})

test('a watched folder that is removed and made again is watched again: what was sent before and lies there again with other times is new, the rest is not sent twice', async (t) => {
  const s = await stage(t)
  await declare(s.gateway, s.into, [{ name: 'r', source: { watch: s.out, path: '**' } }])
  await s.marker('first')
  await rename(s.out, join(s.folder, 'aside'))
  await until('it is missed', () => s.gateway.log.some(({ event }) => event === 'watch.unavailable'))
  await rename(join(s.folder, 'aside'), s.out)
  await until('it is back', () => s.gateway.log.some(({ event }) => event === 'watch.available'))
  await s.marker('second')
  t.equal((await s.gateway.deliveries('&q=first')).length, 1, 'the same file in the same folder')
  await rm(s.out, { recursive: true })
  await mkdir(s.out)
  await mkdir(join(s.out, 'deep'))
  await writeFile(join(s.out, 'deep/third'), 'third')
  await until('third arrives', async () => (await s.arrived())['deep/third'] === 'third')
  await s.gateway.stop()
})

test('an empty folder in the place of the watched one (a volume that is not mounted) is no removal of all files: what is there when it is back is sent once, and history is asked about', async (t) => {
  const s = await stage(t)
  const [volume, mountPoint] = [join(s.folder, 'volume'), join(s.folder, 'mount-point')]
  await mkdir(join(volume, 'deep'), { recursive: true })
  await writeFile(join(volume, 'deep/history'), 'history')
  const { ctimeMs } = await stat(join(volume, 'deep/history'))
  // what came within the kernel's tick before the rule counts as new
  await until('it is history', () => Date.now() > ctimeMs + 100)
  /** Each start of the watcher looks at once, and at all. */
  const exchange = async (aside: string, next: string) => {
    await s.gateway.api('POST', '/services/watcher/stop')
    await rename(s.out, aside)
    await rename(next, s.out)
    await s.gateway.api('POST', '/services/watcher/start')
  }
  await writeFile(join(s.out, 'NOT-MOUNTED'), 'the volume is not mounted')
  await declare(s.gateway, s.into, [{ name: 'r', source: { watch: s.out, path: '**' }, exclude: ['NOT-MOUNTED'] }])
  await s.marker('before')
  await exchange(mountPoint, volume)
  await s.marker('first')
  t.ok(
    s.gateway.log.some(({ event, files }) => event === 'watch.held' && files === 1),
    'somebody is asked about what lay there before the rule',
  )
  for (let n = 0; n < 2; n++) {
    await exchange(volume, mountPoint)
    await s.marker(`unmounted-${n}`)
    await exchange(mountPoint, volume)
    await s.marker(`mounted-${n}`)
  }
  const sent = (await s.gateway.deliveries()).map(({ path }) => path).sort()
  t.same(sent, ['/before', '/first', '/mounted-0', '/mounted-1', '/unmounted-0', '/unmounted-1'])
  await s.gateway.stop()
})

test('times from the future, from long ago and that go back hold nothing up, and a file with the old time and other content is new', async (t) => {
  const s = await stage(t)
  await declare(s.gateway, s.into, [{ name: 'r', source: { watch: s.out, path: '**' } }])
  await s.marker('first')
  for (const [name, at] of [
    ['future', 4e9],
    ['past', 1],
  ] as const) {
    await writeFile(join(s.out, name), name)
    await utimes(join(s.out, name), at, at)
  }
  await until('both', async () => (await s.arrived()).future === 'future' && (await s.arrived()).past === 'past')
  await writeFile(join(s.out, 'past'), 'longer than it was')
  await utimes(join(s.out, 'past'), 1, 1)
  await until('its new content', async () => (await s.arrived()).past === 'longer than it was')
  await s.gateway.stop()
})

test('several rules on one folder, and on a folder in another’s: each sends by its own pattern, and each folder takes a file in by itself', async (t) => {
  const s = await stage(t)
  const inner = join(s.out, 'inner')
  await mkdir(inner)
  const to = (path: string) => ({ deliver: [{ to: 'here', path }] })
  await declare(s.gateway, s.into, [
    { name: 'csv', source: { watch: s.out, path: '**/*.csv' }, ...to('/csv/{path}') },
    { name: 'all', source: { watch: s.out, path: '**' }, ...to('/all/{path}') },
    { name: 'inner', source: { watch: inner, path: '*' }, ...to('/inner/{path}') },
  ])
  await s.marker('first', s.out, 'all/first')
  await writeFile(join(inner, 'x.csv'), 'x')
  await until('three ways', async () => {
    const found = Object.entries(await s.arrived()).filter(([, content]) => content === 'x')
    return found.length === 3
  })
  t.equal((await s.gateway.deliveries('&q=x.csv')).length, 3)
  await s.gateway.stop()
})
