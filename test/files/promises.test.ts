// What a session keeps to when something goes wrong around it: folders that cannot be synced, sessions that end in between, other names of the same file.
// Must not stop at the session's own answers.
import fs from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { FileFlowError } from '../../src/core/errors.ts'
import { openFolder } from '../../src/files/jail.ts'
import { dropSpooled, keepAsPartial } from '../../src/files/spool.ts'
import { partialBeside } from '../../src/files/vaults.ts'
import type { Upload } from '../../src/files/virtual-filesystem.ts'
import { begin, bytes, cut, disk, get, outcome, put, SURE, v } from './bench.ts'

const ended = new FileFlowError('session.revoked')

/** Folders cannot be synced any more, until the test ends. */
function folderSyncsFail(t: Test): void {
  const real = fs.fsync
  t.teardown(() => {
    fs.fsync = real
  })
  fs.fsync = ((fd: number, done: (error: Error | null) => void) => {
    if (fs.fstatSync(fd).isDirectory()) setImmediate(done, Object.assign(new Error('broken disk'), { code: 'EIO' }))
    else real(fd, done)
  }) as typeof fs.fsync
}

test('an upload whose folder cannot be synced is not acknowledged, but what stands under the name is recorded and sent', async (t) => {
  const d = disk(t)
  folderSyncsFail(t)
  const upload = await begin(d.session({ durable: true }), '/a', 'whole')
  t.equal(await outcome(upload.commit(SURE)), 'storage.failed')
  t.equal(d.read('a'), 'whole')
  t.same(d.ledger.done, [upload.transferId], 'its deliveries are held no longer, nor those of the next try behind them')
})

test('a partial stays what its uploader sees when the version before it was delivered meanwhile', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.ledger.deliveries = 1
  await put(session, '/a', 'the first version')
  const { spool } = d.ledger.committed[0]!
  await cut(session, '/a', 'second')
  await new Promise((go) => setTimeout(go, 20))
  await dropSpooled(spool, partialBeside(spool, 'partner', v('/a')))
  t.same(d.kept('spool'), [])
  t.match(await session.stat(v('/a')), { size: 6, partial: true })
  await put(session, '/a', ' version', { mode: 'resume' })
  t.equal(d.read('a'), 'second version', 'and not the second behind the first')
})

test('a partial that was outdated before the spooled content went stays so', async (t) => {
  const d = disk(t)
  d.ledger.deliveries = 1
  await cut(d.session(), '/a', 'mine')
  await new Promise((go) => setTimeout(go, 20))
  await put(d.session({ username: 'other' }), '/a', 'the other one came later')
  const { spool } = d.ledger.committed[0]!
  await dropSpooled(spool, partialBeside(spool, 'partner', v('/a')))
  t.match(await d.session().stat(v('/a')), { size: 24, partial: false })
})

test('a partial older than what came to the name since is of no use', async (t) => {
  const d = disk(t)
  const session = d.session()
  await cut(session, '/a', 'mine')
  await new Promise((go) => setTimeout(go, 20))
  await put(d.session({ username: 'other' }), '/a', 'the other one came later')
  t.match(await session.stat(v('/a')), { size: 24, partial: false })
})

test('what an upload, a rename or a removal took away is what was there at that moment, however many do it side by side', async (t) => {
  const d = disk(t)
  d.put('a', '0123456789')
  const session = d.session()
  const uploads = [await begin(session, '/a', '1'), await begin(session, '/a', '22'), await begin(session, '/a', '333')]
  await Promise.all(uploads.map((upload) => upload.commit(SURE)))
  t.same(
    d.ledger.committed.map(({ replaced }) => replaced),
    [10, 10, 10],
    'none of them could know of the others',
  )
  t.same(
    uploads.map(({ transferId }) => d.ledger.replaced.get(transferId)),
    [10, 1, 2],
  )
  for (const name of ['x', 'y']) d.put(name, 'text')
  await Promise.all(['/x', '/y'].map((from) => session.rename(v(from), v('/a'), { overwrite: true })))
  t.match(d.ledger.operations, [
    { action: 'rename', bytes: -3, files: -1 },
    { action: 'rename', bytes: -4, files: -1 },
  ])
})

