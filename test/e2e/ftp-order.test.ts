// Commands of a session that cross: ABOR at the end of the data, several at once, PROT and CCC amid a transfer, data ports asked for again and again.
// Must not expect one order of a race: only that what was said and what lies on the disk agree.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { connect as secure } from 'node:tls'
import { t as root, type Test, test } from 'tap'
import { RawClient, received } from '../listeners/ftp/support.ts'
import { apart } from '../support/apart.ts'
import { startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

/** One for all tests of this file. */
const whole = await startGateway(root, { env: { FILEFLOW_FTP_TLS_IMPLICIT_PORT: '0' } })

const USERS = [
  { username: 'partner', password: PASSWORD, require_tls: false },
  { username: 'careful', password: PASSWORD, require_tls: true },
]

async function login(t: Test, gateway: TestGateway, tls = false): Promise<RawClient> {
  const client = await RawClient.open(gateway.ports.ftp)
  t.teardown(() => client.socket.destroy())
  if (tls) {
    t.match(await client.ask('AUTH TLS'), /^234 /)
    await client.startTls()
  }
  await client.ask('USER partner')
  t.match(await client.ask(`PASS ${PASSWORD}`), /^230 /)
  return client
}

test('ABOR right at the end of an upload: a file that got its 226 is whole, one that got its 426 is nowhere, and replies stay in step', async (t) => {
  const gateway = await apart(whole, USERS)
  const client = await login(t, gateway)
  const content = 'x'.repeat(100_000)
  for (let round = 0; round < 18; round++) {
    const name = `file-${round}`
    const path = join(gateway.files, 'partner', name)
    if (round % 2 === 1) await client.ask(`ALLO ${content.length}`)
    const data = await client.data()
    t.match(await client.ask(`STOR ${name}`), /^150 /)
    const gone = new Promise((resolve) => data.once('close', resolve))
    data.end(content)
    if (round % 3 === 1) await gone
    // too late: it is published
    if (round % 3 === 2) await until(`${name} is there`, async () => existsSync(path))
    client.send('ABOR')
    const first = await client.reply()
    t.match(first, round % 3 === 2 ? /^226 / : /^(?:226|426) /)
    t.match(await client.reply(), /^22[56] /, 'ABOR is answered after the transfer')
    if (first.startsWith('226')) t.equal(readFileSync(path, 'utf8').length, content.length)
    else t.notOk(existsSync(path), `${name} was aborted`)
    t.match(await client.ask('NOOP'), /^200 /, 'nothing is left over')
  }
})

test('several ABORs at once end a transfer once, and each has its reply', async (t) => {
  const gateway = await apart(whole, USERS)
  writeFileSync(join(gateway.files, 'partner/big'), Buffer.alloc(30_000_000))
  const client = await login(t, gateway)
  for (const command of ['STOR up', 'RETR big']) {
    const data = await client.data()
    t.match(await client.ask(command), /^150 /)
    client.send('ABOR\r\nABOR\r\nABOR\r\nPWD')
    t.match(await client.reply(), /^426 /)
    for (let n = 0; n < 3; n++) t.match(await client.reply(), /^22[56] /)
    t.match(await client.reply(), /^257 /)
    data.destroy()
  }
  t.notOk(existsSync(join(gateway.files, 'partner/up')))
  const port = await client.passivePort()
  t.match(await client.ask('LIST'), /^150 /)
  t.match(await client.ask('ABOR'), /^426 /, 'a listing, too')
  t.match(await client.reply(), /^226 /)
  await new Promise((resolve) => connect(port, '127.0.0.1').once('error', resolve))
})

test('PROT C and CCC amid a TLS transfer change nothing of it: the data stays in TLS and the control connection too', async (t) => {
  const gateway = await apart(whole, USERS)
  const client = await login(t, gateway, true)
  t.match(await client.ask('PBSZ 0'), /^200 /)
  t.match(await client.ask('PROT P'), /^200 /)
  const port = await client.passivePort()
  const raw = connect(port, '127.0.0.1')
  t.match(await client.ask('STOR kept'), /^150 /)
  const data = secure({ socket: raw, rejectUnauthorized: false })
  data.on('error', () => undefined)
  await new Promise((resolve) => data.once('secureConnect', resolve))
  data.write('first ')
  client.send('PROT C\r\nCCC')
  data.end('second')
  t.match(await client.reply(), /^226 /)
  t.match(await client.reply(), /^200 /)
  t.match(await client.reply(), /^534 /, 'CCC is refused')
  t.match(await client.ask('NOOP'), /^200 /, 'and still answered in TLS')
  t.equal(readFileSync(join(gateway.files, 'partner/kept'), 'utf8'), 'first second')
  const plain = await client.data()
  const text = received(plain)
  t.match(await client.ask('RETR kept'), /^150 /)
  t.match(await client.reply(), /^226 /)
  t.equal((await text).toString(), 'first second', 'PROT C counts from the next transfer on')
})

test('PASV and EPSV in turns: only the last port is open, and it carries the transfer', async (t) => {
  const gateway = await apart(whole, USERS)
  writeFileSync(join(gateway.files, 'partner/f'), 'content')
  const client = await login(t, gateway)
  const ports: number[] = []
  for (const command of ['PASV', 'EPSV', 'EPSV 1', 'PASV', 'EPSV']) {
    const reply = await client.ask(command)
    const numbers = /\((?:\d+,){4}(\d+),(\d+)\)/.exec(reply)
    ports.push(numbers ? Number(numbers[1]) * 256 + Number(numbers[2]) : Number(/\|\|\|(\d+)\|/.exec(reply)?.[1]))
  }
  const last = ports.at(-1)!
  for (const port of new Set(ports.filter((one) => one !== last)))
    t.equal(
      await new Promise((resolve) =>
        connect(port, '127.0.0.1')
          .on('connect', () => resolve('open'))
          .on('error', () => resolve('shut')),
      ),
      'shut',
    )
  const data = connect(last, '127.0.0.1')
  const text = received(data)
  t.match(await client.ask('RETR f'), /^150 /)
  t.match(await client.reply(), /^226 /)
  t.equal((await text).toString(), 'content')
})

test('a user with require_tls is told at USER that it needs TLS, before the password goes in clear, and may log in after AUTH TLS', async (t) => {
  const gateway = await apart(whole, USERS)
  const client = await RawClient.open(gateway.ports.ftp)
  t.teardown(() => client.socket.destroy())
  t.match(await client.ask('USER careful'), /^530 .*TLS/)
  t.match(await client.ask(`PASS ${PASSWORD}`), /^503 /)
  t.match(await client.ask('AUTH TLS'), /^234 /)
  await client.startTls()
  t.match(await client.ask('USER careful'), /^331 /)
  t.match(await client.ask(`PASS ${PASSWORD}`), /^230 /)
  t.match(await client.ask('PBSZ 0'), /^200 /)
  t.match(await client.ask('PROT C'), /^534 /, 'its data does not go in clear either')
  await client.passivePort()
  t.match(await client.ask('STOR plain'), /^521 /)
  t.strictSame(readdirSync(join(gateway.files, 'careful')), [])
})

test('plain commands on the implicit port get no FTP reply and are cut off; the next TLS client is served', async (t) => {
  const gateway = await apart(whole, [{ username: 'partner', password: PASSWORD }])
  const ready = gateway.log.find(({ event }) => event === 'ready') as unknown as { ftp: { implicit_port: number } }
  const port = ready.ftp.implicit_port
  const plain = connect(port, '127.0.0.1')
  plain.on('error', () => undefined)
  const heard: Buffer[] = []
  plain.on('data', (chunk) => heard.push(chunk))
  plain.write(`USER partner\r\nPASS ${PASSWORD}\r\n`)
  await new Promise((resolve) => plain.once('close', resolve))
  t.notMatch(Buffer.concat(heard).toString('latin1'), /\d{3}[ -]/, 'at most a TLS alert')
  const client = new RawClient(secure({ port, host: '127.0.0.1', rejectUnauthorized: false }))
  t.teardown(() => client.socket.destroy())
  t.match(await client.reply(), /^220 /)
  await client.ask('USER partner')
  t.match(await client.ask(`PASS ${PASSWORD}`), /^230 /)
})
