// Full disks, the far end's and our own: a clear error, nothing lost, and all goes on by itself when there is room.
// Must not pretend a full disk: each is a small real one.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { curlUpload, sftp } from '../support/clients.ts'
import { startFarProxy } from '../support/far-proxy.ts'
import { startFarSshd } from '../support/far-sshd.ts'
import { startFarVsftpd } from '../support/far-vsftpd.ts'
import { startGateway, until } from '../support/gateway.ts'
import { MAY_NOT_MOUNT, mountSmallDisk } from '../support/small-disk.ts'

const PASSWORD = 'correct-horse-battery'
const OFTEN = { FILEFLOW_FORWARDING_RETRY_FIRST_DELAY: '200ms', FILEFLOW_FORWARDING_RETRY_MAX_DELAY: '500ms' }

async function localFile(t: Test, bytes: number) {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-full-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const content = randomBytes(bytes)
  await writeFile(join(folder, 'report.bin'), content)
  return { folder, content, local: join(folder, 'report.bin') }
}

test('a full disk at the far end, by sftp and by ftp: the delivery says so and waits, and is made once there is room', async (t) => {
  const { content, local } = await localFile(t, 700_000)
  const sshd = await startFarSshd(t)
  const vsftpd = await startFarVsftpd({ t })
  const places = [join(sshd.root, 'in'), join(vsftpd.root, 'in')]
  const disks = []
  for (const place of places) {
    await mkdir(place)
    const disk = mountSmallDisk(t, place, 1)
    if (!disk) return t.comment(`skipped: ${MAY_NOT_MOUNT}`)
    // room for a part of it
    await writeFile(join(place, '.ballast'), Buffer.alloc(600_000))
    disks.push(disk)
  }
  const gateway = await startGateway(t, { env: OFTEN })
  const { host } = sshd
  await gateway.apply({
    users: [{ username: 'customer1', password: PASSWORD }],
    destinations: [
      {
        ...{ name: 'by-sftp', type: 'sftp', host, port: sshd.port, username: sshd.username, private_key: sshd.privateKey },
        ...{ host_keys: [sshd.fingerprint], base_path: places[0]! },
      },
      { name: 'by-ftp', type: 'ftp', host, port: vsftpd.port, username: vsftpd.username, password: vsftpd.password, base_path: '/in' },
    ],
    rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'by-sftp' }, { to: 'by-ftp' }] }],
  })
  t.equal((await sftp(gateway, 'customer1', PASSWORD, [`put ${local}`])).code, 0)
  const failed = await until('both to find no room', async () => {
    const all = await gateway.deliveries()
    return all.length === 2 && all.every((d) => d.error?.code === 'remote.full' && d.state !== 'running') && all
  })
  for (const { error, state } of failed) t.match({ error, state }, { error: { message: /\S/ }, state: /pending|retrying/ })
  for (const place of places) t.notOk(existsSync(join(place, 'report.bin')), 'nothing half has the final name')
  for (const disk of disks) disk.free()
  const delivered = await until('both deliveries', async () => {
    const all = await gateway.deliveries('&state=delivered')
    return all.length === 2 && all
  })
  t.equal(delivered.length, 2)
  for (const place of places) {
    t.same(await readdir(place), ['report.bin'], 'and nothing temporary')
    t.ok((await readFile(join(place, 'report.bin'))).equals(content))
  }
  await gateway.stop()
})

test('a full disk of our own: an upload is refused and says why, what was acknowledged is delivered once, and uploads go on when there is room', async (t) => {
  const { folder, content, local } = await localFile(t, 1_500_000)
  const data = join(folder, 'data')
  await mkdir(data)
  const disk = mountSmallDisk(t, data, 24)
  if (!disk) return t.comment(`skipped: ${MAY_NOT_MOUNT}`)
  const far = await startFarSshd(t)
  const proxy = await startFarProxy(t, far.port)
  proxy.down = true
  const gateway = await startGateway(t, { folder, env: OFTEN })
  await gateway.apply({
    users: [{ username: 'customer1', password: PASSWORD }],
    destinations: [
      {
        ...{ name: 'hq', type: 'sftp', host: far.host, port: proxy.port, username: far.username, private_key: far.privateKey },
        ...{ host_keys: [far.fingerprint], base_path: far.root },
      },
    ],
    rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'hq', path: '/{path}', on_conflict: 'rename' }] }],
  })
  t.equal((await sftp(gateway, 'customer1', PASSWORD, [`put ${local} before.bin`])).code, 0)
  await until('a first attempt in vain', async () => (await gateway.deliveries())[0]?.error?.code === 'remote.unreachable')

  // the journal has room, the files have not
  disk.fill(700_000)
  const bySftp = await sftp(gateway, 'customer1', PASSWORD, [`put ${local} by-sftp.bin`])
  t.not(bySftp.code, 0)
  // what came of it is kept for resuming, and takes that room
  disk.free()
  disk.fill(700_000)
  const byFtp = await curlUpload(gateway, 'customer1', PASSWORD, local, 'by-ftp.bin')
  t.not(byFtp.code, 0)
  t.match(byFtp.stderr, /disk full|452/i, 'ftp is told why')
  // nobody waits for the end of what failed to be written down, and a disk with no room left delays it: the partial file may have taken all
  disk.free()
  const refused = await until('both transfers ended', async () => {
    const ended = await gateway.transfers('&state=aborted')
    return ended.length === 2 && ended.map(({ path, error }) => `${path} ${error?.code}`)
  })
  t.same(refused.sort(), ['/by-ftp.bin disk.full', '/by-sftp.bin disk.full'], 'and so is the operator, of each')
  for (const name of ['by-sftp.bin', 'by-ftp.bin']) t.notOk(existsSync(join(gateway.files, 'customer1', name)), `${name} has not its name`)
  disk.fill()
  t.equal((await gateway.deliveries()).length, 1, 'the gateway answers, and owes what it owed')
  // the far end comes back while nothing can be written down here
  proxy.down = false
  t.ok((await readFile(join(gateway.files, 'customer1', 'before.bin'))).equals(content))
  disk.free()
  for (const name of ['by-sftp.bin', 'by-ftp.bin']) {
    const again = await sftp(gateway, 'customer1', PASSWORD, [`put ${local} ${name}`])
    t.equal(again.code, 0, again.stderr)
  }
  await until('all three deliveries', async () => (await gateway.deliveries('&state=delivered')).length === 3)
  t.same((await readdir(far.root)).sort(), ['before.bin', 'by-ftp.bin', 'by-sftp.bin'], 'each once, and nothing temporary')
  for (const name of await readdir(far.root)) t.ok((await readFile(join(far.root, name))).equals(content), name)
  t.match(await gateway.api('GET', '/audit/verify'), { ok: true })
  t.equal(await Promise.race([gateway.ended, 'alive']), 'alive', 'the process lived through it')
  await gateway.stop()
})