test('what a kill leaves of an upload with a hole is kept up to the hole only', async (t) => {
  const d = disk(t)
  const session = d.session()
  const vault = d.vaults.find(openFolder(d.home, true))
  for (const [name, make] of [
    ['/written', (upload: Upload) => upload.write(bytes('end'), 5000)],
    ['/lengthened', (upload: Upload) => upload.truncate(5000)],
  ] as const) {
    const upload = await begin(session, name, 'begin')
    await make(upload)
    // as recovery finds it
    t.equal(await keepAsPartial(vault.staging(upload.transferId), vault.partial('partner', v(name)), false), 5)
    t.same(d.kept('staging'), [])
    t.equal(fs.readFileSync(vault.partial('partner', v(name)), 'utf8'), 'begin')
  }
  for (const end of ['commit', 'abort'] as const) {
    const upload = await begin(session, '/b', 'begin')
    await upload.write(bytes('end'), 50)
    await (end === 'commit' ? upload.commit(SURE) : upload.abort(ended))
    t.same(d.kept('staging'), [])
  }
})

test('a partial that is gone on with is not touched before its new transfer is recorded: what has no row is removed after a kill', async (t) => {
  const d = disk(t)
  await cut(d.session(), '/a', 'half')
  d.ledger.meanwhile.beginTransfer = async () => {
    await new Promise((go) => setTimeout(go, 20))
    t.equal(d.kept('partials').length, 1)
    t.same(d.kept('staging'), [])
  }
  await put(d.session(), '/a', ' whole', { mode: 'resume' })
  t.equal(d.read('a'), 'half whole')
})

test('a session that ends while its rename is recorded renames nothing', async (t) => {
  const d = disk(t)
  d.put('a', 'text')
  d.put('folder/b', 'text')
  for (const [from, to] of [
    ['/a', '/moved'],
    ['/folder', '/moved'],
  ] as const) {
    const session = d.session()
    d.ledger.meanwhile.commitRename = () => session.close(ended)
    t.equal(await outcome(session.rename(v(from), v(to), { overwrite: true })), 'session.revoked')
    t.notOk(d.has('moved'))
    t.ok(d.has(from.slice(1)))
  }
  t.same([...d.ledger.renamedAs.values()], [false, false])
})

test('a permission taken away while a rename is recorded counts', async (t) => {
  const d = disk(t)
  d.put('a', 'text')
  const session = d.session()
  d.ledger.meanwhile.commitRename = () => session.setPrincipal({ ...session.principal, permissions: [{ path: v('/'), allow: ['list'] }] })
  t.equal(await outcome(session.rename(v('/a'), v('/b'), { overwrite: true })), 'permission.denied')
  t.ok(d.has('a'))
})

test('the gateway’s own folders are made again where someone removed them', async (t) => {
  const d = disk(t)
  const session = d.session()
  await put(session, '/a', 'before')
  for (const part of ['staging', 'spool', 'partials']) fs.rmSync(join(d.dataDir, part), { recursive: true })
  d.ledger.deliveries = 1
  t.equal(await outcome(put(session, '/b', 'after')), 'ok')
  t.equal(d.read('b'), 'after')
  for (const part of ['staging', 'spool', 'partials']) fs.rmSync(join(d.dataDir, part), { recursive: true })
  const edited = await session.beginUpload(v('/b'), { mode: 'resume' })
  await edited.write(bytes(' all'), 5)
  await edited.commit(SURE)
  t.equal(d.read('b'), 'after all', 'for a copy of what is published, too')
})

test('no file can be made longer than its volume is large: only holes could fill it', async (t) => {
  const d = disk(t)
  const session = d.session()
  const { blocks, bsize } = fs.statfsSync(d.home)
  const beyond = blocks * bsize + 1
  const upload = await begin(session, '/a', 'text')
  t.equal(await outcome(upload.truncate(beyond)), 'disk.full')
  t.equal(await outcome(upload.write(bytes('end'), beyond)), 'disk.full')
  await upload.abort(ended)
  await put(session, '/b', 'text')
  t.equal(await outcome(session.setAttributes(v('/b'), { size: beyond })), 'disk.full')
  t.equal(await get(session, '/b'), 'text', 'and leaves no partial in its place')
})
