// What a session may do: its permission table, renames, its end, and what it costs.
// Must not stop at replies: the disk and the ledger are looked at.
import fs from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { FileFlowError } from '../../src/core/errors.ts'
import { PERMISSIONS, type Permission } from '../../src/core/permission.ts'
import { REQUIRED } from '../../src/files/access.ts'
import { RateLimiter } from '../../src/files/rate-limiter.ts'
import type { SessionFilesystem } from '../../src/files/session-filesystem.ts'
import { until } from '../store/temp-store.ts'
import {
  begin,
  bytes,
  closedAgain,
  cut,
  descriptors,
  disk,
  entries,
  everything,
  get,
  names,
  outcome,
  put,
  SURE,
  textOf,
  v,
} from './bench.ts'

const over = new FileFlowError('session.revoked')

/** One try per row of the table; the files it needs exist. */
const TRIES: Record<keyof typeof REQUIRED, { also?: Permission[]; run(session: SessionFilesystem): Promise<unknown> }> = {
  list: { run: (s) => names(s, '/dir') },
  stat: { run: (s) => s.stat(v('/a')) },
  download: { run: (s) => get(s, '/a') },
  upload: { run: (s) => put(s, '/new', 'x') },
  overwrite: { also: ['upload'], run: (s) => put(s, '/a', 'x') },
  resume: { also: ['upload', 'overwrite'], run: (s) => put(s, '/a', 'x', { mode: 'resume' }) },
  digest: { run: (s) => s.digest(v('/a'), 'crc32') },
  linkFrom: { also: ['upload'], run: (s) => s.link(v('/a'), v('/second')) },
  linkTo: { also: ['download'], run: (s) => s.link(v('/a'), v('/second')) },
  mkdir: { run: (s) => s.mkdir(v('/made')) },
  rmdir: { run: (s) => s.rmdir(v('/dir')) },
  remove: { run: (s) => s.remove(v('/a')) },
  rename: { run: (s) => s.rename(v('/a'), v('/b'), { overwrite: false }) },
  chmod: { run: (s) => s.setAttributes(v('/a'), { mode: 0o600 }) },
  utime: { run: (s) => s.setAttributes(v('/a'), { mtimeMs: 1000 }) },
  resize: { also: ['upload', 'resume'], run: (s) => s.setAttributes(v('/a'), { size: 1 }) },
  readlink: { run: (s) => s.readlink(v('/l')) },
  symlink: { run: (s) => s.symlink('a', v('/l2')) },
}

test('each operation needs its row of the table, and only that', async (t) => {
  let n = 0
  for (const [operation, { also = [], run }] of Object.entries(TRIES)) {
    const needs: Permission[] = [REQUIRED[operation as keyof typeof REQUIRED], ...also]
    const d = disk(t, join(t.testdir({ [`d${n}`]: {} }), `d${n++}`))
    d.put('a', 'mine')
    fs.mkdirSync(join(d.home, 'dir'))
    fs.symlinkSync('a', join(d.home, 'l'))
    const before = fs.statSync(join(d.home, 'a'))
    for (const missing of needs) {
      const session = d.session({ permissions: [{ path: v('/'), allow: PERMISSIONS.filter((p) => p !== missing) }] })
      t.equal(await outcome(run(session)), 'permission.denied', `${operation} without ${missing}`)
    }
    t.equal(await outcome(run(d.session({ permissions: [] }))), 'permission.denied', `${operation} without any row`)
    t.same(fs.readdirSync(d.home).sort(), ['a', 'dir', 'l'])
    t.equal(d.read('a'), 'mine')
    t.equal(fs.statSync(join(d.home, 'a')).ctimeMs, before.ctimeMs)
    t.equal(await outcome(run(d.session({ permissions: [{ path: v('/'), allow: needs }] }))), 'ok', `${operation} with ${needs}`)
  }
})

