// A finished file becomes obligations, and what its rules want of it afterwards is done once all of them are met.
// Must not send anything: deliveries are settled by hand.
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { QUIET_MS, RESET_MS } from '../../src/core/doubt.ts'
import type { RuleSpec } from '../../src/core/rule.ts'
import { toPrincipal } from '../../src/core/user.ts'
import { nameFromBytes, ROOT, toVirtualPath } from '../../src/core/virtual-path.ts'
import { createDestinations } from '../../src/forwarding/destinations.ts'
import { createDeliveryQueue } from '../../src/forwarding/queue.ts'
import { createRules } from '../../src/forwarding/rules.ts'
import { createRecorder } from '../../src/intake/record-upload.ts'
import { createFileSettler } from '../../src/intake/settle-file.ts'
import { ADMIN, anUpload, aSession, fakeClock, recordedLog, SHA256, tempStore, until } from '../store/temp-store.ts'

const RENAMER = { username: 'customer1', partner: '', home: '/home', mounts: [] }

async function setUp(t: Test, rule: Partial<RuleSpec> = {}) {
  const { dir, store } = tempStore(t)
  const clock = fakeClock()
  const home = join(dir, 'files', 'customer1')
  for (const folder of [join(home, 'in'), join(dir, 'spool')]) mkdirSync(folder, { recursive: true })
  const destinations = createDestinations({ store, clock, changed: () => {}, usedBy: () => [] })
  for (const name of ['one', 'two']) await destinations.create(ADMIN, { name, type: 'local', base_path: '/out' })
  const rules = createRules({ store, clock, exclude: [], hasDestination: destinations.has })
  await rules.create(ADMIN, { name: 'r', source: { path: '/in/**' }, deliver: [{ to: 'one' }, { to: 'two' }], ...rule })
  const principal = toPrincipal({ username: 'customer1' }, home)
  const settler = createFileSettler({ store, clock, log: recordedLog().log, principalOf: () => principal })
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
  store.accounts.users.put({ username: 'customer1', password_hash: null, enabled: 1, spec_json: '{}' }, 1)
  aSession(store)
  const final = join(home, 'in', 'a')
  const spool = join(dir, 'spool', 't1')
  /** Received and published, with the name linked as the worker does. */
  function upload(confidence: 'certain' | 'likely' = 'certain'): void {
    anUpload(store, 't1')
    writeFileSync(final, 'whole')
    linkSync(final, spool)
    recorder.commit(
      {
        transferId: 't1',
        path: toVirtualPath(ROOT, '/in/a'),
        staging: Buffer.from('/gone'),
        final: Buffer.from(final),
        spool: Buffer.from(spool),
        replaced: null,
        size: 5,
        sha256: SHA256,
        verdict: { confidence, evidence: ['control alive'] },
      },
      '203.0.113.7',
    )
    recorder.published('t1')
  }
  const deliveries = () => store.deliveries.ofTransfer('t1')
  function deliver(id: string): void {
    store.deliveries.start(id, clock.now() + 1e6, '1.1')
    store.deliveries.delivered(id, 1, clock.now(), {
      remote_path: '/a',
      size: 5,
      sha256: SHA256,
      verified: 'size',
      algorithm: null,
      method: null,
      outcome: 'sent',
      server: null,
    })
    settler.settle('t1')
  }
  return { store, clock, home, final, spool, recorder, settler, upload, deliveries, deliver }
}

test('a certain upload is due at once, a likely one after a quiet moment or its session’s next sign of life', async (t) => {
  const certain = await setUp(t)
  certain.upload()
  t.same(
    certain.deliveries().map((d) => d.next_at),
    Array(2).fill(certain.clock.now()),
  )
  const likely = await setUp(t)
  likely.upload('likely')
  const verdict = likely.clock.now() + QUIET_MS + RESET_MS
  t.ok(
    likely.deliveries().every((d) => d.next_at! > verdict),
    'not while its session may still turn out to have died',
  )
  likely.recorder.confirm('t1', 'confirmed')
  t.same(
    likely.deliveries().map((d) => d.next_at),
    Array(2).fill(likely.clock.now()),
  )
})

