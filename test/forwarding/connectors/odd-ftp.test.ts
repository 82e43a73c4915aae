// Delivery to FTP servers with oddities of their own.
// Must not need any server on this machine.
import { type Test, test } from 'tap'
import type { DestinationSpec } from '../../../src/core/destination.ts'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import { deliveryOf, failureOf, never } from '../../suites/connector-suite.ts'
import { type OddFtpOptions, startOddFtp } from '../../support/far-odd-ftp.ts'

async function start(t: Test, options: OddFtpOptions = {}, changes: Partial<DestinationSpec> = {}) {
  const far = await startOddFtp(t, options)
  const connector = createConnector({
    name: 'odd',
    type: 'ftp',
    host: '127.0.0.1',
    port: far.port,
    username: 'u',
    password: 's3cret-pw',
    base_path: '/in',
    ...changes,
  })
  t.teardown(() => connector.close())
  return { ...far, connector }
}

test('a PASV address that leads nowhere is not followed', async (t) => {
  const { connector, files } = await start(t)
  t.match(await connector.put(await deliveryOf(t, Buffer.from('x')), never()), {
    outcome: 'sent',
    verified: 'size',
    algorithm: null,
    method: null,
  })
  t.same([...files.keys()], ['/in/file.txt'])
})

test('the best hash the server offers is compared, and the receipt names it and how it was asked for', async (t) => {
  for (const [features, algorithm, method] of [
    [['HASH SHA-1;SHA-256*;MD5', 'XMD5'], 'sha256', 'HASH'],
    [['XSHA256', 'XMD5'], 'sha256', 'XSHA256'],
    [['SIZE', 'XMD5'], 'md5', 'XMD5'],
  ] as const) {
    const { connector } = await start(t, { features })
    const receipt = await connector.put(await deliveryOf(t, Buffer.from('content')), never())
    t.match(receipt, { outcome: 'sent', verified: 'hash', algorithm, method })
  }
})

test('a server that stores something else is found out, and the file never gets its final name', async (t) => {
  for (const [features, verify] of [
    [['HASH SHA-256*'], 'auto'],
    [['XMD5'], 'hash'],
    [[], 'hash'],
    [[], 'readback'],
  ] as const) {
    const { connector, files } = await start(t, { features, corrupt: true }, { verify })
    t.match(await failureOf(connector.put(await deliveryOf(t, Buffer.from('content')), never())), { code: 'remote.verify', unclear: false })
    t.equal(files.size, 0, 'the temporary file is removed')
  }
})

test('where RNTO does not replace, the old file is removed first', async (t) => {
  const answer: OddFtpOptions['answer'] = (verb, path, files) => (verb === 'RNTO' && files.has(path) ? '553 File exists' : undefined)
  const { connector, files } = await start(t, { answer })
  await connector.put(await deliveryOf(t, Buffer.from('old')), never())
  await connector.put(await deliveryOf(t, Buffer.from('new')), never())
  t.same([...files], [['/in/file.txt', Buffer.from('new')]])
})

test('what servers say becomes the right error', async (t) => {
  for (const [verb, reply, code] of [
    ['STOR', '452 Insufficient storage', 'remote.full'],
    ['STOR', '552 Quota exceeded', 'remote.full'],
    ['STOR', '550 Permission denied', 'remote.denied'],
    ['STOR', '451 Local error', 'remote.failed'],
    ['RNTO', '550 Permission denied', 'remote.denied'],
    ['USER', '421 Too many connections', 'remote.unreachable'],
    ['PASS', '530 Login incorrect for s3cret-pw', 'remote.auth'],
    ['PASV', 'garbage\r\n227 nothing here', 'remote.failed'],
  ] as const) {
    const { connector, files } = await start(t, { answer: (got) => (got === verb ? reply : undefined) })
    const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
    t.match(failure, { code, unclear: false }, reply)
    t.notMatch(failure.message, 's3cret-pw')
    t.equal(files.size, 0)
  }
})

test('a server that floods the control connection is cut off', async (t) => {
  const { connector } = await start(t, { answer: (verb) => (verb === 'CWD' ? `250-${'x'.repeat(200_000)}` : undefined) })
  t.match((await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))).code, /^remote\.(lost|failed)$/)
})

test('a server that closes after each file gets the next one over a new connection, and no attempt is lost', async (t) => {
  const { connector, files, commands } = await start(t, { endAfter: 'RNTO' })
  for (const name of ['a', 'b', 'c']) {
    t.match(await connector.put(await deliveryOf(t, Buffer.from(name), { remotePath: name }), never()), { outcome: 'sent' })
    // the goodbye arrives a moment later
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.same([...files.keys()].sort(), ['/in/a', '/in/b', '/in/c'])
  t.equal(commands.filter((command) => command === 'USER u').length, 3)
})

test('a server that knows no SIZE either is asked for a listing', async (t) => {
  let sent = 0
  const answer: OddFtpOptions['answer'] = (verb) => {
    if (verb !== 'SIZE' && verb !== 'FEAT') return undefined
    sent++
    return '500 what?'
  }
  const { connector, files } = await start(t, {
    answer,
    listing: (path) => `-rw-r--r-- 1 u u ${path === '/in' ? 7 : 0} Jan 01 2024 .t.part\r\n`,
  })
  const delivery = await deliveryOf(t, Buffer.from('content'), { tempName: '.t.part' })
  t.match(await connector.put(delivery, never()), { outcome: 'sent', verified: 'size' })
  t.ok(sent > 1)
  t.same([...files.keys()], ['/in/file.txt'])
})
