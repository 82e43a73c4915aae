// kill -9 in the middle of many small uploads, at no chosen point: what was acknowledged is whole, on record and delivered once; nothing else is half there.
// Must not choose the moment: the kill falls where the client happens to be.
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { TransferView } from '../../src/core/movement-views.ts'
import type { Page } from '../../src/core/views.ts'
import { connect, RawSftp, statusOf, str, u32, u64 } from '../listeners/sftp/raw-client.ts'
import { startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const [WRITE, CREAT, TRUNC] = [2, 8, 16]
const contentOf = (name: string): string => `content of ${name}`

/** Sends small files until the connection breaks. @returns the names whose CLOSE was answered with OK, as they come */
async function sender(t: Test, gateway: TestGateway, prefix: string): Promise<string[]> {
  const client = await connect(gateway.ports.sftp, { password: PASSWORD })
  t.teardown(() => client.destroy())
  const raw = await RawSftp.open(client)
  const acknowledged: string[] = []
  void (async () => {
    for (let i = 0; ; i++) {
      const name = `${prefix}-${i}`
      const { type, body } = await raw.ask(3, str(`/${name}`), u32(WRITE | CREAT | TRUNC), u32(0))
      if (type !== 102) return
      raw.send(6, body, u64(0), str(contentOf(name)))
      raw.send(4, body)
      if (statusOf(await raw.next()) !== 0 || statusOf(await raw.next()) !== 0) return
      acknowledged.push(name)
    }
  })()
  return acknowledged
}

async function allUploads(gateway: TestGateway): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (let cursor = ''; ; ) {
    const page = await gateway.api<Page<TransferView>>('GET', `/transfers?limit=500&direction=upload${cursor}`)
    for (const { path, state } of page.items) found.set(path.slice(1), [...(found.get(path.slice(1)) ?? []), state])
    if (page.next === null) return found
    cursor = `&cursor=${encodeURIComponent(page.next)}`
  }
}

for (const durability of ['power', 'process']) {
  test(`killed in the middle of small uploads (${durability}): all that was acknowledged is whole, on record, and delivered once`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'fileflow-kill-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const inbox = join(folder, 'inbox')
    await mkdir(inbox)
    const env = { FILEFLOW_UPLOADS_DURABILITY: durability, FILEFLOW_FTP_ENABLED: 'false' }
    const first = await startGateway(t, { folder, env })
    await first.apply({
      users: [{ username: 'partner', password: PASSWORD }],
      destinations: [{ name: 'inbox', type: 'local', base_path: inbox }],
      rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'inbox' }] }],
    })
    const senders = await Promise.all(['a', 'b', 'c'].map((prefix) => sender(t, first, prefix)))
    await until('many are acknowledged', () => senders.every((names) => names.length > 60))
    first.kill('SIGKILL')
    await first.ended

    const second = await startGateway(t, { folder, env })
    const acknowledged = senders.flat()
    const uploads = await allUploads(second)
    for (const name of acknowledged) {
      const content = await readFile(join(second.files, 'partner', name), 'utf8').catch(() => null)
      if (content !== contentOf(name)) t.fail(`${name} was acknowledged and is ${content === null ? 'gone' : 'not whole'}`)
      if (uploads.get(name)?.join() !== 'completed') t.fail(`${name} was acknowledged; its record says ${uploads.get(name)}`)
    }
    const there = await readdir(join(second.files, 'partner'))
    t.ok(there.length >= acknowledged.length)
    for (const name of there) t.equal(await readFile(join(second.files, 'partner', name), 'utf8'), contentOf(name))
    t.same(
      [...uploads]
        .filter(([, states]) => states.includes('completed'))
        .map(([name]) => name)
        .sort(),
      there.sort(),
      'records and folder agree',
    )
    await until('all are delivered', async () => (await readdir(inbox)).filter((name) => !name.startsWith('.')).length === there.length)
    await until(
      'nothing is left to deliver',
      async () => (await second.deliveries('&state=pending')).length === 0 && (await second.deliveries('&state=running')).length === 0,
    )
    t.same((await readdir(inbox)).sort(), there.sort())
    t.same(await readdir(join(folder, 'data', 'staging')), [])
    t.match(await second.api('GET', '/audit/verify'), { ok: true })
    await second.stop()
    t.same(await readdir(join(folder, 'data', 'journal')), [], 'after an orderly stop no journal is left')
  })
}
