// What a worker wrote into its journal is kept, whatever is killed next and whatever the power takes of the database; and is recorded once.
// Must not kill anything itself: test/recovery does. Here a journal is left as a kill leaves it, and the next start reads it.
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createLiveSessions } from '../../src/accounts/live-sessions.ts'
import { createUsers } from '../../src/accounts/users.ts'
import { createState } from '../../src/admin/state.ts'
import type { JournalRecord, TakenUpload } from '../../src/core/journal.ts'
import { nameFromBytes, ROOT, toVirtualPath } from '../../src/core/virtual-path.ts'
import { JournalWriter, journalFile } from '../../src/files/journal-writer.ts'
import { Vaults, vaultsOf } from '../../src/files/vaults.ts'
import { createDestinations } from '../../src/forwarding/destinations.ts'
import { createDeliveryQueue } from '../../src/forwarding/queue.ts'
import { createRules } from '../../src/forwarding/rules.ts'
import { createJournals, type JournalDoor } from '../../src/intake/journal.ts'
import { createRecorder } from '../../src/intake/record-upload.ts'
import { recover } from '../../src/intake/recover.ts'
import { openStore } from '../../src/store/store.ts'
import { ADMIN, aSession, fakeClock, recordedLog, START, tempDir, until } from '../store/temp-store.ts'

/** A gateway's records over `dir`, as far as uploads need them. Made again, it is the next start. */
async function setUp(t: Test, dir = tempDir(t), durable = true) {
  const store = openStore(dir, durable ? 'power' : 'process')
  let open = true
  const close = (): void => {
    if (open) store.close()
    open = false
  }
  t.teardown(close)
  const clock = fakeClock()
  const { log, lines } = recordedLog()
  const home = join(dir, 'files', 'customer1')
  mkdirSync(join(home, 'in'), { recursive: true })
  const [vault] = vaultsOf(new Vaults(dir, join(dir, 'files')), [{ home, mounts: [] }])
  for (const part of ['staging', 'spool', 'partials']) mkdirSync(join(vault!.root, part), { recursive: true })
  const destinations = createDestinations({ store, clock, changed: () => {}, usedBy: () => [] })
  if (!destinations.has('out')) await destinations.create(ADMIN, { name: 'out', type: 'local', base_path: '/out' })
  let pull = (): void => {}
  const rules = createRules({ store, clock, exclude: [], hasDestination: destinations.has, beforeChange: () => pull() })
  if (rules.compiled().length === 0) await rules.create(ADMIN, { name: 'r', source: { path: '/in/**' }, deliver: [{ to: 'out' }] })
  const completed: string[] = []
  const dropped: string[] = []
  const recorder = createRecorder({
    store,
    clock,
    rules,
    queue: createDeliveryQueue(store, destinations.tempNameOf),
    homeOf: () => null,
    kick: () => {},
    changed: (_event, id) => completed.push(id),
    dropSpool: () => {},
  })
  const dropSpool = (spool: Uint8Array): void => void dropped.push(Buffer.from(spool).toString())
  const journals = createJournals({ store, recorder, log, dataDir: dir, durable, dropSpool })
  pull = journals.pull
  store.accounts.users.put({ username: 'customer1', password_hash: null, enabled: 1, spec_json: '{}' }, 1)
  const taken = (id: string, name: string, text: string, over: Partial<TakenUpload> = {}): TakenUpload => ({
    kind: 'taken',
    id,
    sessionId: 'session-1',
    username: 'customer1',
    partner: 'Customer One',
    protocol: 'sftp',
    address: '203.0.113.7',
    path: toVirtualPath(ROOT, `/in/${name}`),
    offset: 0,
    startedAt: START,
    at: START,
    size: text.length,
    sha256: createHash('sha256').update(text).digest('hex'),
    replaced: null,
    staging: vault!.staging(id),
    final: join(home, 'in', name),
    spool: vault!.spool(id),
    verdict: { confidence: 'certain', evidence: ['sftp close'] },
    owes: true,
    begun: false,
    ...over,
  })
  const start = () => recover({ store, clock, log, recorder, vaults: [vault!], durable })
  const files = (): string[] => (existsSync(join(dir, 'journal')) ? readdirSync(join(dir, 'journal')) : [])
  return {
    dir,
    store,
    close,
    clock,
    lines,
    home,
    vault: vault!,
    recorder,
    journals,
    taken,
    start,
    files,
    completed,
    dropped,
    rules,
    destinations,
  }
}

