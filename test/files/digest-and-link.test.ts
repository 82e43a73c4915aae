// Digests of what a partner may read, and second names for published files.
// Must not trust an answer: digests are made again here, links are looked at on the disk.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { FileFlowError } from '../../src/core/errors.ts'
import { PERMISSIONS } from '../../src/core/permission.ts'
import { begin, closedAgain, cut, descriptors, disk, everything, get, outcome, put, SURE, v } from './bench.ts'

const hash = (algorithm: string, data: Buffer | string): string => createHash(algorithm).update(data).digest('hex')
const hex = (digest: Uint8Array): string => Buffer.from(digest).toString('hex')

test('a digest is that of the bytes asked for, in every algorithm', async (t) => {
  const d = disk(t)
  const session = d.session()
  const content = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 9)) & 255))
  fs.writeFileSync(join(d.home, 'a'), content)
  for (const algorithm of ['sha256', 'sha512', 'sha1', 'md5'] as const) {
    const whole = await session.digest(v('/a'), algorithm)
    t.equal(hex(whole.digest), hash(algorithm, content), algorithm)
    t.match(whole, { start: 0, end: content.length, size: content.length })
  }
  // the check value of CRC-32/ISO-HDLC
  d.put('check', '123456789')
  t.equal(hex((await session.digest(v('/check'), 'crc32')).digest), 'cbf43926')
  const part = await session.digest(v('/a'), 'sha1', { start: 5, length: 1_500_000 })
  t.equal(hex(part.digest), hash('sha1', content.subarray(5, 1_500_005)))
  t.match(part, { start: 5, end: 1_500_005 })
  t.match(await session.digest(v('/a'), 'md5', { start: 2_999_999, length: 100 }), { end: 3_000_000 }, 'what there is')
  const blocks = await session.digest(v('/a'), 'md5', { start: 1, blockSize: 1_100_000 })
  const wanted = [1, 1_100_001, 2_200_001].map((at) => hash('md5', content.subarray(at, Math.min(at + 1_100_000, 3_000_000))))
  t.equal(hex(blocks.digest), wanted.join(''))
  d.put('empty', '')
  t.equal(hex((await session.digest(v('/empty'), 'sha256', { blockSize: 256 })).digest), hash('sha256', ''))
  t.same(d.ledger.begun, [], 'no transfer is recorded')
})

test('a digest that nobody can want is refused, and no descriptor stays open', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('a', 'x'.repeat(70_000))
  fs.mkdirSync(join(d.home, 'dir'))
  const before = descriptors()
  for (const options of [{ start: 70_001 }, { start: -1 }, { length: 1.5 }, { blockSize: 0 }, { blockSize: 1 }])
    t.equal(await outcome(session.digest(v('/a'), 'md5', options)), 'request.invalid', JSON.stringify(options))
  t.equal(await outcome(session.digest(v('/dir'), 'md5')), 'path.is_directory')
  t.equal(await outcome(session.digest(v('/none'), 'md5')), 'path.not_found')
  t.equal(await outcome(session.digest(v('/a'), 'md5', { signal: AbortSignal.abort() })), 'transfer.aborted')
  await closedAgain(before)
})

test('a digest ends with its session, and four at once are enough', async (t) => {
  const d = disk(t)
  const session = d.session()
  fs.writeFileSync(join(d.home, 'big'), '')
  fs.truncateSync(join(d.home, 'big'), 1 << 30)
  const before = descriptors()
  const running = [1, 2, 3, 4].map(() => outcome(session.digest(v('/big'), 'sha512')))
  t.equal(await outcome(session.digest(v('/big'), 'crc32')), 'limit.rate')
  await session.close(new FileFlowError('session.revoked'))
  t.same(await Promise.all(running), Array(4).fill('session.revoked'))
  await closedAgain(before)
})

test('a digest sees the own partial, an open upload and an open download as reading them does', async (t) => {
  const d = disk(t)
  const session = d.session()
  await cut(session, '/half', 'came so far')
  t.equal(hex((await session.digest(v('/half'), 'md5')).digest), hash('md5', 'came so far'))
  t.equal(await outcome(d.session({ username: 'other' }).digest(v('/half'), 'md5')), 'path.not_found')
  const upload = await begin(session, '/new', 'first')
  const writing = upload.write(Buffer.from(' second'), 5)
  t.equal(hex((await upload.digest('sha256', { length: 5 })).digest), hash('sha256', 'first'))
  await writing
  t.equal(hex((await upload.digest('sha256')).digest), hash('sha256', 'first second'))
  await upload.commit(SURE)
  t.equal(await outcome(upload.digest('md5')), 'transfer.aborted')
  t.equal(d.ledger.committed[0]?.sha256, hash('sha256', 'first second'), 'looking changed nothing')
  const download = await session.openDownload(v('/new'))
  await put(session, '/new', 'replaced')
  t.equal(hex((await download.digest('md5')).digest), hash('md5', 'first second'), 'the file as it was opened')
  await download.end(0)
  t.equal(await outcome(download.digest('md5')), 'transfer.aborted')
})

