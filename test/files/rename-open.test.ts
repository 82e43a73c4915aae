// A name that a session is uploading to can be renamed: what comes in is published under the new name, as an open file on a disk goes with its name.
// Must not stop at replies: both names, what is kept, and what the control plane was told are looked at.
import fs from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { FileFlowError } from '../../src/core/errors.ts'
import { PERMISSIONS, type Permission } from '../../src/core/permission.ts'
import type { VirtualPath } from '../../src/core/virtual-path.ts'
import type { SessionFilesystem } from '../../src/files/session-filesystem.ts'
import { begin, bytes, cut, disk, everything, get, names, outcome, principal, put, SURE, v } from './bench.ts'

const lost = new FileFlowError('transfer.aborted')
const rename = (session: SessionFilesystem, from: string, to: string, overwrite = false) =>
  outcome(session.rename(v(from), v(to), { overwrite }))

test('a new upload that is renamed is published under the new name alone, and seen there at once', async (t) => {
  const d = disk(t)
  const session = d.session()
  fs.mkdirSync(join(d.home, 'dir'))
  const upload = await begin(session, '/a', 'half')
  t.equal(await rename(session, '/a', '/dir/b'), 'ok')
  t.equal(await outcome(session.stat(v('/a'))), 'path.not_found')
  t.match(await session.stat(v('/dir/b')), { size: 4 })
  t.equal(await get(session, '/dir/b'), 'half')
  t.same(await names(session), ['dir'])
  t.same(await names(session, '/dir'), ['b'])
  t.same([upload.path, d.ledger.names], ['/dir/b', [[upload.transferId, '/dir/b']]])
  t.match(d.ledger.operations, [{ action: 'rename', path: '/a', to: '/dir/b' }])
  await put(session, '/a', 'another file')
  await upload.write(bytes(' and half'), 4)
  await upload.commit(SURE)
  t.equal(d.read('dir/b'), 'half and half')
  t.equal(d.read('a'), 'another file')
  t.match(d.ledger.committed[1], { path: '/dir/b', replaced: null })
  t.same(d.ledger.renames, [], 'no rule is asked about what is not whole')
  t.same(d.kept('staging'), [])
})

test('a name that is taken refuses an open upload; with overwrite, what stands there stays until the upload is whole', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('old', 'old content')
  fs.chmodSync(join(d.home, 'old'), 0o604)
  fs.mkdirSync(join(d.home, 'dir'))
  const other = await begin(session, '/other', 'other')
  const upload = await begin(session, '/a', 'new', { mode: 'create', fileMode: 0o640 })
  t.equal(await rename(session, '/a', '/old'), 'path.exists')
  t.equal(await rename(session, '/a', '/other'), 'path.exists')
  t.equal(await rename(session, '/a', '/other', true), 'state.conflict')
  t.equal(await rename(session, '/old', '/other', true), 'state.conflict', 'nor does a finished file take what will be replaced')
  t.equal(await rename(session, '/a', '/dir', true), 'path.is_directory')
  t.equal(await rename(session, '/a', '/nowhere/b'), 'path.not_found')
  t.equal(await rename(session, '/a', '/a'), 'ok')
  const noOverwrite = d.session({ permissions: [{ path: v('/'), allow: PERMISSIONS.filter((p) => p !== 'overwrite') }] })
  const theirs = await begin(noOverwrite, '/x', 'x')
  t.equal(await rename(noOverwrite, '/x', '/old', true), 'permission.denied')
  t.same(d.ledger.names.at(-1), [upload.transferId, '/a'], 'rows go by the old name again')
  await theirs.commit(SURE)
  t.equal(await rename(session, '/a', '/old', true), 'ok')
  t.equal(d.read('old'), 'old content')
  t.equal(await get(d.session(), '/old'), 'old content')
  await upload.commit(SURE)
  await other.commit(SURE)
  t.equal(d.read('old'), 'new')
  t.equal(fs.statSync(join(d.home, 'old')).mode & 0o777, 0o640, 'a renamed file has its own mode')
  t.match(d.ledger.committed.at(-2), { path: '/old', replaced: 11 })
  t.same([d.has('a'), d.read('other')], [false, 'other'])
})

