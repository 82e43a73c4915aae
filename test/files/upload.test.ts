// What a partner and everyone else see of an upload, from its first byte to its end, at the disk.
// Must not stop at the session's own answers.
import fs from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'tap'
import { FileFlowError } from '../../src/core/errors.ts'
import { PERMISSIONS } from '../../src/core/permission.ts'
import { MOST_PARTIALS } from '../../src/files/kept-partials.ts'
import { begin, bytes, cut, disk, entries, get, names, outcome, put, SURE, sha256, textOf, v } from './bench.ts'

const cancelled = new FileFlowError('transfer.aborted')

test('a file does not appear under its name before it is committed', async (t) => {
  const d = disk(t)
  const session = d.session()
  const upload = await begin(session, '/a', 'half')
  t.notOk(d.has('a'))
  t.same(await names(d.session({ username: 'other' })), [], 'nobody else sees it')
  t.equal((await session.stat(v('/a'))).partial, true, 'its uploader sees how far it is')
  d.ledger.meanwhile.commitUpload = () => t.notOk(d.has('a'), 'nor while its obligations are being recorded')
  await upload.commit(SURE)
  t.equal(d.read('a'), 'half')
  t.same(d.kept('staging'), [])
  t.same(d.ledger.done, [upload.transferId])
  t.match(d.ledger.committed, [{ path: '/a', size: 4, sha256: sha256('half'), replaced: null }])
  t.equal(d.ledger.committed[0]!.final.toString(), join(d.home, 'a'))
})

test('an aborted upload leaves the old file as it was, and a partial that only its uploader sees', async (t) => {
  const d = disk(t)
  d.put('old', 'published')
  const inode = fs.statSync(join(d.home, 'old')).ino
  const session = d.session()
  await cut(session, '/old', 'ha')
  await cut(session, '/new', 'half')
  t.equal(d.read('old'), 'published')
  t.equal(fs.statSync(join(d.home, 'old')).ino, inode)
  t.notOk(d.has('new'))
  for (const uploader of [session, d.session()]) {
    t.match(await uploader.stat(v('/new')), { size: 4, partial: true, kind: 'file' })
    t.match(await uploader.stat(v('/old')), { size: 2, partial: true })
    t.equal(await get(uploader, '/new'), 'half')
    t.same((await entries(uploader)).map((e) => `${e.name} ${e.size} ${e.partial}`).sort(), ['new 4 true', 'old 2 true'])
  }
  const other = d.session({ username: 'other' })
  t.same(
    (await entries(other)).map((e) => `${e.name} ${e.size} ${e.partial}`),
    ['old 9 false'],
  )
  t.equal(await outcome(other.stat(v('/new'))), 'path.not_found')
  t.equal(await outcome(get(other, '/new')), 'path.not_found')
  t.equal(await get(other, '/old'), 'published')
  t.equal(await outcome(other.remove(v('/new'))), 'path.not_found')
  t.equal(await outcome(other.rename(v('/new'), v('/x'), { overwrite: true })), 'path.not_found')
  t.equal(await outcome(other.setAttributes(v('/new'), { mode: 0o600 })), 'path.not_found')
  t.equal(await outcome(other.beginUpload(v('/new'), { mode: 'resume', mustExist: true })), 'path.not_found')
  t.equal((await session.stat(v('/new'))).size, 4, 'and it is still there')
  t.equal([...d.ledger.ended.values()].filter((end) => end.state === 'aborted' && end.partial).length, 2)
})

test('an upload whose end is doubted at the last moment is kept as a partial and published to nobody', async (t) => {
  const d = disk(t)
  const session = d.session()
  const upload = await begin(session, '/a', 'half')
  const doubted = () => {
    throw new FileFlowError('upload.incomplete')
  }
  t.equal(await outcome(upload.commit({ confidence: 'likely', evidence: [] }, doubted)), 'upload.incomplete')
  t.notOk(d.has('a'))
  t.same(d.ledger.committed, [])
  t.match(await session.stat(v('/a')), { partial: true })
})

