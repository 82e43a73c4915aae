// The TLS of incoming data connections, under peers that are gone before we have read what they sent.
// Must not go through a listener: the order of events is the matter.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { createSecureContext, connect as tlsConnect } from 'node:tls'
import { test } from 'tap'
import { DataReader } from '../../../src/listeners/ftp/data-reader.ts'
import { WatchedTls } from '../../../src/listeners/ftp/tls.ts'
import { certificate } from './support.ts'

/** Our end of a connection over which a client has sent `content` in TLS. */
async function sentOver(content: Buffer, t: { teardown(run: () => unknown): unknown }) {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const arrived = once(server, 'connection') as Promise<[Socket]>
  const client = connect((server.address() as { port: number }).port, '127.0.0.1')
  const [raw] = await arrived
  const ours = new WatchedTls(raw, createSecureContext(certificate()))
  ours.on('error', () => ours.destroy())
  const theirs = tlsConnect({ socket: client, rejectUnauthorized: false })
  await Promise.all([once(ours, 'secure'), once(theirs, 'secureConnect')])
  theirs.on('error', () => undefined)
  theirs.write(content)
  return { raw, ours, theirs }
}

test('what a client sent is read whole though its connection is gone before we read it, and the end does no harm', async (t) => {
  const content = Buffer.alloc(40_000, 'x')
  const { raw, ours, theirs } = await sentOver(content, t)
  const reader = new DataReader(ours, () => null)
  // as when the disk is behind
  ours.pause()
  const gone = once(raw, 'close')
  theirs.end(() => theirs.destroy())
  await gone
  await new Promise((resolve) => setImmediate(resolve))
  ours.resume()
  let bytes = 0
  for (let batch = await reader.next(); batch !== null; batch = await reader.next()) for (const each of batch) bytes += each.length
  t.equal(bytes, content.length)
  t.ok(ours.endAnnounced)
  if (!ours.closed) await once(ours, 'close')
  t.ok(ours.destroyed, 'and nothing of it is left')
})