test('a name that an older file was moved onto is the older file’s: what it owes later is its own content', async (t) => {
  const s = await setUp(t)
  const upload = (id: string, name: string): void => {
    anUpload(s.store, id, { path: name })
    s.recorder.commit(
      {
        transferId: id,
        path: toVirtualPath(ROOT, name),
        staging: Buffer.from('/gone'),
        final: Buffer.from(`/home${name}`),
        spool: Buffer.from(`/spool/${id}`),
        replaced: null,
        size: 5,
        sha256: id.repeat(32),
        verdict: { confidence: 'certain', evidence: [] },
      },
      '203.0.113.7',
    )
    s.recorder.published(id)
  }
  const rename = (from: string, to: string) => {
    const answer = s.recorder.commitRename(
      {
        sessionId: 'session-1',
        from: toVirtualPath(ROOT, from),
        to: toVirtualPath(ROOT, to),
        source: Buffer.from(`/home${from}`),
        size: 5,
        inode: '1:1',
        spoolFolder: Buffer.from('/spool'),
        final: Buffer.from(`/home${to}`),
      },
      RENAMER,
    )
    s.recorder.renamed(answer.renameId, true)
    return answer
  }
  upload('a1', '/new')
  upload('b2', '/data')
  rename('/new', '/data')
  t.equal(rename('/data', '/in/data').deliveries, 2)
  t.equal(s.store.deliveries.ofTransfer('a1').length, 2, 'of what was moved there')
  t.same(s.store.deliveries.ofTransfer('b2'), [], 'not of what was replaced')
})

test('{counter} is one file’s alone and grows with each upload, whatever was renamed in between', async (t) => {
  const s = await setUp(t, { source: { path: '/**' }, deliver: [{ to: 'one', path: '/{counter}' }] })
  const upload = (id: string): number => {
    anUpload(s.store, id, { path: `/${id}` })
    s.recorder.commit(
      {
        transferId: id,
        path: toVirtualPath(ROOT, `/${id}`),
        staging: Buffer.from('/gone'),
        final: Buffer.from(`/home/${id}`),
        spool: Buffer.from(`/spool/${id}`),
        replaced: null,
        size: 5,
        sha256: SHA256,
        verdict: { confidence: 'certain', evidence: [] },
      },
      '203.0.113.7',
    )
    s.recorder.published(id)
    return counters(id).at(-1)!
  }
  const counters = (id: string): number[] => s.store.deliveries.ofTransfer(id).map(({ remote_path }) => Number(remote_path))
  const rename = (from: string, to: string): void => {
    const looking = { sessionId: 'session-1', size: 5, inode: '1:1', spoolFolder: Buffer.from('/spool') }
    const paths = {
      from: toVirtualPath(ROOT, from),
      to: toVirtualPath(ROOT, to),
      source: Buffer.from(`/home${from}`),
      final: Buffer.from(`/home${to}`),
    }
    s.recorder.renamed(s.recorder.commitRename({ ...looking, ...paths }, RENAMER).renameId, true)
  }
  const first = [upload('a'), upload('b')]
  rename('/a', '/c')
  rename('/c', '/d')
  first.push(upload('e'))
  t.same(
    first,
    [...first].sort((x, y) => x - y),
    'in the order of arrival',
  )
  const all = ['a', 'b', 'e'].map((id) => new Set(counters(id)))
  for (const [i, one] of all.entries())
    for (const other of all.slice(i + 1))
      t.notOk(
        [...one].some((n) => other.has(n)),
        'no number is of two files',
      )
})

test('a name of other bytes that looks the same is another name', async (t) => {
  const s = await setUp(t)
  s.upload()
  const [latin1, utf8] = [Buffer.from('/home/\xe9', 'latin1'), Buffer.from('/home/\u00e9')]
  s.store.transfers.moved('t1', '/\u00e9', latin1.subarray(5), latin1)
  const looking = { sessionId: 'session-1', size: 5, inode: '1:1', spoolFolder: Buffer.from('/spool'), final: Buffer.from('/home/in/x') }
  const to = toVirtualPath(ROOT, '/in/x')
  t.equal(s.recorder.commitRename({ ...looking, source: utf8, from: toVirtualPath(ROOT, '/\u00e9'), to }, RENAMER).deliveries, 0)
  const exact = toVirtualPath(ROOT, `/${nameFromBytes(Buffer.from([0xe9]))}`)
  t.equal(s.recorder.commitRename({ ...looking, source: latin1, from: exact, to }, RENAMER).deliveries, 2)
})