test('a name that is removed while an upload to it is being committed is free afterwards', async (t) => {
  const d = disk(t)
  const session = d.session()
  const upload = await begin(session, '/a', 'content')
  let removed: Promise<string> | undefined
  d.ledger.meanwhile.commitUpload = () => {
    removed = outcome(session.remove(v('/a')))
  }
  await upload.commit(SURE)
  t.equal(await removed, 'ok')
  t.notOk(d.has('a'))
})

test('a partial is resumed to a whole file', async (t) => {
  const d = disk(t)
  await cut(d.session(), '/a', 'first ')
  const session = d.session()
  const upload = await session.beginUpload(v('/a'), { mode: 'resume' })
  t.equal(upload.size, 6)
  t.equal(d.ledger.begun.at(-1)?.offset, 6)
  await upload.write(bytes('second'), 6)
  await upload.commit(SURE)
  t.equal(d.read('a'), 'first second')
  t.equal(d.ledger.committed[0]?.sha256, sha256('first second'))
  t.same(d.kept('partials'), [])
  t.equal((await session.stat(v('/a'))).partial, false)
})

test('resuming in the middle cuts, resuming behind the end is refused and keeps the partial', async (t) => {
  const d = disk(t)
  const session = d.session()
  await cut(session, '/a', 'first second')
  t.equal(await outcome(session.beginUpload(v('/a'), { mode: 'resume', truncateTo: 13 })), 'request.invalid')
  t.equal(await get(session, '/a'), 'first second')
  await put(session, '/a', 'third', { mode: 'resume', truncateTo: 6 })
  t.equal(d.read('a'), 'first third')
})

test('a partial that was taken over survives another cut', async (t) => {
  const d = disk(t)
  const session = d.session()
  await cut(session, '/a', 'first ')
  await cut(session, '/a', 'second ', { mode: 'resume' })
  await put(session, '/a', 'third', { mode: 'resume' })
  t.equal(d.read('a'), 'first second third')
  t.equal(d.ledger.committed[0]?.sha256, sha256('first second third'))
})

test('replacing keeps the readers of the old file', async (t) => {
  const d = disk(t)
  d.put('a', 'old content')
  const session = d.session()
  const reader = await d.session({ username: 'reader' }).openDownload(v('/a'))
  await put(session, '/a', 'new')
  t.equal(await textOf(reader), 'old content')
  t.equal(d.read('a'), 'new')
  t.equal(d.ledger.committed[0]?.replaced, 11)
  await session.remove(v('/a'))
  t.equal(await textOf(reader), 'old content')
  await reader.end(11)
})

test('what was spooled for delivery stays as it was, whatever the partner does next', async (t) => {
  const d = disk(t)
  d.ledger.deliveries = 1
  const session = d.session()
  const first = await put(session, '/a', 'as committed')
  const spool = join(d.dataDir, 'spool', first.transferId)
  const look = (when: string) => t.equal(fs.readFileSync(spool, 'utf8'), 'as committed', when)
  t.equal(fs.statSync(spool).ino, fs.statSync(join(d.home, 'a')).ino, 'it is the very file')
  await put(session, '/a', ' and more', { mode: 'resume' })
  t.equal(d.read('a'), 'as committed and more')
  look('after an append')
  await session.setAttributes(v('/a'), { size: 3 })
  t.equal(d.read('a'), 'as ')
  look('after a cut')
  const inPlace = await session.beginUpload(v('/a'), { mode: 'resume' })
  await inPlace.write(bytes('XX'), 0)
  await inPlace.commit(SURE)
  t.equal(d.read('a'), 'XX ')
  await put(session, '/a', 'new')
  await session.setAttributes(v('/a'), { mode: 0 })
  await session.remove(v('/a'))
  look('after everything else')
})