test('a link that gives way to an open upload is replaced itself, and its target stays', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('target', 'target')
  fs.symlinkSync('target', join(d.home, 'l'))
  const upload = await begin(session, '/a', 'new')
  t.equal(await rename(session, '/a', '/l', true), 'ok')
  await upload.commit(SURE)
  t.same([d.read('target'), fs.lstatSync(join(d.home, 'l')).isFile(), d.read('l')], ['target', true, 'new'])
  t.match(d.ledger.committed[0], { replaced: null })
})

test('what an open upload was renamed onto goes with the next rename, as on a disk: it is not sent under a name it never had', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('b', 'old b')
  d.put('c', 'old c')
  fs.symlinkSync('c', join(d.home, 'l'))
  const upload = await begin(session, '/a', 'new')
  for (const [from, to] of [
    ['/a', '/b'],
    ['/b', '/l'],
    ['/l', '/c'],
  ] as const)
    t.equal(await rename(session, from, to, true), 'ok')
  t.same([fs.readdirSync(d.home), d.read('c'), d.ledger.renames], [['c'], 'old c', []])
  t.match(d.ledger.operations, [{}, { path: '/b', bytes: -5, files: -1 }, {}])
  // by now another session has put something there: that is a file like any other
  await put(d.session({ username: 'other' }), '/c', 'theirs')
  t.equal(await rename(session, '/c', '/d'), 'ok')
  t.same([fs.readdirSync(d.home), d.read('d')], [['d'], 'theirs'])
  t.equal(await rename(session, '/d', '/e'), 'ok')
  t.same([fs.readdirSync(d.home), d.read('e')], [['e'], 'theirs'])
  t.match(d.ledger.renames, [{ from: '/c' }, { from: '/d' }])
  await upload.commit(SURE)
  t.same([fs.readdirSync(d.home), d.read('e')], [['e'], 'new'])
})

test('a file that is being edited goes to its new name with the edit: nothing comes back under the old one', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('a', 'old content')
  d.put('c', 'in the way')
  const edit = await begin(session, '/a', '', { mode: 'resume' })
  await edit.write(bytes('NEW'), 0)
  t.equal(await rename(session, '/a', '/b'), 'ok')
  t.same([d.read('b'), d.has('a')], ['old content', false])
  t.equal(await rename(session, '/b', '/c', true), 'ok')
  t.same([d.read('c'), d.has('b')], ['old content', false])
  await edit.commit(SURE)
  t.same(fs.readdirSync(d.home), ['c'])
  t.equal(d.read('c'), 'NEW content')
  t.match(d.ledger.committed, [{ path: '/c', replaced: 11 }])
  t.match(d.ledger.operations[1], { to: '/c', bytes: -10, files: -1 })
  t.same(
    d.ledger.renames.map(({ from, to }) => [from, to]),
    [
      ['/a', '/b'],
      ['/b', '/c'],
    ],
  )
})

test('where the published file cannot be renamed, its edit stays, too', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('a', 'old')
  const edit = await begin(session, '/a', 'new')
  d.ledger.meanwhile.commitRename = () => d.put('b', 'came meanwhile')
  t.equal(await rename(session, '/a', '/b'), 'path.exists')
  t.same(d.ledger.names, [
    [edit.transferId, '/b'],
    [edit.transferId, '/a'],
  ])
  await edit.commit(SURE)
  t.same([d.read('a'), d.read('b')], ['new', 'came meanwhile'])
})

test('who may not upload to the new name renames nothing that is open there', async (t) => {
  const d = disk(t)
  d.put('edited', 'old')
  fs.mkdirSync(join(d.home, 'done'))
  const may = PERMISSIONS.filter((p) => p !== 'upload')
  const session = d.session({ permissions: [...[{ path: v('/done'), allow: may }], { path: v('/'), allow: PERMISSIONS }] })
  const fresh = await begin(session, '/fresh', 'new')
  const edit = await begin(session, '/edited', 'new')
  for (const name of ['fresh', 'edited']) t.equal(await rename(session, `/${name}`, `/done/${name}`), 'permission.denied')
  t.same([d.ledger.names, d.ledger.renames, d.ledger.refusals.length], [[], [], 2])
  for (const upload of [fresh, edit]) await upload.commit(SURE)
  t.same([d.read('fresh'), d.read('edited'), fs.readdirSync(join(d.home, 'done'))], ['new', 'new', []])
  t.equal(await rename(session, '/edited', '/done/edited'), 'ok', 'a finished file may be moved there')
})

