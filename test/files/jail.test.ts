// No path, link or name leads outside the home and the mounts, by any operation.
// Must not stop at replies: what lies outside is compared before and after.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { FileFlowError } from '../../src/core/errors.ts'
import { toVirtualPath } from '../../src/core/virtual-path.ts'
import type { SessionFilesystem } from '../../src/files/session-filesystem.ts'
import {
  begin,
  closedAgain,
  cut,
  type Disk,
  descriptors,
  disk,
  entries,
  filesBelow,
  get,
  names,
  outcome,
  put,
  raw,
  SURE,
  v,
} from './bench.ts'

/** Links that try to leave, by name; made as another local process may make them. */
function hostileLinks(d: Disk): string[] {
  fs.mkdirSync(join(d.home, 'sub'))
  const targets: Record<string, string> = {
    absolute: d.outside,
    relative: '../../outside',
    higher: '../../../../../../../../../../../../../../../etc',
    root: '/',
    dots: `sub/../../../outside`,
    proc: '/proc/self/root',
    descriptor: '/proc/self/cwd',
    loop: 'loop',
    ping: 'pong',
    pong: 'ping',
    dangling: '/nowhere/at/all',
    reserved: '.fileflow',
  }
  for (const [name, target] of Object.entries(targets)) {
    fs.symlinkSync(target, join(d.home, name))
    fs.symlinkSync(`${target}/secret`, join(d.home, `${name}-file`))
  }
  return Object.keys(targets)
}

/** Every operation on a path; the codes they end with. */
async function tryAll(session: SessionFilesystem, path: string): Promise<string[]> {
  const p = v(path)
  return Promise.all([
    outcome(names(session, path)),
    outcome(session.stat(p)),
    outcome(get(session, path)),
    outcome(put(session, path, 'mine')),
    outcome(put(session, path, 'mine', { mode: 'resume' })),
    outcome(put(session, path, 'mine', { mode: 'create' })),
    outcome(session.setAttributes(p, { mode: 0o777 })),
    outcome(session.setAttributes(p, { mtimeMs: 1000, atimeMs: 1000 })),
    outcome(session.setAttributes(p, { size: 1 })),
    outcome(session.setAttributes(p, { mode: 0o777 }, { followLink: false })),
  ])
}

test('no link leads an operation outside', async (t) => {
  const d = disk(t)
  const links = hostileLinks(d)
  const before = d.outsideState()
  const session = d.session()
  for (const name of links) {
    for (const path of [`/${name}`, `/${name}-file`, `/${name}/secret`, `/${name}/new`, `/${name}/sub/x`]) {
      const codes = await tryAll(session, path)
      t.notOk(
        codes.some((code) => code.startsWith('not ours')),
        `${path}: ${codes}`,
      )
      await outcome(session.mkdir(v(`${path}/made`)))
      await outcome(session.mkdir(v(path)))
      await outcome(session.symlink('/etc', v(`${path}/link`)))
      await outcome(session.rename(v(`${path}/secret`), v('/stolen'), { overwrite: true }))
      await outcome(session.remove(v(`${path}/secret`)))
      await outcome(session.rmdir(v(`${path}/made`)))
      await outcome(session.rename(v('/sub'), v(`${path}/sub`), { overwrite: true }))
    }
    t.equal(d.outsideState(), before, name)
  }
  t.notOk(fs.existsSync('/etc/made'))
  for (const file of filesBelow(d.home)) {
    if (fs.lstatSync(file).isFile()) t.not(fs.readFileSync(file, 'utf8'), 'top secret')
  }
})

test('a link to an absolute path starts again at the virtual root', async (t) => {
  const d = disk(t)
  d.put('inside/a', 'mine')
  const session = d.session()
  await session.symlink('/inside', v('/l'))
  await session.symlink('../../../inside/a', v('/inside/up'))
  t.equal(await get(session, '/l/a'), 'mine')
  t.equal(await get(session, '/inside/up'), 'mine')
  t.equal(await session.readlink(v('/l')), '/inside')
  t.equal(await session.realpath(v('/l/a')), '/inside/a')
})

