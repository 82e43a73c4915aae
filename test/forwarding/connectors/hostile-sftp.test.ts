// SFTP servers that mean harm or know no better: each is given up in bounded time and memory, and no file is called delivered that is not.
// Must not wait as long as a real one is waited for: the limits are the connectors' own, only the clock is quicker.
import { copyFileSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { DestinationSpec } from '../../../src/core/destination.ts'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import type { AttemptError } from '../../../src/forwarding/connectors/errors.ts'
import { deliveryOf, failureOf, namesBelow, never } from '../../suites/connector-suite.ts'
import { extensionOf, idOf, type OddSftpOptions, type Packet, packet, startOddSftp, status, str, u32 } from '../../support/far-odd-sftp.ts'
import { hurry } from '../../support/quick-clock.ts'

async function start(t: Test, options: OddSftpOptions = {}, changes: Partial<DestinationSpec> = {}) {
  const far = await startOddSftp(t, options)
  const connector = createConnector({ ...far.destination, ...changes })
  t.teardown(() => connector.close())
  return { ...far, connector }
}

const NAMES: Readonly<Record<number, string>> = {
  ...{ 1: 'INIT', 3: 'OPEN', 4: 'CLOSE', 5: 'READ', 6: 'WRITE', 8: 'FSTAT', 10: 'FSETSTAT', 13: 'REMOVE', 14: 'MKDIR' },
  ...{ 16: 'REALPATH', 17: 'STAT', 18: 'RENAME' },
}
const EXTENSIONS: Readonly<Record<string, string>> = { 'posix-rename@openssh.com': 'RENAME', 'fsync@openssh.com': 'FSYNC' }
const nameOf = (request: Packet): string =>
  EXTENSIONS[extensionOf(request) ?? ''] ?? extensionOf(request) ?? NAMES[request[0]!] ?? String(request[0])

/** Answers in the service's place to requests of this name. */
const to =
  (name: string, say: (id: number, request: Packet) => readonly Packet[]): OddSftpOptions['request'] =>
  (request) =>
    nameOf(request) === name ? say(idOf(request), request) : undefined

const file = (t: Test, changes = {}) => deliveryOf(t, Buffer.from('what is sent'), changes)

/** What no operator can do anything with. */
const GIBBERISH = /undefined|not a Buffer|Cannot read|is not a function|NaN/
function readable(t: Test, failure: AttemptError, what: string): void {
  t.match(failure.code, /^remote\./, what)
  t.notMatch(failure.message, GIBBERISH, what)
}

const OK = 0
const ANSWERS: Readonly<Record<string, (id: number) => Packet>> = {
  'STATUS OK': (id) => status(id, OK),
  HANDLE: (id) => packet(102, id, str('h')),
  DATA: (id) => packet(103, id, str('data')),
  NAME: (id) => packet(104, id, u32(1), str('/a'), str('-rw a'), u32(0)),
  ATTRS: (id) => packet(105, id, u32(0)),
  EXTENDED: (id) => packet(201, id, str('sha256')),
  'STATUS without a code': (id) => packet(101, id),
  'an unknown type': (id) => packet(77, id, u32(0)),
}
/** What each request is rightly answered with when all goes well. */
const RIGHT: Readonly<Record<string, string>> = {
  ...{ OPEN: 'HANDLE', WRITE: 'STATUS OK', FSYNC: 'STATUS OK', FSTAT: 'ATTRS', CLOSE: 'STATUS OK', RENAME: 'STATUS OK' },
  ...{ REALPATH: 'NAME', STAT: 'ATTRS' },
}

test('an answer of another kind than was asked for counts as none: nothing is delivered by it, and the connection ends', async (t) => {
  let odd: OddSftpOptions['request']
  const { connector, disk } = await start(t, { request: (request) => odd?.(request) })
  for (const [request, right] of Object.entries(RIGHT)) {
    for (const [kind, answer] of Object.entries(ANSWERS)) {
      // what opens, fills and names the file is tried with all; the others with what ssh2 tells least from the right one
      if (kind === right || !(['OPEN', 'WRITE', 'RENAME'].includes(request) || ['STATUS OK', 'DATA'].includes(kind))) continue
      odd = to(request, (id) => [answer(id)])
      const what = `${kind} to ${request}`
      const failure = await failureOf(connector.put(await file(t), never()))
      readable(t, failure, what)
      t.equal(failure.unclear, request === 'RENAME', what)
      t.notOk((await namesBelow(disk)).includes('file.txt'), what)
    }
  }
})

for (const name of ['INIT', 'REALPATH', 'STAT', 'OPEN', 'WRITE', 'FSTAT', 'CLOSE', 'RENAME']) {
  test(`a server that never answers ${name} is given up, and from the rename on the end is unclear`, async (t) => {
    hurry(t, { 60000: 1000, 20000: 1000 })
    const { connector } = await start(t, { request: to(name, () => []) })
    const failure = await failureOf(connector.put(await file(t), never()))
    readable(t, failure, name)
    t.match(failure, { code: name === 'INIT' ? 'remote.unreachable' : 'remote.timeout', unclear: name === 'RENAME' })
  })
}

test('answers to what nobody asked end the connection', async (t) => {
  for (const [what, odd] of [
    ['a number of its own', (id: number) => [status(id + 1000, OK), status(id, OK)]],
    ['twice', (id: number) => [status(id, OK), status(id, OK)]],
    ['a second greeting', (id: number) => [Buffer.concat([Buffer.of(2), u32(3)]), status(id, OK)]],
  ] as const) {
    const { connector, disk } = await start(t, { request: to('WRITE', odd) })
    readable(t, await failureOf(connector.put(await file(t), never())), what)
    t.notOk((await namesBelow(disk)).includes('file.txt'), what)
  }
})

test('lengths that cannot be end the connection, wherever the network cuts them', async (t) => {
  for (const inBytes of [false, true]) {
    let length = 0
    const bytes = () => Buffer.concat([u32(length), Buffer.of(101)])
    const { connector, disk } = await start(t, { inBytes, raw: (request) => (nameOf(request) === 'WRITE' ? bytes() : undefined) })
    for (length of [2 ** 31, 300_000, 0, 1]) {
      readable(t, await failureOf(connector.put(await file(t), never())), String(length))
      t.notOk((await namesBelow(disk)).includes('file.txt'))
    }
  }
})

/** Stores what is sent as it should, and says nothing else that is true of this request. */
const lying = (name: string, say: (id: number) => Packet) => to(name, (id) => [say(id)])

test('a server that says OK to every write and keeps nothing has delivered nothing', async (t) => {
  const { connector, disk } = await start(t, { request: lying('WRITE', (id) => status(id, OK)) })
  t.match(await failureOf(connector.put(await file(t), never())), { code: 'remote.verify', unclear: false })
  t.same(await namesBelow(disk), [])
})

test('a server that says OK to the rename and renames nothing has delivered nothing, whatever lies under that name', async (t) => {
  for (const plain of [false, true]) {
    const greeting = (said: Packet): Packet[] => [plain && said[0] === 2 ? Buffer.concat([Buffer.of(2), u32(3)]) : said]
    const { connector, disk } = await start(t, { request: lying('RENAME', (id) => status(id, OK)), answer: greeting })
    await writeFile(join(disk, 'file.txt'), 'what is seen')
    const failure = await failureOf(connector.put(await file(t), never()))
    t.match(failure, { code: 'remote.verify' })
    t.notMatch(failure.message, GIBBERISH)
    if (!plain) t.equal(await readFile(join(disk, 'file.txt'), 'utf8'), 'what is seen')
  }
})

test('a server that copies where it should rename is found out whatever is done with taken names, and the next attempt finds the one file that is there', async (t) => {
  const texts = (request: Packet, at: number): string[] => {
    const length = request.length > at + 4 ? request.readUInt32BE(at) : -1
    return length < 0 ? [] : [request.toString('utf8', at + 4, at + 4 + length), ...texts(request, at + 4 + length)]
  }
  for (const onConflict of ['overwrite', 'fail', 'rename', 'skip'] as const) {
    const { connector, disk } = await start(t, {
      request: to('RENAME', (id, request) => {
        const [from, final] = texts(request, 5).slice(-2)
        copyFileSync(from!, final!)
        return [status(id, OK)]
      }),
    })
    const delivery = await file(t, { onConflict })
    const failure = await failureOf(connector.put(delivery, never()))
    t.match(failure, { code: 'remote.verify', unclear: true }, onConflict)
    t.match(failure.message, /the temporary name is still there/)
    t.same(await namesBelow(disk), ['file.txt'], onConflict)
    t.match(await connector.put({ ...delivery, attempt: 2, unclear: true }, never()), { outcome: 'found' }, onConflict)
    t.same(await namesBelow(disk), ['file.txt'], onConflict)
  }
})

test('a file that somebody takes away as soon as it has its name was delivered', async (t) => {
  const { connector, disk } = await start(t, {
    answer(said) {
      rmSync(join(disk, 'file.txt'), { force: true })
      return [said]
    },
  })
  t.match(await connector.put(await file(t), never()), { outcome: 'sent' })
  t.same(await namesBelow(disk), [])
})

test('a server that tells the size of another file has delivered nothing, and one that tells none is not believed either', async (t) => {
  for (const [attributes, code] of [
    [Buffer.concat([u32(5), u32(0), u32(4711), u32(0o100644)]), 'remote.verify'],
    [Buffer.concat([u32(4), u32(0o100644)]), 'remote.failed'],
  ] as const) {
    const { connector, disk } = await start(t, { request: lying('FSTAT', (id) => packet(105, id, attributes)) })
    const failure = await failureOf(connector.put(await file(t), never()))
    t.match(failure, { code, unclear: false })
    readable(t, failure, code)
    t.notOk((await namesBelow(disk)).includes('file.txt'))
  }
})

test('a login folder that is no absolute and plain name is not used', async (t) => {
  for (const home of ['', 'here', '../../etc', '/in\u001b[2J', '/in\n/out']) {
    const far = await startOddSftp(t, { request: to('REALPATH', (id) => [packet(104, id, u32(1), str(home), str(home), u32(0))]) })
    const { base_path: _, ...destination } = far.destination
    const connector = createConnector(destination)
    t.teardown(() => connector.close())
    t.match(await failureOf(connector.put(await file(t), never())), { code: 'remote.failed', unclear: false }, home)
    t.notOk(far.asked.includes('3'), 'nothing was opened')
  }
})

test('read back byte by byte is given up in bounded time, also from a server that says it gives no more; a slow giver is waited for', async (t) => {
  const content = Buffer.alloc(200_000, 'content ')
  const giving = (most: number): OddSftpOptions['answer'] => {
    return (said) => [said[0] === 103 ? packet(103, idOf(said), str(said.subarray(9, 9 + Math.min(most, said.readUInt32BE(5))))) : said]
  }
  const reads = (asked: readonly string[]) => asked.filter((name) => name === '5').length
  const slow = await start(t, { answer: giving(5000) }, { verify: 'readback' })
  t.match(await slow.connector.put(await deliveryOf(t, content), never()), { verified: 'readback' })
  t.ok(reads(slow.asked) < 400, `${reads(slow.asked)} requests`)
  const byByte = await start(t, { answer: giving(1) }, { verify: 'readback' })
  const failure = await failureOf(byByte.connector.put(await deliveryOf(t, content), never()))
  t.match(failure, { code: 'remote.failed', unclear: false })
  t.ok(reads(byByte.asked) < 2000, `${reads(byByte.asked)} requests`)
  t.same(await namesBelow(byByte.disk), [])
})

test('a server that ends the channel at once, or greets with text, is an error in words', async (t) => {
  for (const options of [{ endsAtOnce: true }, { noise: Buffer.from('Welcome to the machine.\r\n') }, { noise: u32(2 ** 31) }]) {
    hurry(t, { 20000: 3000 })
    const { connector } = await start(t, options)
    const failure = await failureOf(connector.put(await file(t), never()))
    readable(t, failure, JSON.stringify(options))
  }
})

test('limits that cannot be are an error in words, or do no harm', async (t) => {
  for (const [what, say] of [
    ['none', (id: number) => status(id, OK)],
    ['refused', (id: number) => status(id, 8)],
    ['huge', (id: number) => packet(201, id, Buffer.alloc(32, 0xff))],
    ['a byte for reading', (id: number) => packet(201, id, u32(0), u32(34000), u32(0), u32(1), u32(0), u32(32768), u32(0), u32(0))],
  ] as const) {
    const { connector } = await start(t, { request: to('limits@openssh.com', (id) => [say(id)]) }, { verify: 'readback' })
    const ended = await connector.put(await file(t), never()).catch((error: AttemptError) => error)
    if (ended instanceof Error) readable(t, ended, what)
    else t.match(ended, { verified: 'readback' }, what)
  }
})

test('a server whose answers come byte by byte is understood', async (t) => {
  const { connector, disk } = await start(t, { inBytes: true })
  t.match(await connector.put(await file(t), never()), { outcome: 'sent' })
  t.same(await namesBelow(disk), ['file.txt'])
})
