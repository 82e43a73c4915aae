// Edges of FTP against a whole gateway: IPv6, refused TLS versions, unique names under a rush, quotas that are full, years that a disk does not hold.
// Must not look only at replies where a file can be looked at.
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { isOwnTarget } from '../../src/listeners/ftp/active.ts'
import { RawClient, received } from '../listeners/ftp/support.ts'
import { apart } from '../support/apart.ts'
import { run, startGateway, type TestGateway } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const HAS_IPV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

/** One for all tests of this file but that of IPv6. */
const whole = await startGateway(root, {
  env: { FILEFLOW_FTP_ACTIVE: 'true', FILEFLOW_FTP_TLS_IMPLICIT_PORT: '0', FILEFLOW_THREADS_FTP: '2' },
})
const USERS = [
  { username: 'partner', password: PASSWORD, require_tls: false },
  { username: 'small', password: PASSWORD, require_tls: false, quota: { bytes: 1000, files: 2 } },
]

async function login(t: Test, gateway: TestGateway, username = 'partner', host?: string): Promise<RawClient> {
  const client = await RawClient.open(gateway.ports.ftp, host)
  t.teardown(() => client.socket.destroy())
  await client.ask(`USER ${username}`)
  t.match(await client.ask(`PASS ${PASSWORD}`), /^230 /)
  return client
}