test('writes out of order, with holes and over each other are hashed as they lie on the disk', async (t) => {
  const d = disk(t)
  const session = d.session()
  const cases: [string, [string, number][]][] = [
    [
      'backwards',
      [
        ['def', 3],
        ['abc', 0],
      ],
    ],
    [
      'hole',
      [
        ['abc', 0],
        ['xyz', 100_000],
      ],
    ],
    ['late', [['xyz', 5]]],
    [
      'over',
      [
        ['abcdef', 0],
        ['XY', 2],
        ['gh', 6],
      ],
    ],
    [
      'twice',
      [
        ['abc', 0],
        ['abc', 0],
        ['def', 3],
      ],
    ],
    ['empty', []],
    [
      'nothing written far out',
      [
        ['abc', 0],
        ['', 5000],
      ],
    ],
    [
      'in order',
      [
        ['abc', 0],
        ['def', 3],
      ],
    ],
  ]
  for (const [name, writes] of cases) {
    const upload = await begin(session, `/${name}`)
    for (const [text, at] of writes) await upload.write(bytes(text), at)
    await upload.commit(SURE)
    const content = fs.readFileSync(join(d.home, name))
    const { size, sha256: hash } = d.ledger.committed.at(-1)!
    t.equal(hash, sha256(content), name)
    t.equal(size, content.length, name)
  }
  t.equal(fs.statSync(join(d.home, 'hole')).size, 100_003)
  t.equal(d.read('over'), 'abXYefgh')
})

test('many writes at once, cut in between, are hashed as they lie on the disk', async (t) => {
  const d = disk(t)
  const session = d.session()
  for (let round = 0; round < 20; round++) {
    const upload = await begin(session, '/a')
    const block = (n: number) => Buffer.alloc(70_000, n)
    await Promise.all([
      upload.write(block(1), 0),
      upload.write(block(2), 70_000),
      upload.truncate(round % 3 === 0 ? 0 : 1000),
      upload.writev([block(3), block(4)], 0),
      upload.truncate(0),
      upload.write(block(5), 0),
      upload.setAttributes({ size: 90_000 }),
      upload.write(block(6), 70_000),
    ])
    await upload.commit(SURE)
    const content = fs.readFileSync(join(d.home, 'a'))
    t.equal(d.ledger.committed.at(-1)?.sha256, sha256(content))
    t.equal(d.ledger.committed.at(-1)?.size, content.length)
  }
})

test('a commit asked for while data is on its way waits for it, and nothing touches the file afterwards', async (t) => {
  const d = disk(t)
  const session = d.session()
  const upload = await begin(session, '/a')
  const writing = [upload.write(Buffer.alloc(3_000_000, 1), 0), upload.truncate(2_000_000)]
  await upload.commit(SURE)
  const content = fs.readFileSync(join(d.home, 'a'))
  t.equal(d.ledger.committed[0]?.sha256, sha256(content))
  await Promise.all(writing)
  t.ok(fs.readFileSync(join(d.home, 'a')).equals(content))
  t.equal(await outcome(upload.write(bytes('x'), 0)), 'transfer.aborted')
  t.equal(await outcome(upload.truncate(0)), 'transfer.aborted')
  t.equal(await outcome(upload.commit(SURE)), 'transfer.aborted')
  await upload.abort(cancelled)
  t.ok(fs.readFileSync(join(d.home, 'a')).equals(content))
  t.equal(d.ledger.ended.size, 0)
})

