// What a killed process may leave, row by row and file by file, and what the next start makes of it; twice over.
// Must not kill anything itself: test/recovery does.
import { createHash } from 'node:crypto'
import { existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { newId } from '../../src/core/clock.ts'
import { ROOT, toVirtualPath } from '../../src/core/virtual-path.ts'
import { Vaults, vaultsOf } from '../../src/files/vaults.ts'
import { createDestinations } from '../../src/forwarding/destinations.ts'
import { createDispatcher } from '../../src/forwarding/dispatcher.ts'
import { createDeliveryQueue } from '../../src/forwarding/queue.ts'
import { createRules } from '../../src/forwarding/rules.ts'
import { createRecorder } from '../../src/intake/record-upload.ts'
import { dropAbandoned, recover, recoverSession } from '../../src/intake/recover.ts'
import { createFileSettler } from '../../src/intake/settle-file.ts'
import { ADMIN, aDueDelivery, anUpload, aSession, fakeClock, recordedLog, SHA256, tempStore, until } from '../store/temp-store.ts'

const RETRY = { max_attempts: 3, first_delay: 1000, max_delay: 1000, give_up_after: 1e9 }

const RENAMER = { username: 'customer1', partner: '', home: '/home', mounts: [] }

async function setUp(t: Test, deliver = true) {
  const { dir, store } = tempStore(t)
  const clock = fakeClock()
  const { log, lines } = recordedLog()
  const storage = join(dir, 'files')
  const home = join(storage, 'customer1')
  mkdirSync(join(home, 'in'), { recursive: true })
  const [vault] = vaultsOf(new Vaults(dir, storage), [{ home, mounts: [] }])
  for (const part of ['staging', 'spool', 'partials']) mkdirSync(join(vault!.root, part), { recursive: true })
  const destinations = createDestinations({ store, clock, changed: () => {}, usedBy: () => [] })
  await destinations.create(ADMIN, { name: 'out', type: 'local', base_path: '/out' })
  const rules = createRules({ store, clock, exclude: ['*.part'], hasDestination: destinations.has })
  if (deliver) await rules.create(ADMIN, { name: 'r', source: { path: '/in/**' }, deliver: [{ to: 'out' }] })
  const settler = createFileSettler({ store, clock, log, principalOf: () => null })
  const recorder = createRecorder({
    store,
    clock,
    rules,
    queue: createDeliveryQueue(store, destinations.tempNameOf),
    homeOf: () => null,
    kick: () => {},
    changed: () => {},
    dropSpool: settler.drop,
  })
  const dispatcher = createDispatcher({
    store,
    clock,
    log,
    destinations,
    limits: () => ({ concurrency: 8, per_destination: 4, retry: RETRY }),
    changed: () => {},
    destinationChanged: () => {},
    finished: settler.settle,
  })
  store.accounts.users.put({ username: 'customer1', password_hash: null, enabled: 1, spec_json: '{}' }, 1)
  aSession(store)
  const options = { store, clock, log, recorder, vaults: [vault!], durable: true }
  const final = (name: string): string => join(home, 'in', name)
  /** A committed upload of `text`, as far as the disk is concerned just before it is published. */
  function committed(id: string, name: string, text: string): void {
    anUpload(store, id, { path: `/in/${name}` })
    writeFileSync(vault!.staging(id), text)
    recorder.commit(
      {
        transferId: id,
        path: toVirtualPath(ROOT, `/in/${name}`),
        staging: Buffer.from(vault!.staging(id)),
        final: Buffer.from(final(name)),
        spool: Buffer.from(vault!.spool(id)),
        replaced: null,
        size: text.length,
        sha256: createHash('sha256').update(text).digest('hex'),
        verdict: { confidence: 'certain', evidence: [] },
      },
      '203.0.113.7',
    )
  }
  const start = async () => ({ ...(await recover(options)), given: dispatcher.recover() })
  /** Recovers twice: the second time there must be nothing to do. */
  async function recoverTwice() {
    const first = await start()
    const state = await snapshot()
    t.match(await start(), { published: 0, partials: 0, sessions: 0 }, 'the second time there is nothing to do')
    t.same(await snapshot(), state)
    return first
  }
  const snapshot = async () => ({
    files: readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((e) => e.isFile() && !e.name.startsWith('fileflow.db'))
      .map((e) => `${e.parentPath}/${e.name} ${e.name === 'secrets.key' ? '' : readFileSync(join(e.parentPath, e.name), 'utf8')}`)
      .sort(),
    transfers: await store.transfers.list({ limit: 100 }),
    deliveries: await store.deliveries.list({ limit: 100 }),
  })
  const state = (id: string) => store.transfers.get(id)?.state
  return {
    dir,
    store,
    clock,
    lines,
    home,
    vault: vault!,
    recorder,
    dispatcher,
    settler,
    options,
    final,
    committed,
    recoverTwice,
    state,
    rules,
  }
}

for (const [at, prepare] of [
  ['before anything moved', () => {}],
  ['after the spool link', (c: Case) => linkSync(c.vault.staging('t1'), c.vault.spool('t1'))],
  [
    'after the rename',
    (c: Case) => {
      linkSync(c.vault.staging('t1'), c.vault.spool('t1'))
      renameSync(c.vault.staging('t1'), c.final('a'))
    },
  ],
] as [string, (c: Case) => void][]) {
  test(`a committed upload is published after a kill ${at}`, async (t) => {
    const c = await setUp(t)
    c.committed('t1', 'a', 'whole')
    prepare(c)
    t.match(await c.recoverTwice(), { published: 1, partials: 0, sessions: 1 })
    t.equal(readFileSync(c.final('a'), 'utf8'), 'whole')
    t.equal(lstatSync(c.final('a')).ino, lstatSync(c.vault.spool('t1')).ino, 'the delivery sends just this')
    t.equal(c.state('t1'), 'completed')
    t.match(c.store.deliveries.ofTransfer('t1'), [{ state: 'pending', next_at: c.clock.now() }])
    t.same(readdirSync(join(c.vault.root, 'staging')), [])
    t.equal(c.store.transfers.getSession('session-1')?.state, 'aborted')
  })
}
for (const [what, left] of [
  ['shorter', 'who'],
  ['of zeros', '\0\0\0\0\0'],
  ['longer', 'whole and more'],
]) {
  test(`a committed upload whose content is ${what} after a power loss was not acknowledged: it leaves nothing, and nothing is sent`, async (t) => {
    const c = await setUp(t)
    writeFileSync(c.final('a'), 'published before')
    c.committed('t1', 'a', 'whole')
    writeFileSync(c.vault.staging('t1'), left!)
    t.match(await c.recoverTwice(), { published: 0, partials: 0 })
    t.equal(readFileSync(c.final('a'), 'utf8'), 'published before')
    t.match(c.store.transfers.get('t1'), { state: 'aborted', spool: null })
    t.match(JSON.parse(c.store.transfers.get('t1')!.error_json!), { code: 'upload.incomplete' })
    t.same(c.store.deliveries.ofTransfer('t1'), [])
    t.same(readdirSync(join(c.vault.root, 'staging')), [])
    t.match(c.store.accounts.users.get('customer1'), { used_bytes: 0, used_files: 0 })
    t.ok(c.lines.some((line) => line.event === 'recover.torn'))
  })
}

test('where only the process could die, content is not looked at again', async (t) => {
  const c = await setUp(t)
  c.committed('t1', 'a', 'whole')
  writeFileSync(c.vault.staging('t1'), 'touched')
  t.match(await recover({ ...c.options, durable: false }), { published: 1 })
})
type Case = Awaited<ReturnType<typeof setUp>>

test('a file that the partner replaced or removed after it was published is left as the partner wants it', async (t) => {
  const c = await setUp(t)
  for (const id of ['t1', 't2']) {
    c.committed(id, id, 'first')
    linkSync(c.vault.staging(id), c.vault.spool(id))
    renameSync(c.vault.staging(id), c.final(id))
  }
  rmSync(c.final('t1'))
  writeFileSync(c.final('t2'), 'edited here')
  await c.recoverTwice()
  t.notOk(existsSync(c.final('t1')))
  t.equal(readFileSync(c.vault.spool('t1'), 'utf8'), 'first', 'it is delivered all the same')
})

test('of two committed uploads to one name the later one keeps it, and both are delivered', async (t) => {
  const c = await setUp(t)
  c.committed('t1', 'a', 'older')
  c.committed('t2', 'a', 'newer')
  t.match(await c.recoverTwice(), { published: 2 })
  t.equal(readFileSync(c.final('a'), 'utf8'), 'newer')
  t.equal(readFileSync(c.vault.spool('t1'), 'utf8'), 'older')
  t.equal(readFileSync(c.vault.spool('t2'), 'utf8'), 'newer')
  t.equal(c.store.deliveries.counts().pending, 2)
})

test('a later upload that was given up does not cost an earlier one its name', async (t) => {
  const c = await setUp(t)
  c.committed('t1', 'a', 'older')
  c.committed('t2', 'a', 'newer')
  c.recorder.abort('t2', 5, { code: 'path.exists', message: '' })
  await c.recoverTwice()
  t.equal(readFileSync(c.final('a'), 'utf8'), 'older')
})

test('a committed upload whose content is gone is said to be lost, and keeps nobody out', async (t) => {
  const c = await setUp(t)
  c.committed('t1', 'a', 'gone')
  rmSync(c.vault.staging('t1'))
  await c.recoverTwice()
  t.ok(c.lines.some((line) => line.event === 'recover.lost' && line.fields.transfer === 't1'))
})

test('one upload that cannot be put in place does not keep the gateway from starting, and is tried again', async (t) => {
  const c = await setUp(t)
  c.committed('t1', 'a', 'first')
  c.committed('t2', 'b', 'second')
  mkdirSync(c.final('a'))
  await c.recoverTwice()
  t.equal(readFileSync(c.final('b'), 'utf8'), 'second')
  t.equal(c.state('t1'), 'committing')
  t.ok(c.lines.some((line) => line.event === 'recover.failed' && line.fields.transfer === 't1'))
  rmSync(c.final('a'), { recursive: true })
  t.match(await recover(c.options), { published: 1 })
  t.equal(readFileSync(c.final('a'), 'utf8'), 'first')
})

test('an unfinished upload with bytes becomes a partial of its uploader, one without leaves nothing', async (t) => {
  const c = await setUp(t)
  for (const id of ['t1', 't2', 't3']) anUpload(c.store, id, { path: `/in/${id}` })
  writeFileSync(c.vault.staging('t1'), 'half'.repeat(1000))
  writeFileSync(c.vault.staging('t2'), '')
  t.match(await c.recoverTwice(), { published: 0, partials: 1, sessions: 1 })
  t.same(['t1', 't2', 't3'].map(c.state), ['aborted', 'aborted', 'aborted'])
  const kept = readFileSync(c.vault.partial('customer1', toVirtualPath(ROOT, '/in/t1')), 'utf8')
  t.ok(kept.length > 0 && 'half'.repeat(1000).startsWith(kept), 'what came, or less')
  t.equal(c.store.transfers.get('t1')?.bytes, kept.length)
  for (const id of ['t1', 't2', 't3']) t.notOk(existsSync(c.final(id)), 'never under its name')
  t.same(readdirSync(join(c.vault.root, 'staging')), [])
  t.equal(c.store.deliveries.counts().pending, 0)
})

test('an unfinished upload that a power loss ended is not gone on with: nobody knows which of its bytes got to the disk', async (t) => {
  const c = await setUp(t)
  c.store.group.now(() => c.store.lastRun.begin('the boot before'))
  anUpload(c.store, 't1', { path: '/in/t1' })
  writeFileSync(c.vault.staging('t1'), '\0'.repeat(4000))
  t.match(await c.recoverTwice(), { partials: 0, sessions: 1 })
  t.equal(c.state('t1'), 'aborted')
  t.notOk(existsSync(c.vault.partial('customer1', toVirtualPath(ROOT, '/in/t1'))))
  t.same(readdirSync(join(c.vault.root, 'staging')), [])
})

test('a committed upload that never got its name is not sent with what stands there instead', async (t) => {
  const c = await setUp(t)
  c.committed('t1', 'a', 'whole')
  // it could not be published and became a partial; its end was not recorded any more
  rmSync(c.vault.staging('t1'))
  writeFileSync(c.final('a'), 'other')
  await c.recoverTwice()
  t.same(readdirSync(c.vault.spoolFolder), [])
  t.equal(readFileSync(c.final('a'), 'utf8'), 'other')
  t.ok(c.lines.some((line) => line.event === 'recover.lost'))
})

test('spooled content is found again after its folder was moved', async (t) => {
  const c = await setUp(t)
  const moved = join(c.dir, 'moved')
  for (const id of ['t1', 't2', 't3']) c.committed(id, id, id)
  // one was not published yet, one got its content by a rename
  c.store.transfers.setSpool('t2', Buffer.from(c.vault.spool('renamed')))
  for (const [id, name] of [
    ['t1', 't1'],
    ['t2', 'renamed'],
    ['t3', 't3'],
  ] as const) {
    linkSync(c.vault.staging(id), c.vault.spool(name))
    renameSync(c.vault.staging(id), c.final(id))
    if (id !== 't3') c.recorder.published(id)
  }
  mkdirSync(moved)
  renameSync(c.vault.spoolFolder, join(moved, 'spool'))
  const vault = { ...c.vault, root: moved, spoolFolder: join(moved, 'spool') }
  writeFileSync(join(moved, 'spool', 'unknown'), 'x')
  await recover({ ...c.options, vaults: [vault] })
  t.same(readdirSync(vault.spoolFolder).sort(), ['renamed', 't1', 't3'])
  t.same(
    ['t1', 't2', 't3'].map((id) => Buffer.from(c.store.transfers.get(id)!.spool!).toString()),
    ['t1', 'renamed', 't3'].map((name) => join(moved, 'spool', name)),
  )
})

test('what tells of a hole in an upload under way is not taken for something left over', async (t) => {
  const c = await setUp(t)
  anUpload(c.store, '0', { path: '/in/a' })
  for (const name of ['0', '0.hole', '00', '00.hole']) writeFileSync(c.vault.staging(name), '3')
  await dropAbandoned(c.options)
  t.same(readdirSync(join(c.vault.root, 'staging')).sort(), ['0', '0.hole'])
})

test('staged and spooled files that no row speaks of are removed', async (t) => {
  const c = await setUp(t)
  writeFileSync(c.vault.staging('unknown'), 'x')
  // more than are looked at together
  for (let i = 0; i < 1100; i++) writeFileSync(c.vault.spool(`unknown${i}`), 'x')
  c.committed('t1', 'a', 'whole')
  await c.recoverTwice()
  t.same(readdirSync(c.vault.spoolFolder), ['t1'], 'what is owed stays')
  t.notOk(existsSync(c.vault.staging('unknown')))
})

test('deliveries that ran are given back: the attempt is not spent, and its end is unclear', async (t) => {
  const c = await setUp(t)
  aDueDelivery(c.store, 'd1', 'out')
  aDueDelivery(c.store, 'd2', 'out')
  c.store.deliveries.start('d1', c.clock.now(), '1.1')
  t.match(await c.recoverTwice(), { given: 1 })
  t.match(c.store.deliveries.get('d1'), { state: 'pending', attempt: 0, unclear: 1, next_at: c.clock.now() })
  t.match(c.store.deliveries.get('d2'), { state: 'pending', attempt: 0, unclear: 0 })
  t.same(c.store.deliveries.attempts('d1'), [])
})

test('a file that was delivered but not settled before the kill is settled at the start', async (t) => {
  const c = await setUp(t)
  c.committed('t1', 'a', 'whole')
  await recover(c.options)
  const { id } = c.store.deliveries.ofTransfer('t1')[0]!
  c.store.deliveries.start(id, c.clock.now(), '1.1')
  c.store.deliveries.delivered(id, 1, c.clock.now(), {
    remote_path: '/a',
    size: 5,
    sha256: SHA256,
    verified: 'size',
    algorithm: null,
    method: null,
    outcome: 'sent',
    server: null,
  })
  t.ok(c.store.transfers.get('t1')?.spool)
  c.dispatcher.recover()
  await until(() => c.store.transfers.get('t1')?.spool === null)
  while (existsSync(c.vault.spool('t1'))) await new Promise<void>((go) => setImmediate(go))
  t.equal(readFileSync(c.final('a'), 'utf8'), 'whole', 'the partner’s own file stays')
})

/** A finished `a.part` whose rename to `a` was committed. */
function renaming(c: Case, session = 'session-1') {
  c.committed('t1', 'a.part', 'whole')
  renameSync(c.vault.staging('t1'), c.final('a.part'))
  c.recorder.published('t1')
  const { dev, ino } = lstatSync(c.final('a.part'))
  return c.recorder.commitRename(
    {
      sessionId: session,
      from: toVirtualPath(ROOT, '/in/a.part'),
      to: toVirtualPath(ROOT, '/in/a'),
      source: Buffer.from(c.final('a.part')),
      size: 5,
      inode: `${dev}:${ino}`,
      spoolFolder: Buffer.from(c.vault.spoolFolder),
      final: Buffer.from(c.final('a')),
    },
    RENAMER,
  )
}

test('a rename that happened before the kill is delivered under its new name', async (t) => {
  const c = await setUp(t)
  const { deliveries, spool } = renaming(c)
  t.equal(deliveries, 1)
  linkSync(c.final('a.part'), Buffer.from(spool!).toString())
  renameSync(c.final('a.part'), c.final('a'))
  await c.recoverTwice()
  t.match(c.store.deliveries.ofTransfer('t1'), [{ path: '/in/a', remote_path: 'a', state: 'pending', next_at: c.clock.now() }])
  t.equal(c.store.transfers.get('t1')?.path, '/in/a')
  t.equal(readFileSync(Buffer.from(spool!), 'utf8'), 'whole')
})

test('a rename that did not happen before the kill owes nothing', async (t) => {
  const c = await setUp(t)
  const { spool } = renaming(c)
  linkSync(c.final('a.part'), Buffer.from(spool!).toString())
  await recover(c.options)
  t.same(c.store.deliveries.ofTransfer('t1'), [])
  t.match(c.store.transfers.get('t1'), { path: '/in/a.part', spool: null })
  while (existsSync(Buffer.from(spool!))) await new Promise<void>((go) => setImmediate(go))
  t.equal(readFileSync(c.final('a.part'), 'utf8'), 'whole')
})

test('the crash of one session’s thread leaves the rename of another session alone', async (t) => {
  const c = await setUp(t)
  aSession(c.store, 'session-2')
  const { renameId } = renaming(c, 'session-2')
  await recoverSession(c.options, 'session-1')
  c.recorder.renamed(renameId, true)
  t.match(c.store.deliveries.ofTransfer('t1'), [{ path: '/in/a', state: 'pending', next_at: c.clock.now() }])
})

test('a file that goes back to a name it was delivered under owes nothing more, and keeps no content for it', async (t) => {
  const c = await setUp(t)
  c.committed('t1', 'a', 'whole')
  await recover(c.options)
  const { id } = c.store.deliveries.ofTransfer('t1')[0]!
  c.store.deliveries.cancel(id, c.clock.now())
  c.settler.settle('t1')
  await until(() => c.store.transfers.get('t1')?.spool === null)
  const file = {
    sessionId: 's',
    from: toVirtualPath(ROOT, '/in/a'),
    to: toVirtualPath(ROOT, '/in/a'),
    source: Buffer.from(c.final('a')),
    size: 5,
    inode: '1:1',
  }
  const owed = c.recorder.commitRename(
    { ...file, spoolFolder: Buffer.from(c.vault.spoolFolder), final: Buffer.from(c.final('a')) },
    RENAMER,
  )
  t.match(owed, { deliveries: 0, spool: null })
  t.equal(c.store.transfers.get('t1')?.spool, null)
})

test('a committed upload without a rule is published and keeps no second copy', async (t) => {
  const c = await setUp(t, false)
  c.committed('t1', 'a', 'whole')
  await c.recoverTwice()
  t.equal(readFileSync(c.final('a'), 'utf8'), 'whole')
  t.same(readdirSync(c.vault.spoolFolder), [])
})

test('what a thread that died had staged and told nobody of goes after a while; what is young, or has a row, stays', async (t) => {
  const c = await setUp(t)
  const [old, young, known] = [newId(c.clock.now() - 3600_000), newId(c.clock.now()), newId(c.clock.now() - 3600_001)]
  for (const id of [old, young, known]) writeFileSync(c.vault.staging(id), 'begun')
  anUpload(c.store, known)
  await dropAbandoned(c.options)
  t.same(readdirSync(join(c.vault.root, 'staging')).sort(), [known, young].sort())
})
