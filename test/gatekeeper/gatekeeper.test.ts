// Both ends of the narrow door against each other, over a real message channel with structured clone and a real store.
// Must not call the control side directly where a worker would have to ask.
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import { type Test, test } from 'tap'
import { createArrivals } from '../../src/accounts/arrivals.ts'
import { createAuthenticator } from '../../src/accounts/authenticator.ts'
import { createLiveSessions, noteProgress, rateNow, type SessionOwner } from '../../src/accounts/live-sessions.ts'
import { createLoginGuard } from '../../src/accounts/login-guard.ts'
import { createRefusals, GUESSES } from '../../src/accounts/refusals.ts'
import { createUsers } from '../../src/accounts/users.ts'
import { newId } from '../../src/core/clock.ts'
import { FileFlowError } from '../../src/core/errors.ts'
import type { Peer, StagedUpload } from '../../src/core/transfer.ts'
import type { UserSpec } from '../../src/core/user.ts'
import { nameFromBytes, ROOT, toDisplay, toVirtualPath } from '../../src/core/virtual-path.ts'
import { JournalWriter } from '../../src/files/journal-writer.ts'
import { createDestinations } from '../../src/forwarding/destinations.ts'
import { createDeliveryQueue } from '../../src/forwarding/queue.ts'
import { createRules } from '../../src/forwarding/rules.ts'
import { createGatekeeper } from '../../src/gatekeeper/control-side.ts'
import { createHangingUploads } from '../../src/gatekeeper/hanging-uploads.ts'
import type { Gatekeeper, LoginAttempt, ToWorker } from '../../src/gatekeeper/messages.ts'
import { createNotes } from '../../src/gatekeeper/notes.ts'
import { createReceiver } from '../../src/gatekeeper/receive.ts'
import { createGatekeeperClient, isCall, isNotice } from '../../src/gatekeeper/worker-side.ts'
import { createJournals } from '../../src/intake/journal.ts'
import { createRecorder } from '../../src/intake/record-upload.ts'
import { ADMIN, aSession, fakeClock, recordedLog, SHA256, tempStore, until } from '../store/temp-store.ts'
import { sshKeyPair } from '../support/ssh-keys.ts'

const PEER: Peer = { protocol: 'sftp', address: '203.0.113.7', port: 40000, localAddress: '192.0.2.1', localPort: 22 }
const path = (text: string) => toVirtualPath(ROOT, text)

async function setUp(t: Test, limits = { max_sessions: 10, max_sessions_per_user: 5, max_sessions_per_ip: 8 }) {
  const { dir, store } = tempStore(t)
  const clock = fakeClock()
  const { log, lines } = recordedLog()
  const live = createLiveSessions()
  const users = createUsers({ store, live, clock, storageRoot: join(dir, 'files'), dataDir: dir, prepareHome: async () => {} })
  const guard = createLoginGuard(
    { max_failures: 3, window: 1000, ban: 1000, ban_growth: 2, ban_max: 10_000, allow: [], deny: ['198.51.100.0/24'] },
    clock,
  )
  const destinations = createDestinations({ store, clock, changed: () => {}, usedBy: () => [] })
  const rules = createRules({ store, clock, exclude: [], hasDestination: destinations.has })
  await destinations.create(ADMIN, { name: 'out', type: 'local', base_path: '/out' })
  await rules.create(ADMIN, { name: 'r', source: { path: '/in/**' }, deliver: [{ to: 'out' }] })
  const recorder = createRecorder({
    store,
    clock,
    rules,
    queue: createDeliveryQueue(store, () => undefined),
    homeOf: () => null,
    kick: () => {},
    changed: () => {},
    dropSpool: () => {},
  })
  const journals = createJournals({ store, recorder, log, dataDir: dir, durable: false, dropSpool: () => {} })
  const authenticator = createAuthenticator(store, users.principalOf, clock)
  const arrivals = createArrivals()
  const refusals = createRefusals(store, clock, log)
  const hanging = createHangingUploads(live, clock)
  const events: string[] = []
  const told: string[] = []
  const moved: [string, number][] = []

  /** A worker's end, and behind the channel its own gatekeeper. */
  function worker(): Gatekeeper {
    const { port1, port2 } = new MessageChannel()
    t.teardown(() => port1.close())
    const owner: SessionOwner = {
      revoked: (id, reason) => told.push(`${id} ${reason.code}`),
      abandon: (id, transferId) => told.push(`${id} abandon ${transferId}`),
      hanging: (id, uploads) => told.push(`${id} hanging ${uploads.map((one) => one.path).join()}`),
      principalChanged: () => told.push('principal'),
    }
    const { gatekeeper: control } = createGatekeeper(
      {
        store,
        clock,
        log,
        authenticator,
        guard,
        refusals,
        live,
        arrivals,
        recorder,
        journals,
        hanging,
        limits: () => limits,
        changed: (event) => events.push(event),
        moved: (direction, bytes) => moved.push([direction, bytes]),
      },
      owner,
    )
    port2.on('message', createReceiver({ gatekeeper: control, log, post: (message) => port2.postMessage(message) }))
    const { gatekeeper, settle } = createGatekeeperClient(port1)
    port1.on('message', (message: ToWorker) => message.type === 'replies' && settle(message))
    return gatekeeper
  }
  const user = (spec: Partial<UserSpec> = {}) => users.create(ADMIN, { username: 'u', password: 'x', ...spec })
  return { store, clock, live, users, guard, hanging, refusals, worker, user, events, told, moved, lines, recorder, journals }
}