test('where a link leads, the table is asked about the target, for each attribute', async (t) => {
  const d = disk(t)
  d.put('kept/a', 'theirs')
  fs.symlinkSync('/kept', join(d.home, 'l'))
  fs.symlinkSync('/kept/a', join(d.home, 'la'))
  const only = (...allow: Permission[]) => d.session({ permissions: [everything(), { path: v('/kept'), allow }] })
  for (const path of ['/l/a', '/la']) {
    const session = only('list')
    for (const work of [
      get(session, path),
      put(session, path, 'x'),
      session.setAttributes(v(path), { mode: 0o777 }),
      session.setAttributes(v(path), { mtimeMs: 1 }),
      session.setAttributes(v(path), { size: 0 }),
      only('list', 'chmod').setAttributes(v(path), { mode: 0o777, mtimeMs: 1 }),
      only('list', 'utime').setAttributes(v(path), { mode: 0o777, mtimeMs: 1 }),
    ])
      t.equal(await outcome(work), 'permission.denied')
  }
  t.equal(await outcome(only().stat(v('/la'))), 'permission.denied')
  t.equal(await outcome(names(only(), '/l')), 'permission.denied')
  t.equal(await outcome(only('list').remove(v('/l/a'))), 'permission.denied')
  t.equal(await outcome(only('list').rename(v('/l/a'), v('/x'), { overwrite: true })), 'permission.denied')
  t.equal(await outcome(only('list').mkdir(v('/l/made'))), 'permission.denied')
  t.equal(d.read('kept/a'), 'theirs')
})

test('a folder that holds rows of the table cannot be renamed away from them', async (t) => {
  const d = disk(t)
  d.put('area/outbox/a', 'theirs')
  d.put('free/outbox/a', 'mine')
  const session = d.session({ permissions: [everything(), { path: v('/area/outbox'), allow: ['list', 'download'] }] })
  t.equal(await outcome(session.rename(v('/area'), v('/mine'), { overwrite: true })), 'permission.denied')
  t.equal(await outcome(session.rename(v('/area/outbox'), v('/mine'), { overwrite: true })), 'permission.denied')
  t.equal(d.read('area/outbox/a'), 'theirs')
  t.equal(await outcome(session.rename(v('/free'), v('/elsewhere'), { overwrite: false })), 'ok')
})

test('who may not list learns nothing from asking where a path leads', async (t) => {
  const d = disk(t)
  d.put('hidden/a', 'theirs')
  fs.symlinkSync('hidden', join(d.home, 'l'))
  const session = d.session({ permissions: [{ path: v('/'), allow: ['upload'] }] })
  for (const path of ['/', '/l/a', '/hidden/b/c', '/nothing/at/all']) t.equal(await session.realpath(v(path)), path)
})

test('a rename without overwrite refuses a taken name; with it, the name is replaced at once', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('a', 'A')
  d.put('b', 'other B')
  t.equal(await outcome(session.rename(v('/a'), v('/b'), { overwrite: false })), 'path.exists')
  t.equal(d.read('b'), 'other B')
  d.ledger.meanwhile.commitRename = () => d.put('c', 'came meanwhile')
  t.equal(await outcome(session.rename(v('/a'), v('/c'), { overwrite: false })), 'path.exists')
  t.equal(d.read('c'), 'came meanwhile')
  t.equal(d.read('a'), 'A')
  t.same([...d.ledger.renamedAs.values()], [false])
  d.ledger.meanwhile = {}
  await session.rename(v('/a'), v('/b'), { overwrite: true })
  t.equal(d.read('b'), 'A')
  t.notOk(d.has('a'))
  t.match(d.ledger.operations.at(-1), { action: 'rename', path: '/a', to: '/b', bytes: -7, files: -1 }, 'the replaced file frees its quota')
  await session.rename(v('/b'), v('/d'), { overwrite: true })
  t.notOk('bytes' in d.ledger.operations.at(-1)!)
  const noOverwrite = d.session({ permissions: [{ path: v('/'), allow: PERMISSIONS.filter((p) => p !== 'overwrite') }] })
  t.equal(await outcome(noOverwrite.rename(v('/d'), v('/c'), { overwrite: true })), 'permission.denied')
  t.equal(d.read('c'), 'came meanwhile')
})