test('handles of one file follow its new name, whether they publish before or after, and what both write is there', async (t) => {
  const d = disk(t)
  const session = d.session()
  const open = () => session.beginUpload(v('/a'), { mode: 'resume' })
  const [one, two] = [await open(), await open()]
  await one.write(bytes('one '), 0)
  t.equal(await rename(session, '/a', '/b'), 'ok')
  await two.write(bytes('two '), 4)
  const three = await session.beginUpload(v('/b'), { mode: 'resume' })
  await one.write(bytes('ONE'), 0)
  await one.commit(SURE)
  t.equal(d.read('b'), 'ONE two ')
  // published by another handle, and renamed: these go on with that file
  t.equal(await rename(session, '/b', '/c'), 'ok')
  await two.append([bytes('more')])
  t.equal(await rename(session, '/c', '/d'), 'ok')
  await three.append([bytes(' last')])
  fs.mkdirSync(join(d.home, 'dir'))
  await two.commit(SURE)
  t.equal(d.read('d'), 'ONE two more last')
  t.equal(await rename(session, '/d', '/dir/e'), 'ok')
  t.equal(await rename(session, '/dir', '/moved'), 'ok')
  await three.append([bytes('!')])
  await three.commit(SURE)
  t.equal(d.read('moved/e'), 'ONE two more last!')
  t.same(fs.readdirSync(d.home), ['moved'])
})

test('what is kept of a renamed upload is kept under the new name, and nothing older comes back under the old one', async (t) => {
  const d = disk(t)
  const session = d.session()
  await cut(session, '/a', 'an older half')
  const upload = await begin(session, '/a', 'newer~')
  t.equal(await rename(session, '/a', '/b'), 'ok')
  t.equal(await outcome(session.stat(v('/a'))), 'path.not_found')
  await upload.abort(lost)
  t.same(await names(session), ['b'])
  await put(session, '/b', ' half', { mode: 'resume' })
  t.equal(d.read('b'), 'newer half')
  // of a file that is published
  const edit = await begin(session, '/b', 'third~')
  t.equal(await rename(session, '/b', '/c'), 'ok')
  await edit.abort(lost)
  t.same([await names(session), d.read('c'), (await session.stat(v('/c'))).partial], [['c'], 'newer half', true])
  await put(session, '/c', ' half', { mode: 'resume' })
  t.equal(d.read('c'), 'third half')
  t.same([d.kept('partials'), d.kept('staging')], [[], []])
})

test('an upload whose commit has begun is published where it was going, and renamed then', async (t) => {
  const d = disk(t)
  const session = d.session()
  const upload = await begin(session, '/a', 'whole')
  const renamed: Promise<string>[] = []
  d.ledger.meanwhile.commitUpload = () => {
    renamed.push(rename(session, '/a', '/b'))
  }
  await upload.commit(SURE)
  t.equal(await renamed[0], 'ok')
  t.match([d.ledger.committed, d.ledger.renames], [[{ path: '/a' }], [{ from: '/a', to: '/b' }]])
  t.same([fs.readdirSync(d.home), d.read('b')], [['b'], 'whole'])
})

for (const published of [false, true]) {
  const what = published ? 'an edited file' : 'a new one'
  test(`a commit, an abort and an open that are asked for during the rename of ${what} come after it`, async (t) => {
    const d = disk(t)
    const session = d.session()
    const moment = published ? 'commitRename' : 'uploadsRenamed'
    const during = async (from: string, to: string, work: () => Promise<unknown>): Promise<void> => {
      let asked: Promise<unknown> = Promise.resolve()
      d.ledger.meanwhile[moment] = async () => {
        d.ledger.meanwhile = {}
        asked = work()
        asked.catch(() => {})
        await new Promise((go) => setImmediate(go))
      }
      t.equal(await rename(session, from, to), 'ok')
      await asked
    }
    for (const name of ['a', 'b', 'c']) if (published) d.put(name, `old ${name}`)
    const one = await begin(session, '/a', 'one')
    await during('/a', '/a2', () => one.commit(SURE))
    t.same([d.read('a2'), d.has('a')], ['one', false])
    const two = await begin(session, '/b', 'two~')
    await during('/b', '/b2', () => two.abort(lost))
    t.match(await session.stat(v('/b2')), { size: 3, partial: true })
    t.equal(await outcome(session.stat(v('/b'))), 'path.not_found')
    const three = await begin(session, '/c', 'three')
    await during('/c', '/c2', async () => {
      const opened = await outcome(session.beginUpload(v('/c'), { mode: 'resume', mustExist: true }))
      t.equal(opened, 'path.not_found', 'the old name is free by then')
    })
    await three.commit(SURE)
    t.same([d.read('c2'), d.has('c')], ['three', false])
  })
}

