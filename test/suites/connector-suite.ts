// What every connector promises, over every kind of far side. Each test looks at the far side's disk.
// Must not know the protocol it runs over.
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { newId } from '../../src/core/clock.ts'
import type { DestinationSpec } from '../../src/core/destination.ts'
import type { Connector, Delivery } from '../../src/forwarding/connector.ts'
import { createConnector } from '../../src/forwarding/connectors/create-connector.ts'
import { AttemptError } from '../../src/forwarding/connectors/errors.ts'
import type { FarProxy } from '../support/far-proxy.ts'
import { until } from '../support/gateway.ts'

export interface FarSide {
  /** Its base path is {@link disk}. */
  readonly destination: DestinationSpec
  /** Where the base path lies on this machine. */
  readonly disk: string
}

/** A delivery of this content; its spool file goes with the test. */
export async function deliveryOf(t: Test, content: Uint8Array, changes: Partial<Delivery> = {}): Promise<Delivery> {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-spool-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const spool = join(folder, 'content')
  await writeFile(spool, content)
  const id = newId()
  return {
    id,
    attempt: 1,
    spool: Buffer.from(spool),
    size: content.length,
    sha256: sha256(content),
    mtimeMs: Date.now(),
    remotePath: 'file.txt',
    tempName: `.file.txt.${id}.part`,
    onConflict: 'overwrite',
    unclear: false,
    ...changes,
  }
}

export const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')
export const never = (): AbortSignal => new AbortController().signal

/** Every name below a folder, sorted; the temporary ones too. */
export const namesBelow = async (folder: string): Promise<string[]> => (await readdir(folder, { recursive: true })).sort()

/** The error an attempt ends with. */
export async function failureOf(work: Promise<unknown>): Promise<AttemptError> {
  try {
    await work
  } catch (error) {
    if (error instanceof AttemptError) return error
    throw error
  }
  throw new Error('the attempt did not fail')
}

const HARD_NAMES = [
  'with space.txt',
  'Übergrößenträger ñ 漢字 🚚.csv',
  `it's "quoted" \`back\` $HOME.txt`,
  '-rf leading dash',
  '100% [a] {b} *?.txt',
  ' leading and trailing ',
]