test('a rename onto itself, of folders, of links and of nothing', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('a', 'A')
  d.put('dir/x', 'X')
  fs.mkdirSync(join(d.home, 'empty'))
  fs.symlinkSync('a', join(d.home, 'l'))
  const rename = (from: string, to: string, overwrite = false) => outcome(session.rename(v(from), v(to), { overwrite }))
  for (const path of ['/a', '/dir', '/l']) for (const overwrite of [true, false]) t.equal(await rename(path, path, overwrite), 'ok')
  t.equal(d.read('a'), 'A')
  t.equal(await rename('/dir', '/dir/inside'), 'path.invalid')
  t.equal(await rename('/dir', '/empty'), 'path.exists')
  t.equal(await rename('/empty', '/dir', true), 'path.not_empty')
  t.equal(await rename('/a', '/dir', true), 'path.is_directory')
  t.equal(await rename('/dir', '/a', true), 'path.not_directory')
  t.equal(await rename('/dir', '/empty', true), 'ok')
  t.equal(d.read('empty/x'), 'X')
  t.equal(await rename('/nothing', '/x'), 'path.not_found')
  t.equal(await rename('/a', '/nowhere/x'), 'path.not_found')
  t.equal(await rename('/l', '/empty/l2'), 'ok')
  t.equal(fs.readlinkSync(join(d.home, 'empty/l2')), 'a')
  t.equal(d.read('a'), 'A')
})

test('a partial is renamed with its content, and still resumes', async (t) => {
  const d = disk(t)
  const session = d.session()
  await cut(session, '/a.part', 'half')
  fs.mkdirSync(join(d.home, 'dir'))
  await session.rename(v('/a.part'), v('/dir/a'), { overwrite: false })
  t.notOk(d.has('dir/a'))
  t.equal(await outcome(session.stat(v('/a.part'))), 'path.not_found')
  await put(session, '/dir/a', ' and half', { mode: 'resume' })
  t.equal(d.read('dir/a'), 'half and half')
  t.same(d.ledger.renames, [], 'no rule was asked about half a file')
})

test('after the end of a session every call fails, uploads are partials, nothing is published', async (t) => {
  const d = disk(t)
  d.put('a', 'mine')
  const session = d.session()
  const upload = await begin(session, '/new', 'half')
  const download = await session.openDownload(v('/a'))
  const late = [upload.write(Buffer.alloc(1_000_000), 4)]
  await session.close(over)
  await Promise.allSettled(late)
  const calls: Promise<unknown>[] = [
    ...Object.values(TRIES).map(({ run }) => run(session)),
    session.realpath(v('/')),
    session.space(v('/')),
    session.lstat(v('/a')),
    upload.write(bytes('x'), 0),
    upload.commit(SURE),
    upload.read(Buffer.alloc(1), 0),
    upload.truncate(0),
    upload.sync(),
    upload.stat(),
    upload.setAttributes({ mode: 0o600 }),
    download.read(Buffer.alloc(1), 0),
    download.stat(),
  ]
  for (const call of calls) t.match(await outcome(call), /^(session\.revoked|transfer\.aborted)$/)
  t.same(fs.readdirSync(d.home), ['a'])
  t.equal(d.read('a'), 'mine')
  t.same(
    [...d.ledger.ended.values()].map((end) => end.state),
    ['aborted', 'aborted'],
  )
  t.equal((await d.session().stat(v('/new'))).partial, true)
})

test('a session that ends while a transfer begins leaves nothing behind', async (t) => {
  const d = disk(t)
  d.put('a', 'mine')
  const before = descriptors()
  for (const work of [
    (s: SessionFilesystem) => s.openDownload(v('/a')),
    (s: SessionFilesystem) => s.beginUpload(v('/b'), { mode: 'replace' }),
    (s: SessionFilesystem) => s.beginUpload(v('/a'), { mode: 'resume' }),
  ]) {
    for (const quota of [{ bytes: 1e9 }, {}]) {
      const session = d.session({ quota })
      let closed: Promise<void> | undefined
      d.ledger.meanwhile.beginTransfer = () => {
        closed = session.close(over)
      }
      const got = await outcome(work(session))
      if (quota.bytes && d.ledger.begun.at(-1)?.direction === 'upload') t.equal(got, 'session.revoked', 'who waits for a grant is told')
      await until(() => closed !== undefined)
      await closed
    }
  }
  t.equal(d.ledger.ended.size, 6, 'every transfer that began has ended')
  await closedAgain(before)
  t.same(d.kept('staging'), [])
})