test('a session that ends during the rename of its upload keeps it for resuming', async (t) => {
  const d = disk(t)
  const session = d.session()
  await begin(session, '/a', 'half~')
  let closed: Promise<void> | undefined
  d.ledger.meanwhile.uploadsRenamed = () => {
    closed = session.close(new FileFlowError('session.revoked'))
  }
  t.equal(await rename(session, '/a', '/b'), 'session.revoked')
  await closed
  t.same(await names(d.session()), ['a'])
  t.equal(d.ledger.names.at(-1)![1] as VirtualPath, '/a')
})

test('the grant of a quota goes along: what is replaced at the new name frees its room, up to the user’s largest file', async (t) => {
  const d = disk(t)
  d.put('old', 'x'.repeat(10))
  d.ledger.grant = { maxSize: 5, maxSizeCode: 'quota.exceeded' }
  const session = d.session({ quota: { bytes: 15 } })
  const upload = await begin(session, '/a', '12345')
  t.equal(await outcome(upload.truncate(6)), 'quota.exceeded')
  t.equal(await rename(session, '/a', '/old', true), 'ok')
  await upload.truncate(15)
  t.equal(await outcome(upload.truncate(16)), 'quota.exceeded')
  await upload.commit(SURE)
  d.put('other', 'x'.repeat(10))
  const limited = d.session({ quota: { bytes: 15 }, limits: { maxFileSize: 12 } })
  const second = await begin(limited, '/b', '12345')
  t.equal(await rename(limited, '/b', '/other', true), 'ok')
  await second.truncate(12)
  t.equal(await outcome(second.truncate(13)), 'file.too_large')
})

test('a removal of the new name ends the upload that was renamed there, and one of the old name finds nothing', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('a', 'old')
  const edit = await begin(session, '/a', 'new')
  t.equal(await rename(session, '/a', '/.hidden1'), 'ok')
  t.equal(await outcome(session.remove(v('/a'))), 'path.not_found')
  await session.remove(v('/.hidden1'))
  t.equal(await outcome(edit.commit(SURE)), 'transfer.aborted')
  t.same([fs.readdirSync(d.home), d.kept('partials'), d.kept('staging')], [[], [], []])
})

test('what another session publishes while its name is renamed away stays, also where an older file there was to go', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('b', 'old b')
  const upload = await begin(session, '/a', 'new')
  t.equal(await rename(session, '/a', '/b', true), 'ok')
  d.ledger.meanwhile.uploadsRenamed = async () => {
    d.ledger.meanwhile = {}
    await put(d.session({ username: 'other' }), '/b', 'theirs')
  }
  t.equal(await rename(session, '/b', '/c'), 'state.conflict')
  t.same([d.read('b'), d.has('c')], ['theirs', false])
  t.same(d.ledger.names.at(-1), [upload.transferId, '/b'])
  t.equal(await rename(session, '/b', '/c'), 'ok')
  await upload.commit(SURE)
  t.same([fs.readdirSync(d.home), d.read('c')], [['c'], 'new'])
})

test('a file that an open upload was renamed onto goes with the next rename, also when its last delivery ended meanwhile', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('b', 'old b')
  fs.linkSync(join(d.home, 'b'), join(d.root, 'spooled'))
  const upload = await begin(session, '/a', 'new')
  t.equal(await rename(session, '/a', '/b', true), 'ok')
  fs.unlinkSync(join(d.root, 'spooled'))
  t.equal(await rename(session, '/b', '/c'), 'ok')
  t.same([fs.readdirSync(d.home), d.ledger.renames], [[], []])
  await upload.commit(SURE)
  t.same([fs.readdirSync(d.home), d.read('c')], [['c'], 'new'])
})