const attempt = (over: Partial<LoginAttempt> = {}): LoginAttempt => ({
  peer: PEER,
  username: 'u',
  credential: { kind: 'password', password: 'x' },
  secure: true,
  ...over,
})

const staged = (transferId: string, over: Partial<StagedUpload> = {}): StagedUpload => ({
  transferId,
  path: path('/in/a'),
  staging: Buffer.from('/v/staging/a'),
  final: Buffer.from('/home/in/a'),
  spool: Buffer.from(`/v/spool/${transferId}`),
  replaced: null,
  size: 5,
  sha256: SHA256,
  verdict: { confidence: 'certain', evidence: ['sftp close'] },
  ...over,
})

const upload = async (gatekeeper: Gatekeeper, sessionId: string, to = '/in/a', heldBytes = 0) => {
  const transferId = newId()
  return {
    transferId,
    ...(await gatekeeper.beginTransfer({
      id: transferId,
      sessionId,
      direction: 'upload',
      path: path(to),
      offset: 0,
      waits: true,
      heldBytes,
    })),
  }
}

test('a size that a worker announces is shown when it is one, and believed for nothing', async (t) => {
  const { worker, user, live } = await setUp(t)
  await user({})
  const door = worker()
  const session = await door.openSession('u', PEER, 'password', '')
  for (const expected of [-1, Number.NaN, 'much', 2 ** 60]) {
    const id = newId()
    const lie = { id, sessionId: session.id, direction: 'upload', path: path('/x'), offset: 0, waits: true, heldBytes: 0, expected }
    await door.beginTransfer(lie as never)
    t.equal(live.get(session.id)?.transfers.get(id)?.total, null)
  }
})

test('the rate of a transfer follows without jumping, and a transfer that stands still has none', (t) => {
  const transfer = {
    ...{ id: 't', direction: 'upload' as const, path: '/a', exactPath: path('/a') },
    ...{ bytes: 0, progressed: false, total: null, rate: 0, at: 0 },
  }
  const report = (bytes: number, now: number) => {
    noteProgress(transfer, bytes, now)
    transfer.bytes = bytes
  }
  report(1000, 1000)
  t.equal(transfer.rate, 1000)
  report(3000, 2000)
  t.equal(transfer.rate, 1300)
  report(3500, 2000)
  t.equal(transfer.rate, 1300, 'nothing is measured in no time')
  t.equal(rateNow(transfer, 5000), 1300)
  t.equal(rateNow(transfer, 7000), 0)
  t.end()
})

test('a login, an upload and a download leave their rows, their audit and their events', async (t) => {
  const { worker, user, store, events, moved, live } = await setUp(t)
  await user({ quota: { bytes: 100 }, limits: { max_file_size: 50 } })
  const door = worker()
  t.same(await door.admit(PEER), { allowed: true })
  t.same(await door.mayTry(PEER, 'u', true), { allowed: true })
  t.match(await door.authenticate(attempt()), { username: 'u' })
  const session = await door.openSession('u', PEER, 'password', 'a client\ud800')
  t.match(live.get(session.id), { method: 'password', client: 'a client\ufffd' })
  const grant = await upload(door, session.id)
  t.match(grant, { maxSize: 50, maxSizeCode: 'file.too_large' })
  door.progress(grant.transferId, 3)
  await until(() => live.get(session.id)?.transfers.get(grant.transferId)?.bytes === 3)
  t.same(await door.commitUpload(staged(grant.transferId)), { deliveries: 1 })
  t.match(store.transfers.get(grant.transferId), { state: 'committing', bytes: 5, spool: Buffer.from(`/v/spool/${grant.transferId}`) })
  door.published(grant.transferId, null)
  await until(() => store.transfers.get(grant.transferId)?.state === 'completed')
  t.match(store.deliveries.ofTransfer(grant.transferId), [{ state: 'pending', remote_path: 'a', next_at: Number }])
  const name = nameFromBytes(Buffer.from('caf\xe9', 'latin1'))
  const down = { transferId: newId() }
  await door.beginTransfer({
    id: down.transferId,
    sessionId: session.id,
    direction: 'download',
    path: path(`/${name}`),
    offset: 2,
    waits: false,
    heldBytes: 0,
    expected: 7,
  })
  t.match(live.get(session.id)?.transfers.get(down.transferId), { bytes: 0, total: 7 }, 'a screen can say how long it takes')
  door.endTransfer(down.transferId, { state: 'completed', bytes: 9 })
  await until(() => store.transfers.get(down.transferId)?.state === 'completed')
  t.match(store.transfers.get(down.transferId), { path: '/café', path_bytes: Buffer.from('/caf\xe9', 'latin1'), start_offset: 2 })
  const cut = await upload(door, session.id)
  door.endTransfer(cut.transferId, { state: 'aborted', bytes: 2, error: { code: 'transfer.aborted', message: 'cut' }, partial: true })
  await until(() => store.transfers.get(cut.transferId)?.state === 'aborted')
  const { renameId } = await door.commitRename({
    sessionId: session.id,
    from: path('/in/a'),
    to: path('/in/b'),
    source: Buffer.from('/home/in/a'),
    size: 5,
    inode: '1:2',
    spoolFolder: Buffer.from('/v/spool'),
    final: Buffer.from('/home/in/b'),
  })
  door.renamed(renameId, true)
  await until(() => store.transfers.get(grant.transferId)?.path === '/in/b')
  door.operation({ sessionId: session.id, action: 'delete', path: path('/in/b'), bytes: -5, files: -1 })
  await until(() => store.accounts.users.get('u')?.used_files === 0)
  t.equal(store.accounts.users.get('u')?.used_bytes, 0)
  door.closeSession(session.id, 'bye')
  await until(() => store.transfers.getSession(session.id)?.state === 'closed')
  t.equal(live.count(), 0)
  t.same(
    store.audit
      .list({ limit: 50, actor: 'user:u' })
      .map((row) => `${row.action} ${row.outcome}`)
      .reverse(),
    ['login ok', 'upload ok', 'download ok', 'upload failed', 'file.delete ok'],
  )
  for (const event of ['session.opened', 'transfer.started', 'transfer.progress', 'transfer.ended', 'session.closed'])
    t.ok(events.includes(event), event)
  const sum = (direction: string) => moved.reduce((all, [one, bytes]) => (one === direction ? all + bytes : all), 0)
  t.same([sum('upload'), sum('download')], [7, 9], 'each byte is counted once')
  t.ok(store.audit.verify().ok)
})