test('over IPv6 EPSV and EPRT carry files, PASV and the other family are 522, and an address is its client’s in whatever form', {
  skip: !HAS_IPV6,
}, async (t) => {
  const gateway = await startGateway(t, {
    env: {
      FILEFLOW_FTP_HOST: '::1',
      FILEFLOW_FTP_ACTIVE: 'true',
      FILEFLOW_FTP_PASSIVE_ADDRESS: '203.0.113.7',
    },
  })
  await gateway.apply({ users: USERS })
  const client = await login(t, gateway, 'partner', '::1')
  t.match(await client.put('STOR passive', 'over six'), /^226 /)
  t.equal(readFileSync(join(gateway.files, 'partner/passive'), 'utf8'), 'over six')
  t.match(await client.ask('EPSV 2'), /^229 .*\(\|\|\|\d+\|\)$/)
  t.match(await client.ask('EPSV 1'), /^522 .*\(2\)$/)
  t.match(await client.ask('PASV'), /^522 /, 'no IPv4 address leads to the port that would be opened')
  t.match(await client.ask('PORT 127,0,0,1,200,1'), /^522 .*\(2\)$/)
  t.match(await client.ask('EPRT |1|127.0.0.1|50000|'), /^522 .*\(2\)$/)
  t.match(await client.ask('EPRT |3|x|50000|'), /^522 .*\(2\)$/)
  t.match(await client.ask('EPRT |2|no:address|50000|'), /^501 /)
  t.match(await client.ask('EPRT |2|2001:db8::1|50000|'), /^500 /)
  const server = createServer().listen(0, '::1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  t.match(await client.ask(`EPRT |2|0:0:0:0:0:0:0:1|${port}|`), /^200 /)
  client.send('STOR active')
  const [data] = (await once(server, 'connection')) as [Socket]
  t.match(await client.reply(), /^150 /)
  data.end('called back')
  t.match(await client.reply(), /^226 /)
  t.equal(readFileSync(join(gateway.files, 'partner/active'), 'utf8'), 'called back')
  const url = `ftp://[::1]:${gateway.ports.ftp}/passive`
  const got = await run('curl', ['-sS', '-6', '--user', `partner:${PASSWORD}`, url])
  t.equal(got.stdout, 'over six', got.stderr)
})

test('over IPv4 the other family is 522 and junk 501; a link-local client is known without the zone of our interface', async (t) => {
  const gateway = await apart(whole, USERS)
  const client = await login(t, gateway)
  for (const command of ['EPRT |2|::1|50000|', 'EPRT |2|::ffff:127.0.0.1|50000|', 'EPSV 2'])
    t.match(await client.ask(command), command.includes('ffff') ? /^200 / : /^522 .*\(1\)$/, command)
  for (const command of ['EPRT |2|junk|50000|', 'EPRT |1|junk|50000|', 'EPRT |1|::1|50000|', 'EPRT |1|127.0.0.1|x|'])
    t.match(await client.ask(command), /^501 /, command)
  const peer = { protocol: 'ftp' as const, address: 'fe80::1%eth0', port: 1, localAddress: 'fe80::2%eth0', localPort: 21 }
  t.equal(isOwnTarget(peer, { address: 'fe80::1', port: 5000 }), true)
  t.equal(isOwnTarget(peer, { address: 'fe80::3', port: 5000 }), false)
  t.same(
    gateway.log.filter(({ level }) => level === 'error'),
    [],
  )
})

test('TLS 1.0 and 1.1 are refused, on AUTH TLS and on the implicit port; 1.2 and 1.3 are spoken', async (t) => {
  const gateway = await apart(whole, USERS)
  const implicit = (
    gateway.log.find(({ event }) => event === 'ready') as unknown as { ftp: { implicitPort?: number; implicit_port?: number } }
  ).ftp
  const ports = [
    ['-starttls', 'ftp', '-connect', `127.0.0.1:${gateway.ports.ftp}`],
    ['-connect', `127.0.0.1:${implicit.implicitPort ?? implicit.implicit_port}`],
  ]
  for (const where of ports)
    for (const [version, ok] of [
      ['-tls1', false],
      ['-tls1_1', false],
      ['-tls1_2', true],
      ['-tls1_3', true],
    ] as const) {
      const ran = await run('openssl', ['s_client', ...where, version, '-cipher', 'ALL:@SECLEVEL=0', '-brief'], { input: 'QUIT\r\n' })
      t.equal(/CONNECTION ESTABLISHED/.test(ran.stderr), ok, `${where.at(-1)} ${version}: ${ran.stderr.slice(0, 200)}`)
    }
})

test('STOU from eight sessions at once: every name is new, each file whole', async (t) => {
  const gateway = await apart(whole, USERS)
  const clients = await Promise.all(Array.from({ length: 8 }, () => login(t, gateway)))
  const made = await Promise.all(
    clients.flatMap((client, i) => [
      (async () => {
        const names: [string, string][] = []
        for (let round = 0; round < 10; round++) {
          const content = `${i}.${round} `.repeat(1000)
          const data = await client.data()
          const name = /^150 FILE: (.+)$/.exec(await client.ask('STOU same'))?.[1]
          data.end(content)
          t.match(await client.reply(), /^226 /)
          names.push([name!, content])
        }
        return names
      })(),
    ]),
  )
  const all = made.flat()
  t.equal(new Set(all.map(([name]) => name)).size, 80)
  t.equal(readdirSync(join(gateway.files, 'partner')).length, 80)
  t.ok(all.every(([name, content]) => readFileSync(join(gateway.files, 'partner', name), 'utf8') === content))
})

test('a full quota: what is removed is free at once, a file may be replaced by one that fits, and of two for the last bytes one gets them', async (t) => {
  const gateway = await apart(whole, USERS)
  const client = await login(t, gateway, 'small')
  t.match(await client.put('STOR a', 'x'.repeat(900)), /^226 /)
  t.match(await client.put('STOR b', 'x'.repeat(100)), /^226 /)
  t.match(await client.put('STOR c', 'x'), /^552 /, 'full in bytes and files')
  t.match(await client.put('STOR a', 'y'.repeat(901)), /^552 /)
  t.match(await client.ask('SIZE a'), /^213 900$/, 'the partial is one byte less than came')
  t.match(await client.ask('DELE a'), /^250 /)
  t.match(await client.put('STOR a', 'y'.repeat(900)), /^226 /, 'at once')
  t.match(await client.put('STOR a', 'z'.repeat(500)), /^226 /, 'a smaller one in its place')
  t.match(await client.put('STOR a', 'z'.repeat(900)), /^226 /, 'and a larger one that fits')
  t.match(await client.put('APPE b', 'z'), /^552 /)
  t.match(await client.ask('DELE b'), /^250 /)
  const other = await login(t, gateway, 'small')
  const [one, two] = [await client.data(), await other.data()]
  const opened = [await client.ask('STOR b'), await other.ask('STOR c')]
  one.on('error', () => {}).end('1'.repeat(100))
  two.on('error', () => {}).end('2'.repeat(100))
  const ends = await Promise.all([client, other].map((each, i) => (opened[i]!.startsWith('150') ? each.reply() : opened[i]!)))
  t.same(ends.map((end) => end.slice(0, 3)).sort(), ['226', '552'])
  const home = join(gateway.files, 'small')
  t.same(
    readdirSync(home)
      .map((name) => statSync(join(home, name)).size)
      .sort(),
    [100, 900],
  )
})

test('MFMT of a year that the disk holds is kept, before 1970 too; of another the reply says what it became', async (t) => {
  const gateway = await apart(whole, USERS)
  const client = await login(t, gateway)
  t.match(await client.put('STOR f', 'x'), /^226 /)
  for (const time of ['19500102030405', '19691231235959', '19700101000000', '20380119031408', '20991231235959']) {
    t.equal(await client.ask(`MFMT ${time} f`), `213 Modify=${time}; f`)
    t.equal(await client.ask('MDTM f'), `213 ${time}`)
  }
  const became = /Modify=(\d+); f$/.exec(await client.ask('MFMT 99991231235959 f'))?.[1]
  t.equal(await client.ask('MDTM f'), `213 ${became}`)
  t.match(await client.ask('MKD d'), /^257 /)
  t.equal(await client.ask('MFMT 20200102030405 d'), '213 Modify=20200102030405; d', 'a folder has a time, too')
})

test('odd orders: keep-alives may stand between RNFR and RNTO, another RNFR that fails takes the first back, ABOR is answered before the login', async (t) => {
  const gateway = await apart(whole, USERS)
  const stranger = await RawClient.open(gateway.ports.ftp)
  t.teardown(() => stranger.socket.destroy())
  t.match(await stranger.ask('ABOR'), /^226 /, 'RFC 959 §5.4 knows no 530 for it')
  const client = await login(t, gateway)
  t.match(await client.put('STOR f', 'x'), /^226 /)
  t.match(await client.ask('ACCT'), /^501 /)
  t.match(await client.ask('RNFR f'), /^350 /)
  t.match(await client.ask('NOOP'), /^200 /)
  t.match(await client.ask('RNTO g'), /^250 /)
  t.match(await client.ask('RNFR g'), /^350 /)
  t.match(await client.ask('RNFR none'), /^550 /)
  t.match(await client.ask('RNTO h'), /^503 /)
  t.match(await client.ask('RNFR g'), /^350 /)
  t.match(await client.ask('REIN'), /^220 /)
  await client.ask('USER partner')
  await client.ask(`PASS ${PASSWORD}`)
  t.match(await client.ask('RNTO h'), /^503 /, 'another login renames nothing of the one before')
  t.same(readdirSync(join(gateway.files, 'partner')), ['g'])
  const data = await client.data()
  const listing = received(data)
  t.match(await client.ask('REST 4'), /^350 /)
  t.match(await client.ask('NLST'), /^150 /)
  t.match(await client.reply(), /^226 /)
  t.equal((await listing).toString(), 'g\r\n', 'REST is not about listings')
})