test('links through mounts stay inside, and the mount keeps what it forbids', async (t) => {
  const d = disk(t)
  const shared = join(d.root, 'shared')
  fs.mkdirSync(join(shared, 'in'), { recursive: true })
  fs.writeFileSync(join(shared, 'in/a'), 'shared')
  fs.symlinkSync('../../outside/secret', join(shared, 'up'))
  fs.symlinkSync(d.outside, join(shared, 'abs'))
  fs.symlinkSync('/shared/in', join(d.home, 'into'))
  d.put('a', 'mine')
  const before = d.outsideState()
  const session = d.session({ mounts: [{ path: '/shared', target: shared, readOnly: true }] })
  t.equal(await get(session, '/into/a'), 'shared')
  t.equal(await outcome(get(session, '/shared/up')), 'path.not_found')
  t.equal(await outcome(names(session, '/shared/abs')), 'path.not_found')
  for (const folder of ['/shared/in', '/into']) {
    const p = (name: string) => v(`${folder}/${name}`)
    const refused = [
      put(session, `${folder}/a`, 'x'),
      put(session, `${folder}/b`, 'x'),
      put(session, `${folder}/a`, 'x', { mode: 'resume' }),
      session.mkdir(p('d')),
      session.rmdir(p('d')),
      session.remove(p('a')),
      session.rename(p('a'), v('/b'), { overwrite: false }),
      session.rename(v('/a'), p('b'), { overwrite: false }),
      session.rename(v('/a'), p('a'), { overwrite: true }),
      session.setAttributes(p('a'), { mode: 0o700 }),
      session.setAttributes(p('a'), { mtimeMs: 1 }),
      session.setAttributes(p('a'), { size: 1 }),
      session.symlink('x', p('l')),
    ]
    for (const work of refused) t.equal(await outcome(work), 'permission.denied')
  }
  t.equal(fs.readFileSync(join(shared, 'in/a'), 'utf8'), 'shared')
  t.same(fs.readdirSync(join(shared, 'in')), ['a'])
  t.equal(d.outsideState(), before)
})

test('a mount point cannot be removed, renamed or replaced, nor a folder that holds one', async (t) => {
  const d = disk(t)
  const shared = join(d.root, 'shared')
  fs.mkdirSync(shared)
  fs.mkdirSync(join(d.home, 'area/point'), { recursive: true })
  d.put('other/x', 'x')
  const session = d.session({ mounts: [{ path: '/area/point', target: shared }] })
  for (const path of ['/', '/area', '/area/point']) {
    t.equal(await outcome(session.rmdir(v(path))), 'permission.denied', path)
    t.equal(await outcome(session.rename(v(path), v('/moved'), { overwrite: true })), 'permission.denied', path)
    t.equal(await outcome(session.rename(v('/other'), v(path), { overwrite: true })), 'permission.denied', path)
    t.equal(await outcome(session.remove(v(path))), 'path.is_directory', path)
    t.equal(await outcome(put(session, path, 'x')), 'path.is_directory', path)
  }
})

test('a missing mount target is answered as missing and costs no descriptor', async (t) => {
  const d = disk(t)
  const session = d.session({ mounts: [{ path: '/gone', target: join(d.root, 'nowhere') }] })
  const before = descriptors()
  for (let i = 0; i < 50; i++) t.equal(await outcome(session.stat(v('/gone/x'))), 'path.not_found')
  await closedAgain(before)
  d.put('a', 'mine')
  t.equal(await get(session, '/a'), 'mine')
})

test('pipes, sockets and devices are neither read, written, changed nor waited for', async (t) => {
  const d = disk(t)
  execFileSync('mkfifo', [join(d.home, 'pipe')])
  // a socket's path is short
  const home = fs.openSync(d.home, 'r')
  const server = net.createServer().listen(`/proc/self/fd/${home}/socket`)
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => {
    server.close()
    fs.closeSync(home)
  })
  const kinds = ['pipe', 'socket']
  if (process.getuid?.() === 0) {
    execFileSync('mknod', [join(d.home, 'device'), 'c', '1', '5'])
    kinds.push('device')
  } else t.comment('device nodes need root')
  const session = d.session()
  for (const name of kinds) {
    t.equal(await outcome(get(session, `/${name}`)), 'path.not_regular', name)
    for (const mode of ['replace', 'resume'] as const)
      t.equal(await outcome(put(session, `/${name}`, 'x', { mode })), 'path.not_regular', name)
    t.equal(await outcome(session.setAttributes(v(`/${name}`), { mode: 0o777 })), 'path.not_regular', name)
    t.equal(await outcome(session.setAttributes(v(`/${name}`), { size: 1 })), 'path.not_regular', name)
    t.equal((await session.stat(v(`/${name}`))).kind, 'other')
  }
})

