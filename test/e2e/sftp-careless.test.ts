// The careless partner and the attacker, by hand-made packets against a whole gateway: what was acknowledged is whole and on record, all else is nowhere, and nobody else waits.
// Must not look only at replies: the disk and the records are what counts.
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { Client } from 'ssh2'
import { t as root, type Test, test } from 'tap'
import { RawSftp, statusOf, str, u32, u64 } from '../listeners/sftp/raw-client.ts'
import { apart } from '../support/apart.ts'
import { startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const [READ, WRITE, CREAT, TRUNC] = [1, 2, 8, 16]
const SIZE = 1
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

async function login(t: Test, gateway: TestGateway, username = 'partner'): Promise<Client> {
  const client = new Client()
  t.teardown(() => client.destroy())
  await new Promise<void>((resolve, reject) => {
    client.on('error', reject).on('ready', resolve).connect({ host: '127.0.0.1', port: gateway.ports.sftp, username, password: PASSWORD })
  })
  client.removeAllListeners('error').on('error', () => {})
  return client
}

/** One for all tests of this file. One thread: who holds it up, holds up all. */
const whole = await startGateway(root, { env: { FILEFLOW_THREADS_SFTP: '1' } })

async function open() {
  const gateway = await apart(whole, [
    { username: 'partner', password: PASSWORD },
    { username: 'other', password: PASSWORD },
    { username: 'limited', password: PASSWORD, quota: { bytes: '10MiB', files: 100 } },
  ])
  return { gateway, home: join(gateway.files, 'partner') }
}
const socketOf = (client: Client): Socket => (client as unknown as { _sock: Socket })._sock
const noSessions = (gateway: TestGateway) =>
  until('all sessions have ended', async () => (await gateway.api<{ items: unknown[] }>('GET', '/sessions')).items.length === 0)

test('a line that is cut with a CLOSE on its way: the file is whole and on record, or nowhere and the record says so', async (t) => {
  const { gateway, home } = await open()
  const content = randomBytes(200_000)
  const cuts = ['FIN', 'RST', 'channel', 'goodbye'] as const
  for (let round = 0; round < 24; round++) {
    const client = await login(t, gateway)
    const raw = await RawSftp.open(client)
    const handle = await raw.file(`/f${round}`, WRITE | CREAT | TRUNC)
    for (let at = 0; at < content.length; at += 20_000) raw.send(6, handle, u64(at), str(content.subarray(at, at + 20_000)))
    const whole = round % 3 === 0
    if (whole) for (let at = 0; at < content.length; at += 20_000) await raw.next()
    raw.send(4, handle)
    const cut = cuts[round % 4]
    await new Promise((resolve) => (round % 2 ? setImmediate(resolve) : setTimeout(resolve, round % 5)))
    if (cut === 'FIN') socketOf(client).destroy()
    else if (cut === 'RST') socketOf(client).resetAndDestroy()
    else if (cut === 'goodbye') client.end()
    else {
      raw.channel.close()
      await raw.closed
      client.end()
    }
  }
  await noSessions(gateway)
  const records = await gateway.transfers('&direction=upload')
  for (let round = 0; round < 24; round++) {
    const name = `f${round}`
    const mine = records.filter(({ path }) => path === `/${name}`)
    t.equal(mine.length <= 1, true, `${name}: one record at most`)
    if (existsSync(join(home, name))) {
      t.equal(hash(readFileSync(join(home, name))), hash(content), `${name} is whole`)
      t.equal(mine[0]?.state, 'completed', `${name} is on record`)
    } else t.not(mine[0]?.state, 'completed', `${name} is nowhere, and not on record as there`)
  }
})

test('sizes and offsets beyond all measure are refused or sparse, and neither they nor their digests hold up anybody', async (t) => {
  const { gateway, home } = await open()
  const raw = await RawSftp.open(await login(t, gateway))
  const handle = await raw.file('/f', READ | WRITE | CREAT | TRUNC)
  for (const offset of [2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    t.not(statusOf(await raw.ask(6, handle, u64(offset), str('x'))), 0, `WRITE at ${offset}`)
    t.not((await raw.ask(5, handle, u64(offset), u32(10))).type, 103, `READ at ${offset}`)
    t.not(statusOf(await raw.ask(10, handle, u32(SIZE), u64(offset))), 0, `FSETSTAT ${offset}`)
    t.not(statusOf(await raw.ask(9, str('/f'), u32(SIZE), u64(offset))), 0, `SETSTAT ${offset}`)
  }
  t.equal(statusOf(await raw.ask(6, handle, u64(0), str('content'))), 0)
  t.equal(statusOf(await raw.ask(4, handle)), 0)
  t.equal(readFileSync(join(home, 'f'), 'utf8'), 'content')

  const limited = await RawSftp.open(await login(t, gateway, 'limited'))
  const small = await limited.file('/f', WRITE | CREAT | TRUNC)
  t.not(statusOf(await limited.ask(10, small, u32(SIZE), u64(2 ** 40))), 0, 'a quota holds for holes')
  t.equal(statusOf(await limited.ask(6, small, u64(0), str('x'))), 0)
  t.not(statusOf(await limited.ask(6, small, u64(2 ** 30), str('x'))), 0)
  await limited.ask(4, small)
  t.notOk(existsSync(join(gateway.files, 'limited', 'f')))

  const { blocks, bsize } = statfsSync(home)
  const huge = Math.min(2 ** 37, Math.floor(blocks * bsize * 0.9))
  const sparse = await raw.file('/sparse', WRITE | CREAT | TRUNC)
  t.not(statusOf(await raw.ask(10, sparse, u32(SIZE), u64(2 ** 52))), 0, 'more than the volume could ever hold')
  t.equal(statusOf(await raw.ask(10, sparse, u32(SIZE), u64(huge))), 0)
  raw.send(4, sparse)
  const other = await RawSftp.open(await login(t, gateway, 'other'))
  const content = randomBytes(20_000_000)
  const mine = await other.file('/mine', WRITE | CREAT | TRUNC)
  for (let at = 0; at < content.length; at += 200_000) await other.ask(6, mine, u64(at), str(content.subarray(at, at + 200_000)))
  t.equal(statusOf(await other.ask(4, mine)), 0, 'another upload is acknowledged meanwhile')
  t.equal(hash(readFileSync(join(gateway.files, 'other', 'mine'))), hash(content))
  t.notOk(existsSync(join(home, 'sparse')), 'while the large one is still being hashed')
  await gateway.api('POST', '/users/partner/disable')
  await until('its upload has ended', async () =>
    (await gateway.transfers()).every(({ path, state }) => path !== '/sparse' || state === 'aborted'),
  )
})

test('two channels of one connection write one name: both are acknowledged, the later one stays whole', async (t) => {
  const { gateway, home } = await open()
  const client = await login(t, gateway)
  const channels = [await RawSftp.open(client), await RawSftp.open(client)]
  const contents = [randomBytes(300_000), randomBytes(250_000)]
  const handles = await Promise.all(channels.map((raw) => raw.file('/f', WRITE | CREAT | TRUNC)))
  await Promise.all(
    channels.map(async (raw, n) => {
      for (let at = 0; at < contents[n]!.length; at += 10_000)
        t.equal(statusOf(await raw.ask(6, handles[n]!, u64(at), str(contents[n]!.subarray(at, at + 10_000)))), 0)
    }),
  )
  for (const n of [1, 0]) {
    t.equal(statusOf(await channels[n]!.ask(4, handles[n]!)), 0)
    t.equal(hash(readFileSync(join(home, 'f'))), hash(contents[n]!))
  }
  t.match(await gateway.transfers('&direction=upload'), [{ state: 'completed' }, { state: 'completed' }])
  t.same(readdirSync(join(gateway.folder, 'data', 'staging')), [])
})

test('a channel that is closed in the middle of its writes publishes nothing, and its partial is seen by its user alone', async (t) => {
  const { gateway, home } = await open()
  for (let round = 0; round < 8; round++) {
    const client = await login(t, gateway)
    const raw = await RawSftp.open(client)
    const handle = await raw.file(`/g${round}`, WRITE | CREAT | TRUNC)
    for (let at = 0; at < 2_000_000; at += 100_000) raw.send(6, handle, u64(at), str(randomBytes(100_000)))
    for (let n = 0; n < round; n++) await raw.next()
    raw.channel.close()
    await raw.closed
    client.end()
  }
  await noSessions(gateway)
  t.same(readdirSync(home), [])
  const records = await gateway.transfers('&direction=upload')
  t.ok(records.every(({ state }) => state === 'aborted'))
})