test('a refusal crosses the door with its code and words', async (t) => {
  const { worker, user } = await setUp(t)
  await user({ quota: { bytes: 0 } })
  const door = worker()
  await t.rejects(door.openSession('nobody', PEER, 'password', ''), { name: 'FileFlowError', code: 'auth.failed' })
  await t.rejects(upload(door, 'no-such-session'), { code: 'session.revoked' })
  const { id } = await door.openSession('u', PEER, 'password', '')
  const error = await upload(door, id).catch((why: unknown) => why)
  t.ok(error instanceof FileFlowError)
  t.match(error, { code: 'quota.exceeded', message: 'The quota is used up.' })
  await t.rejects(door.commitUpload(staged('no-such-transfer')), { code: 'session.revoked' })
})

test('what is left of a quota bounds the next upload', async (t) => {
  const { worker, user, store } = await setUp(t)
  await user({ quota: { bytes: 100, files: 2 }, limits: { max_file_size: 1000 } })
  const door = worker()
  const { id } = await door.openSession('u', PEER, 'password', '')
  t.match(await upload(door, id), { maxSize: 100, maxSizeCode: 'quota.exceeded' })
  store.accounts.users.addUsage('u', 70, 1)
  t.match(await upload(door, id), { maxSize: 30 })
  t.match(await upload(door, id, '/in/b', 10), { maxSize: 20 }, 'partials that are kept take their room')
  const [elsewhere, running] = [await door.openSession('u', PEER, 'password', ''), '/in/c']
  const { transferId } = await upload(door, elsewhere.id, running)
  door.progress(transferId, 25)
  t.match(await upload(door, id, '/in/d'), { maxSize: 5 }, 'and so does what another session is sending')
  await t.rejects(upload(door, id, '/in/e', 5), { code: 'quota.exceeded' })
  store.accounts.users.addUsage('u', 0, 1)
  await t.rejects(upload(door, id), { code: 'quota.exceeded' })
})

test('a second name for a file is refused over the quota, and what is used can be asked', async (t) => {
  const { worker, user, store } = await setUp(t)
  await user({ quota: { bytes: 10 } })
  const door = worker()
  const { id } = await door.openSession('u', PEER, 'password', '')
  store.accounts.users.addUsage('u', 6, 1)
  t.same(await door.usage(id), { bytes: 6, files: 1 })
  await t.rejects(worker().usage(id), { code: 'session.revoked' })
  const link = {
    sessionId: id,
    from: path('/in/a'),
    to: path('/in/b'),
    source: Buffer.from('/home/in/a'),
    size: 6,
    inode: '1:2',
    spoolFolder: Buffer.from('/s'),
    final: Buffer.from('/b'),
    adds: { bytes: 6, files: 1 },
  }
  await t.rejects(door.commitRename(link), { code: 'quota.exceeded' })
  const { adds: _, ...moves } = link
  t.match(await door.commitRename(moves), { deliveries: 0 }, 'a rename adds nothing')
})

test('an upload that replaces a file and then cannot take its name leaves the quota as it was', async (t) => {
  const { worker, user, store } = await setUp(t)
  await user()
  const door = worker()
  const { id } = await door.openSession('u', PEER, 'password', '')
  store.accounts.users.addUsage('u', 3, 1)
  const { transferId } = await upload(door, id)
  await door.commitUpload(staged(transferId, { replaced: 3 }))
  t.match(store.accounts.users.get('u'), { used_bytes: 5, used_files: 1 })
  door.endTransfer(transferId, { state: 'aborted', bytes: 5, error: { code: 'path.is_directory', message: '' }, partial: false })
  await until(() => store.transfers.get(transferId)?.state === 'aborted')
  t.match(store.accounts.users.get('u'), { used_bytes: 3, used_files: 1 })
  t.same(store.deliveries.ofTransfer(transferId), [], 'nothing is owed after all')
})