const published = (id: string, at = START + 5): JournalRecord => ({ kind: 'published', id, at, replaced: null })
const nobody: JournalDoor = { taken() {}, published() {} }

test('what was answered for before a rule went is owed by that rule', async (t) => {
  const c = await setUp(t)
  aSession(c.store)
  const place = c.journals.place()
  c.journals.begin(place, nobody)
  const writer = new JournalWriter(place)
  await writer.append(c.taken('t1', 'a', 'whole'), true)
  await c.rules.remove(ADMIN, 'r')
  t.equal(c.store.deliveries.ofTransfer('t1').length, 1)
  const users = createUsers({
    store: c.store,
    live: createLiveSessions(),
    clock: c.clock,
    storageRoot: c.home,
    dataDir: c.dir,
    prepareHome: async () => {},
  })
  const state = createState({ store: c.store, users, destinations: c.destinations, rules: c.rules })
  const rule = { name: 'r', source: { path: '/in/**' }, deliver: [{ to: 'out' }] }
  await state.apply(ADMIN, { rules: [rule] }, { dryRun: false, prune: false })
  await writer.append(c.taken('t2', 'b', 'whole'), true)
  await state.apply(ADMIN, { rules: [{ ...rule, enabled: false }] }, { dryRun: false, prune: false })
  t.equal(c.store.deliveries.ofTransfer('t2').length, 1)
})

test('an upload in the journal has its row, its deliveries, its audit event and its place in the quota; a second reading adds nothing', async (t) => {
  const c = await setUp(t)
  aSession(c.store)
  const place = c.journals.place()
  const told: string[] = []
  c.journals.begin(place, { taken: ({ id }) => told.push(`taken ${id}`), published: (id) => told.push(`published ${id}`) })
  const writer = new JournalWriter(place)
  await writer.append(c.taken('t1', 'a', 'whole'), true)
  writer.append(published('t1'), false)
  c.journals.pull()
  c.journals.pull()
  t.match(c.store.transfers.get('t1'), {
    state: 'completed',
    bytes: 5,
    ended_at: START + 5,
    commit_order: 1,
    staging: null,
    username: 'customer1',
  })
  t.match(c.store.deliveries.ofTransfer('t1'), [{ state: 'pending', next_at: START, path: '/in/a' }])
  t.match(c.store.accounts.users.get('customer1'), { used_bytes: 5, used_files: 1 })
  t.equal(c.store.audit.list({ action: 'upload', limit: 9 }).length, 1)
  t.ok(c.store.audit.verify().ok)
  t.same(told, ['taken t1', 'published t1'])
  t.same(c.completed, ['t1'])
  c.journals.end(place)
  t.same(c.files(), [], 'nothing is left of the journal of a thread that ended')
})

test('a line that the tables refuse holds up no other one, neither live nor at the next start', async (t) => {
  for (const live of [true, false]) {
    const c = await setUp(t)
    aSession(c.store)
    const place = c.journals.place()
    const writer = new JournalWriter(place)
    const told: string[] = []
    if (live) c.journals.begin(place, { taken: ({ id }) => told.push(`taken ${id}`), published: (id) => told.push(`published ${id}`) })
    await writer.append(c.taken('t1', 'a', 'whole'), true)
    await writer.append(c.taken('t2', 'b', 'whole', { size: 0.5 }), true)
    await writer.append(c.taken('t3', 'c', 'whole'), true)
    for (const id of ['t1', 't2', 't3']) writer.append(published(id), false)
    if (live) c.journals.pull()
    else t.equal(c.journals.recover(), 3)
    t.equal(c.store.transfers.get('t1')?.state, 'completed')
    t.equal(c.store.transfers.get('t2'), undefined)
    t.equal(c.store.transfers.get('t3')?.state, 'completed')
    t.equal(c.store.deliveries.ofTransfer('t3').length, 1)
    t.match(c.lines, [{ event: 'journal.unrecorded', fields: { transfer: 't2' } }])
    if (live) t.same(told, ['taken t1', 'taken t3', 'published t1', 'published t3'])
    t.ok(c.store.audit.verify().ok)
  }
})

