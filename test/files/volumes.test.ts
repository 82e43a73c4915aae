// Homes and mounts on other volumes, disks that are full, homes that are prepared, and what the control thread does with files.
// Must not need root: what does is left out with its reason.
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { disposeOf } from '../../src/files/disposal.ts'
import { prepareHome } from '../../src/files/homes.ts'
import { rollForward } from '../../src/files/spool.ts'
import { Vaults, vaultsOf } from '../../src/files/vaults.ts'
import { begin, bytes, cut, disk, filesBelow, get, names, outcome, principal, put, SURE, sha256, v } from './bench.ts'

const memory = (t: Test): string | null => {
  if (!fs.existsSync('/dev/shm')) return null
  const folder = fs.mkdtempSync('/dev/shm/fileflow-test-')
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Mounts something at a new folder for this test, or says why not. */
function mounted(t: Test, ...args: string[]): { at: string; why: string | null } {
  const at = fs.mkdtempSync(join(tmpdir(), 'fileflow-mount-'))
  const done = spawnSync('mount', [...args, at], { encoding: 'utf8' })
  t.teardown(() => {
    if (done.status === 0) execFileSync('umount', ['-l', at])
    fs.rmdirSync(at)
  })
  return { at, why: done.status === 0 ? null : `mount is not permitted here: ${done.stderr || done.error}` }
}

test('a home on another volume is staged on that volume, and its publishing is a rename', async (t) => {
  const other = memory(t)
  if (!other) return t.comment('there is no /dev/shm')
  const d = disk(t)
  const home = join(other, 'homes/partner')
  fs.mkdirSync(home, { recursive: true })
  const vaults = new Vaults(d.dataDir, join(d.root, 'files'))
  const found = vaultsOf(vaults, [principal(home), principal(d.home), principal(join(d.root, 'missing'))])
  const vault = found.find(({ root }) => root !== d.dataDir)!
  t.equal(found.length, 2)
  t.ok(vault.root.startsWith('/dev/shm'))
  t.notOk(vault.root.startsWith(home), 'outside the home')
  const session = d.session({ home })
  d.ledger.deliveries = 1
  const upload = await begin(session, '/a', 'mine')
  t.ok(fs.existsSync(vault.staging(upload.transferId)))
  t.equal(fs.statSync(vault.root).mode & 0o777, 0o700, 'closed to others')
  await upload.commit(SURE)
  t.equal(fs.statSync(vault.spool(upload.transferId)).ino, fs.statSync(join(home, 'a')).ino)
  await cut(session, '/b', 'half')
  t.equal(await get(session, '/b'), 'half')
  await session.remove(v('/b'))
  fs.rmSync(vault.spool(upload.transferId))
})

test('a file cannot be renamed to another volume, and stays whole where it was', async (t) => {
  const other = memory(t)
  if (!other) return t.comment('there is no /dev/shm')
  const d = disk(t)
  d.put('a', 'mine')
  const session = d.session({ mounts: [{ path: '/far', target: other }] })
  for (const overwrite of [true, false]) t.equal(await outcome(session.rename(v('/a'), v('/far/a'), { overwrite })), 'path.other_volume')
  t.equal(d.read('a'), 'mine')
  t.same(fs.readdirSync(other), [])
  t.notOk([...d.ledger.renamedAs.values()].includes(true))
  await cut(session, '/p', 'half')
  t.equal(await outcome(session.rename(v('/p'), v('/far/p'), { overwrite: false })), 'path.other_volume')
  t.equal(await get(session, '/p'), 'half')
  const [fresh, edit] = [await begin(session, '/new', 'new'), await begin(session, '/a', 'edited')]
  for (const name of ['new', 'a'])
    t.equal(await outcome(session.rename(v(`/${name}`), v('/far/b'), { overwrite: false })), 'path.other_volume', 'nor one that is open')
  for (const upload of [fresh, edit]) await upload.commit(SURE)
  t.same([d.read('new'), d.read('a'), fs.readdirSync(other)], ['new', 'edited', []])
})

test('two mounts of one disk are two volumes: uploads are staged in the one they go to', async (t) => {
  const d = disk(t)
  const source = join(d.root, 'volume')
  fs.mkdirSync(join(source, 'partner'), { recursive: true })
  const { at: bound, why } = mounted(t, '--bind', source)
  if (why) return t.comment(why)
  const session = d.session({ home: join(bound, 'partner') })
  t.equal(await outcome(put(session, '/a', 'mine')), 'ok')
  t.equal(fs.readFileSync(join(source, 'partner/a'), 'utf8'), 'mine')
  await cut(session, '/b', 'half')
  await put(session, '/b', ' and half', { mode: 'resume' })
  t.equal(fs.readFileSync(join(source, 'partner/b'), 'utf8'), 'half and half')
})

test('a stranger’s folder is not taken for the gateway’s own', async (t) => {
  const d = disk(t)
  const { at, why } = mounted(t, '-t', 'tmpfs', '-o', 'size=1m', 'none')
  if (why) return t.comment(why)
  fs.mkdirSync(join(at, 'partner'))
  fs.symlinkSync(d.outside, join(at, '.fileflow'))
  const session = d.session({ home: join(at, 'partner') })
  t.equal(await outcome(put(session, '/a', 'mine')), 'storage.failed')
  t.same(filesBelow(d.outside), [join(d.outside, 'secret')])
})

test('a full disk fails the upload for good, keeps the old file, and the partial resumes when there is room', async (t) => {
  const d = disk(t)
  const { at, why } = mounted(t, '-t', 'tmpfs', '-o', 'size=256k', 'none')
  if (why) return t.comment(why)
  const home = join(at, 'partner')
  fs.mkdirSync(home)
  fs.writeFileSync(join(home, 'a'), 'old')
  fs.writeFileSync(join(home, 'ballast'), Buffer.alloc(128 * 1024))
  const session = d.session({ home })
  const content = Buffer.from('0123456789abcdef'.repeat(12 * 1024))
  const upload = await session.beginUpload(v('/a'), { mode: 'replace' })
  await upload.write(content.subarray(0, 64 * 1024), 0)
  t.equal(await outcome(upload.write(content.subarray(64 * 1024), 64 * 1024)), 'disk.full')
  t.equal(await outcome(upload.write(bytes('0'), 0)), 'ok')
  t.equal(await outcome(upload.commit(SURE)), 'disk.full')
  t.equal(fs.readFileSync(join(home, 'a'), 'utf8'), 'old')
  t.same(d.ledger.committed, [])
  await session.remove(v('/ballast'))
  const again = await session.beginUpload(v('/a'), { mode: 'resume' })
  t.equal(again.size, 64 * 1024 - 1)
  await again.write(content.subarray(again.size), again.size)
  await again.commit(SURE)
  t.ok(fs.readFileSync(join(home, 'a')).equals(content), 'no hole, no zeros')
})

test('a home is made with its directories, and again at no cost', async (t) => {
  const d = disk(t)
  const home = join(d.root, 'files/new/deep')
  const shared = join(d.root, 'shared')
  fs.mkdirSync(shared)
  const who = principal(home, { mounts: [{ path: '/mnt/shared', target: shared }] })
  for (let i = 0; i < 2; i++) await prepareHome(who, ['/in/box', '/out', '/mnt/shared/made'], join(d.root, 'files'))
  t.same(fs.readdirSync(home).sort(), ['in', 'mnt', 'out'])
  t.same(fs.readdirSync(join(home, 'mnt')), ['shared'])
  t.same(fs.readdirSync(shared), ['made'])
})

test('preparing a home does not follow a link out of it', async (t) => {
  const d = disk(t)
  const before = d.outsideState()
  const files = join(d.root, 'files')
  fs.symlinkSync(d.outside, join(d.home, 'abs'))
  fs.symlinkSync('../../outside', join(d.home, 'rel'))
  for (const name of ['abs', 'rel']) {
    await outcome(prepareHome(principal(d.home), [`/${name}/made`], files))
    await outcome(prepareHome(principal(d.home, { mounts: [{ path: `/${name}/point`, target: d.outside }] }), [], files))
  }
  t.equal(d.outsideState(), before)
})

test('after its last delivery only the very file is deleted or archived', async (t) => {
  const d = disk(t)
  d.ledger.deliveries = 1
  const session = d.session()
  const who = principal(d.home)
  const spooled = async (path: string) => Buffer.from(join(d.dataDir, 'spool', (await put(session, path, `of ${path}`)).transferId))
  const spool = await spooled('/a')
  t.equal(disposeOf(who, v('/a'), spool, 'delete', '2026-11-24'), 'done')
  t.notOk(d.has('a'))
  const changed = await spooled('/b')
  await put(session, '/b', 'newer')
  for (const how of ['delete', 'archive'] as const) t.equal(disposeOf(who, v('/b'), changed, how, '2026-11-24'), 'changed')
  t.equal(d.read('b'), 'newer')
  fs.rmSync(join(d.home, 'b'))
  fs.symlinkSync(changed.toString(), join(d.home, 'b'))
  t.equal(disposeOf(who, v('/b'), changed, 'delete', '2026-11-24'), 'changed', 'a link is not the file')
  for (const n of ['', '.1', '.2']) {
    const file = await spooled('/dir-less')
    t.equal(disposeOf(who, v('/dir-less'), file, 'archive', '2026-11-24'), 'done')
    t.equal(d.read(`archive/2026-11-24/dir-less${n}`), 'of /dir-less')
  }
  t.notOk(d.has('dir-less'))
  const trapped = await spooled('/c')
  fs.rmSync(join(d.home, 'archive'), { recursive: true })
  fs.symlinkSync(d.outside, join(d.home, 'archive'))
  const before = d.outsideState()
  t.ok(['changed', 'threw'].includes(tried(() => disposeOf(who, v('/c'), trapped, 'archive', '2026-11-24'))))
  t.equal(d.outsideState(), before)
  t.ok(d.has('c'))
  t.equal(disposeOf(who, v('/gone/x'), trapped, 'delete', '2026-11-24'), 'changed')
})

test('a file of another user in a watched folder, which must not be linked, is archived as well; a taken name gets a number', (t) => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'fileflow-others-'))
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }))
  fs.chmodSync(folder, 0o777)
  const disposal = new URL('../../src/files/disposal.ts', import.meta.url)
  const asNobody = (...command: string[]) =>
    spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', ...command], {
      encoding: 'utf8',
      cwd: '/',
      env: { ...process.env, NODE_OPTIONS: '' },
    })
  if (asNobody('test', '-r', disposal.pathname, '-a', '-w', folder).status !== 0) {
    t.comment('skipped: this process cannot be another user, or that one may not be here')
    return t.end()
  }
  const script = `import { disposeOfWatched } from '${disposal}'
    process.stdout.write(disposeOfWatched(process.argv[1], '/a', () => true, 'archive', '2026-11-24'))`
  for (const content of ['first', 'second']) {
    fs.writeFileSync(join(folder, 'a'), content)
    const done = asNobody(process.execPath, '--input-type=module', '-e', script, folder)
    t.equal(done.stdout, 'done', done.stderr)
  }
  t.equal(fs.readFileSync(join(folder, 'archive/2026-11-24/a'), 'utf8'), 'first')
  t.equal(fs.readFileSync(join(folder, 'archive/2026-11-24/a.1'), 'utf8'), 'second')
  t.notOk(fs.existsSync(join(folder, 'a')))
  t.end()
})

