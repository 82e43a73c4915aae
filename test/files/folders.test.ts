// Folders with unfinished uploads: what becomes of those when the folder is renamed or removed.
// Must not stop at replies: the disk and what the uploader sees are looked at.
import fs from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'tap'
import { ROOT } from '../../src/core/virtual-path.ts'
import { Jail } from '../../src/files/jail.ts'
import { begin, cut, disk, names, outcome, put, SURE, v } from './bench.ts'

test('unfinished uploads below a renamed folder go with it, deep ones, too, and are gone on with under the new path', async (t) => {
  const d = disk(t)
  const session = d.session()
  fs.mkdirSync(join(d.home, 'a/b/c'), { recursive: true })
  await cut(session, '/a/x', 'half of x')
  await cut(session, '/a/b/c/y', 'half of y')
  await cut(session, '/other', 'stays')
  // what an earlier folder of that name left
  fs.mkdirSync(join(d.home, 'new'))
  await cut(session, '/new/x', 'stale')
  await cut(session, '/new/z', 'stale, too')
  fs.rmdirSync(join(d.home, 'new'))
  await session.rename(v('/a'), v('/new'), { overwrite: false })
  t.same(await names(session, '/new'), ['b', 'x', 'z'])
  await put(session, '/new/x', '!', { mode: 'resume' })
  await put(session, '/new/b/c/y', '!', { mode: 'resume' })
  t.equal(d.read('new/x'), 'half of x!')
  t.equal(d.read('new/b/c/y'), 'half of y!')
  t.equal(await outcome(session.stat(v('/other'))), 'ok')
  fs.mkdirSync(join(d.home, 'a'))
  t.same(await names(session, '/a'), [], 'nothing comes back under the old path')
})

test('a folder in which its uploader sees something unfinished is not empty; for others it is, and what they remove is an end that is told', async (t) => {
  const d = disk(t)
  const session = d.session()
  fs.mkdirSync(join(d.home, 'a'))
  await cut(session, '/a/x', 'half')
  t.equal(await outcome(session.rmdir(v('/a'))), 'path.not_empty')
  await session.remove(v('/a/x'))
  const upload = await begin(session, '/a/y', 'whole')
  t.equal(await outcome(session.rmdir(v('/a'))), 'path.not_empty')
  t.equal(await outcome(d.session({ username: 'other' }).rmdir(v('/a'))), 'ok')
  t.equal(await outcome(upload.commit(SURE)), 'path.not_found')
  t.match(d.ledger.ended.get(upload.transferId), { state: 'aborted', partial: true }, 'kept for its uploader')
  fs.mkdirSync(join(d.home, 'a'))
  await put(session, '/a/y', 'e!', { mode: 'resume' })
  t.equal(d.read('a/y'), 'whole!')
  for (const [path, code] of [
    ['/a/y', 'path.not_directory'],
    ['/nothing', 'path.not_found'],
    ['/a', 'path.not_empty'],
  ] as const)
    t.equal(await outcome(session.rmdir(v(path))), code)
})

test('a folder into which an upload is on its way keeps its name until that has ended, in whichever session', async (t) => {
  const d = disk(t)
  const session = d.session()
  fs.mkdirSync(join(d.home, 'a/b'), { recursive: true })
  const upload = await begin(session, '/a/b/x', 'whole')
  t.equal(await outcome(session.rename(v('/a'), v('/new'), { overwrite: false })), 'state.conflict')
  await upload.commit(SURE)
  d.ledger.uploadedInto = ['/a']
  t.equal(await outcome(session.rename(v('/a'), v('/new'), { overwrite: false })), 'state.conflict')
  t.equal(d.read('a/b/x'), 'whole')
  t.same(d.ledger.renames, [], 'and nothing is owed for it')
  d.ledger.uploadedInto = []
  await session.rename(v('/a'), v('/new'), { overwrite: false })
  t.equal(d.read('new/b/x'), 'whole')
})

test('a folder whose partials go meanwhile, or cannot move, is renamed all the same, and what it then owes stays owed', async (t) => {
  const d = disk(t)
  const session = d.session()
  for (const how of ['gone', 'stuck'] as const) {
    await session.mkdir(v(`/${how}`))
    d.put(`${how}/whole`, 'whole')
    await cut(session, `/${how}/part`, 'unfinished')
    const [kept] = d.kept('partials').map((file) => dirname(file))
    using home = new Jail(d.home, [], d.home).resolve(ROOT, true)
    d.ledger.meanwhile.commitRename = () => {
      if (how === 'gone') fs.rmSync(kept!, { recursive: true })
      else fs.writeFileSync(d.vaults.find(home.folder).partialsIn('partner', v('/stuck-after')), 'no folder goes here')
    }
    t.equal(
      await outcome(session.rename(v(`/${how}`), v(`/${how}-after`), { overwrite: false })),
      how === 'gone' ? 'ok' : 'path.not_directory',
    )
    t.equal(d.read(`${how}-after/whole`), 'whole')
    t.equal([...d.ledger.renamedAs.values()].at(-1), true, 'it is told as it is')
  }
})