test('a name that is not UTF-8 comes through the journal byte for byte', async (t) => {
  const c = await setUp(t)
  aSession(c.store)
  const place = c.journals.place()
  c.journals.begin(place, nobody)
  const bytes = Buffer.from('/in/caf\xe9', 'latin1')
  const final = Buffer.concat([Buffer.from(c.home), bytes])
  const writer = new JournalWriter(place)
  writer.append(c.taken('t1', 'x', 'whole', { path: nameFromBytes(bytes) as never, final: nameFromBytes(final) }), false)
  c.journals.pull()
  const row = c.store.transfers.get('t1')!
  t.same([row.path_bytes, row.final], [bytes, final])
})

test('a file that no rule wants after all is not kept for it', async (t) => {
  const c = await setUp(t)
  aSession(c.store)
  const place = c.journals.place()
  c.journals.begin(place, nobody)
  const writer = new JournalWriter(place)
  writer.append(c.taken('t1', '../elsewhere', 'whole'), false)
  writer.append(published('t1'), false)
  c.journals.pull()
  t.same(c.store.deliveries.ofTransfer('t1'), [])
  t.equal(c.store.transfers.get('t1')!.spool, null)
  t.same(c.dropped, [c.vault.spool('t1')])
})

test('an upload that could not take its name after it was written down owes nothing, and its quota is given back', async (t) => {
  const c = await setUp(t)
  aSession(c.store)
  const place = c.journals.place()
  c.journals.begin(place, nobody)
  new JournalWriter(place).append(c.taken('t1', 'a', 'whole'), false)
  c.journals.pull()
  t.match(c.store.transfers.get('t1'), { state: 'committing' })
  t.match(c.store.deliveries.ofTransfer('t1'), [{ next_at: null }], 'nothing is sent before the name holds the file')
  c.store.group.now(() => c.recorder.abort('t1', 5, { code: 'path.exists', message: 'taken' }))
  t.match(c.store.transfers.get('t1'), { state: 'aborted' })
  t.ok(c.store.deliveries.ofTransfer('t1').every(({ state }) => state === 'cancelled'))
  t.match(c.store.accounts.users.get('customer1'), { used_bytes: 0, used_files: 0 })
})

for (const durable of [true, false]) {
  test(`killed with a journal that nobody has read (${durable ? 'power' : 'process'}): the next start publishes what was written down, once`, async (t) => {
    const first = await setUp(t, undefined, durable)
    aSession(first.store)
    const writer = new JournalWriter(first.journals.place())
    for (const [id, name] of [
      ['t1', 'staged'],
      ['t2', 'renamed'],
      ['t3', 'answered'],
    ] as const) {
      writeFileSync(first.vault.staging(id), id)
      writer.append(first.taken(id, name, id), durable)
      if (name !== 'staged') renameSync(first.vault.staging(id), join(first.home, 'in', name))
    }
    writer.append(published('t3'), false)
    first.close()

    const next = await setUp(t, first.dir, durable)
    t.equal(next.journals.recover(), 3)
    await next.start()
    for (const [id, name] of [
      ['t1', 'staged'],
      ['t2', 'renamed'],
      ['t3', 'answered'],
    ] as const) {
      t.equal(readFileSync(join(next.home, 'in', name), 'utf8'), id)
      t.equal(next.store.transfers.get(id)?.state, 'completed')
      t.match(next.store.deliveries.ofTransfer(id), [{ state: 'pending' }])
    }
    t.same(next.files(), [])
    t.match(next.store.accounts.users.get('customer1'), { used_bytes: 6, used_files: 3 })
    next.close()

    const again = await setUp(t, first.dir, durable)
    t.equal(again.journals.recover(), 0)
    t.match(again.store.accounts.users.get('customer1'), { used_bytes: 6, used_files: 3 }, 'nothing is counted twice')
  })
}