/** Runs all of it against one far side, that is started once. */
export async function connectorSuite(t: Test, far: FarSide): Promise<void> {
  const connector = createConnector(far.destination)
  t.teardown(() => connector.close())
  const put = (delivery: Delivery, signal = never(), through: Connector = connector) => through.put(delivery, signal)
  const disk = (path: string) => join(far.disk, path)
  /** A folder of its own for each test. */
  const fresh = () => newId()
  const other = (changes: Partial<DestinationSpec>) => {
    const made = createConnector({ ...far.destination, ...changes })
    t.teardown(() => made.close())
    return made
  }

  await t.test('names with spaces, umlauts, quotes and dashes arrive byte for byte', async (t) => {
    const folder = fresh()
    for (const name of HARD_NAMES) {
      const content = Buffer.from(`content of ${name}`)
      const delivery = await deliveryOf(t, content, { remotePath: `${folder}/${name}`, tempName: `.${name}.part` })
      const receipt = await put(delivery)
      t.match(receipt, { outcome: 'sent', size: content.length })
      t.same(await readFile(disk(`${folder}/${name}`)), content)
    }
    t.same(await namesBelow(disk(folder)), [...HARD_NAMES].sort(), 'and nothing else is left')
  })

  await t.test('an empty file arrives', async (t) => {
    const folder = fresh()
    await put(await deliveryOf(t, Buffer.alloc(0), { remotePath: `${folder}/empty` }))
    t.equal((await stat(disk(`${folder}/empty`))).size, 0)
    t.same(await namesBelow(disk(folder)), ['empty'])
  })

  await t.test('a file of 5 MB arrives whole', async (t) => {
    const content = Buffer.alloc(5_000_003, 'FileFlow 5 MB ')
    const folder = fresh()
    const receipt = await put(await deliveryOf(t, content, { remotePath: `${folder}/big.bin` }))
    t.equal(sha256(await readFile(disk(`${folder}/big.bin`))), sha256(content))
    t.equal(receipt.size, content.length)
    t.same(await namesBelow(disk(folder)), ['big.bin'])
  })

  await t.test('folders on the way are made, also by several deliveries at once', async (t) => {
    const folder = fresh()
    const names = Array.from({ length: 6 }, (_, i) => `${folder}/a/b c/ü/${i}.txt`)
    const deliveries = await Promise.all(names.map((remotePath) => deliveryOf(t, Buffer.from(remotePath), { remotePath })))
    await Promise.all(deliveries.map((delivery) => put(delivery)))
    for (const name of names) t.equal(await readFile(disk(name), 'utf8'), name)
  })

  await t.test('overwrite puts the new content in place of the old', async (t) => {
    const folder = fresh()
    await put(await deliveryOf(t, Buffer.from('old and longer'), { remotePath: `${folder}/f` }))
    await put(await deliveryOf(t, Buffer.from('new'), { remotePath: `${folder}/f` }))
    t.equal(await readFile(disk(`${folder}/f`), 'utf8'), 'new')
    t.same(await namesBelow(disk(folder)), ['f'])
  })

  await t.test('fail leaves a file that is there as it is', async (t) => {
    const folder = fresh()
    await put(await deliveryOf(t, Buffer.from('first'), { remotePath: `${folder}/f`, onConflict: 'fail' }))
    const failure = await failureOf(put(await deliveryOf(t, Buffer.from('second'), { remotePath: `${folder}/f`, onConflict: 'fail' })))
    t.match(failure, { code: 'remote.exists', unclear: false })
    t.equal(await readFile(disk(`${folder}/f`), 'utf8'), 'first')
    t.same(await namesBelow(disk(folder)), ['f'])
  })

  await t.test('rename takes the next free name', async (t) => {
    const folder = fresh()
    const changes = { remotePath: `${folder}/report.v1.csv`, onConflict: 'rename' } as const
    const receipts = []
    for (const text of ['one', 'two', 'three']) receipts.push(await put(await deliveryOf(t, Buffer.from(text), changes)))
    t.same(
      receipts.map((receipt) => receipt.remotePath.split('/').at(-1)),
      ['report.v1.csv', 'report.v1 (1).csv', 'report.v1 (2).csv'],
    )
    t.equal(await readFile(disk(`${folder}/report.v1.csv`), 'utf8'), 'one')
    t.equal(await readFile(disk(`${folder}/report.v1 (2).csv`), 'utf8'), 'three')
    t.equal((await namesBelow(disk(folder))).length, 3)
  })

  await t.test('skip leaves a file that is there and says so', async (t) => {
    const folder = fresh()
    await put(await deliveryOf(t, Buffer.from('first'), { remotePath: `${folder}/f` }))
    const receipt = await put(await deliveryOf(t, Buffer.from('second'), { remotePath: `${folder}/f`, onConflict: 'skip' }))
    t.equal(receipt.outcome, 'skipped')
    t.equal(await readFile(disk(`${folder}/f`), 'utf8'), 'first')
    t.same(await namesBelow(disk(folder)), ['f'])
  })

  await t.test('a leftover of a broken attempt is written over', async (t) => {
    const folder = fresh()
    const delivery = await deliveryOf(t, Buffer.from('short'), { remotePath: `${folder}/f` })
    await put({ ...delivery, tempName: 'made-the-folder.part' })
    await rm(disk(`${folder}/f`))
    const leftover = Buffer.alloc(100_000, 'x')
    await put(await deliveryOf(t, leftover, { remotePath: `${folder}/${delivery.tempName}`, tempName: 'other.part' }))
    await put(delivery)
    t.equal(await readFile(disk(`${folder}/f`), 'utf8'), 'short')
    t.same(await namesBelow(disk(folder)), ['f'])
  })

  await t.test('after an unclear end a file that is there already is found and not sent again', async (t) => {
    const folder = fresh()
    for (const onConflict of ['overwrite', 'fail', 'rename'] as const) {
      const delivery = await deliveryOf(t, Buffer.from(`the content ${onConflict}`), { remotePath: `${folder}/${onConflict}`, onConflict })
      await put(delivery)
      const before = await stat(disk(`${folder}/${onConflict}`))
      const receipt = await put({ ...delivery, attempt: 2, unclear: true })
      t.match(receipt, { outcome: 'found', verified: /hash|readback/ })
      t.equal((await stat(disk(`${folder}/${onConflict}`))).ino, before.ino, 'the very same file')
    }
    t.same(await namesBelow(disk(folder)), ['fail', 'overwrite', 'rename'])
  })

  await t.test('after an unclear end another file of the same size is not taken for it, whatever is verified', async (t) => {
    const folder = fresh()
    for (const verify of ['auto', 'size'] as const) {
      const remotePath = `${folder}/${verify}`
      await put(await deliveryOf(t, Buffer.from('AAAA'), { remotePath }))
      const next = await deliveryOf(t, Buffer.from('BBBB'), { remotePath, unclear: true })
      t.equal((await put(next, never(), other({ verify }))).outcome, 'sent')
      t.equal(await readFile(disk(remotePath), 'utf8'), 'BBBB')
    }
  })

  await t.test('readback proves the content and the receipt says so', async (t) => {
    const folder = fresh()
    const content = Buffer.alloc(3_000_001, 'read me back ')
    const receipt = await put(await deliveryOf(t, content, { remotePath: `${folder}/f` }), never(), other({ verify: 'readback' }))
    t.match(receipt, { outcome: 'sent', verified: 'readback', algorithm: 'sha256', method: 'read-back' })
    t.equal(sha256(await readFile(disk(`${folder}/f`))), sha256(content))
  })

  await t.test('content that changed in the spool never gets its final name', async (t) => {
    const folder = fresh()
    const content = Buffer.from('acknowledged content')
    const delivery = await deliveryOf(t, content, { remotePath: `${folder}/f`, sha256: sha256(Buffer.from('something else')) })
    t.match(await failureOf(put(delivery)), { code: 'spool.changed', unclear: false })
    t.same(await namesBelow(disk(folder)), [], 'neither the file nor a temporary one')
    t.match(await failureOf(put({ ...delivery, size: delivery.size + 1 })), { code: 'spool.changed' })
  })

  await t.test('content that is gone from the spool is spool.missing', async (t) => {
    const delivery = await deliveryOf(t, Buffer.from('x'), { remotePath: `${fresh()}/f` })
    await rm(Buffer.from(delivery.spool).toString())
    t.match(await failureOf(put(delivery)), { code: 'spool.missing', unclear: false })
  })

  await t.test('no name leads out of the base path', async (t) => {
    for (const remotePath of ['../out', 'a/../../out', '/out', 'a//b', 'a\r\nDELE b', '..']) {
      t.match(await failureOf(put(await deliveryOf(t, Buffer.from('x'), { remotePath }))), { code: 'path.invalid' }, remotePath)
    }
    t.match(await failureOf(put(await deliveryOf(t, Buffer.from('x'), { tempName: '../t' }))), { code: 'path.invalid' })
  })

  await t.test('a file in the place of a folder is refused, and a folder in the place of the file', async (t) => {
    const folder = fresh()
    await put(await deliveryOf(t, Buffer.from('x'), { remotePath: `${folder}/f` }))
    const below = await failureOf(put(await deliveryOf(t, Buffer.from('x'), { remotePath: `${folder}/f/g` })))
    t.match(below.code, /^remote\.(denied|failed|exists)$/)
    await put(await deliveryOf(t, Buffer.from('x'), { remotePath: `${folder}/d/g` }))
    const over = await failureOf(put(await deliveryOf(t, Buffer.from('x'), { remotePath: `${folder}/d` })))
    t.match(over.code, /^remote\.(denied|failed|exists)$/)
    t.same(await namesBelow(disk(folder)), ['d', 'd/g', 'f'])
  })

  await t.test('a cancelled delivery stops at once and leaves nothing', async (t) => {
    const folder = fresh()
    const delivery = await hugeDelivery(t, { remotePath: `${folder}/f` })
    const abort = new AbortController()
    const failing = failureOf(put(delivery, abort.signal))
    await untilThere(disk(`${folder}/${delivery.tempName}`))
    abort.abort()
    t.match(await failing, { code: 'delivery.cancelled', unclear: false })
    t.same(await namesBelow(disk(folder)), [])
    const next = await put(await deliveryOf(t, Buffer.from('after'), { remotePath: `${folder}/f` }))
    t.equal(next.outcome, 'sent', 'and the next delivery works')
  })

  await t.test('a delivery that is cancelled before it starts touches nothing', async (t) => {
    const folder = fresh()
    const delivery = await deliveryOf(t, Buffer.from('x'), { remotePath: `${folder}/f`, unclear: true })
    t.match(await failureOf(put(delivery, AbortSignal.abort())), { code: 'delivery.cancelled', unclear: true })
    t.notOk((await readdir(far.disk)).includes(folder))
  })

  await t.test('the probe tries every step and leaves nothing', async (t) => {
    const before = await namesBelow(far.disk)
    const report = await connector.probe(never())
    t.equal(report.ok, true, JSON.stringify(report.steps))
    t.same(
      report.steps.map(({ step }) => step),
      ['resolve', 'connect', 'login', 'write', 'verify', 'remove'],
    )
    t.same(await namesBelow(far.disk), before)
  })
}

