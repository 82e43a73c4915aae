// What is refused leaves a trace, and a flood of it leaves a number: strangers cannot fill the audit log, nor pass unseen.
// Must not look into the gateway; only at the replies and the audit log.
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'tap'
import type { AuditView } from '../../src/core/views.ts'
import { RawClient } from '../listeners/ftp/support.ts'
import { sftp } from '../support/clients.ts'
import { startGateway, type TestGateway, until } from '../support/gateway.ts'

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

test('what partners are refused with files is in the audit log over FTP and SFTP, and so is what they change', async (t) => {
  const gateway = await startGateway(t)
  const password = 'correct-horse-battery'
  await gateway.apply({
    users: [
      {
        username: 'partner',
        password,
        require_tls: false,
        directories: ['/in', '/out'],
        quota: { files: 1 },
        permissions: [
          { path: '/', allow: ['list', 'download'] },
          { path: '/in', allow: ['list', 'download', 'upload', 'rename', 'delete', 'mkdir', 'rmdir', 'chmod'] },
        ],
      },
    ],
  })
  const files = async () =>
    (await gateway.api<{ items: AuditView[] }>('GET', '/audit?limit=500&actor=user:partner')).items
      .filter(({ action }) => action !== 'login')
      .map(({ action, object, outcome, address, detail }) => [action, object, outcome, detail.code ?? detail.more ?? null, address])
      .reverse()
  const from = (...rows: (string | number | null)[][]) => rows.map((row) => [...row, '127.0.0.1'])

  const client = await RawClient.open(gateway.ports.ftp)
  await client.ask('USER partner')
  t.match(await client.ask(`PASS ${password}`), /^230 /)
  for (let i = 0; i < 2; i++) t.match(await client.ask('DELE /out/a'), /^550 /)
  t.match(await client.ask('MKD /out/folder'), /^550 /)
  t.match(await client.ask('MKD /in/folder'), /^257 /)
  t.match(await client.ask('RMD /in/folder'), /^250 /)
  t.match(await client.ask('QUIT'), /^221 /)
  client.socket.destroy()
  await until('FTP has its rows', async () => (await files()).length >= 5)
  t.same(
    await files(),
    from(
      ['file.delete', '/out/a', 'refused', 'permission.denied'],
      ['file.mkdir', '/out/folder', 'refused', 'permission.denied'],
      ['file.mkdir', '/in/folder', 'ok', null],
      ['file.rmdir', '/in/folder', 'ok', null],
      ['file.refused', 'ftp', 'refused', 1],
    ),
  )
  const before = (await files()).length

  const ran = await sftp(gateway, 'partner', password, [
    '-rm /out/b',
    '-put /etc/hostname /out/c',
    'put /etc/hostname /in/one',
    'chmod 600 /in/one',
    'rename /in/one /in/two',
    '-put /etc/hostname /in/over',
    '-rename /in/two /out/two',
    'rm /in/two',
  ])
  t.equal(ran.code, 0, ran.stderr)
  await until('SFTP has its rows', async () =>
    (await files()).some(([action, path, outcome]) => action === 'file.delete' && path === '/in/two' && outcome === 'ok'),
  )
  t.same(
    (await files()).slice(before),
    from(
      ['file.delete', '/out/b', 'refused', 'permission.denied'],
      ['upload', '/out/c', 'refused', 'permission.denied'],
      ['upload', '/in/one', 'ok', null],
      ['file.setattr', '/in/one', 'ok', null],
      ['file.rename', '/in/one', 'ok', null],
      ['upload', '/in/over', 'refused', 'quota.exceeded'],
      ['file.rename', '/in/two', 'refused', 'permission.denied'],
      ['file.delete', '/in/two', 'ok', null],
    ),
  )
})
