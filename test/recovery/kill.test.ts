// kill -9 at every named point of a file's way: what was acknowledged is there and is delivered once, what was not is never half visible.
// Must not simulate: the process really dies, and a new one really starts on what it left.
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import type { TestPoint } from '../../src/core/test-point.ts'
import { curlUpload, sftp } from '../support/clients.ts'
import { type TestGateway, until } from '../support/gateway.ts'
import { killed } from '../support/killed.ts'

const PASSWORD = 'correct-horse-battery'
const SIZE = 700_000

/** Where a kill leaves the upload: not there yet, or committed and so rolled forward. */
const POINTS: readonly (readonly [point: TestPoint, left: 'open' | 'committed', by: readonly ('sftp' | 'ftp')[]])[] = [
  ['upload.begun', 'open', ['sftp']],
  ['upload.written', 'open', ['sftp', 'ftp']],
  ['upload.whole', 'open', ['sftp', 'ftp']],
  ['upload.committed', 'committed', ['sftp', 'ftp']],
  ['upload.spooled', 'committed', ['sftp']],
  ['upload.renamed', 'committed', ['sftp', 'ftp']],
  ['upload.published', 'committed', ['sftp']],
  ['delivery.started', 'committed', ['sftp']],
  ['delivery.sent', 'committed', ['sftp']],
  ['delivery.settled', 'committed', ['sftp']],
]

const { folder, start, arm } = await killed(root, { FILEFLOW_THREADS_SFTP: '1' })
let running = await start()

interface Stage {
  /** The user, and its home. */
  readonly name: string
  readonly inbox: string
  readonly local: string
  readonly content: Buffer
}

let stages = 0

/** Users, a folder and a destination that no other test has. */
async function stage(): Promise<Stage> {
  const name = `partner${++stages}`
  const at = { name, inbox: join(folder, `inbox-${name}`), local: join(folder, `${name}.bin`), content: randomBytes(SIZE) }
  await mkdir(at.inbox)
  await writeFile(at.local, at.content)
  await running.apply({
    users: [
      { username: name, password: PASSWORD, home: name },
      { username: `other-${name}`, password: PASSWORD, home: name },
    ],
    destinations: [{ name, type: 'local', base_path: at.inbox }],
    rules: [{ name, source: { path: '/**', users: [name] }, deliver: [{ to: name }] }],
  })
  return at
}

async function theFileIsWholeAndDeliveredOnce(t: Test, gateway: TestGateway, { name, inbox, content }: Stage): Promise<void> {
  const deliveries = await until('the delivery', async () => {
    const all = await gateway.deliveries(`&rule=${name}`)
    return all.length > 0 && all.every((d) => d.state === 'delivered') && all
  })
  t.equal(deliveries.length, 1, 'one delivery, no more')
  t.equal(deliveries[0]!.receipt?.sha256, createHash('sha256').update(content).digest('hex'))
  t.ok((await readFile(join(gateway.files, name, 'report.bin'))).equals(content), 'the file is whole under its name')
  t.same(await readdir(inbox), ['report.bin'], 'the destination holds it and nothing temporary')
  t.ok((await readFile(join(inbox, 'report.bin'))).equals(content), 'the destination has every byte')
  t.same(await readdir(join(folder, 'data', 'staging')), [], 'nothing is left staged')
  await until('the spool is empty', async () => (await readdir(join(folder, 'data', 'spool'))).length === 0)
  t.match(await gateway.api('GET', '/audit/verify'), { ok: true })
}

for (const [point, left, protocols] of POINTS) {
  for (const protocol of protocols) {
    test(`killed at ${point} of an upload by ${protocol}: ${left === 'open' ? 'nothing half is visible, and the partner can go on' : 'the file is whole and delivered once'}`, async (t) => {
      const first = running
      const at = await stage()
      await arm(point)
      const upload = (gateway: TestGateway, verb: 'put' | 'resume') =>
        protocol === 'sftp'
          ? sftp(gateway, at.name, PASSWORD, [`${verb === 'put' ? 'put' : 'reput'} ${at.local} report.bin`])
          : curlUpload(gateway, at.name, PASSWORD, at.local, 'report.bin', verb === 'resume')
      const result = await upload(first, 'put')
      t.equal(await first.ended, 'SIGKILL', 'the process died at that point')
      if (result.code === 0) t.equal(left, 'committed', 'only a committed upload may have been acknowledged')
      const final = join(first.files, at.name, 'report.bin')
      if (existsSync(final)) t.ok((await readFile(final)).equals(at.content), 'what stands under the name is whole')

      const second = await start()
      running = second
      if (left === 'open') {
        t.notOk(existsSync(final), 'the name is still free')
        t.same(await second.deliveries(`&rule=${at.name}`), [], 'no rule has fired')
        t.same(await readdir(at.inbox), [])
        const states = (await second.transfers(`&user=${at.name}`)).map((transfer) => transfer.state)
        // a transfer that has just begun has told nobody yet, and has nothing to lose
        t.same(states, point === 'upload.begun' ? [] : ['aborted'])
        const seenByOther = await sftp(second, `other-${at.name}`, PASSWORD, ['ls'])
        t.notMatch(seenByOther.stdout, /report\.bin/, 'another user of the same folder sees nothing of it')
        const again = await upload(second, point === 'upload.begun' ? 'put' : 'resume')
        t.equal(again.code, 0, again.stderr)
      }
      await theFileIsWholeAndDeliveredOnce(t, second, at)
      t.same(
        await second.api('GET', '/sessions').then((page) => (page as { items: unknown[] }).items.length),
        0,
        'no session of the dead process lives on',
      )
    })
  }
}

for (const point of ['rename.committed', 'rename.spooled', 'rename.renamed'] as const) {
  test(`killed at ${point}: a temporary name put into place is forwarded once, under its final name`, async (t) => {
    const first = running
    const at = await stage()
    await arm(point)
    await sftp(first, at.name, PASSWORD, [`put ${at.local} report.bin.filepart`, 'rename report.bin.filepart report.bin'])
    t.equal(await first.ended, 'SIGKILL')
    const second = await start()
    running = second
    if (!existsSync(join(second.files, at.name, 'report.bin'))) {
      t.same(await second.deliveries(`&rule=${at.name}`), [], 'nothing is owed for a rename that did not happen')
      const again = await sftp(second, at.name, PASSWORD, ['rename report.bin.filepart report.bin'])
      t.equal(again.code, 0, again.stderr)
    }
    await theFileIsWholeAndDeliveredOnce(t, second, at)
  })
}