test('the power took the database’s last moments, session and all: the journal has them, and rows that are there are not made again', async (t) => {
  const first = await setUp(t)
  aSession(first.store)
  const place = first.journals.place()
  first.journals.begin(place, nobody)
  const writer = new JournalWriter(place)
  writer.append(first.taken('t1', 'a', 'whole'), true)
  writer.append(published('t1'), false)
  first.journals.pull()
  // of a session that the disk has never seen
  await writer.append(first.taken('t2', 'b', 'other', { sessionId: 'session-2', at: START + 9 }), true)
  writeFileSync(first.vault.staging('t2'), 'other')
  first.close()

  const next = await setUp(t, first.dir)
  next.journals.recover()
  await next.start()
  t.equal(next.store.deliveries.ofTransfer('t1').length, 1)
  t.match(next.store.transfers.get('t2'), { state: 'completed', session_id: 'session-2' })
  t.match(next.store.transfers.getSession('session-2'), { state: 'aborted', username: 'customer1' })
  t.match(next.store.accounts.users.get('customer1'), { used_bytes: 10, used_files: 2 })
  t.equal(readFileSync(join(next.home, 'in', 'b'), 'utf8'), 'other')
})

test('a journal whose end is torn is read up to there, and the gateway starts', async (t) => {
  for (const torn of [
    'deadbeef {"kind":"taken"',
    '00000000 {"kind":"taken","id":"t2"}\n',
    '\0\0\0\0\0\0\0\0\0\0\n',
    `${'x'.repeat(200_000)}`,
  ]) {
    const c = await setUp(t)
    aSession(c.store)
    const place = c.journals.place()
    const writer = new JournalWriter(place)
    writer.append(c.taken('t1', 'a', 'whole'), false)
    appendFileSync(journalFile(place, 0), torn)
    writeFileSync(c.vault.staging('t1'), 'whole')
    t.equal(c.journals.recover(), 1)
    await c.start()
    t.match(c.store.transfers.get('t1'), { state: 'completed' })
    t.same(c.files(), [])
  }
})

test('a long journal goes on in a new file; those that were read go, and a start finds what is left of them', async (t) => {
  const first = await setUp(t)
  aSession(first.store)
  const place = first.journals.place()
  first.journals.begin(place, nobody)
  const writer = new JournalWriter(place, 1500)
  const send = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      writer.append(first.taken(`t${i}`, `f${i}`, 'whole'), false)
      writer.append(published(`t${i}`), false)
    }
  }
  send(0, 10)
  t.ok(first.files().length > 3)
  first.journals.poke()
  // only the one that is written to is left
  await until(() => first.files().length === 1)
  send(10, 20)
  first.close()
  const next = await setUp(t, first.dir)
  t.equal(next.journals.recover() > 9, true)
  for (let i = 0; i < 20; i++) t.match(next.store.transfers.get(`t${i}`), { state: 'completed' })
  t.match(next.store.accounts.users.get('customer1'), { used_files: 20 })
  t.same(next.files(), [])
})

test('journals of several threads are recorded in the order of their commits', async (t) => {
  const first = await setUp(t)
  aSession(first.store)
  const [one, two] = [new JournalWriter(first.journals.place()), new JournalWriter(first.journals.place())]
  two.append(first.taken('t2', 'same', 'second', { at: START + 2 }), false)
  one.append(first.taken('t1', 'same', 'first', { at: START + 1 }), false)
  one.append(first.taken('t3', 'same', 'third', { at: START + 3 }), false)
  for (const [id, text] of [
    ['t1', 'first'],
    ['t2', 'second'],
    ['t3', 'third'],
  ] as const)
    writeFileSync(first.vault.staging(id), text)
  first.close()
  const next = await setUp(t, first.dir)
  next.journals.recover()
  await next.start()
  t.equal(readFileSync(join(next.home, 'in', 'same'), 'utf8'), 'third', 'the later one keeps the name')
  t.same(
    ['t1', 't2', 't3'].map((id) => next.store.transfers.get(id)?.commit_order),
    [1, 2, 3],
  )
})