test('a worker cannot touch the sessions, transfers and renames of another', async (t) => {
  const { worker, user, store, live } = await setUp(t)
  await user()
  const [mine, other] = [worker(), worker()]
  const { id } = await mine.openSession('u', PEER, 'password', '')
  const { transferId } = await upload(mine, id)
  await t.rejects(upload(other, id), { code: 'session.revoked' })
  await t.rejects(other.commitUpload(staged(transferId)), { code: 'session.revoked' })
  const error = { code: 'internal', message: '' } as const
  other.endTransfer(transferId, { state: 'aborted', bytes: 0, error, partial: false })
  other.closeSession(id, 'not yours')
  other.progress(transferId, 999)
  other.operation({ sessionId: id, action: 'delete', path: path('/x'), bytes: -1000 })
  other.refused({ sessionId: id, action: 'delete', path: path('/x'), code: 'permission.denied' })
  other.refusedMore(id, 7)
  await other.admit(PEER)
  store.group.flush()
  t.same(
    store.audit.list({ limit: 10, actor: 'user:u' }).map(({ action }) => action),
    ['login'],
  )
  t.equal(store.transfers.get(transferId)?.state, 'open')
  t.equal(live.get(id)?.transfers.get(transferId)?.bytes, 0)
  await mine.commitUpload(staged(transferId, { verdict: { confidence: 'likely', evidence: [] } }))
  other.published(transferId, null)
  await other.admit(PEER)
  store.group.flush()
  t.equal(store.transfers.get(transferId)?.state, 'committing')
  mine.published(transferId, null)
  await until(() => store.transfers.get(transferId)?.state === 'completed')
  other.confirmUpload(transferId, 'suspect', true)
  await other.admit(PEER)
  store.group.flush()
  t.equal(store.transfers.get(transferId)?.state, 'completed')
  const rename = {
    sessionId: id,
    from: path('/in/a'),
    to: path('/in/b'),
    source: Buffer.from('/home/in/a'),
    size: 5,
    inode: '1:2',
    spoolFolder: Buffer.from('/s'),
    final: Buffer.from('/b'),
  }
  const { renameId } = await mine.commitRename(rename)
  await t.rejects(other.commitRename(rename), { code: 'session.revoked' })
  other.renamed(renameId, false)
  await other.admit(PEER)
  store.group.flush()
  t.equal(store.transfers.renames(null).length, 1)
  mine.confirmUpload(transferId, 'suspect', true)
  await until(() => store.transfers.get(transferId)?.state === 'suspect')
  t.match(store.deliveries.ofTransfer(transferId), [{ state: 'dead' }, {}], 'a suspect file is not sent')
})

test('a disabled user’s upload under way is not taken any more', async (t) => {
  const { worker, user, users, store, told } = await setUp(t)
  await user()
  const door = worker()
  const { id } = await door.openSession('u', PEER, 'password', '')
  const { transferId } = await upload(door, id)
  await users.setEnabled(ADMIN, 'u', false)
  t.same(told, [`${id} session.revoked`])
  await t.rejects(door.commitUpload(staged(transferId)), { code: 'session.revoked' })
  await t.rejects(upload(door, id), { code: 'session.revoked' })
  t.equal(store.transfers.get(transferId)?.state, 'open')
})

test('a login that races a disabling loses', async (t) => {
  const { worker, user, users, live, store } = await setUp(t)
  await user()
  const door = worker()
  t.ok(await door.authenticate(attempt()))
  const opening = door.openSession('u', PEER, 'password', '')
  await until(() => live.count() === 1)
  await users.setEnabled(ADMIN, 'u', false)
  await t.rejects(opening, { code: 'auth.failed' })
  t.equal(live.count(), 0)
  await until(() => store.transfers.openSessions().length === 0)
})

test('the numbers of sessions are bounded in all, for a user and for an address', async (t) => {
  const { worker, user, users } = await setUp(t, { max_sessions: 4, max_sessions_per_user: 2, max_sessions_per_ip: 3 })
  await user()
  await users.create(ADMIN, { username: 'v', limits: { sessions: 1 } })
  await users.create(ADMIN, { username: 'w' })
  const door = worker()
  const from = (address: string): Peer => ({ ...PEER, address })
  const code = 'limit.sessions'
  const full = { code, message: 'Too many sessions of this user.' }
  const { id } = await door.openSession('u', PEER, '', '')
  await door.openSession('u', PEER, '', '')
  await t.rejects(door.openSession('u', PEER, '', ''), full, 'of the user')
  await door.openSession('v', PEER, '', '')
  await t.rejects(door.openSession('v', from('203.0.113.8'), '', ''), full, 'of the user by its own limit')
  t.match(await door.admit(PEER), { allowed: false, code, message: 'Too many sessions from this address.' }, 'of the address')
  await t.rejects(
    door.openSession('w', PEER, '', ''),
    { code, message: 'Too many sessions from this address.' },
    'also if it was let in before',
  )
  t.match(await door.admit(from('203.0.113.8')), { allowed: true })
  await door.openSession('w', from('203.0.113.8'), '', '')
  t.match(await door.admit(from('203.0.113.9')), { allowed: false, code, message: 'Too many sessions on this server.' }, 'in all')
  door.closeSession(id, '')
  t.match(await door.admit(from('203.0.113.9')), { allowed: true }, 'a place that becomes free is free')
})

test('guessing passwords is counted and banned, offering other keys is not, and all of it can be told apart', async (t) => {
  const { worker, user, store, lines } = await setUp(t)
  await user()
  const door = worker()
  const key = { kind: 'publickey', algorithm: 'ssh-ed25519', blob: Buffer.alloc(51), proven: false } as const
  for (let i = 0; i < 5; i++) t.equal(await door.authenticate(attempt({ credential: key })), null)
  t.match(await door.admit(PEER), { allowed: true })
  for (let i = 0; i < 3; i++)
    t.equal(
      await door.authenticate(attempt({ username: `nobody${'x'.repeat(500)}`, credential: { kind: 'password', password: 'guess' } })),
      null,
    )
  t.match(await door.admit(PEER), { allowed: false, code: 'auth.banned' })
  t.match(await door.mayTry(PEER, 'u', true), { allowed: false, code: 'auth.banned' })
  t.equal(await door.authenticate(attempt()), null, 'not even the right one')
  t.match(await door.admit({ ...PEER, address: '198.51.100.1' }), { allowed: false, code: 'auth.banned' })
  const kept = JSON.stringify([store.audit.list({ limit: 50 }), lines])
  t.match(kept, /unknown user/)
  t.notMatch(kept, /guess|x{65}/, 'neither the password nor an endless name')
})