function tried(work: () => string): string {
  try {
    return work()
  } catch {
    return 'threw'
  }
}

test('a commit that a crash cut short is rolled forward, into the folder it was made for and nowhere else', async (t) => {
  const d = disk(t)
  const staging = Buffer.from(join(d.root, 'staged'))
  const mine = { size: 4, sha256: sha256('mine') }
  const roll = (final: string, superseded = false) => {
    fs.writeFileSync(staging, 'mine')
    return rollForward(
      { ...mine, staging, final: Buffer.from(final), spool: Buffer.from(`${d.root}/spooled`), superseded: () => superseded },
      true,
    )
  }
  t.equal(await roll(join(d.home, 'a')), 'published')
  t.equal(d.read('a'), 'mine')
  t.equal(fs.readFileSync(`${d.root}/spooled`, 'utf8'), 'mine')
  t.equal(await roll(join(d.home, 'removed/meanwhile/a')), 'published')
  t.equal(d.read('removed/meanwhile/a'), 'mine')
  t.equal(await roll(join(d.home, 'later'), true), 'published')
  t.notOk(d.has('later'))
  const before = d.outsideState()
  fs.symlinkSync(d.outside, join(d.home, 'swapped'))
  t.equal(await roll(join(d.home, 'swapped/secret')), 'lost')
  t.equal(await roll(join(d.home, 'swapped/new/deep')), 'lost')
  t.equal(d.outsideState(), before)
  fs.rmSync(staging)
  fs.rmSync(`${d.root}/spooled`)
  t.equal(
    await rollForward(
      { ...mine, staging, final: Buffer.from(join(d.home, 'nothing')), spool: Buffer.from(`${d.root}/spooled`), superseded: () => false },
      false,
    ),
    'lost',
  )
})

