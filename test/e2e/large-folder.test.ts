// A folder of 100,000 names: it is listed whole, in bounded memory, and whoever shares the thread is served meanwhile.
// Must not measure time: what is counted is answers that others get before the listing ends.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type ClientChannel } from 'ssh2'
import { t as root, type Test, test } from 'tap'
import { RawSftp, str, u32 } from '../listeners/sftp/raw-client.ts'
import { MiB, PASSWORD, resident } from '../support/abuse.ts'
import { sftp } from '../support/clients.ts'
import { startGateway } from '../support/gateway.ts'

const NAMES = 100_000

/** So many files are made quickly in memory. */
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'fileflow-test-'))
root.teardown(() => rmSync(folder, { recursive: true, force: true }))
/** One for both tests. */
const gateway = await startGateway(root, { folder, env: { FILEFLOW_THREADS_SFTP: '1' } })

/** A user whose folder `many` holds that many names. */
async function userWith(username: string, names: number): Promise<void> {
  await gateway.apply({ users: [{ username, password: PASSWORD }] })
  const many = join(gateway.files, username, 'many')
  execFileSync('sh', ['-c', 'mkdir "$0" && cd "$0" && seq -f "name-%.0f" 0 "$(($1 - 1))" | xargs touch', many, String(names)])
}

async function session(t: Test, username: string): Promise<RawSftp> {
  const client = new Client()
  t.teardown(() => client.destroy())
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    client
      .on('error', reject)
      .on('ready', () => client.subsys('sftp', (error, made) => (error ? reject(error) : resolve(made))))
      .connect({ host: '127.0.0.1', port: gateway.ports.sftp, username, password: PASSWORD })
  })
  const raw = new RawSftp(channel)
  raw.packet(1, u32(3))
  await raw.next()
  return raw
}

test('a folder of 100,000 names is listed whole, in bounded memory, and another session of the same thread is served meanwhile', {
  timeout: 800_000,
}, async (t) => {
  await userWith('partner', NAMES)
  const lister = await session(t, 'partner')
  const other = await session(t, 'partner')
  const before = resident(gateway)

  let listing = true
  let answers = 0
  const others = (async () => {
    while (listing) {
      const { type } = await other.ask(17, str('/'))
      if (type !== 105) t.fail(`answered with ${type}`)
      if (listing) answers++
    }
  })()
  const { body: handle } = await lister.ask(11, str('/many'))
  const names = new Set<string>()
  let peak = 0
  for (;;) {
    const reply = await lister.ask(12, handle)
    if (reply.type === 101) {
      t.equal(reply.body.readUInt32BE(0), 1, 'it ends with EOF')
      break
    }
    peak = Math.max(peak, resident(gateway))
    const count = reply.body.readUInt32BE(0)
    for (let i = 0, at = 4; i < count; i++) {
      const length = reply.body.readUInt32BE(at)
      names.add(reply.body.toString('utf8', at + 4, at + 4 + length))
      at += 4 + length
      at += 4 + reply.body.readUInt32BE(at)
      // flags, size, owner and group, mode, two times
      at += 4 + 8 + 8 + 4 + 8
    }
  }
  listing = false
  await others
  t.equal([...names].filter((name) => /^name-\d+$/.test(name)).length, NAMES, 'each name, once')
  t.ok(peak - before < 150 * MiB, `the process grew by ${Math.round((peak - before) / MiB)} MiB`)
  t.ok(answers > 100, `another session got ${answers} answers before the listing ended`)

  const ls = await sftp(gateway, 'partner', PASSWORD, ['ls -1 many'])
  t.equal(ls.stdout.split('\n').filter((line) => line.startsWith('many/name-')).length, NAMES, 'OpenSSH lists it whole, too')
})

test('a client that opens the folder many times and reads no names is held, not served without end', { timeout: 800_000 }, async (t) => {
  await userWith('greedy', 20_000)
  const greedy = await session(t, 'greedy')
  const handles: Buffer[] = []
  for (let i = 0; i < 50; i++) handles.push((await greedy.ask(11, str('/many'))).body)
  const before = resident(gateway)
  greedy.channel.pause()
  for (let i = 0; i < 200; i++) for (const handle of handles) greedy.send(12, handle)
  const honest = await session(t, 'greedy')
  let peak = 0
  for (let i = 0; i < 300; i++) {
    t.equal((await honest.ask(17, str('/'))).type, 105)
    peak = Math.max(peak, resident(gateway))
  }
  t.ok(peak - before < 150 * MiB, `the process grew by ${Math.round((peak - before) / MiB)} MiB`)
})