test('an upload that lost a piece to a limit is never published, even when the client goes on and closes it', async (t) => {
  for (const maxSizeCode of ['quota.exceeded', 'file.too_large'] as const) {
    const d = disk(t, join(t.testdir({ [maxSizeCode]: {} }), maxSizeCode))
    d.ledger.grant = { maxSize: 6, maxSizeCode }
    const session = d.session({ quota: { bytes: 1e9 } })
    const upload = await begin(session, '/a', 'four')
    t.equal(await outcome(upload.write(bytes('more'), 4)), maxSizeCode)
    t.equal(await outcome(upload.write(bytes('ok'), 4)), 'ok')
    t.equal(await outcome(upload.commit(SURE)), maxSizeCode)
    t.notOk(d.has('a'))
    t.same(d.ledger.committed, [])
    t.equal((await session.stat(v('/a'))).partial, true)
    const far = await begin(session, '/far')
    t.equal(await outcome(far.write(bytes('x'), 2 ** 60)), maxSizeCode)
    t.equal(await outcome(far.commit(SURE)), maxSizeCode)
    const grown = await begin(session, '/grown')
    t.equal(await outcome(grown.truncate(7)), maxSizeCode)
    await grown.abort(cancelled)
    t.equal(await outcome(put(session, '/fits', 'sixsix')), 'ok')
  }
})

test('uploads side by side and kept partials share one quota', async (t) => {
  const d = disk(t)
  d.ledger.grant = { maxSize: 10, maxSizeCode: 'quota.exceeded' }
  const session = d.session({ quota: { bytes: 10 } })
  const [one, two] = [await begin(session, '/one', '12345'), await begin(session, '/two')]
  t.equal(d.ledger.begun.at(-1)?.heldBytes, 5)
  t.equal(await outcome(two.write(Buffer.alloc(10), 0)), 'ok', 'it was granted that beside what was there')
  t.equal(await outcome(one.write(bytes('6'), 5)), 'quota.exceeded')
  await one.abort(cancelled)
  await two.abort(cancelled)
  await begin(session, '/three')
  t.equal(d.ledger.begun.at(-1)?.heldBytes, 4 + 9, 'kept partials count')
  await begin(session, '/two', '', { mode: 'resume' })
  t.equal(d.ledger.begun.at(-1)?.heldBytes, 4, 'but not the one that is resumed')
})

test('the number of partials that are kept for a user has an end', async (t) => {
  const d = disk(t)
  const session = d.session()
  await cut(session, '/first', 'kept')
  const [folder] = d.kept('partials').map((file) => dirname(file))
  for (let i = 1; i < MOST_PARTIALS; i++) fs.writeFileSync(join(folder!, `p${i}`), '')
  await cut(session, '/beyond', 'not kept')
  t.equal(d.kept('partials').length, MOST_PARTIALS)
  t.same(d.kept('staging'), [])
  t.match([...d.ledger.ended.values()].at(-1), { state: 'aborted', partial: false })
  await cut(d.session({ username: 'other' }), '/beyond', 'another user')
  t.equal(d.kept('partials').length, MOST_PARTIALS + 1)
})

test('a partial ends before the first piece that is missing', async (t) => {
  const d = disk(t)
  const session = d.session()
  const upload = await begin(session, '/a', 'start~')
  await upload.write(bytes('far out'), 1000)
  await upload.abort(cancelled)
  t.equal(await get(session, '/a'), 'start')
})

test('when the control plane does not take a commit, nothing is published and the partial stays', async (t) => {
  const d = disk(t)
  d.put('a', 'old')
  const session = d.session()
  d.ledger.meanwhile.commitUpload = () => {
    throw new FileFlowError('service.unavailable')
  }
  t.equal(await outcome(put(session, '/a', 'new')), 'service.unavailable')
  t.equal(d.read('a'), 'old')
  t.equal(await get(session, '/a'), 'ne')
  t.match([...d.ledger.ended.values()], [{ state: 'aborted', partial: true }])
})

test('two uploads to one name are each whole, and the last commit wins', async (t) => {
  const d = disk(t)
  d.ledger.deliveries = 1
  const one = await begin(d.session(), '/a', 'first, and longer')
  const two = await begin(d.session(), '/a', 'second')
  await two.commit(SURE)
  t.equal(d.read('a'), 'second')
  await one.commit(SURE)
  t.equal(d.read('a'), 'first, and longer')
  t.same(
    d.ledger.committed.map((c) => fs.readFileSync(Buffer.from(c.spool), 'utf8')),
    ['second', 'first, and longer'],
  )
  const both = await Promise.all([begin(d.session(), '/b', 'x'.repeat(100_000)), begin(d.session(), '/b', 'y'.repeat(50_000))])
  await Promise.all(both.map((upload) => upload.commit(SURE)))
  t.ok(['x'.repeat(100_000), 'y'.repeat(50_000)].includes(d.read('b')))
})