test('the row of an upload whose thread died right after the rename ends only once its names would survive a power loss', async (t) => {
  const d = disk(t)
  d.put('a', 'mine')
  fs.writeFileSync(`${d.root}/spooled`, 'mine')
  const synced: string[] = []
  const { open } = fs.promises
  t.teardown(() => Object.assign(fs.promises, { open }))
  fs.promises.open = async (path, ...rest) => {
    const handle = await open(path, ...rest)
    const sync = handle.sync.bind(handle)
    handle.sync = async () => {
      await sync()
      synced.push(fs.readlinkSync(`/proc/self/fd/${handle.fd}`))
    }
    return handle
  }
  const roll = (final: string, durable: boolean) =>
    rollForward(
      {
        size: 4,
        sha256: sha256('mine'),
        staging: Buffer.from(join(d.root, 'staged')),
        final: Buffer.from(final),
        spool: Buffer.from(`${d.root}/spooled`),
        superseded: () => false,
      },
      durable,
    )
  t.equal(await roll(join(d.home, 'a'), true), 'published')
  t.same(synced, [fs.realpathSync(d.home), fs.realpathSync(d.root)])
  t.equal(await roll(join(d.home, 'removed/meanwhile'), true), 'published', 'a folder that is gone has no name to keep')
  synced.length = 0
  t.equal(await roll(join(d.home, 'a'), false), 'published')
  t.same(synced, [], 'nobody asked for it')
})

test('a user whose home another one holds does not follow links that one laid in the way', async (t) => {
  const d = disk(t)
  d.put('sub/a', 'inner')
  const inner = join(d.home, 'sub')
  const outer = d.session()
  t.equal(await get(d.session({ username: 'inner', home: inner }), '/a'), 'inner')
  const open = d.session({ username: 'inner', home: inner })
  const guest = d.session({ username: 'guest', home: join(d.root, 'files/guest'), mounts: [{ path: '/sub', target: inner }] })
  fs.mkdirSync(join(d.root, 'files/guest'))
  await outer.rename(v('/sub'), v('/moved'), { overwrite: false })
  await outer.symlink(d.outside, v('/sub'))
  t.not(await outcome(get(open, '/secret')), 'ok')
  t.not(await outcome(names(guest, '/sub')), 'ok')
  t.not(await outcome(put(d.session({ username: 'inner', home: inner }), '/new', 'x')), 'ok')
  t.same(filesBelow(d.outside), [join(d.outside, 'secret')])
  const before = d.outsideState()
  t.not(await outcome(prepareHome(principal(inner), ['/made'], join(d.root, 'files'))), 'ok')
  t.equal(d.outsideState(), before)
})