test('whoever is shut out leaves one row for each reason and protocol, and then a number: no stranger makes the log grow', async (t) => {
  const { worker, user, store, clock, refusals } = await setUp(t, { max_sessions: 10, max_sessions_per_user: 5, max_sessions_per_ip: 1 })
  await user()
  const door = worker()
  const refused = () =>
    store.audit
      .list({ limit: 100, action: 'login', outcome: 'refused' })
      .filter(({ detail }) => detail.reason !== 'unknown user')
      .reverse()
  const guess = { username: 'nobody', credential: { kind: 'password', password: 'guess' } } as const
  for (let i = 0; i < 3; i++) await door.authenticate(attempt(guess))
  for (let i = 0; i < 50; i++) t.match(await door.admit(PEER), { allowed: false, code: 'auth.banned' })
  for (let i = 0; i < 7; i++) t.match(await door.mayTry(PEER, 'u', true), { allowed: false, code: 'auth.banned' })
  t.equal(await door.authenticate(attempt()), null)
  const denied = (host: number): Peer => ({ ...PEER, protocol: 'ftp', address: `198.51.100.${host}` })
  for (let i = 0; i < 20; i++) t.match(await door.admit(denied(1)), { code: 'auth.banned' })
  const crowd: Peer = { ...PEER, address: '203.0.113.9' }
  await door.admit(crowd)
  for (let i = 0; i < 5; i++) t.match(await door.admit({ ...crowd, port: i }), { code: 'limit.sessions' })
  store.group.flush()
  t.match(refused(), [
    { actor: '-', address: PEER.address, object: 'sftp', detail: { reason: 'banned', until: String } },
    { actor: 'user:u', address: PEER.address, object: 'sftp', detail: { reason: 'banned', until: String } },
    { actor: '-', address: '198.51.100.1', object: 'ftp', detail: { reason: 'denied' } },
    { actor: '-', address: crowd.address, object: 'sftp', detail: { reason: 'too many sessions' } },
  ])
  t.equal(refused().length, 4)
  clock.advance(1001)
  refusals.settle(false)
  t.match(refused().slice(4), [
    { actor: '-', address: PEER.address, object: 'sftp', detail: { reason: 'banned', more: 49, since: String, last: String } },
    { actor: '-', address: PEER.address, object: 'sftp', detail: { reason: 'banned', more: 7 } },
  ])
  t.equal(refused().length, 6, 'what has no end of its own is summed up each hour')
  await door.admit(denied(1))
  clock.advance(3600_000)
  refusals.settle(false)
  t.match(refused().slice(6), [
    { actor: '-', address: '198.51.100.1', object: 'ftp', detail: { reason: 'denied', more: 20 } },
    { actor: '-', address: crowd.address, object: 'sftp', detail: { reason: 'too many sessions', more: 4 } },
  ])
  await door.admit(denied(1))
  store.group.flush()
  t.match(refused()[8], { address: '198.51.100.1', detail: { reason: 'denied' } }, 'who is still there has a row again')
  refusals.settle(true)
  t.equal(refused().length, 9, 'nothing more, nothing said')
  t.ok(store.audit.verify().ok)
})

test('strangers from everywhere share the numbers: neither memory nor the log grows with them', async (t) => {
  const { worker, store, refusals } = await setUp(t)
  const door = worker()
  await Promise.all(Array.from({ length: 2000 }, (_, i) => door.admit({ ...PEER, address: `198.51.100.${i % 256}`, protocol: 'ftp' })))
  await Promise.all(Array.from({ length: 2000 }, (_, i) => door.admit({ ...PEER, address: `198.51.100.${i % 256}` })))
  store.group.flush()
  const rows = () => store.audit.list({ limit: 5000, action: 'login', outcome: 'refused' })
  t.equal(rows().length, 500)
  refusals.settle(true)
  const summed = rows().map(({ detail }) => (detail.more as number | undefined) ?? 1)
  t.equal(
    summed.reduce((all, more) => all + more, 0),
    4000,
    'every try is counted',
  )
  t.equal(rows().length, 1001)
  t.match(rows()[0], { actor: '-', address: '', object: 'sftp', detail: { reason: 'denied', others: true } })
})

test('an address of IPv6 is one with its /64', async (t) => {
  const { worker, guard, store, refusals } = await setUp(t)
  const door = worker()
  guard.setPolicy({ max_failures: 1, window: 1000, ban: 1000, ban_growth: 2, ban_max: 10_000, allow: [], deny: ['2001:db8::/32'] })
  for (let i = 0; i < 30; i++) await door.admit({ ...PEER, address: `2001:db8:1:2::${i}` })
  await door.admit({ ...PEER, address: '2001:db8:1:3::1' })
  refusals.settle(true)
  t.match(store.audit.list({ limit: 50, action: 'login' }).reverse(), [
    { address: '2001:db8:1:2::0', detail: { reason: 'denied' } },
    { address: '2001:db8:1:3::1', detail: { reason: 'denied' } },
    { address: '2001:db8:1:2::/64', detail: { reason: 'denied', more: 29 } },
  ])
  t.equal(store.audit.list({ limit: 50, action: 'login' }).length, 3)
})