/** What every connector with a host and a login promises besides. */
export async function remoteConnectorSuite(t: Test, far: FarSide): Promise<void> {
  const secret = 'wr0ng-Secret-9f3'
  const failing = async (t: Test, changes: Partial<DestinationSpec>) => {
    const { private_key: _, ...rest } = far.destination
    const connector = createConnector({ ...rest, ...changes })
    t.teardown(() => connector.close())
    const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x'), { remotePath: 'refused.txt' }), never()))
    const report = await connector.probe(never())
    t.notOk((await readdir(far.disk)).includes('refused.txt'))
    t.notMatch(`${failure.message}${JSON.stringify(report)}${String((failure.cause as Error | undefined)?.message)}`, secret)
    return { failure, report }
  }

  await t.test('a wrong password is remote.auth, and no message holds it', async (t) => {
    const { failure, report } = await failing(t, { password: secret })
    t.match(failure, { code: 'remote.auth', unclear: false })
    t.equal(report.ok, false)
    t.match(report.steps.at(-1), { step: 'login', ok: false, detail: /remote\.auth/ })
  })

  await t.test('a far side that does not listen is remote.unreachable', async (t) => {
    const { freePort } = await import('../support/far-process.ts')
    const { failure, report } = await failing(t, { port: await freePort(), password: secret })
    t.match(failure, { code: 'remote.unreachable', unclear: false })
    t.match(report.steps.at(-1), { step: 'connect', ok: false })
  })

  await t.test('an unknown host name is remote.unreachable', async (t) => {
    const { failure, report } = await failing(t, { host: 'no-such-host.invalid', password: secret })
    t.match(failure, { code: 'remote.unreachable' })
    t.match(report.steps, [{ step: 'resolve', ok: false }])
  })

  await t.test('what was unclear before stays unclear while the far side cannot be asked', async (t) => {
    const { freePort } = await import('../support/far-process.ts')
    const connector = createConnector({ ...far.destination, port: await freePort() })
    t.teardown(() => connector.close())
    const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x'), { unclear: true }), never()))
    t.match(failure, { code: 'remote.unreachable', unclear: true })
  })
}

