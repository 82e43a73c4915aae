// The forwarder worker's loop, over a pair of ports as in the worker, to local folders and real far sides.
// Must not start the dispatcher.
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { DestinationSpec } from '../../../src/core/destination.ts'
import type { Delivery, FromForwarder, Settled, ToForwarder } from '../../../src/forwarding/connector.ts'
import { longestAttempt, runForwarder } from '../../../src/forwarding/forwarder.ts'
import { deliveryOf, hugeDelivery, localFolder, untilThere } from '../../suites/connector-suite.ts'
import { startFarSshd } from '../../support/far-sshd.ts'
import { atWill } from '../../support/quick-clock.ts'

/** A forwarder in this thread: what it posts, and a way to await one message of it. */
function startForwarder(t: Test) {
  const seen: FromForwarder[] = []
  let hear: (message: ToForwarder) => void = () => undefined
  let wake: () => void = () => undefined
  runForwarder({
    postMessage(message) {
      // As a port would: what cannot be cloned must fail here too.
      seen.push(structuredClone(message))
      wake()
    },
    on(_event, listener) {
      hear = listener
    },
  })
  const until = async <M extends FromForwarder>(wanted: (message: FromForwarder) => message is M): Promise<M> => {
    for (;;) {
      const found = seen.find(wanted)
      if (found) return found
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const settled = async (id: string): Promise<Settled> => {
    const has = (m: FromForwarder) => m.type === 'settled' && m.settled.some(({ deliveryId }) => deliveryId === id)
    const message = await until((m): m is Extract<FromForwarder, { type: 'settled' }> => has(m))
    return message.settled.find(({ deliveryId }) => deliveryId === id)!
  }
  const returned = (id: string) =>
    until(
      (m): m is Extract<FromForwarder, { type: 'settled' }> =>
        m.type === 'settled' && m.returned.some(({ deliveryId }) => deliveryId === id),
    )
  const send = (message: ToForwarder) => hear(structuredClone(message))
  const stopped = () => until((m): m is Extract<FromForwarder, { type: 'stopped' }> => m.type === 'stopped')
  t.teardown(() => {
    send({ type: 'stop', deadlineMs: 0 })
    return stopped()
  })
  return {
    seen,
    send,
    stopped,
    settled,
    returned,
    probed: (id: number) => until((m): m is Extract<FromForwarder, { type: 'probed' }> => m.type === 'probed' && m.id === id),
  }
}

const PLACES = { concurrency: 8, per_destination: 4 }
const attemptsOf = (destination: DestinationSpec, ...deliveries: Delivery[]): ToForwarder => ({
  type: 'attempts',
  deliveries,
  destination,
  places: PLACES,
})

const localTo = (base_path: string): DestinationSpec => ({ name: 'outbox', type: 'local', base_path })

test('attempts are answered with what became of them', async (t) => {
  const forwarder = startForwarder(t)
  t.same(forwarder.seen, [{ type: 'ready' }])
  const folder = await localFolder(t)
  const good = await deliveryOf(t, Buffer.from('hello'), { remotePath: 'a/hello.txt', attempt: 3 })
  const bad = await deliveryOf(t, Buffer.from('hello'), { remotePath: 'a/bad.txt', sha256: '0'.repeat(64) })
  forwarder.send(attemptsOf(localTo(folder), good))
  forwarder.send(attemptsOf(localTo(folder), bad))
  t.match(await forwarder.settled(good.id), { attempt: 3, outcome: { ok: true, receipt: { outcome: 'sent', verified: 'hash' } } })
  t.match(await forwarder.settled(bad.id), { outcome: { ok: false, error: { code: 'spool.changed' }, unclear: false } })
  t.same(await readdir(join(folder, 'a')), ['hello.txt'])
})

test('a changed destination is used at once', async (t) => {
  const forwarder = startForwarder(t)
  const [first, second] = [await localFolder(t), await localFolder(t)]
  for (const folder of [first, second]) {
    const delivery = await deliveryOf(t, Buffer.from(folder))
    forwarder.send(attemptsOf(localTo(folder), delivery))
    await forwarder.settled(delivery.id)
    t.equal(await readFile(join(folder, 'file.txt'), 'utf8'), folder)
  }
  forwarder.send({ type: 'forget', destination: 'outbox' })
})

test('a destination that lacks what it needs fails the attempt, not the worker', async (t) => {
  const forwarder = startForwarder(t)
  const delivery = await deliveryOf(t, Buffer.from('x'), { unclear: true })
  forwarder.send(attemptsOf({ name: 'x', type: 'sftp' }, delivery))
  t.match(await forwarder.settled(delivery.id), { outcome: { ok: false, error: { code: 'request.invalid' }, unclear: true } })
  forwarder.send({ type: 'probe', id: 7, destination: { name: 'x', type: 'sftp' } })
  t.match(await forwarder.probed(7), { report: { ok: false } })
  forwarder.send({ type: 'nonsense' } as unknown as ToForwarder)
  t.ok(forwarder.seen.some((message) => message.type === 'log' && message.line.level === 'error'))
})

test('a cancelled attempt settles as delivery.cancelled', async (t) => {
  const far = await startFarSshd(t)
  const forwarder = startForwarder(t)
  const delivery = await hugeDelivery(t, {})
  forwarder.send(attemptsOf(sftpTo(far), delivery))
  await untilThere(join(far.root, delivery.tempName))
  forwarder.send({ type: 'cancel', deliveryId: delivery.id })
  t.match(await forwarder.settled(delivery.id), { outcome: { ok: false, error: { code: 'delivery.cancelled' }, unclear: false } })
  t.same(await readdir(far.root), [])
})

test('a far side that takes a file too slowly keeps its place no longer than that file may take, and what it has is gone on with', async (t) => {
  const far = await startFarSshd(t)
  const forwarder = startForwarder(t)
  const delivery = await hugeDelivery(t, {})
  const timeIsUp = atWill(t, longestAttempt(delivery.size))
  forwarder.send(attemptsOf(sftpTo(far), delivery))
  await untilThere(join(far.root, delivery.tempName))
  timeIsUp()
  t.match(await forwarder.settled(delivery.id), {
    outcome: { ok: false, error: { code: 'remote.timeout', message: /too slowly/ }, unclear: false },
  })
  t.same(await readdir(far.root), [delivery.tempName])
  t.equal(longestAttempt(2 ** 50), 2 ** 31 - 1, 'as long as a timer can wait')
})

test('a stop lets running attempts finish, and ends what is left at the deadline', async (t) => {
  const far = await startFarSshd(t)
  const forwarder = startForwarder(t)
  const quick = await deliveryOf(t, Buffer.from('x'), { remotePath: 'quick.txt' })
  const huge = await hugeDelivery(t, { remotePath: 'huge.bin' })
  forwarder.send(attemptsOf(sftpTo(far), huge))
  await untilThere(join(far.root, huge.tempName))
  forwarder.send(attemptsOf(sftpTo(far), quick))
  forwarder.send({ type: 'stop', deadlineMs: 3000 })
  const late = await deliveryOf(t, Buffer.from('x'), { remotePath: 'late.txt' })
  forwarder.send(attemptsOf(sftpTo(far), late))
  await forwarder.returned(late.id)
  t.match(await forwarder.settled(quick.id), { outcome: { ok: true } })
  t.match(await forwarder.settled(huge.id), { outcome: { ok: false, error: { code: 'service.draining' }, unclear: false } })
  await forwarder.stopped()
  t.equal((await stat(join(far.root, 'quick.txt'))).size, 1)
  t.same(await readdir(far.root), ['quick.txt'])
  t.equal(forwarder.seen.at(-1)?.type, 'stopped')
})

test('a probe reports each step and the fingerprint', async (t) => {
  const far = await startFarSshd(t)
  const forwarder = startForwarder(t)
  forwarder.send({ type: 'probe', id: 1, destination: sftpTo(far) })
  const { report } = await forwarder.probed(1)
  t.match(report, { ok: true, fingerprint: far.fingerprint })
  t.equal(report.steps.length, 6)
})

const sftpTo = (far: Awaited<ReturnType<typeof startFarSshd>>): DestinationSpec => ({
  name: 'hq',
  type: 'sftp',
  host: far.host,
  port: far.port,
  username: far.username,
  private_key: far.privateKey,
  host_keys: [far.fingerprint],
  base_path: far.root,
})