test('`create` loses against a name that exists, even one that appears meanwhile', async (t) => {
  const d = disk(t)
  d.put('a', 'old')
  const session = d.session()
  t.equal(await outcome(put(session, '/a', 'new', { mode: 'create' })), 'path.exists')
  fs.symlinkSync('/b', join(d.home, 'l'))
  const before = await begin(session, '/b', 'mine', { mode: 'create' })
  d.put('b', 'theirs')
  t.equal(await outcome(before.commit(SURE)), 'path.exists')
  t.equal(d.read('b'), 'theirs')
  d.ledger.deliveries = 1
  const during = await begin(session, '/c', 'mine', { mode: 'create' })
  d.ledger.meanwhile.commitUpload = () => d.put('c', 'theirs')
  t.equal(await outcome(during.commit(SURE)), 'path.exists')
  t.equal(d.read('c'), 'theirs')
  t.match(d.ledger.ended.get(during.transferId), { state: 'aborted', partial: true }, 'the control plane takes its deliveries back')
})

test('who may upload but not overwrite never replaces a file, even one that appears meanwhile', async (t) => {
  const d = disk(t)
  const session = d.session({ permissions: [{ path: v('/'), allow: PERMISSIONS.filter((p) => p !== 'overwrite') }] })
  const one = await begin(session, '/a', 'mine')
  const two = await begin(session, '/b', 'mine')
  d.put('a', 'theirs')
  t.equal(await outcome(one.commit(SURE)), 'permission.denied')
  d.ledger.meanwhile.commitUpload = () => d.put('b', 'theirs')
  t.not(await outcome(two.commit(SURE)), 'ok')
  t.equal(d.read('a'), 'theirs')
  t.equal(d.read('b'), 'theirs')
  d.ledger.meanwhile = {}
  t.equal(await outcome(put(session, '/c', 'mine')), 'ok')
})

test('who may upload but not download cannot read a published file through an upload', async (t) => {
  const d = disk(t)
  d.put('a', 'theirs')
  const session = d.session({ permissions: [{ path: v('/'), allow: PERMISSIONS.filter((p) => p !== 'download') }] })
  const upload = await session.beginUpload(v('/a'), { mode: 'resume' })
  t.equal(await outcome(upload.read(Buffer.alloc(100), 0)), 'permission.denied')
  await upload.abort(cancelled)
})

test('permissions taken away during an upload keep it from being published', async (t) => {
  const d = disk(t)
  const session = d.session()
  const upload = await begin(session, '/a', 'x')
  session.setPrincipal({ ...session.principal, permissions: [{ path: v('/'), allow: ['list'] }] })
  t.equal(await outcome(upload.write(bytes('y'), 1)), 'permission.denied')
  t.equal(await outcome(upload.commit(SURE)), 'permission.denied')
  t.notOk(d.has('a'))
})

test('times and mode given during an upload are those of the published file', async (t) => {
  const d = disk(t)
  const upload = await begin(d.session(), '/a', 'x')
  await upload.setAttributes({ mtimeMs: 1_000_000_000_000, mode: 0o640 })
  await upload.write(bytes('y'), 1)
  await upload.commit(SURE)
  const stats = fs.statSync(join(d.home, 'a'))
  t.equal(stats.mtimeMs, 1_000_000_000_000)
  t.equal(stats.mode & 0o777, 0o640)
})

test('a power-durable upload ends like any other', async (t) => {
  const d = disk(t)
  d.ledger.deliveries = 1
  await put(d.session({ durable: true }), '/a', 'x')
  t.equal(d.read('a'), 'x')
  t.equal(d.kept('spool').length, 1)
})