test('a transfer that is refused after it began ends, and is never published', async (t) => {
  const d = disk(t)
  d.put('a', 'mine')
  const session = d.session()
  const before = descriptors()
  d.ledger.meanwhile.beginTransfer = () => Promise.reject(new FileFlowError('limit.rate'))
  const download = await session.openDownload(v('/a'))
  await until(() => d.ledger.ended.size === 1)
  t.equal(await outcome(download.read(Buffer.alloc(1), 0)), 'transfer.aborted')
  const upload = await begin(session, '/b', 'x'.repeat(10))
  t.equal(await outcome(upload.write(Buffer.alloc(100_000), 10)), 'limit.rate', 'before much of it is taken')
  t.equal(await outcome(upload.commit(SURE)), 'limit.rate')
  t.notOk(d.has('b'))
  t.same(d.ledger.committed, [])
  await closedAgain(before)
})

test('a thousand uploads, downloads, listings and refusals leave no descriptor open', async (t) => {
  const d = disk(t)
  d.put('a', 'mine')
  fs.mkdirSync(join(d.home, 'dir'))
  fs.symlinkSync('loop', join(d.home, 'loop'))
  const session = d.session({ mounts: [{ path: '/gone', target: join(d.root, 'nowhere') }] })
  const refused = d.session({ permissions: [{ path: v('/'), allow: ['list'] }] })
  await names(session)
  const before = descriptors()
  for (let i = 0; i < 1000; i++) {
    await cut(session, '/b', 'half')
    await (await session.openDownload(v('/a'))).end(0, over)
    await names(session)
    for await (const entry of session.list(v('/'))) if (entry) break
    for (const path of ['/dir', '/loop', '/nothing', '/gone/x', '/a/below']) {
      await outcome(get(session, path))
      await outcome(put(session, path === '/nothing' ? '/nothing/x' : path, 'x'))
    }
    await outcome(get(refused, '/a'))
    await outcome(put(refused, '/a', 'x'))
    if (i % 4 > 0) continue
    d.ledger.meanwhile = {
      beginTransfer: () => Promise.reject(new FileFlowError('limit.rate')),
    }
    await outcome(get(session, '/a'))
    await outcome(put(session, '/a', 'x', { mode: 'resume' }))
    d.ledger.meanwhile = { commitUpload: () => Promise.reject(new FileFlowError('service.unavailable')) }
    await outcome(put(session, '/c', 'x'))
    d.ledger.meanwhile = { commitRename: () => Promise.reject(new FileFlowError('service.unavailable')) }
    await outcome(session.rename(v('/a'), v('/z'), { overwrite: true }))
    d.ledger.meanwhile = {}
  }
  await closedAgain(before)
  t.same(d.kept('staging'), [])
})

test('a download that ends while it is being read closes its file once the read is done', async (t) => {
  const d = disk(t)
  d.put('a', 'x'.repeat(1_000_000))
  const session = d.session()
  const before = descriptors()
  const download = await session.openDownload(v('/a'))
  const reads = [download.read(Buffer.alloc(500_000), 0), download.readv([Buffer.alloc(10), Buffer.alloc(10)], 500_000)]
  await download.end(0, over)
  await download.end(0)
  t.same(await Promise.all(reads), [500_000, 20])
  await closedAgain(before)
  t.equal(d.ledger.ended.size, 1)
})

test('a folder of 20,000 files is listed whole, in bounded memory', async (t) => {
  const d = disk(t, fs.existsSync('/dev/shm') ? fs.mkdtempSync('/dev/shm/fileflow-list-') : undefined)
  if (d.root.startsWith('/dev/shm')) t.teardown(() => fs.rmSync(d.root, { recursive: true }))
  for (let i = 0; i < 20_000; i++) fs.writeFileSync(join(d.home, `file-${i}`), '')
  const session = d.session()
  const before = descriptors()
  let most = 0
  let count = 0
  const start = process.memoryUsage().heapUsed
  const seen = new Set<number>()
  for await (const entry of session.list(v('/'))) {
    seen.add(Number(entry.name.slice(5)))
    if (++count % 1000 === 0) {
      globalThis.gc?.()
      most = Math.max(most, process.memoryUsage().heapUsed - start)
    }
  }
  t.equal(seen.size, 20_000)
  t.ok(most < 64 * 1024 * 1024, `${most} bytes`)
  await closedAgain(before)
})

