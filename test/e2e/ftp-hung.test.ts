// A client whose connection hung, without an end that anyone could see, comes back by a new one.
// Must not wait for the stall timer: what hangs is taken over before it.
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { RawClient } from '../listeners/ftp/support.ts'
import { apart } from '../support/apart.ts'
import { startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const CONTENT = randomBytes(3_000_001)
const CAME = 2_000_000

/** One for all tests of this file. */
const whole = await startGateway(root, { env: { FILEFLOW_THREADS_FTP: '2' } })

const USERS = [
  { username: 'partner', password: PASSWORD, require_tls: false },
  { username: 'other', password: PASSWORD, require_tls: false },
]

async function login(t: Test, gateway: TestGateway, username = 'partner'): Promise<RawClient> {
  const client = await RawClient.open(gateway.ports.ftp)
  t.teardown(() => client.socket.destroy())
  await client.ask(`USER ${username}`)
  t.match(await client.ask(`PASS ${PASSWORD}`), /^230 /)
  return client
}

/** An upload of which so much came, and then nothing more. */
async function hang(t: Test, gateway: TestGateway) {
  const client = await login(t, gateway)
  const data = await client.data()
  data.on('error', () => {})
  t.teardown(() => data.destroy())
  t.match(await client.ask('STOR f'), /^150 /)
  data.write(CONTENT.subarray(0, CAME))
  return { client, data }
}

const sizeOnceItHangs = (client: RawClient): Promise<number> =>
  until('the upload that hangs has a size for a newer session', async () => Number(/^213 (\d+)/.exec(await client.ask('SIZE f'))?.[1] ?? 0))

for (const way of ['REST and STOR', 'APPE'] as const)
  test(`an upload that hangs in one session is gone on with from another one of the user (${way}), and is whole`, async (t) => {
    const gateway = await apart(whole, USERS)
    const hung = await hang(t, gateway)
    const stranger = await login(t, gateway, 'other')
    const client = await login(t, gateway)
    const size = await sizeOnceItHangs(client)
    t.equal(size, CAME - 1)
    t.match(await stranger.ask('SIZE f'), /^550 /, 'another user sees nothing of it')
    const data = await client.data()
    if (way === 'APPE') t.match(await client.ask('APPE f'), /^150 /)
    else {
      t.match(await client.ask(`REST ${size}`), /^350 /)
      t.match(await client.ask('STOR f'), /^150 /)
    }
    data.end(CONTENT.subarray(size))
    t.match(await client.reply(), /^226 /)
    const file = join(gateway.files, 'partner', 'f')
    t.ok(CONTENT.equals(await readFile(file)))
    hung.data.end('what the network still held')
    t.match(await hung.client.reply(), /^426 /, 'the old session hears that its upload is over')
    t.equal(await client.ask('SIZE f'), `213 ${CONTENT.length}`)
    t.ok(CONTENT.equals(await readFile(file)), 'and changes nothing')
    const states = (await gateway.transfers()).map(({ state }) => state).sort()
    t.same(states, ['aborted', 'completed'], 'each is a transfer of its own')
  })

test('an upload that moves is not taken over, and one that ends after a newer file was published does not stand before it', async (t) => {
  const gateway = await apart(whole, USERS)
  const old = await hang(t, gateway)
  const client = await login(t, gateway)
  t.match(await client.ask('SIZE f'), /^550 /, 'it came just now')
  const refused = await client.data()
  refused.on('error', () => {})
  await client.ask('REST 1000')
  t.match(await client.ask('STOR f'), /^554 /)
  const data = await client.data()
  t.match(await client.ask('STOR f'), /^150 /)
  data.end(CONTENT)
  t.match(await client.reply(), /^226 /)
  old.data.resetAndDestroy()
  t.match(await old.client.reply(), /^426 /)
  for (const session of [client, old.client]) t.equal(await session.ask('SIZE f'), `213 ${CONTENT.length}`)
  t.ok(CONTENT.equals(await readFile(join(gateway.files, 'partner', 'f'))))
})