test('guesses from an address that is never banned have rows of their own up to a bound, and then a number', async (t) => {
  const { worker, guard, store, refusals, user } = await setUp(t)
  await user()
  const door = worker()
  guard.setPolicy({ max_failures: 3, window: 1000, ban: 1000, ban_growth: 2, ban_max: 10_000, allow: [PEER.address], deny: [] })
  const wrong = attempt({ username: 'nobody', credential: { kind: 'publickey', algorithm: 'x', blob: Buffer.alloc(1), proven: true } })
  t.equal(await door.authenticate({ ...wrong, credential: { kind: 'password', password: 'wrong' } }), null)
  for (let i = 0; i < 120; i++)
    refusals.note(
      { action: 'login', actor: `user:${i}`, address: PEER.address, object: 'sftp', detail: { reason: 'unknown user' } },
      GUESSES,
    )
  store.group.flush()
  refusals.settle(true)
  const rows = store.audit.list({ limit: 500, action: 'login', outcome: 'refused' })
  t.equal(rows.length, 101)
  t.match(rows[0], { detail: { more: 21 } })
})

test('what was counted and has no row yet is in the audit log after a kill, once', async (t) => {
  const { worker, store, refusals, clock } = await setUp(t)
  const door = worker()
  for (let i = 0; i < 5; i++) await door.admit({ ...PEER, address: '198.51.100.7' })
  refusals.keep()
  const { log } = recordedLog()
  for (let start = 0; start < 2; start++) createRefusals(store, clock, log).settle(true)
  const rows = store.audit.list({ limit: 50, action: 'login', outcome: 'refused' })
  t.match(rows, [
    { actor: '-', address: '198.51.100.7', detail: { reason: 'denied', more: 4 } },
    { address: '198.51.100.7', detail: { reason: 'denied' } },
  ])
  t.equal(rows.length, 2)
})

test('keys that are nobody’s, offered over and over, leave ten rows and a number', async (t) => {
  const { worker, user, store, refusals } = await setUp(t)
  await user()
  const door = worker()
  const key = { kind: 'publickey', algorithm: 'ssh-ed25519', blob: Buffer.alloc(51), proven: false } as const
  for (let port = 1; port <= 25; port++) {
    const peer = { ...PEER, port }
    await door.admit(peer)
    await door.authenticate(attempt({ peer, credential: key }))
    door.departed(peer)
  }
  await door.mayTry(PEER, 'u', true)
  refusals.settle(true)
  const rows = store.audit.list({ limit: 50, action: 'login', outcome: 'refused' })
  t.equal(rows.length, 11)
  t.match(rows[0], { actor: '-', address: PEER.address, detail: { reason: 'unknown key', more: 15 } })
  t.match(rows[1], { actor: 'user:u', detail: { reason: 'unknown key', method: 'publickey' } })
})

test('a disabled account is found out by nobody, but its own key is recorded', async (t) => {
  const { worker, users, store } = await setUp(t)
  const pair = sshKeyPair('ed25519')
  await users.create(ADMIN, { username: 'off', enabled: false, public_keys: [pair.public] })
  const blob = Buffer.from(pair.public.split(' ')[1]!, 'base64')
  const door = worker()
  t.equal(
    await door.authenticate(attempt({ username: 'off', credential: { kind: 'publickey', algorithm: 'ssh-ed25519', blob, proven: true } })),
    null,
  )
  t.match(store.audit.list({ limit: 1 }), [{ action: 'login', outcome: 'refused', detail: { reason: 'disabled', method: 'publickey' } }])
})

test('without TLS only those may try who need none', async (t) => {
  const { worker, user, users } = await setUp(t)
  await user()
  await users.create(ADMIN, { username: 'bare', require_tls: false })
  const door = worker()
  t.match(await door.mayTry(PEER, 'u', false), { allowed: false, code: 'auth.tls_required' })
  t.match(await door.mayTry(PEER, 'nobody', false), { allowed: false, code: 'auth.tls_required' })
  t.same(await door.mayTry(PEER, 'bare', false), { allowed: true })
})

test('only what is on the list can be asked', (t) => {
  t.ok(isCall('admit') && isNotice('published'))
  t.notOk(isCall('published') || isNotice('admit') || isCall('constructor') || isNotice('__proto__') || isCall('toString'))
  t.end()
})

test('connections that do not log in count against the limits, over all threads, until they are gone', async (t) => {
  const { worker } = await setUp(t, { max_sessions: 10, max_sessions_per_user: 5, max_sessions_per_ip: 2 })
  const [a, b] = [worker(), worker()]
  t.match(await a.admit({ ...PEER, port: 1 }), { allowed: true })
  t.match(await b.admit({ ...PEER, port: 2 }), { allowed: true })
  t.match(await b.admit({ ...PEER, port: 3 }), { allowed: false, code: 'limit.sessions' })
  t.match(await b.admit({ ...PEER, address: '192.0.2.77', port: 4 }), { allowed: true }, 'another address is not affected')
  a.departed({ ...PEER, port: 1 })
  a.departed({ ...PEER, port: 1 })
  // two channels keep no order between each other: the answer to this call comes after the notices
  await a.mayTry(PEER, 'u', true)
  t.match(await b.admit({ ...PEER, port: 5 }), { allowed: true })
  t.match(await b.admit({ ...PEER, port: 6 }), { allowed: false }, 'said twice is gone once')
})