test('a rate is kept by waiting, smoothly, and can change', async (t) => {
  const limiter = new RateLimiter(1_000_000)
  let waited = 0
  const start = performance.now()
  for (let i = 0; i < 30; i++) {
    const wait = limiter.take(10_000)
    if (wait) waited++
    await wait
  }
  t.ok(performance.now() - start > 150, 'a third of a second of bytes does not pass at once')
  t.ok(waited > 10, 'it waits often and shortly, not once and long')
  limiter.setRate(null)
  t.equal(limiter.take(1e12), undefined)
})

test('a transfer that waits for its rate ends with its session, and goes on when the rate is lifted', async (t) => {
  const d = disk(t)
  d.put('a', 'x'.repeat(100_000))
  const before = descriptors()
  const session = d.session({ limits: { uploadRate: 1, downloadRate: 1 } })
  const upload = await begin(session, '/b')
  const lifted = upload.write(Buffer.alloc(50_000), 0)
  const download = await session.openDownload(v('/a'))
  const read = download.read(Buffer.alloc(100_000), 0)
  session.setPrincipal({ ...session.principal, limits: { ...session.principal.limits, uploadRate: null } })
  await lifted
  await upload.commit(SURE)
  t.equal(fs.statSync(join(d.home, 'b')).size, 50_000)
  await session.close(over)
  t.equal(await read, 100_000)
  await closedAgain(before)
})

test('what frees quota is told in bytes and files', async (t) => {
  const d = disk(t)
  const session = d.session()
  await put(session, '/a', 'four')
  await put(session, '/a', 'sixsix')
  await put(session, '/a', '+', { mode: 'resume' })
  await session.setAttributes(v('/a'), { size: 2 })
  t.same(
    d.ledger.committed.map((c) => [c.replaced, c.size]),
    [
      [null, 4],
      [4, 6],
      [6, 7],
      [7, 2],
    ],
  )
  await session.remove(v('/a'))
  t.match(d.ledger.operations.at(-1), { action: 'delete', bytes: -2, files: -1 })
  await cut(session, '/p', 'half')
  await session.remove(v('/p'))
  t.notOk('bytes' in d.ledger.operations.at(-1)!, 'a partial never counted')
  fs.symlinkSync('x', join(d.home, 'l'))
  await session.remove(v('/l'))
  t.notOk('bytes' in d.ledger.operations.at(-1)!)
})

test('free space never says more than the quota', async (t) => {
  const d = disk(t)
  const space = await d.session({ quota: { bytes: 1_000_000, files: 10 } }).space(v('/'))
  t.ok(space.totalBlocks * space.blockSize <= 1_000_000)
  t.ok(space.freeBlocks <= space.totalBlocks)
  t.equal(space.totalFiles, 10)
  t.equal(space.freeFiles, 10)
  d.ledger.used = { bytes: 900_000, files: 10 }
  const left = await d.session({ quota: { bytes: 1_000_000, files: 10 } }).space(v('/'))
  t.ok(left.freeBlocks * left.blockSize <= 100_000, 'what is used is not free')
  t.equal(left.freeFiles, 0)
  t.equal(left.totalBlocks, space.totalBlocks)
})

test('a download is the file as it was, also at an offset and over its end', async (t) => {
  const d = disk(t)
  d.put('a', 'content')
  const download = await d.session().openDownload(v('/a'), 3)
  t.equal(d.ledger.begun[0]?.offset, 3)
  t.equal(download.size, 7)
  const into = Buffer.alloc(10)
  t.equal(await download.read(into, 3), 4)
  t.equal(await download.read(into, 7), 0)
  t.equal(await download.read(into, 1e9), 0)
  t.equal(await textOf(download), 'content')
  t.equal((await download.stat()).size, 7)
  await download.end(4)
  t.match([...d.ledger.ended.values()], [{ state: 'completed', bytes: 4 }])
  t.equal((await entries(d.session())).length, 1)
})
