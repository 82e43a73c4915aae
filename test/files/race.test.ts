// What an attacker gains by exchanging files and folders while a session waits for the control plane: nothing.
// Must not rely on luck: the exchange happens at the very await.
import { execFileSync, fork } from 'node:child_process'
import fs from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { begin, disk, filesBelow, get, names, outcome, put, SURE, v } from './bench.ts'

/** Who has a quota waits for the control plane when an upload begins. */
const WAITS = { quota: { bytes: 1e9 } }

const swap = (path: string, target: string): void => {
  fs.rmSync(path, { recursive: true })
  fs.symlinkSync(target, path)
}

test('a file exchanged for a link while its upload is being resumed copies nothing from outside', async (t) => {
  const d = disk(t)
  d.put('a', 'mine')
  const session = d.session(WAITS)
  d.ledger.meanwhile.beginTransfer = () => swap(join(d.home, 'a'), join(d.outside, 'secret'))
  const upload = await session.beginUpload(v('/a'), { mode: 'resume' }).catch(() => null)
  if (upload) {
    const into = Buffer.alloc(100)
    t.equal(into.toString('utf8', 0, await upload.read(into, 0)).includes('secret'), false)
    await upload.abort(new Error('end'))
  }
  t.equal(upload, null)
  t.same(d.kept('staging').concat(d.kept('partials')), [])
  t.equal(d.ledger.ended.size, 1, 'the transfer has ended')
})

test('a file exchanged for a pipe while its upload is being resumed does not hold up the gateway', async (t) => {
  const d = disk(t)
  d.put('a', 'mine')
  d.ledger.meanwhile.beginTransfer = () => {
    fs.rmSync(join(d.home, 'a'))
    execFileSync('mkfifo', [join(d.home, 'a')])
  }
  t.equal(await outcome(d.session(WAITS).beginUpload(v('/a'), { mode: 'resume' })), 'path.not_regular')
  t.same(d.kept('staging'), [])
})

test('a file that grew or shrank while its upload is being resumed goes on from what it is', async (t) => {
  const d = disk(t)
  const session = d.session(WAITS)
  for (const now of ['x', 'a much longer text']) {
    d.put('a', 'four')
    d.ledger.meanwhile.beginTransfer = () => fs.writeFileSync(join(d.home, 'a'), now)
    const upload = await session.beginUpload(v('/a'), { mode: 'resume' })
    t.equal(upload.size, now.length)
    await upload.write(Buffer.from('+'), upload.size)
    await upload.commit(SURE)
    t.equal(d.read('a'), `${now}+`)
    t.equal(d.ledger.committed.at(-1)?.size, now.length + 1)
  }
})

test('a file exchanged for a link during its rename is never sent in its place', async (t) => {
  const d = disk(t)
  d.put('a', 'mine')
  d.ledger.deliveries = 1
  d.ledger.meanwhile.commitRename = () => swap(join(d.home, 'a'), join(d.outside, 'secret'))
  t.not(await outcome(d.session().rename(v('/a'), v('/b'), { overwrite: true })), 'ok')
  t.same(d.kept('spool'), [])
  t.same([...d.ledger.renamedAs.values()], [false])
})

test('another file under the name during a rename is never sent in its place', async (t) => {
  const d = disk(t)
  d.put('a', 'mine')
  d.ledger.deliveries = 1
  d.ledger.meanwhile.commitRename = () => {
    fs.writeFileSync(join(d.home, 'new'), 'other')
    fs.renameSync(join(d.home, 'new'), join(d.home, 'a'))
  }
  t.not(await outcome(d.session().rename(v('/a'), v('/b'), { overwrite: true })), 'ok')
  t.same(d.kept('spool'), [])
  t.same([...d.ledger.renamedAs.values()], [false])
})

for (const [what, exchange] of [
  ['a file below it exchanged for a link', (home: string, outside: string) => swap(join(home, 'in/sub/a'), join(outside, 'secret'))],
  ['a folder below it exchanged for a link', (home: string, outside: string) => swap(join(home, 'in/sub'), outside)],
  [
    'a folder exchanged for another',
    (home: string) => {
      fs.renameSync(join(home, 'in'), join(home, 'was'))
      fs.mkdirSync(join(home, 'in'))
    },
  ],
] as const) {
  test(`${what} during the rename of a folder leads nowhere: nothing is renamed, sent or kept`, async (t) => {
    const d = disk(t)
    d.put('in/sub/secret', 'mine')
    d.put('in/sub/a', 'mine')
    const before = d.outsideState()
    d.ledger.deliveries = 1
    let once = true
    d.ledger.meanwhile.commitRename = () => {
      if (once) exchange(d.home, d.outside)
      once = false
    }
    t.not(await outcome(d.session().rename(v('/in'), v('/out'), { overwrite: false })), 'ok')
    t.notOk(fs.existsSync(join(d.home, 'out')))
    t.same([...d.ledger.renamedAs.values()], [false, false])
    t.equal(d.outsideState(), before)
    for (const file of d.kept('spool')) t.equal(fs.readFileSync(file, 'utf8'), 'mine')
  })
}