test('a handle does not go on in a file that is being renamed onto its own', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('c', 'another file')
  const open = () => session.beginUpload(v('/b'), { mode: 'resume' })
  const [one, two] = [await open(), await open()]
  await one.write(bytes('shared'), 0)
  await one.commit(SURE)
  let written: Promise<string> | undefined
  d.ledger.meanwhile.commitRename = () => {
    d.ledger.meanwhile = {}
    written = outcome(two.write(bytes('XXX'), 0))
  }
  t.equal(await rename(session, '/c', '/b', true), 'ok')
  t.equal(await written, 'state.conflict')
  await outcome(two.commit(SURE))
  t.same([fs.readdirSync(d.home), d.read('b')], [['b'], 'another file'])
  t.same(d.kept('staging'), [])
})

test('a rename that waited for the end of an upload asks again for all that it needs', async (t) => {
  const d = disk(t)
  const may = (without: Permission) => PERMISSIONS.filter((p) => p !== without)
  const drop = { path: v('/p/drop'), allow: may('download') }
  const during = async (from: string, to: string, upload: string, work: (session: SessionFilesystem) => void): Promise<string> => {
    const session = d.session({ permissions: [everything(), drop] })
    const ending = await begin(session, upload, 'new')
    let renamed: Promise<string> | undefined
    d.ledger.meanwhile.commitUpload = async () => {
      d.ledger.meanwhile = {}
      renamed = rename(session, from, to, true)
      await new Promise((go) => setImmediate(go))
      work(session)
    }
    await outcome(ending.commit(SURE))
    return renamed!
  }
  fs.symlinkSync('nowhere', join(d.home, 'l'))
  const deny = (session: SessionFilesystem) =>
    session.setPrincipal(principal(d.home, { permissions: [{ path: v('/'), allow: may('rename') }] }))
  t.equal(await during('/l', '/a', '/a', deny), 'permission.denied')
  t.same([fs.readdirSync(d.home), d.read('a')], [['a', 'l'], 'new'])
  const makeFolders = () => fs.mkdirSync(join(d.home, 'p/drop'), { recursive: true })
  t.equal(await during('/p', '/q', '/p', makeFolders), 'permission.denied')
  t.same([d.has('p/drop'), d.has('q')], [true, false])
})

test('a rename of an empty folder is not done for who may not do it any more, nor one onto what came meanwhile for who may not overwrite', async (t) => {
  const d = disk(t)
  const session = d.session()
  fs.mkdirSync(join(d.home, 'dir'))
  d.ledger.meanwhile.isUploadedInto = () => session.setPrincipal(principal(d.home, { permissions: [{ path: v('/'), allow: ['list'] }] }))
  t.equal(await rename(session, '/dir', '/moved'), 'permission.denied')
  t.same(fs.readdirSync(d.home), ['dir'])
  d.ledger.meanwhile = {}
  const careful = d.session({ permissions: [{ path: v('/'), allow: PERMISSIONS.filter((p) => p !== 'overwrite') }] })
  d.put('a', 'mine')
  d.ledger.meanwhile.commitRename = async () => {
    d.ledger.meanwhile = {}
    await put(d.session({ username: 'other' }), '/b', 'theirs')
  }
  t.equal(await rename(careful, '/a', '/b', true), 'permission.denied')
  t.same([d.read('a'), d.read('b')], ['mine', 'theirs'])
})

test('a file that took the old name while a rename was recorded stays there: nothing was recorded of it', async (t) => {
  const d = disk(t)
  const session = d.session()
  d.put('a', 'first')
  d.ledger.meanwhile.commitRename = async () => {
    d.ledger.meanwhile = {}
    await put(d.session({ username: 'other' }), '/a', 'second')
  }
  t.equal(await rename(session, '/a', '/b'), 'state.conflict')
  t.same([fs.readdirSync(d.home), d.read('a'), d.ledger.renamedAs.get('rename0')], [['a'], 'second', false])
})