test('the gateway’s own folder does not exist for partners, however it is spelled', async (t) => {
  const d = disk(t)
  for (const name of ['.fileflow', '.FileFlow', '.FILEFLOW', '.fileflow.', '.fileflow ', '.ﬁleﬂow']) {
    fs.mkdirSync(join(d.home, name, 'spool'), { recursive: true })
    fs.writeFileSync(join(d.home, name, 'spool/x'), 'spooled')
  }
  fs.mkdirSync(join(d.home, 'sub'))
  const session = d.session()
  t.notOk((await names(session)).some((name) => /fileflow|ﬂow/i.test(name)))
  for (const typed of [
    '.fileflow',
    '/.fileflow/spool/x',
    'sub/../.fileflow',
    './/.fileflow',
    '/.FileFlow',
    '/.FILEFLOW/spool',
    '.fileflow.',
    '.fileflow ',
    '.ﬁleﬂow',
  ])
    t.throws(() => toVirtualPath(v('/'), typed), { code: 'path.invalid' }, typed)
  let n = 0
  for (const target of ['.fileflow', '/.fileflow', 'sub/../.fileflow/spool', '.FileFlow', '/.fileflow./spool/x', './/.fileflow//']) {
    const link = `/l${n++}`
    await session.symlink(target, v(link))
    t.equal(await outcome(session.stat(v(link))), 'path.not_found', target)
    t.equal(await outcome(session.stat(v(`${link}/spool`))), 'path.not_found', target)
    t.equal(await outcome(put(session, link, 'x')), 'path.not_found', target)
    t.equal(await outcome(put(session, `${link}/new`, 'x')), 'path.not_found', target)
  }
  t.same(fs.readdirSync(join(d.home, '.fileflow')), ['spool'])
})

test('names survive byte for byte: not UTF-8, 255 bytes, trailing dots and spaces, newlines', async (t) => {
  const d = disk(t)
  const session = d.session()
  const all = [
    raw(0x66, 0xff, 0xe9, 0x80),
    raw(0xed, 0xb2, 0x80),
    raw(0xc3),
    'é'.repeat(127),
    'x'.repeat(255),
    'dots...',
    ' ',
    '-rf *',
    'line\nbreak',
    '\\..\\up',
    '...',
    '%2e%2e',
    '~',
  ]
  for (const name of all) {
    await put(session, `/${name}`, `of ${all.indexOf(name)}`)
    t.equal(await get(session, `/${name}`), `of ${all.indexOf(name)}`)
    await session.mkdir(v(`/dir`))
    await session.rename(v(`/${name}`), v(`/dir/${name}`), { overwrite: false })
    t.same(await names(session, '/dir'), [name])
    await session.rename(v(`/dir/${name}`), v(`/${name}`), { overwrite: false })
    await session.rmdir(v('/dir'))
  }
  t.same(await names(session), [...all].sort())
  t.same(
    fs.readdirSync(d.home, { encoding: 'buffer' }).some((name) => name.equals(Buffer.from([0x66, 0xff, 0xe9, 0x80]))),
    true,
  )
  for (const name of all) {
    await session.remove(v(`/${name}`))
    await cut(session, `/${name}`, 'half')
    t.equal(await get(session, `/${name}`), 'half', 'a partial keeps its name, too')
  }
  t.same(await names(session), [...all].sort())
  t.throws(() => v(`/${'x'.repeat(256)}`), { code: 'path.invalid' })
  t.throws(() => v(`/${'é'.repeat(128)}`), { code: 'path.invalid' })
  t.throws(() => v('/a\0b'), { code: 'path.invalid' })
})

test('links that grow a path without end are refused soon', async (t) => {
  const d = disk(t)
  fs.mkdirSync(join(d.home, Array(1500).fill('d').join('/')), { recursive: true })
  const session = d.session()
  const deep = `/${Array(1400).fill('d').join('/')}`
  await session.symlink(`${deep}`, v('/long'))
  await session.symlink(`/long/${Array(90).fill('d').join('/')}`, v('/longer'))
  t.equal(await outcome(session.stat(v('/longer'))), 'ok')
  await session.symlink(`/long/${Array(20).fill('w'.repeat(200)).join('/')}`, v('/too-long'))
  t.equal(await outcome(session.stat(v('/too-long/x'))), 'path.invalid')
})

test('chmod of nothing keeps the gateway’s access, and no dangerous bit is ever set', async (t: Test) => {
  const d = disk(t)
  d.put('a', 'mine')
  fs.mkdirSync(join(d.home, 'dir'))
  const session = d.session()
  await session.setAttributes(v('/a'), { mode: 0 })
  t.equal(fs.statSync(join(d.home, 'a')).mode & 0o7777, 0o600)
  await session.setAttributes(v('/a'), { mode: 0o7777 })
  t.equal(fs.statSync(join(d.home, 'a')).mode & 0o7777, 0o777)
  await session.setAttributes(v('/dir'), { mode: 0o7000 })
  t.equal(fs.statSync(join(d.home, 'dir')).mode & 0o7777, 0o700)
  await session.mkdir(v('/made'), 0o7000)
  t.equal(fs.statSync(join(d.home, 'made')).mode & 0o7777, 0o700)
  await put(session, '/b', 'x', { mode: 'replace', fileMode: 0o4000 })
  t.equal(fs.statSync(join(d.home, 'b')).mode & 0o7777, 0o600)
  const upload = await begin(session, '/c', 'x')
  await upload.setAttributes({ mode: 0o6000 })
  await upload.commit(SURE)
  t.equal(fs.statSync(join(d.home, 'c')).mode & 0o7777, 0o600)
  fs.chmodSync(join(d.home, 'c'), 0o4044)
  await put(session, '/c', 'new')
  t.equal(fs.statSync(join(d.home, 'c')).mode & 0o7777, 0o644, 'a new version keeps the mode, without what is dangerous')
})