/** 2 GiB that take no space here: no far side takes them before the test cuts in. */
export async function hugeDelivery(t: Test, changes: Partial<Delivery>): Promise<Delivery> {
  const delivery = await deliveryOf(t, Buffer.alloc(0), changes)
  const handle = await open(Buffer.from(delivery.spool), 'r+')
  await handle.truncate(2 ** 31)
  await handle.close()
  return { ...delivery, size: 2 ** 31 }
}

export async function untilThere(path: string): Promise<void> {
  for (;;) {
    const found = await stat(path).catch(() => null)
    if (found && found.size > 0) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A folder for a local destination. */
export async function localFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-local-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'base'))
  return join(folder, 'base')
}

/** A later attempt goes on with what a lost connection left; `proxy` stands before the far side and `destination` goes through it. */
export async function resumeSuite(t: Test, far: FarSide, proxy: FarProxy): Promise<void> {
  const connector = createConnector(far.destination)
  t.teardown(() => connector.close())
  const content = randomBytes(24 * 2 ** 20)
  const cut = async (delivery: Delivery): Promise<string> => {
    proxy.cutAfter(proxy.sent + 16 * 2 ** 20)
    t.match(await failureOf(connector.put(delivery, never())), { code: 'remote.lost', unclear: false })
    const temp = join(far.disk, delivery.tempName)
    // the far side writes what it has received after the line broke
    await until('what it received is there', async () => (await stat(temp)).size > 8 * 2 ** 20)
    t.same(await namesBelow(far.disk), [delivery.tempName], 'nothing has the final name')
    return temp
  }

  await t.test('what was sent before the connection was lost is not sent again', async (t) => {
    const delivery = await deliveryOf(t, content, { mtimeMs: Date.UTC(2024, 1, 29, 12, 30, 15) })
    await cut(delivery)
    const before = proxy.sent
    t.match(await connector.put({ ...delivery, attempt: 2 }, never()), { outcome: 'sent', size: content.length })
    t.ok(proxy.sent - before < 18 * 2 ** 20, `${proxy.sent - before} bytes of ${content.length}`)
    t.equal(sha256(await readFile(join(far.disk, 'file.txt'))), delivery.sha256)
    await rm(join(far.disk, 'file.txt'))
  })

  await t.test('a temporary file that is longer than the content is written anew', async (t) => {
    const delivery = await deliveryOf(t, content)
    const temp = await cut(delivery)
    await truncate(temp, content.length + 1)
    t.match(await connector.put({ ...delivery, attempt: 2 }, never()), { outcome: 'sent' })
    t.equal(sha256(await readFile(join(far.disk, 'file.txt'))), delivery.sha256)
    await rm(join(far.disk, 'file.txt'))
  })
}