test('one /64 of IPv6 holds no more connections that do not log in than one address of IPv4; one too many for a thread leaves a trace', async (t) => {
  const { worker, store } = await setUp(t, { max_sessions: 10, max_sessions_per_user: 5, max_sessions_per_ip: 2 })
  const door = worker()
  const from = (n: number): Peer => ({ ...PEER, address: `2001:db8:9:9::${n}`, port: n })
  t.match(await door.admit(from(1)), { allowed: true })
  t.match(await door.admit(from(2)), { allowed: true })
  t.match(await door.admit(from(3)), { allowed: false, code: 'limit.sessions' })
  t.match(await door.admit({ ...PEER, address: '2001:db8:9:a::1' }), { allowed: true }, 'another household is not affected')
  door.droppedUnheard({ ...PEER, address: '203.0.113.99' })
  await door.mayTry(PEER, 'u', true)
  store.group.flush()
  t.match(store.audit.list({ limit: 1, action: 'login' }), [
    { actor: '-', address: '203.0.113.99', object: 'sftp', outcome: 'refused', detail: { reason: 'too many connections' } },
  ])
})

test('who renames by a second connection what the first has just sent is owed what the new name owes', async (t) => {
  const { worker, user, store } = await setUp(t)
  await user()
  const [one, two] = [worker(), worker()]
  const first = await one.openSession('u', PEER, 'password', '')
  const second = await two.openSession('u', { ...PEER, port: PEER.port + 1 }, 'password', '')
  const { transferId } = await upload(one, first.id)
  await one.commitUpload(staged(transferId))
  const renaming = two.commitRename({
    sessionId: second.id,
    from: path('/in/a'),
    to: path('/in/b'),
    source: Buffer.from('/home/in/a'),
    size: 5,
    inode: '1:2',
    spoolFolder: Buffer.from('/v/spool'),
    final: Buffer.from('/home/in/b'),
  })
  one.published(transferId, null)
  t.match(await renaming, { deliveries: 1 })
  t.equal(store.transfers.renames(null).length, 1)
})

test('a rename by a second connection finds what the first one’s thread has only written into its journal', async (t) => {
  const { worker, user, store, journals } = await setUp(t)
  await user()
  const [one, two] = [worker(), worker()]
  const first = await one.openSession('u', PEER, 'password', '')
  const second = await two.openSession('u', { ...PEER, port: PEER.port + 1 }, 'password', '')
  const place = journals.place()
  journals.begin(place, { taken() {}, published() {} })
  const writer = new JournalWriter(place)
  const id = newId()
  writer.append(
    {
      kind: 'taken',
      id,
      sessionId: first.id,
      username: 'u',
      partner: '',
      protocol: 'sftp',
      address: PEER.address,
      path: path('/in/a'),
      offset: 0,
      startedAt: 1,
      at: 1,
      size: 5,
      sha256: SHA256,
      replaced: null,
      staging: '/v/staging/a',
      final: '/home/in/a',
      spool: `/v/spool/${id}`,
      verdict: { confidence: 'certain', evidence: ['sftp close'] },
      owes: true,
      begun: false,
    },
    false,
  )
  writer.append({ kind: 'published', id, at: 2, replaced: null }, false)
  const renamed = await two.commitRename({
    sessionId: second.id,
    from: path('/in/a'),
    to: path('/in/b'),
    source: Buffer.from('/home/in/a'),
    size: 5,
    inode: '1:2',
    spoolFolder: Buffer.from('/v/spool'),
    final: Buffer.from('/home/in/b'),
  })
  t.match(renamed, { deliveries: 1 })
  t.equal(store.transfers.renames(null).length, 1)
})

test('a login that offered no right key, or stopped for want of TLS, is in the audit trail once its connection ends, and not if it came in after all', async (t) => {
  const { worker, user, store } = await setUp(t)
  await user()
  const door = worker()
  const key = { kind: 'publickey', algorithm: 'ssh-ed25519', blob: new Uint8Array([1]), proven: false } as const
  const from = (port: number): Peer => ({ ...PEER, port })
  const refusals = () =>
    store.audit.list({ limit: 10, action: 'login', outcome: 'refused' }).map(({ actor, detail }) => [actor, detail.reason, detail.method])
  for (const port of [1, 2, 3]) await door.admit(from(port))
  for (let i = 0; i < 3; i++) t.equal(await door.authenticate(attempt({ peer: from(1), credential: key })), null)
  t.equal(await door.authenticate(attempt({ peer: from(2), credential: key })), null)
  await door.openSession('u', from(2), 'password', '')
  t.match(await door.mayTry(from(3), 'u', false), { allowed: false, code: 'auth.tls_required' })
  t.same(refusals(), [], 'it may try another')
  for (const port of [1, 2, 3]) door.departed(from(port))
  await door.mayTry(from(4), 'u', true)
  await until(() => refusals().length >= 2)
  t.same(refusals(), [
    ['user:u', 'TLS required', 'none'],
    ['user:u', 'unknown key', 'publickey'],
  ])
})

test('a notice that the tables refuse is logged with its cause and dropped; it holds up no other', async (t) => {
  const { store } = tempStore(t)
  const { log, lines } = recordedLog()
  const note = createNotes(store.group, log)
  aSession(store)
  let tries = 0
  const twice = (): void => {
    tries++
    aSession(store)
  }
  note(twice, 'a session twice')
  let noted = false
  note(
    () => aSession(store, 'session-2'),
    'another session',
    () => {
      noted = true
    },
  )
  await until(() => noted && lines.length > 0)
  t.match(lines, [{ level: 'error', message: /a session twice/, fields: { again: false, error: /UNIQUE constraint failed/ } }])
  t.equal(lines.length, 1)
  t.equal(tries, 1)
  t.equal(store.transfers.getSession('session-2')?.state, 'open')
})