test('a folder exchanged for a link while an upload is open does not lead its commit outside', async (t) => {
  const d = disk(t)
  fs.mkdirSync(join(d.home, 'in'))
  const before = d.outsideState()
  const upload = await begin(d.session(), '/in/a', 'mine')
  swap(join(d.home, 'in'), d.outside)
  t.not(await outcome(upload.commit(SURE)), 'ok')
  t.equal(d.outsideState(), before)
})

test('a folder exchanged for a link during a commit, a rename or an open does not lead outside', async (t) => {
  for (const at of ['commitUpload', 'commitRename', 'beginTransfer'] as const) {
    const d = disk(t, join(t.testdir({ [at]: {} }), at))
    d.put('in/a', 'mine')
    d.put('in/secret', 'mine too')
    const before = d.outsideState()
    const session = d.session(WAITS)
    d.ledger.meanwhile[at] = () => {
      fs.renameSync(join(d.home, 'in'), join(d.home, 'moved'))
      fs.symlinkSync(d.outside, join(d.home, 'in'))
    }
    if (at === 'commitUpload') await outcome(put(session, '/in/new', 'mine'))
    if (at === 'commitRename') await outcome(session.rename(v('/in/a'), v('/in/secret'), { overwrite: true }))
    if (at === 'beginTransfer') t.equal(await get(session, '/in/secret'), 'mine too')
    t.equal(d.outsideState(), before, at)
    t.same(filesBelow(d.outside), [join(d.outside, 'secret')])
  }
})

test('a name exchanged for a link at every moment never leads a session outside', async (t) => {
  const d = disk(t)
  const before = d.outsideState()
  // another process swaps folders, files and links as fast as it can
  const racer = `
    const fs = require('node:fs'), home = ${JSON.stringify(d.home)}, out = ${JSON.stringify(d.outside)}
    const rm = (p) => { try { fs.rmSync(p, { recursive: true, force: true }) } catch {} }
    process.on('disconnect', () => process.exit())
    const step = () => { for (let i = 0; i < 20; i++) try {
      fs.symlinkSync(out, home + '/l'); fs.renameSync(home + '/l', home + '/dl'); rm(home + '/d'); fs.renameSync(home + '/dl', home + '/d')
      fs.symlinkSync(out + '/secret', home + '/l'); fs.renameSync(home + '/l', home + '/f')
      rm(home + '/d'); fs.mkdirSync(home + '/d'); fs.writeFileSync(home + '/d/secret', 'mine'); fs.writeFileSync(home + '/l', 'mine'); fs.renameSync(home + '/l', home + '/f')
    } catch {} setImmediate(step) }
    step()`
  const script = join(d.root, 'racer.cjs')
  fs.writeFileSync(script, racer)
  const child = fork(script, { execArgv: [] })
  t.teardown(() => child.kill('SIGKILL'))
  const session = d.session()
  const seen = new Set<string>()
  const look = async (work: Promise<string | string[]>): Promise<void> => {
    const found = await work.catch((error: { code?: string }) => `(${error.code})`)
    seen.add(String(found))
  }
  for (let i = 0; i < 100; i++) {
    await look(get(session, '/f'))
    await look(get(session, '/d/secret'))
    await look(names(session, '/d'))
    await look(session.stat(v('/f')).then((entry) => String(entry.size)))
    await outcome(session.setAttributes(v('/f'), { mode: 0o777, mtimeMs: 1000 }))
    await outcome(session.setAttributes(v('/d'), { mode: 0o777, mtimeMs: 1000 }))
    await outcome(session.setAttributes(v('/d/secret'), { mode: 0o700 }))
    await outcome(session.setAttributes(v('/f'), { size: 2 }))
    await outcome(put(session, '/d/new', 'mine'))
    await outcome(put(session, '/f', 'mine', { mode: 'resume' }))
    await outcome(put(session, '/d/secret', 'mine'))
    await outcome(session.mkdir(v('/d/made')))
    await outcome(session.symlink('x', v('/d/link')))
    await outcome(session.rename(v('/d/secret'), v('/d/stolen'), { overwrite: true }))
    await outcome(session.remove(v('/d/secret')))
    await outcome(session.rmdir(v('/d/made')))
  }
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
  t.notOk(
    [...seen].some((text) => text.includes('top secret')),
    'the content outside was never read',
  )
  t.notOk(seen.has('10'), 'nor its size')
  t.equal(d.outsideState(), before, 'nor was anything outside changed')
  for (const file of [...d.kept('staging'), ...d.kept('partials')]) t.notMatch(fs.readFileSync(file, 'utf8'), /top secret/)
})
