// Tricks against FTP in a whole gateway: forged lines, points that outlive their transfer, renegotiation, an account that ends in each phase.
// Must not look only at replies where a file can be looked at.
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { RawClient, received } from '../listeners/ftp/support.ts'
import { apart } from '../support/apart.ts'
import { run, startGateway, type TestGateway } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

/** One for all tests of this file. */
const whole = await startGateway(root)

const USERS = [{ username: 'partner', password: PASSWORD, require_tls: false }]

async function login(t: Test, gateway: TestGateway): Promise<RawClient> {
  const client = await RawClient.open(gateway.ports.ftp)
  t.teardown(() => client.socket.destroy())
  await client.ask('USER partner')
  t.match(await client.ask(`PASS ${PASSWORD}`), /^230 /)
  return client
}

test('where a link leads never makes a line of its own, in a listing or among the replies', async (t) => {
  const gateway = await apart(whole, USERS)
  const client = await login(t, gateway)
  symlinkSync('there\r\n213 End\r\n230 forged', join(gateway.files, 'partner/link'))
  symlinkSync('plain', join(gateway.files, 'partner/other'))
  const stat = await client.ask('STAT /')
  t.equal(stat.split('\r\n').length, 4, stat)
  t.match(stat, /^ l.* other -> plain$/m)
  t.match(stat, / link\b/)
  t.match(await client.ask('NOOP'), /^200 /)
  const data = await client.data()
  const lines = received(data)
  await client.ask('LIST')
  await client.reply()
  t.equal((await lines).toString().split('\r\n').length, 3)
})

test('no link leads a command out of the home', async (t) => {
  const gateway = await apart(whole, USERS)
  const client = await login(t, gateway)
  const outside = mkdtempSync(join(tmpdir(), 'fileflow-outside-'))
  t.teardown(() => rmSync(outside, { recursive: true }))
  writeFileSync(join(outside, 'secret'), 'secret')
  const home = join(gateway.files, 'partner')
  writeFileSync(join(home, 'own'), 'own')
  const up = '../'.repeat(20)
  for (const target of [outside, join(up, outside)]) {
    for (const [name, leads] of [
      ['folder', target],
      ['file', join(target, 'secret')],
    ] as const) {
      rmSync(join(home, name), { force: true })
      symlinkSync(leads, join(home, name))
    }
    for (const path of ['folder/secret', 'file', `${up}${outside}/secret`, `folder/${up}${outside}/secret`]) {
      for (const command of ['SIZE', 'MDTM', 'MLST', 'HASH', 'XMD5', 'CWD', 'DELE', 'STAT', 'SITE CHMOD 777', 'MFMT 20200102030405']) {
        if (command === 'DELE' && path === 'file') continue
        t.match(await client.ask(`${command} ${path}`), /^55[0-3] /, `${command} ${path}`)
      }
      for (const command of ['RETR', 'APPE', 'LIST', 'NLST', 'MLSD']) t.match(await client.put(`${command} ${path}`, 'x'), /^55[0-3] /)
    }
    for (const command of ['STOR folder/new', 'STOU folder/new', 'LIST folder/', 'MLSD folder', 'NLST folder/*'])
      t.match(await client.put(command, 'x'), /^55[0-3] /, command)
    for (const command of ['CWD folder', 'MKD folder/new', 'RMD folder/new', 'RNFR folder/secret'])
      t.match(await client.ask(command), /^55[0-3] /, command)
    t.match(await client.ask('RNFR own'), /^350 /)
    t.match(await client.ask('RNTO folder/own'), /^55[0-3] /)
  }
  t.same(readdirSync(outside), ['secret'])
  t.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'secret')
  t.equal(readFileSync(join(home, 'own'), 'utf8'), 'own')
})

test('REST, RANG and ALLO count for one transfer, also when it is refused for its name', async (t) => {
  const gateway = await apart(whole, USERS)
  const client = await login(t, gateway)
  t.match(await client.put('STOR f', 'before'), /^226 /)
  for (const [before, refused] of [
    ['REST 3', 'STOR a\0b'],
    ['ALLO 3', `STOR ${'n'.repeat(256)}`],
    ['RANG 0 2', 'STOR f'],
    ['REST 3', 'RETR a\0b'],
  ] as const) {
    t.match(await client.ask(before), /^[23]/)
    t.match(await client.put(refused, ''), /^5/)
    t.match(await client.put('STOR f', 'whole again'), /^226 /, `${before}, ${refused}`)
    t.equal(readFileSync(join(gateway.files, 'partner/f'), 'utf8'), 'whole again')
  }
})

test('a TLS client that asks for a renegotiation gets none, and the gateway goes on', async (t) => {
  const gateway = await apart(whole, USERS)
  const where = ['-starttls', 'ftp', '-connect', `127.0.0.1:${gateway.ports.ftp}`]
  const ran = await run('openssl', ['s_client', ...where, '-tls1_2', '-crlf'], { input: 'R\nR\nNOOP\n' })
  t.match(ran.stdout, /Secure Renegotiation IS/)
  t.match(ran.stderr, /RENEGOTIATING[\s\S]*no renegotiation/)
  await login(t, gateway)
})

test('a user that is disabled in any phase of a session hears 421 and does nothing more', async (t) => {
  const gateway = await apart(whole, USERS)
  writeFileSync(join(gateway.files, 'partner/big'), Buffer.alloc(30_000_000))
  const phases: Record<string, (client: RawClient) => Promise<unknown>> = {
    idle: async () => undefined,
    'data port open': (client) => client.passivePort(),
    'between RNFR and RNTO': (client) => client.ask('RNFR big'),
    'after REST': (client) => client.ask('REST 5'),
    'waiting for the data connection': async (client) => {
      await client.passivePort()
      return client.ask('STOR waits')
    },
    'in an upload': async (client) => {
      const data = await client.data()
      await client.ask('STOR half')
      data.write('half')
    },
    'in a download that nobody reads': async (client) => {
      const data = await client.data()
      data.pause()
      await client.ask('RETR big')
    },
  }
  for (const [name, enter] of Object.entries(phases)) {
    const client = await login(t, gateway)
    await enter(client)
    await gateway.api('POST', '/users/partner/disable')
    const farewell = await client.reply()
    t.match(farewell, /^(421|426) /, name)
    if (farewell.startsWith('426')) t.match(await client.reply(), /^(421 |$)/, name)
    client.send('DELE big')
    await client.closed()
    await gateway.api('POST', '/users/partner/enable')
  }
  t.same(readdirSync(join(gateway.files, 'partner')), ['big'])
  const named = await RawClient.open(gateway.ports.ftp)
  t.match(await named.ask('USER partner'), /^331 /)
  await gateway.api('POST', '/users/partner/disable')
  t.match(await named.ask(`PASS ${PASSWORD}`), /^530 /, 'between USER and PASS')
  t.same(
    gateway.log.filter(({ level }) => level === 'error'),
    [],
  )
})
