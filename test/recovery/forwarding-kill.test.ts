// The whole way under load, with the power switch: SFTP and FTPS clients send, the gateway is killed, the far server comes and goes.
// Must not wait by the clock: kills come after a number of acknowledged files, the end is when nothing is owed any more.
import { createHash, randomInt } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { curlUpload, sftp } from '../support/clients.ts'
import { startFarProcess } from '../support/far-process.ts'
import { startFarSshd } from '../support/far-sshd.ts'
import { startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct horse battery staple'
const ROUNDS = 3
const CLIENTS = 4
const FILES = 5

/** Each name has a content of its own; some are empty, some longer than any buffer on the way. */
function contentOf(name: string): Buffer {
  const seed = createHash('sha256').update(name).digest()
  const size = seed[0]! < 16 ? 0 : seed.readUInt16LE(1) * (seed[3]! < 64 ? 20 : 1)
  return Buffer.alloc(size, seed)
}

test('each acknowledged file arrives once and whole, whoever is killed meanwhile, and nothing half done is left at the far end', {
  timeout: 800_000,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-kill-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const far = await startFarSshd(t)
  let sshd = far.process
  const farGoes = () => sshd.stop()
  const farComes = async () => {
    sshd = await startFarProcess('/usr/sbin/sshd', ['-D', '-e', '-f', join(far.root, '..', 'config')], far.port)
    t.teardown(sshd.stop)
  }
  const env = { FILEFLOW_FORWARDING_RETRY_FIRST_DELAY: '100ms', FILEFLOW_FORWARDING_RETRY_MAX_DELAY: '500ms' }
  const acknowledged = new Set<string>()
  const tried = new Set<string>()
  let gateway: TestGateway | undefined

  for (let round = 0; round < ROUNDS; round++) {
    gateway = await startGateway(t, { folder, env })
    const here = gateway
    if (round === 0)
      await here.apply({
        users: [{ username: 'customer1', password: PASSWORD }],
        destinations: [
          {
            name: 'hq',
            type: 'sftp',
            host: far.host,
            port: far.port,
            username: far.username,
            private_key: far.privateKey,
            host_keys: [far.fingerprint],
            base_path: far.root,
          },
        ],
        rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'hq', path: '/{filename}' }] }],
      })
    const enough = acknowledged.size + randomInt(2, (CLIENTS * FILES) / 2)
    let killed = false
    const client = async (number: number): Promise<void> => {
      for (let i = 0; i < FILES && !killed; i++) {
        const name = `r${round}-c${number}-${i}.dat`
        const file = join(folder, name)
        await writeFile(file, contentOf(name))
        tried.add(name)
        const { code } =
          number % 2 === 0
            ? await sftp(here, 'customer1', PASSWORD, [`put ${file} /${name}`])
            : await curlUpload(here, 'customer1', PASSWORD, file, name)
        if (code === 0) acknowledged.add(name)
        // the far server goes and comes while files are under way, the gateway is killed in the middle of it all
        if (number === 0 && i === 0) await farGoes()
        if (number === 0 && i === 2) await farComes()
        if (acknowledged.size >= enough && !killed) {
          killed = true
          here.kill('SIGKILL')
        }
      }
      if (number === 0) {
        await farGoes()
        await farComes()
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)))
    here.kill('SIGKILL')
    t.equal(await here.ended, 'SIGKILL')
  }

  gateway = await startGateway(t, { folder, env })
  t.ok(acknowledged.size >= ROUNDS * 2, `${acknowledged.size} of ${tried.size} files were acknowledged`)
  await until(
    'nothing is owed',
    async () => {
      const all = await gateway!.deliveries()
      return all.length >= acknowledged.size && all.every(({ state }) => state === 'delivered')
    },
    120_000,
  )
  const arrived = await readdir(far.root)
  t.same(
    arrived.filter((name) => !tried.has(name)),
    [],
    'nothing but finished files under their names',
  )
  for (const name of acknowledged) t.ok(arrived.includes(name), `${name} arrived`)
  for (const name of arrived) t.ok((await readFile(join(far.root, name))).equals(contentOf(name)), `${name} is whole`)
  const deliveries = await gateway.deliveries()
  t.equal(new Set(deliveries.map(({ path }) => path)).size, deliveries.length, 'one delivery a file')
  await gateway.stop()
})
