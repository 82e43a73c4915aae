// Buffers that are read into again must never change under whoever still writes them to the disk.
// Must not pass where the pinned Node lost what this rests on: the fast way is asked for by name.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { test } from 'tap'
import { DataReader } from '../../../src/listeners/ftp/data-reader.ts'
import { DirectRead } from '../../../src/listeners/ftp/direct-read.ts'

async function pair(t: { teardown(work: () => unknown): unknown }): Promise<{ ours: Socket; peer: Socket; server: Server }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const peer = connect((server.address() as { port: number }).port, '127.0.0.1')
  const [ours] = (await once(server, 'connection')) as [Socket]
  ours.on('error', () => {})
  peer.on('error', () => {})
  t.teardown(() => {
    ours.destroy()
    peer.destroy()
    server.close()
  })
  return { ours, peer, server }
}

test('the pinned Node can be made to read into our buffers, on accepted connections and on those we make', async (t) => {
  const { ours, peer } = await pair(t)
  if (peer.connecting) await once(peer, 'connect')
  t.ok(DirectRead.from(ours, () => true))
  const made = connect({ port: ours.localPort!, host: '127.0.0.1' })
  t.teardown(() => made.destroy())
  made.pause()
  await once(made, 'connect')
  t.ok(DirectRead.from(made, () => true))
})

test('every byte arrives once and in order, however slowly it is taken, and stays until it is done with', async (t) => {
  const { ours, peer } = await pair(t)
  const content = randomBytes(23_000_001)
  const reader = new DataReader(ours, () => null)
  peer.end(content)
  const hash = createHash('sha256')
  let bytes = 0
  for (let turn = 0; ; turn++) {
    const batch = await reader.next()
    if (!batch) break
    const before = batch.map((chunk) => Buffer.from(chunk))
    // as long as a slow disk: the socket goes on reading meanwhile
    for (let i = 0; i < (turn % 7) * 3; i++) await new Promise(setImmediate)
    t.ok(
      batch.every((chunk, i) => chunk.equals(before[i]!)),
      'nothing was read over it',
    )
    for (const chunk of batch) hash.update(chunk)
    const taken = batch.reduce((sum, chunk) => sum + chunk.length, 0)
    bytes += taken
    reader.done(taken)
  }
  t.equal(bytes, content.length)
  t.equal(hash.digest('hex'), createHash('sha256').update(content).digest('hex'))
})

test('a reader that takes nothing holds a bounded amount, and a cut after it is told', async (t) => {
  const { ours, peer } = await pair(t)
  const reader = new DataReader(ours, () => null)
  peer.write(randomBytes(64 * 1024 * 1024))
  let seen = -1
  while (ours.bytesRead !== seen) {
    seen = ours.bytesRead
    for (let i = 0; i < 200; i++) await new Promise(setImmediate)
  }
  t.ok(seen <= 5 * 1024 * 1024, `${seen} bytes were taken from the socket`)
  peer.resetAndDestroy()
  let taken = 0
  await t.rejects(
    (async () => {
      for (let batch = await reader.next(); batch; batch = await reader.next()) {
        const bytes = batch.reduce((sum, chunk) => sum + chunk.length, 0)
        taken += bytes
        reader.done(bytes)
      }
    })(),
    { code: 'upload.incomplete' },
  )
  t.ok(taken >= seen)
})

test('a limited upload is taken in steps of an eighth of a second, whole and in order, also when the limit changes in its middle', async (t) => {
  const { ours, peer } = await pair(t)
  const content = randomBytes(2_000_001)
  let rate = 400_000
  const reader = new DataReader(ours, () => rate)
  peer.end(content)
  const parts: Buffer[] = []
  let bytes = 0
  for (let batch = await reader.next(); batch; batch = await reader.next()) {
    const taken = batch.reduce((sum, chunk) => sum + chunk.length, 0)
    if (taken > Math.max(4096, rate / 8)) t.fail(`${taken} bytes at once at ${rate} a second`)
    parts.push(...batch.map((chunk) => Buffer.from(chunk)))
    bytes += taken
    reader.done(taken)
    if (bytes > 1_000_000) rate = 8000
  }
  t.ok(Buffer.concat(parts).equals(content))
})