test('a right password that finds no place is in the audit trail', async (t) => {
  const { worker, user, store } = await setUp(t)
  await user({ limits: { sessions: 1 } })
  const door = worker()
  await door.openSession('u', PEER, 'password', '')
  await t.rejects(door.openSession('u', PEER, 'password', ''), { code: 'limit.sessions' })
  await t.rejects(door.openSession('nobody', PEER, 'password', ''), { code: 'auth.failed' })
  t.match(store.audit.list({ limit: 10, action: 'login', outcome: 'refused' }), [
    { actor: 'user:nobody', detail: { reason: 'unknown user', method: 'password' } },
    { actor: 'user:u', address: PEER.address, detail: { reason: 'too many sessions', method: 'password' } },
  ])
})

test('sessions are told once of the uploads that hang in their user’s other ones: never of one that moves, has nothing, or is another user’s', async (t) => {
  const { worker, user, users, clock, hanging, told } = await setUp(t)
  await user()
  await users.create(ADMIN, { username: 'v', password: 'x' })
  const [one, two] = [worker(), worker()]
  const old = await one.openSession('u', PEER, 'password', '')
  const stranger = await two.openSession('v', PEER, 'password', '')
  const [slow, empty] = [await upload(one, old.id, '/in/\udcffslow'), await upload(one, old.id, '/in/empty')]
  one.progress(slow.transferId, 100)
  await one.usage(old.id)
  const early = await two.openSession('u', PEER, 'password', '')
  t.same(early.hanging, [], 'it moved just now')
  hanging.look()
  clock.advance(5000)
  const late = await two.openSession('u', PEER, 'password', '')
  t.same(late.hanging, [{ transferId: slow.transferId, path: path('/in/\udcffslow') }], 'who comes later knows at once')
  hanging.look()
  hanging.look()
  t.same(told, [`${early.id} hanging ${path('/in/\udcffslow')}`], 'and who was there is told once')
  t.same((await two.openSession('v', PEER, 'password', '')).hanging, [])
  told.length = 0
  await one.uploadsRenamed([slow.transferId], path('/in/\udcffnamed anew'))
  hanging.look()
  t.same(told.sort(), [early, late].map(({ id }) => `${id} hanging ${path('/in/\udcffnamed anew')}`).sort(), 'its name is theirs to know')
  await one.uploadsRenamed([slow.transferId], path('/in/\udcffslow'))
  one.progress(slow.transferId, 200)
  await one.usage(old.id)
  told.length = 0
  hanging.look()
  t.same(told.sort(), [`${early.id} hanging `, `${late.id} hanging `].sort(), 'it moves again')
  await two.endHanging(late.id, path('/in/\udcffslow'))
  t.same(told.length, 2, 'and is not ended')
  clock.advance(6000)
  await two.endHanging(stranger.id, path('/in/\udcffslow'))
  await two.endHanging(late.id, path('/in/\udcfeslow'))
  await two.endHanging(late.id, path('/in/empty'))
  t.equal(told.length, 2)
  const ended = two.endHanging(late.id, path('/in/\udcffslow'))
  await until(() => told.includes(`${old.id} abandon ${slow.transferId}`))
  one.endTransfer(slow.transferId, { state: 'aborted', bytes: 200, error: { code: 'transfer.aborted', message: '' }, partial: true })
  await ended
  t.ok(empty.transferId)
  t.match(await one.usage(old.id), { files: 0 })
})

test('an upload that is renamed while it runs goes by its new name in its row and on live screens: never one that is whole, a download, or another worker’s', async (t) => {
  const { worker, user, store, live, events } = await setUp(t)
  await user()
  const [one, two] = [worker(), worker()]
  const session = await one.openSession('u', PEER, 'password', '')
  const [running, whole] = [await upload(one, session.id, '/in/a'), await upload(one, session.id, '/in/b')]
  const download = newId()
  await one.beginTransfer({
    id: download,
    sessionId: session.id,
    direction: 'download',
    path: path('/in/d'),
    offset: 0,
    waits: true,
    heldBytes: 0,
  })
  await one.commitUpload(staged(whole.transferId, { path: path('/in/b') }))
  const ids = [running.transferId, whole.transferId, download]
  await two.uploadsRenamed(ids, path('/in/stolen'))
  const shown = toDisplay(path('/in/\udcff new'))
  const rows = () => ids.map((id) => store.transfers.get(id)!.path)
  t.same(rows(), ['/in/a', '/in/b', '/in/d'])
  events.length = 0
  await one.uploadsRenamed([...ids, newId()], path('/in/\udcff new'))
  t.same(rows(), [shown, '/in/b', '/in/d'])
  t.same(store.transfers.get(running.transferId)!.path_bytes, Buffer.from('/in/\xff new', 'latin1'))
  t.match(live.get(session.id)!.transfers.get(running.transferId), { path: shown, exactPath: path('/in/\udcff new') })
  t.same(events, ['transfer.progress'])
  await one.commitUpload(staged(running.transferId, { path: path('/in/\udcff new') }))
  t.match(store.transfers.get(running.transferId), { path: shown, state: 'committing' })
  t.match(
    store.audit.list({ limit: 10, action: 'upload' }).map(({ object }) => object),
    [shown, '/in/b'],
  )
})
