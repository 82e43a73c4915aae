// FTP servers that mean harm or know no better: each is given up in bounded time and memory, and no file is called delivered that is not.
// Must not wait as long as a real one is waited for: the limits are the connectors' own, only the clock is quicker.
import { type Test, test } from 'tap'
import type { DestinationSpec } from '../../../src/core/destination.ts'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import { deliveryOf, failureOf, never } from '../../suites/connector-suite.ts'
import { type OddFtpOptions, startOddFtp } from '../../support/far-odd-ftp.ts'
import { hurry } from '../../support/quick-clock.ts'

async function start(t: Test, options: OddFtpOptions = {}, changes: Partial<DestinationSpec> = {}) {
  const far = await startOddFtp(t, options)
  const connector = createConnector({
    ...{ name: 'odd', type: 'ftp', host: '127.0.0.1', port: far.port, username: 'u', password: 's3cret-pw', base_path: '/in' },
    ...changes,
  })
  t.teardown(() => connector.close())
  return { ...far, connector }
}

/** Knows nothing but RFC 959. */
const old: OddFtpOptions['answer'] = (verb) => (verb === 'SIZE' || verb === 'FEAT' ? '500 what?' : undefined)
const line = (name: string, size: number): string => `-rw-r--r-- 1 u u ${size} Jan 01 2024 ${name}\r\n`

test('a server that says 226 and keeps nothing has delivered nothing', async (t) => {
  for (const features of [[], ['MLST type*;size*;']]) {
    const answer: OddFtpOptions['answer'] = (verb) => (verb === 'MLST' ? '550 no such file' : undefined)
    const { connector, files } = await start(t, { drops: true, features, answer })
    t.match(await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never())), { code: 'remote.verify', unclear: false })
    t.equal(files.size, 0)
  }
})

test('a server that tells the size of another file has delivered nothing', async (t) => {
  for (const [verb, reply] of [
    ['SIZE', '213 4711'],
    ['MLST', '250-here\r\n type=file;size=4711; /in/another\r\n250 end'],
  ]) {
    const { connector, files } = await start(t, {
      features: verb === 'MLST' ? ['MLST type*;size*;'] : [],
      answer: (got) => (got === verb ? reply : undefined),
    })
    t.match(await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never())), { code: 'remote.verify', unclear: false })
    t.notOk(files.has('/in/file.txt'))
  }
})

for (const verb of ['USER', 'CWD', 'STOR', 'SIZE', 'RNFR', 'RNTO']) {
  test(`a server that never answers ${verb} is given up, and from the rename on the end is unclear`, async (t) => {
    hurry(t, { 60000: 1000, 20000: 1000 })
    const { connector } = await start(t, { answer: (got) => (got === verb ? null : undefined) })
    const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
    t.match(failure, { code: verb === 'USER' ? 'remote.unreachable' : 'remote.timeout', unclear: /^RN/.test(verb) })
  })
}

test('only the word that a thing is done is taken for it', async (t) => {
  for (const [verb, reply] of [
    ['RNTO', '350 what else?'],
    ['RNTO', '150 just a moment'],
    ['RNFR', '250 fine'],
    ['RNFR', '150 just a moment'],
    ['CWD', '350 which one?'],
    ['STOR', '350 and now?'],
    ['SIZE', '150 a moment'],
  ] as const) {
    const { connector, files } = await start(t, { answer: (got) => (got === verb ? reply : undefined) })
    const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
    t.match(failure.code, /^remote\.(failed|lost)$/, `${verb}: ${reply}`)
    t.notOk(files.has('/in/file.txt'))
  }
})

test('a server that says 250 to the rename and renames nothing has delivered nothing, whatever lies under that name', async (t) => {
  for (const features of [[], ['MLST type*;size*;']]) {
    const { connector, files } = await start(t, { features, answer: (verb) => (verb === 'RNTO' ? '250 renamed' : undefined) })
    files.set('/in/file.txt', Buffer.from('y'))
    t.match(await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never())), { code: 'remote.verify' })
    t.same([...files], [['/in/file.txt', Buffer.from('y')]], 'the old file is as it was, and nothing temporary stays')
  }
})

test('a server that says more than it was asked is not believed from then on', async (t) => {
  for (const verb of ['CWD', 'SIZE', 'STOR', 'RNFR']) {
    const { connector, files } = await start(t, { adds: { [verb]: '250 and one more' } })
    const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
    t.match(failure, { code: 'remote.lost' }, verb)
    t.notOk(files.has('/in/file.txt'), verb)
  }
})

test('a server that hangs up between two files, by 421 or by a word, costs no attempt', async (t) => {
  for (const goodbye of ['421 Timeout', '500 OOPS: child died']) {
    const { connector, files, commands } = await start(t, { adds: { RNTO: goodbye } })
    for (const remotePath of ['a', 'b'])
      t.match(await connector.put(await deliveryOf(t, Buffer.from('x'), { remotePath }), never()), { outcome: 'sent' }, goodbye)
    t.same([...files.keys()], ['/in/a', '/in/b'])
    t.equal(commands.filter((command) => command === 'USER u').length, 2, 'the second one went over a new connection')
  }
})