test('a link’s own times are set, wherever it leads, its permissions are not; those of its target are set inside', async (t) => {
  const d = disk(t)
  d.put('a', 'mine')
  fs.symlinkSync('/a', join(d.home, 'l'))
  const session = d.session()
  fs.symlinkSync(join(d.outside, 'secret'), join(d.home, 'out'))
  const before = d.outsideState()
  for (const link of ['/l', '/out']) {
    t.equal(await outcome(session.setAttributes(v(link), { mode: 0o600 }, { followLink: false })), 'operation.unsupported')
    await session.setAttributes(v(link), { mtimeMs: 1000 }, { followLink: false })
    t.equal(fs.lstatSync(join(d.home, link)).mtimeMs, 1000)
  }
  t.same(d.outsideState(), before)
  await session.setAttributes(v('/l'), { mtimeMs: 5000, atimeMs: 6000 })
  t.equal(fs.statSync(join(d.home, 'a')).mtimeMs, 5000)
  await session.remove(v('/l'))
  t.ok(d.has('a'), 'removing a link leaves its target')
})

test('a listing shows links as links and other kinds as such, and follows a link to a folder', async (t) => {
  const d = disk(t)
  d.put('dir/a', 'mine')
  fs.symlinkSync('dir', join(d.home, 'l'))
  fs.symlinkSync('/nowhere', join(d.home, 'dangling'))
  const session = d.session()
  t.same((await entries(session)).map((e) => `${e.name} ${e.kind}`).sort(), ['dangling link', 'dir directory', 'l link'])
  t.same(await names(session, '/l'), ['a'])
  t.equal(await outcome(names(session, '/dir/a')), 'path.not_directory')
  t.equal((await session.lstat(v('/l'))).kind, 'link')
  t.equal((await session.stat(v('/l'))).kind, 'directory')
  t.equal((await session.stat(v('/l'))).name, 'l')
})

test('the folder that a session worked in last is looked for again: moved, exchanged for a link, removed or made anew, nothing is written where it was', async (t) => {
  const d = disk(t)
  const session = d.session()
  const inside = join(d.home, 'in')
  fs.mkdirSync(inside)
  await put(session, '/in/first', 'first')

  // another local process takes the folder out of the home, and lays a link in its place
  fs.renameSync(inside, join(d.outside, 'taken'))
  fs.symlinkSync(join(d.outside, 'taken'), inside)
  t.not(await outcome(put(session, '/in/second', 'second')), 'ok')
  t.same(fs.readdirSync(join(d.outside, 'taken')), ['first'])
  fs.renameSync(join(d.outside, 'taken'), join(d.home, 'back'))

  // a link within the home leads where it says
  fs.rmSync(inside)
  fs.symlinkSync('back', inside)
  await put(session, '/in/third', 'third')
  t.same(fs.readdirSync(join(d.home, 'back')).sort(), ['first', 'third'])

  // removed, and made anew under the same name
  fs.rmSync(inside)
  fs.renameSync(join(d.home, 'back'), inside)
  await put(session, '/in/fourth', 'fourth')
  fs.rmSync(inside, { recursive: true })
  t.equal(await outcome(put(session, '/in/fifth', 'fifth')), 'path.not_found')
  fs.mkdirSync(inside)
  await put(session, '/in/sixth', 'sixth')
  t.same(fs.readdirSync(inside), ['sixth'])
})

test('a name in the folder that a session worked in last may become a link: it is walked like any other', async (t) => {
  const d = disk(t)
  const session = d.session()
  await put(session, '/a', 'whole')
  fs.rmSync(join(d.home, 'a'))
  fs.symlinkSync(join(d.outside, 'secret'), join(d.home, 'a'))
  const before = d.outsideState()
  t.not(await outcome(get(session, '/a')), 'ok')
  t.not(await outcome(put(session, '/a', 'mine')), 'ok')
  t.same(d.outsideState(), before)
})

test('a session that is over, or idle for a moment, keeps no folder open', async (t) => {
  const d = disk(t)
  const before = descriptors()
  const [one, two] = [d.session(), d.session()]
  await put(one, '/a', 'whole')
  await put(two, '/b', 'whole')
  await one.close(new FileFlowError('session.revoked'))
  t.ok(descriptors() <= before + 1)
  await closedAgain(before)
})