test('removing a partial makes it go; removing a name whose upload runs ends that upload', async (t) => {
  const d = disk(t)
  const session = d.session()
  await cut(session, '/a', 'half')
  await session.remove(v('/a'))
  t.equal(await outcome(session.stat(v('/a'))), 'path.not_found')
  t.same(d.kept('partials'), [])
  const upload = await begin(session, '/b', 'half')
  await session.remove(v('/b'))
  t.equal(await outcome(session.stat(v('/b'))), 'path.not_found')
  t.not(await outcome(upload.commit(SURE)), 'ok')
  t.notOk(d.has('b'))
  t.same([...d.kept('partials'), ...d.kept('staging')], [])
  const over = await begin(session, '/c', 'new')
  d.put('c', 'old')
  await session.remove(v('/c'))
  t.notOk(d.has('c'), 'the published file goes with it')
  t.not(await outcome(over.commit(SURE)), 'ok')
  t.notOk(d.has('c'), 'and nothing brings the name back')
  t.same([...d.kept('partials'), ...d.kept('staging')], [])
})

test('a name that an upload of the session holds is read as far as it came, and taken by nothing else of the session; others see nothing of it', async (t) => {
  const d = disk(t)
  const session = d.session()
  const upload = await begin(session, '/a', 'half')
  const reader = await session.openDownload(v('/a'))
  const into = Buffer.alloc(10)
  t.equal(into.toString('utf8', 0, await reader.read(into, 0)), 'half')
  await reader.end(4)
  for (const taking of [session.mkdir(v('/a')), session.symlink('x', v('/a')), session.beginUpload(v('/a'), { mode: 'create' })])
    t.equal(await outcome(taking), 'path.exists')
  t.equal(await outcome(d.session().openDownload(v('/a'))), 'path.not_found')
  d.put('b', 'published')
  await begin(session, '/b', 'new')
  const old = await session.openDownload(v('/b'))
  t.equal(into.toString('utf8', 0, await old.read(into, 0)), 'published', 'what is published is read until another version is')
  await old.end(9)
  await upload.commit(SURE)
  t.equal(d.read('a'), 'half')
})