test('421 in the place of an answer is a lost connection, which is not used again', async (t) => {
  let times = 0
  const { connector, commands } = await start(t, { answer: (verb) => (verb === 'SIZE' && times++ === 0 ? '421 going down' : undefined) })
  const delivery = await deliveryOf(t, Buffer.from('x'))
  t.match(await failureOf(connector.put(delivery, never())), { code: 'remote.lost', unclear: false })
  t.match(await connector.put({ ...delivery, attempt: 2 }, never()), { outcome: 'sent' })
  t.equal(commands.filter((command) => command === 'USER u').length, 2)
})

test('a server whose answers come byte by byte is understood', async (t) => {
  const { connector, files } = await start(t, { inBytes: true, features: ['SIZE', 'MFMT', 'HASH SHA-256*;SHA-1'] })
  t.match(await connector.put(await deliveryOf(t, Buffer.from('x')), never()), { outcome: 'sent', verified: 'hash' })
  t.same([...files.keys()], ['/in/file.txt'])
})

test('control characters, colours and marks that turn text round are shown as what they are', async (t) => {
  const { connector } = await start(t, {
    answer: (verb) => (verb === 'STOR' ? '550 \u001b[31mred\u0007 \u009b2J \u202egnp.exe' : undefined),
  })
  const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
  t.notMatch(failure.message, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
  t.match(failure.message, '\\u001b[31mred')
  t.match(failure.message, '\\u202egnp.exe')
})

test('what a server calls itself is cleaned before it is on record', async (t) => {
  const { connector } = await start(t, { greeting: '220 Nice \u001b]0;owned\u0007 \u009b server' })
  const receipt = await connector.put(await deliveryOf(t, Buffer.from('x')), never())
  t.notMatch(receipt.server!, /[\u0000-\u001f\u007f-\u009f]/)
  t.match(receipt.server, 'Nice')
  const report = await connector.probe(never())
  t.notMatch(report.steps.map(({ detail }) => detail).join(), /[\u0000-\u001f\u007f-\u009f]/)
})

test('a login folder with control characters in its name is not used', async (t) => {
  const far = await startOddFtp(t, { answer: (verb) => (verb === 'PWD' ? '257 "/in\u001b[2J" is here' : undefined) })
  const connector = createConnector({ ...{ name: 'odd', type: 'ftp', host: '127.0.0.1', port: far.port, username: 'u', password: 'p' } })
  t.teardown(() => connector.close())
  t.match(await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never())), { code: 'remote.failed' })
  t.equal(far.files.size, 0)
})

test('a name in a listing that holds a whole line of a listing fools nobody', async (t) => {
  const planted = `${line('innocent', 1).trimEnd()}\r\n${line('file.txt', 1)}`
  for (const onConflict of ['skip', 'fail', 'overwrite'] as const) {
    const { connector, files } = await start(t, {
      answer: old,
      listing: () => [...files].map(([path, content]) => line(path.slice(4), content.length)).join('') + planted,
    })
    const receipt = await connector.put(await deliveryOf(t, Buffer.from('x'), { onConflict, unclear: true }), never())
    t.match(receipt, { outcome: 'sent' }, onConflict)
    t.same(files.get('/in/file.txt'), Buffer.from('x'))
  }
})

test('a name that stands in a listing twice is no answer', async (t) => {
  const { connector, files } = await start(t, { answer: old, listing: () => line('file.txt', 1) + line('file.txt', 2) })
  files.set('/in/file.txt', Buffer.from('abc'))
  const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x'), { onConflict: 'skip' }), never()))
  t.match(failure, { code: 'remote.failed' })
})

test('a listing of gigabytes is broken off', async (t) => {
  let sent = 0
  async function* endless() {
    const chunk = Buffer.from(line('one of very many', 1).repeat(2000))
    for (; sent < 2 ** 32; sent += chunk.length) yield chunk
  }
  const { connector } = await start(t, { answer: old, listing: endless })
  const before = process.memoryUsage().rss
  const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
  t.match(failure.code, /^remote\.(failed|lost)$/)
  t.ok(sent < 64 * 2 ** 20, `${sent >> 20} MiB`)
  t.ok(process.memoryUsage().rss - before < 200 * 2 ** 20)
})

test('a data port that cannot be is an error of the server', async (t) => {
  for (const [port, bytes] of [
    ['70000', '300,1'],
    ['-1', '-1,1'],
    ['0', '0,0'],
    ['99999999999999999999', '1,99999999999999999999'],
  ] as const) {
    const replies: Readonly<Record<string, string>> = { EPSV: `229 here (|||${port}|)`, PASV: `227 here (127,0,0,1,${bytes})` }
    const { connector } = await start(t, { answer: (verb) => replies[verb] })
    t.match(
      (await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))).code,
      /^remote\.(failed|unreachable|lost)$/,
      port,
    )
  }
})

test('a password that the server repeats in a word that is neither yes nor no is not shown', async (t) => {
  for (const verb of ['CWD', 'RNFR', 'RNTO']) {
    const { connector } = await start(t, { answer: (got) => (got === verb ? '150 you are u with s3cret-pw' : undefined) })
    const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x')), never()))
    t.notMatch(`${failure.message} ${String((failure.cause as Error | undefined)?.message)}`, 's3cret-pw', verb)
  }
})
