// What is refused leaves a trace, and a flood of it leaves a number: strangers cannot fill the audit log, nor pass unseen.
// Must not look into the gateway; only at the replies and the audit log.
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'tap'
import type { AuditView } from '../../src/core/views.ts'
import { RawClient } from '../listeners/ftp/support.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'

const STRANGER = '127.0.0.2'
const AT_ONCE = 20

/** Connects, takes what it is told and is hung up on. */
async function knock(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: STRANGER })
  let told = ''
  socket.on('data', (text) => {
    told += text
  })
  await Promise.race([once(socket, 'close'), once(socket, 'error')])
  return told
}

async function flood(port: number, times: number): Promise<string[]> {
  const told: string[] = []
  let left = times
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) told.push(await knock(port))
    }),
  )
  return told
}

const refused = async (gateway: TestGateway): Promise<readonly AuditView[]> =>
  (await gateway.api<{ items: AuditView[] }>('GET', '/audit?limit=500&action=login&outcome=refused')).items.filter(
    ({ address }) => address === STRANGER,
  )

test('2,000 connections from a banned address leave a few rows in the audit log, which say how many there were', async (t) => {
  const first = await startGateway(t, { env: { FILEFLOW_DEFENCE_MAX_FAILURES: '1' } })
  await first.apply({ users: [{ username: 'partner', password: 'correct-horse-battery', require_tls: false }] })
  const socket = connect({ port: first.ports.ftp, host: '127.0.0.1', localAddress: STRANGER })
  await once(socket, 'data')
  socket.write('USER partner\r\n')
  await once(socket, 'data')
  socket.write('PASS guess\r\n')
  await once(socket, 'data')
  t.match(await refused(first), [{ actor: 'user:partner', detail: { reason: 'wrong password', banned: true } }])

  const told = await flood(first.ports.ftp, 1000)
  t.equal(told.filter((text) => text.startsWith('421 ')).length, 1000)
  await flood(first.ports.sftp, 1000)
  t.match((await refused(first)).slice(0, 2), [
    { actor: '-', object: 'sftp', detail: { reason: 'banned', until: String } },
    { actor: '-', object: 'ftp', detail: { reason: 'banned', until: String } },
  ])
  t.equal((await refused(first)).length, 3)
  const partner = await RawClient.open(first.ports.ftp)
  t.match(await partner.ask('USER partner'), /^331 /, 'another address is served meanwhile')
  partner.socket.destroy()
  socket.destroy()
  await first.stop()

  const second = await startGateway(t, { folder: first.folder })
  const rows = await refused(second)
  t.match(
    rows.filter(({ detail }) => detail.more).sort((a, b) => (a.object < b.object ? -1 : 1)),
    [
      { actor: '-', object: 'ftp', detail: { reason: 'banned', more: 999, since: String, last: String } },
      { actor: '-', object: 'sftp', detail: { reason: 'banned', more: 999 } },
    ],
  )
  t.equal(rows.length, 5)
  t.match(await second.api('GET', '/audit/verify'), { ok: true })
})