test('what a session writes to one file by several handles is one file: each that ends publishes all that is there, and none loses what another wrote', async (t) => {
  const d = disk(t)
  const session = d.session()
  const resume = () => session.beginUpload(v('/a'), { mode: 'resume' })
  const text = async (from: { read(into: Uint8Array, at: number): Promise<number> }): Promise<string> => {
    const into = Buffer.alloc(100)
    return into.toString('utf8', 0, await from.read(into, 0))
  }
  const a = await session.beginUpload(v('/a'), { mode: 'replace' })
  await a.write(Buffer.from('aaaa'), 0)
  const b = await resume()
  t.equal(b.size, 4)
  await b.write(Buffer.from('bbbb'), 4)
  t.equal(await text(a), 'aaaabbbb')
  await b.commit(SURE)
  t.equal(d.read('a'), 'aaaabbbb')
  const inode = fs.statSync(join(d.home, 'a')).ino
  t.equal((await a.stat()).size, 8)
  await a.write(Buffer.from('cc'), 0)
  t.equal(d.read('a'), 'aaaabbbb', 'what is published stays as it is')
  await a.commit(SURE)
  t.equal(d.read('a'), 'ccaabbbb')
  t.not(fs.statSync(join(d.home, 'a')).ino, inode)
  t.not(await outcome(b.write(Buffer.from('x'), 0)), 'ok', 'an ended handle is over')

  const [c, e, f] = [await resume(), await resume(), await resume()]
  await c.write(Buffer.from('dd'), 2)
  const before = d.ledger.committed.length
  await e.commit(SURE)
  t.equal(d.read('a'), 'ccddbbbb')
  for (const one of [f, c]) await one.commit(SURE)
  t.equal(d.ledger.committed.length, before + 1, 'what is published already is not published again')

  const appending = await Promise.all([1, 2, 3].map(() => session.beginUpload(v('/log'), { mode: 'resume' })))
  const piece = (n: number): Buffer => Buffer.alloc(300_000, `${n}`)
  await Promise.all(appending.flatMap((one, n) => [one.append([piece(n)]), one.append([piece(n), piece(n)])]))
  for (const one of appending) await one.commit(SURE)
  const log = d.read('log')
  t.equal(log.length, 2_700_000)
  t.same(
    [0, 1, 2].map((n) => log.split(`${n}`).length - 1),
    [900_000, 900_000, 900_000],
  )

  const [k, l] = [await session.beginUpload(v('/two'), { mode: 'replace' }), await session.beginUpload(v('/two'), { mode: 'resume' })]
  await l.write(Buffer.from('from l'), 0)
  d.ledger.meanwhile.commitUpload = () => {
    throw new Error('not taken')
  }
  t.same(await Promise.all([k, l].map((one) => outcome(one.commit(SURE)))), ['storage.failed', 'storage.failed'], 'both or neither')
  d.ledger.meanwhile = {}
  t.notOk(d.has('two'))
  await session.remove(v('/two'))

  const [g, h] = [await session.beginUpload(v('/cut'), { mode: 'replace' }), await session.beginUpload(v('/cut'), { mode: 'resume' })]
  await g.write(Buffer.from('from g'), 0)
  await g.abort(new Error('its channel was closed'))
  await h.write(Buffer.from(', from h'), 6)
  await h.commit(SURE)
  t.equal(d.read('cut'), 'from g, from h', 'one that is aborted takes nothing from the other')
  const [i, j] = [await session.beginUpload(v('/gone'), { mode: 'replace' }), await session.beginUpload(v('/gone'), { mode: 'resume' })]
  await i.write(Buffer.from('half'), 0)
  for (const one of [i, j]) await one.abort(new Error('cut'))
  t.notOk(d.has('gone'))
  t.equal((await session.stat(v('/gone'))).size, 3, 'of all that were cut the partial is kept')
  t.same(d.kept('staging'), [])
})

test('a handle whose file was published by another one, and is not under its name any more, writes into no other file', async (t) => {
  const d = disk(t)
  const session = d.session()
  const handles = (path: string) => Promise.all([1, 2].map(() => session.beginUpload(v(path), { mode: 'resume' })))
  for (const gone of ['renamed', 'replaced']) {
    const [a, b] = await handles(`/${gone}`)
    await a!.write(Buffer.from('first'), 0)
    await a!.commit(SURE)
    if (gone === 'renamed') await d.session().rename(v('/renamed'), v('/elsewhere'), { overwrite: false })
    await put(d.session(), `/${gone}`, 'other file')
    t.equal(await outcome(b!.stat()), 'state.conflict')
    t.equal(await outcome(b!.write(Buffer.from('mine'), 2)), 'state.conflict')
    t.equal(d.read(gone), 'other file')
    const c = await session.beginUpload(v(`/${gone}`), { mode: 'resume' })
    t.equal(await outcome(c.append([Buffer.from(', more')])), 'ok', 'who opens the name now goes on from what is there')
    await c.commit(SURE)
    t.equal(d.read(gone), 'other file, more')
    await b!.abort(cancelled)
  }
  t.equal(d.read('elsewhere'), 'first')
  t.same(d.kept('staging'), [])
})