test('what an upload replaced in truth is what it frees of the quota', async (t) => {
  const s = await setUp(t)
  anUpload(s.store, 't1')
  const used = () => s.store.accounts.users.get('customer1')
  s.store.accounts.users.addUsage('customer1', 105, 2)
  s.recorder.commit(
    {
      transferId: 't1',
      path: toVirtualPath(ROOT, '/in/a'),
      staging: Buffer.from('/gone'),
      final: Buffer.from(s.final),
      spool: Buffer.from(s.spool),
      replaced: 100,
      size: 7,
      sha256: SHA256,
      verdict: { confidence: 'certain', evidence: [] },
    },
    '203.0.113.7',
  )
  t.match(used(), { used_bytes: 12, used_files: 2 })
  s.recorder.published('t1', null)
  t.match(used(), { used_bytes: 112, used_files: 3 }, 'it was removed meanwhile, and freed then')
})

test('an upload whose session died at once is suspect: nothing is sent, and the content is kept for a retry by hand', async (t) => {
  const s = await setUp(t)
  s.upload('likely')
  s.recorder.confirm('t1', 'suspect')
  t.equal(s.store.transfers.get('t1')?.state, 'suspect')
  t.match(s.deliveries(), [
    { state: 'dead', error_json: /upload\.suspect/ },
    { state: 'dead', error_json: /upload\.suspect/ },
  ])
  s.settler.settle('t1')
  t.equal(readFileSync(s.spool, 'utf8'), 'whole')
  s.recorder.confirm('t1', 'suspect')
  t.equal(s.store.transfers.get('t1')?.state, 'suspect', 'said twice')
})

for (const after of ['keep', 'delete', 'archive'] as const) {
  test(`after: ${after} happens when the last delivery has arrived, and the kept content goes`, async (t) => {
    const s = await setUp(t, { after })
    s.upload()
    const [first, second] = s.deliveries()
    s.deliver(first!.id)
    t.ok(existsSync(s.final) && existsSync(s.spool), 'not before')
    s.deliver(second!.id)
    await until(() => !existsSync(s.spool))
    t.equal(existsSync(s.final), after === 'keep')
    const kept = readdirSync(s.home, { recursive: true, withFileTypes: true }).filter((e) => e.isFile())
    t.same(kept.length, after === 'delete' ? 0 : 1)
    if (kept[0]) t.equal(readFileSync(join(kept[0].parentPath, kept[0].name), 'utf8'), 'whole')
    t.equal(s.store.accounts.users.get('customer1')?.used_bytes, after === 'delete' ? 0 : 5)
    s.settler.settle('t1')
    if (after !== 'keep') t.match(s.store.audit.list({ limit: 1 }), [{ action: `file.${after}`, outcome: 'ok' }])
  })
}

test('a file that the partner has replaced meanwhile is not deleted', async (t) => {
  const s = await setUp(t, { after: 'delete' })
  s.upload()
  rmSync(s.final)
  writeFileSync(s.final, 'another')
  for (const { id } of s.deliveries()) s.deliver(id)
  await until(() => !existsSync(s.spool))
  t.equal(readFileSync(s.final, 'utf8'), 'another')
  t.match(s.store.audit.list({ limit: 1 }), [{ action: 'file.delete', outcome: 'failed' }])
})

test('a delivery that was cancelled lets the content go but not the partner’s file', async (t) => {
  const s = await setUp(t, { after: 'delete' })
  s.upload()
  const [first, second] = s.deliveries()
  s.deliver(first!.id)
  s.store.deliveries.cancel(second!.id, s.clock.now())
  s.settler.settle('t1')
  await until(() => !existsSync(s.spool))
  t.equal(readFileSync(s.final, 'utf8'), 'whole')
})