test('a second name is the same file, counts for the quota, and arrives as a rename does', async (t) => {
  const d = disk(t)
  const session = d.session()
  await put(session, '/a', 'content')
  fs.mkdirSync(join(d.home, 'out'))
  d.ledger.deliveries = 1
  await session.link(v('/a'), v('/out/b'))
  t.equal(fs.statSync(join(d.home, 'a')).ino, fs.statSync(join(d.home, 'out/b')).ino)
  t.match(d.ledger.renames, [{ from: '/a', to: '/out/b', size: 7, adds: { bytes: 7, files: 1 } }])
  t.same([...d.ledger.renamedAs.values()], [true])
  t.equal(d.kept('spool').length, 1, 'what is owed has its content')
  t.match(d.ledger.operations.at(-1), { action: 'link', path: '/a', to: '/out/b', bytes: 7, files: 1 })
})

test('a second name never replaces, and is only for published files', async (t) => {
  const d = disk(t)
  const session = d.session()
  await put(session, '/a', 'a')
  await put(session, '/b', 'b')
  await cut(session, '/half', 'half')
  await begin(session, '/open', 'open')
  fs.mkdirSync(join(d.home, 'dir'))
  fs.symlinkSync('a', join(d.home, 'l'))
  const link = (from: string, to: string) => outcome(session.link(v(from), v(to)))
  t.equal(await link('/a', '/b'), 'path.exists')
  t.equal(await link('/a', '/l'), 'path.exists', 'not even a link')
  t.equal(await link('/a', '/'), 'path.exists')
  t.equal(await link('/half', '/c'), 'state.conflict')
  t.equal(await link('/open', '/c'), 'state.conflict')
  t.equal(await link('/none', '/c'), 'path.not_found')
  t.equal(await link('/dir', '/c'), 'path.not_regular')
  t.equal(await link('/a', '/none/c'), 'path.not_found')
  d.ledger.meanwhile.commitRename = () => fs.writeFileSync(join(d.home, 'c'), 'theirs')
  t.equal(await link('/a', '/c'), 'path.exists', 'nor one that came meanwhile')
  t.equal(d.read('c'), 'theirs')
  fs.rmSync(join(d.home, 'c'))
  d.ledger.meanwhile.commitRename = () => {
    fs.renameSync(join(d.home, 'b'), join(d.home, 'a'))
  }
  t.equal(await link('/a', '/c'), 'state.conflict', 'another file took the name')
  d.ledger.meanwhile = {}
  t.notOk(d.has('c'))
  t.notOk([...d.ledger.renamedAs.values()].includes(true))
  t.equal(await link('/l', '/c'), 'ok')
  t.ok(fs.lstatSync(join(d.home, 'c')).isFile(), 'a link to a file is followed')
})

test('a second name gives no more rights than the first', async (t) => {
  const d = disk(t)
  const target = join(d.root, 'shared')
  fs.mkdirSync(target)
  fs.writeFileSync(join(target, 'x'), 'shared')
  d.put('kept/a', 'kept')
  const session = d.session({
    permissions: [everything(), { path: v('/kept'), allow: ['list', 'download'] }, { path: v('/in'), allow: ['download', 'upload'] }],
    mounts: [{ path: '/shared', target, readOnly: true }],
  })
  fs.mkdirSync(join(d.home, 'in'))
  fs.mkdirSync(join(d.home, 'shared'))
  t.equal(await outcome(session.link(v('/kept/a'), v('/b'))), 'permission.denied', 'b could be changed, kept/a could not')
  t.equal(await outcome(session.link(v('/kept/a'), v('/in/b'))), 'ok')
  t.equal(await outcome(session.link(v('/shared/x'), v('/in/c'))), 'permission.denied')
  const blind = d.session({ permissions: [{ path: v('/'), allow: PERMISSIONS.filter((one) => one !== 'download') }] })
  t.equal(await outcome(blind.link(v('/kept/a'), v('/d'))), 'permission.denied')
})

test('what is written by one name never shows under the other', async (t) => {
  const d = disk(t)
  const session = d.session()
  await put(session, '/a', 'content')
  for (const [name, change] of Object.entries({
    shorter: (path: string) => session.setAttributes(v(path), { size: 3 }),
    longer: (path: string) => session.setAttributes(v(path), { size: 10 }),
    append: (path: string) => put(session, path, '+', { mode: 'resume' }),
    replace: (path: string) => put(session, path, 'new'),
  })) {
    await session.link(v('/a'), v(`/${name}`))
    await change(`/${name}`)
    t.equal(await get(session, '/a'), 'content', name)
    t.not(await get(session, `/${name}`), 'content', name)
  }
})