test('a handle that ends takes nothing from what others write at that moment', async (t) => {
  const d = disk(t)
  const session = d.session()
  const handles = (n: number, path: string) =>
    Promise.all(Array.from({ length: n }, () => session.beginUpload(v(path), { mode: 'resume' })))
  const [a, b] = await handles(2, '/log')
  const first = a!.commit(SURE)
  t.equal(await outcome(b!.append([Buffer.from('b')])), 'ok', 'what is appended in the same moment')
  await first
  t.equal(await outcome(b!.commit(SURE)), 'ok')
  t.equal(d.read('log'), 'b')
  const [c, e, f] = await handles(3, '/log')
  const appended = [c, e].map((one) => outcome(one!.append([Buffer.alloc(300_000, 'x')])))
  const end = f!.commit(SURE)
  t.same(await Promise.all(appended), ['ok', 'ok'], 'what waits behind what another one appends')
  await end
  for (const one of [c, e]) t.equal(await outcome(one!.commit(SURE)), 'ok')
  t.equal(d.read('log').length, 600_001)
  const [g, h] = await handles(2, '/cut')
  const late = [g, h].map((one) => outcome(one!.append([Buffer.alloc(300_000, 'y')])))
  for (const one of [g, h]) await one!.abort(cancelled)
  t.not((await Promise.all(late))[1], 'ok', 'nothing is begun once all are cut')

  const written: string[] = []
  const slow = d.session({
    username: 'slow',
    limits: { uploadRate: 1_000_000 },
    arrivals: {
      peer: { protocol: 'sftp', address: '192.0.2.1' },
      hear: () => {},
      mayOwe: () => false,
      write: ({ kind }) => void written.push(kind),
      written: () => {},
    },
  })
  const begin = () => slow.beginUpload(v('/limited'), { mode: 'resume' })
  const [k, l] = [await begin(), await begin()]
  const before = d.ledger.begun.length
  const waits = outcome(l.write(Buffer.alloc(250_000), 0))
  await k.commit(SURE)
  t.equal(await waits, 'ok')
  t.same(written, ['taken', 'published'])
  t.equal(d.ledger.begun.length, before, 'what has ended is not told to begin')
  await l.commit(SURE)
  t.equal(d.read('limited').length, 250_000)
})

test('setting the size of a partial leaves it a partial; that of a running upload is that upload’s', async (t) => {
  const d = disk(t)
  const session = d.session()
  await cut(session, '/a', 'first second')
  await session.setAttributes(v('/a'), { size: 5 })
  t.notOk(d.has('a'), 'it is not published')
  t.equal(await get(session, '/a'), 'first')
  const upload = await begin(session, '/b', 'first second')
  await session.setAttributes(v('/b'), { size: 5 })
  t.notOk(d.has('b'))
  await upload.commit(SURE)
  t.equal(d.read('b'), 'first')
  t.equal(await outcome(session.setAttributes(v('/nothing'), { size: 5 })), 'path.not_found')
})

test('nobody reaches another user’s partials, or the gateway’s own folders, by any path', async (t) => {
  const d = disk(t)
  await cut(d.session(), '/a', 'half')
  const other = d.session({ username: 'other' })
  const [partial] = d.kept('partials')
  for (const path of [partial!, '/../../data/partials', '/data/partials/partner', '/../.fileflow', `/${'../'.repeat(20)}${partial}`]) {
    t.not(await outcome(Promise.resolve().then(() => get(other, path))), 'ok', path)
    const link = `/l${path.length}`
    await other.symlink(path, v(link))
    t.not(await outcome(get(other, link)), 'ok', path)
    t.not(await outcome(put(other, `${link}/x`, 'x')), 'ok', path)
  }
  t.equal(await get(d.session(), '/a'), 'half')
})

test('two sessions that resume one partial do not mix: one has it, the other starts from what is there', async (t) => {
  const d = disk(t)
  await cut(d.session(), '/a', 'first ')
  const all = await Promise.allSettled([1, 2].map(() => d.session().beginUpload(v('/a'), { mode: 'resume' })))
  const got = all.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  t.same(got.map((upload) => upload.size).sort(), got.length === 2 ? [0, 6] : [6])
  for (const upload of got) await upload.write(bytes(`from ${upload.size}`), upload.size)
  for (const upload of got) await upload.commit(SURE)
  t.ok(['first from 6', 'from 0'].includes(d.read('a')))
  t.same(d.kept('staging'), [])
})
