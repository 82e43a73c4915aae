// The main job with real programs at both ends: lftp and sftp upload, OpenSSH's sshd and vsftpd receive.
// Must not look anywhere but at the far end's disk, the partner's folder and the API.
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { lftp, sftp } from '../support/clients.ts'
import { startFarSshd } from '../support/far-sshd.ts'
import { startFarVsftpd } from '../support/far-vsftpd.ts'
import { startGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

test('a file uploaded by lftp or sftp arrives byte for byte at a real sshd and a real vsftpd, whatever its name, and has a receipt for each', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-e2e-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const sshd = await startFarSshd(t)
  const vsftpd = await startFarVsftpd({ t, tls: 'explicit' })
  await mkdir(join(sshd.root, 'in'))
  const gateway = await startGateway(t)
  await gateway.apply({
    users: [
      { username: 'customer1', password: PASSWORD, partner: 'Customer One', directories: ['/filescma'] },
      { username: 'customer2', password: PASSWORD },
    ],
    destinations: [
      {
        name: 'hq',
        type: 'sftp',
        host: sshd.host,
        port: sshd.port,
        username: sshd.username,
        private_key: sshd.privateKey,
        host_keys: [sshd.fingerprint],
        base_path: join(sshd.root, 'in'),
      },
      {
        name: 'archive',
        type: 'ftps',
        host: vsftpd.host,
        port: vsftpd.port,
        username: vsftpd.username,
        password: vsftpd.password,
        tls: { ca: vsftpd.certificate },
      },
    ],
    rules: [
      {
        name: 'all',
        source: { users: ['customer1', 'customer2'], path: '/**' },
        deliver: [
          { to: 'hq', path: '/{user}/{path}' },
          { to: 'archive', path: '/{user}-{path}' },
        ],
      },
    ],
  })
  const files: Record<string, Buffer> = {
    'plain.txt': Buffer.from('hello\n'),
    'with spaces and more.csv': randomBytes(70_000),
    'Übergrößen – Kopie.xml': randomBytes(1234),
    'empty.dat': Buffer.alloc(0),
    'large.bin': randomBytes(9_000_001),
  }
  const local = join(folder, 'out')
  await mkdir(local)
  for (const [name, content] of Object.entries(files)) await writeFile(join(local, name), content)

  const viaFtp = await lftp(gateway, 'customer1', PASSWORD, [`lcd ${local}`, 'cd /', 'mput *'])
  t.equal(viaFtp.code, 0, viaFtp.stderr)
  const viaSftp = await sftp(gateway, 'customer2', PASSWORD, [`lcd ${local}`, ...Object.keys(files).map((name) => `put "${name}"`)])
  t.equal(viaSftp.code, 0, viaSftp.stderr)

  const expected = Object.keys(files).length * 4
  const delivered = await until('all deliveries', async () => {
    const all = await gateway.deliveries('&state=delivered')
    return all.length === expected && all
  })
  for (const user of ['customer1', 'customer2']) {
    t.same((await readdir(join(sshd.root, 'in', user))).sort(), Object.keys(files).sort(), 'nothing temporary is left at the sshd')
    for (const [name, content] of Object.entries(files)) {
      t.ok((await readFile(join(gateway.files, user, name))).equals(content), `${user}: ${name} is in the partner's folder`)
      t.ok((await readFile(join(sshd.root, 'in', user, name))).equals(content), `${user}: ${name} is at the sshd`)
      t.ok((await readFile(join(vsftpd.root, `${user}-${name}`))).equals(content), `${user}: ${name} is at the vsftpd`)
    }
  }
  t.equal((await readdir(vsftpd.root)).length, Object.keys(files).length * 2, 'nothing temporary is left at the vsftpd')
  for (const delivery of delivered) {
    const content = files[delivery.path.slice(1)]!
    t.match(delivery.receipt, { size: content.length, sha256: createHash('sha256').update(content).digest('hex'), outcome: 'sent' })
  }
  const detail = await gateway.transfer(delivered[0]!.transfer)
  const events = detail.timeline.map((event) => event.event)
  for (const event of [
    'session.opened',
    'transfer.started',
    'transfer.committed',
    'transfer.completed',
    'rule.matched',
    'delivery.attempt',
    'delivery.delivered',
  ]) {
    t.ok(events.includes(event), `the timeline tells of ${event}`)
  }
  t.match(await gateway.api('GET', '/audit/verify'), { ok: true })
  const { token } = await gateway.api<{ token: string }>('POST', '/tokens', { name: 'metrics', role: 'auditor' })
  const metrics = await fetch(`http://127.0.0.1:${gateway.ports.admin}/metrics`, { headers: { authorization: `Bearer ${token}` } })
  const figures = await metrics.text()
  for (const [destination, count] of Object.entries({ hq: expected / 2, archive: expected / 2 }))
    t.match(figures, new RegExp(`^fileflow_deliveries_total{destination="${destination}",outcome="delivered"} ${count}$`, 'm'), 'counted')
  const spooled = await until('the spool is empty', async () => (await readdir(join(gateway.folder, 'data', 'spool'))).length === 0)
  t.ok(spooled)
})

test('a destination that is away gets the file when it is back, and an operator sees why it waits', async (t) => {
  const gateway = await startGateway(t, { env: { FILEFLOW_FORWARDING_RETRY_FIRST_DELAY: '1s' } })
  const sshd = await startFarSshd(t)
  await gateway.apply({
    users: [{ username: 'customer1', password: PASSWORD }],
    destinations: [
      {
        name: 'hq',
        type: 'sftp',
        host: '127.0.0.1',
        port: 1,
        username: 'x',
        private_key: sshd.privateKey,
        host_keys: [sshd.fingerprint],
        base_path: sshd.root,
      },
    ],
    rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'hq' }] }],
  })
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-e2e-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'order.txt'), 'order 4711\n')
  const put = await sftp(gateway, 'customer1', PASSWORD, [`put ${join(folder, 'order.txt')}`])
  t.equal(put.code, 0, put.stderr)
  const waiting = await until('a failed attempt', async () => (await gateway.deliveries('&state=retrying'))[0])
  t.equal(waiting.error?.code, 'remote.unreachable')
  t.ok(waiting.next_at, 'the next attempt has its time')
  await gateway.api('PATCH', '/destinations/hq', { port: sshd.port, username: sshd.username })
  await until('the delivery, without anyone asking for it', async () => (await gateway.deliveries('&state=delivered'))[0])
  t.equal(await readFile(join(sshd.root, 'order.txt'), 'utf8'), 'order 4711\n')

  await t.test('one that shows another host key than the one on record gets nothing, and an operator is told of both keys', async (t) => {
    const old = `SHA256:${'A'.repeat(43)}`
    await gateway.api('PATCH', '/destinations/hq', {
      host_keys: [old, `SHA256:${'B'.repeat(43)}`, `SHA256:${'C'.repeat(43)}`, `SHA256:${'D'.repeat(43)}`],
    })
    await writeFile(join(folder, 'next.txt'), 'next')
    for (const name of ['next.txt', 'after.txt'])
      t.equal((await sftp(gateway, 'customer1', PASSWORD, [`put ${join(folder, 'next.txt')} ${name}`])).code, 0)
    const dead = await until('one is dead', async () => (await gateway.deliveries('&state=dead'))[0])
    t.match(dead, { attempts: 1, next_at: null, error: { code: 'remote.host_key' } })
    const tellsBoth = (said: unknown, where: string): void => {
      for (const key of [old, sshd.fingerprint]) t.ok(String(said).includes(key), `${where} names ${key}`)
    }
    tellsBoth(dead.error?.message, 'the delivery')
    const [health] = (
      await gateway.api<{ destinations: { state: string; breaker: { state: string; error: { code: string; message: string } } }[] }>(
        'GET',
        '/stats',
      )
    ).destinations
    // it is asked again and again
    t.match(health, { state: 'failing', breaker: { state: /^(open|probing)$/, error: { code: 'remote.host_key' } } })
    tellsBoth(health!.breaker.error.message, 'the state of the destination')
    const { items } = await gateway.api<{ items: { object: string; outcome: string; detail: { code: string; error: string } }[] }>(
      'GET',
      '/audit?action=destination.failing',
    )
    const alarm = items.find(({ detail }) => detail.code === 'remote.host_key')
    t.match(alarm, { object: 'hq', outcome: 'failed' })
    tellsBoth(alarm?.detail.error, 'the audit log')
    tellsBoth(gateway.log.findLast(({ event }) => event === 'destination.failing')?.msg, 'the log')
    t.same(await readdir(sshd.root), ['order.txt'])
    t.equal((await gateway.deliveries('&state=dead')).length, 1, 'the other one waits for the operator')

    await gateway.api('PATCH', '/destinations/hq', { host_keys: [sshd.fingerprint] })
    t.match(await gateway.api('POST', '/deliveries/retry', { destination: 'hq' }), { retried: 1 })
    await until('both', async () => (await gateway.deliveries('&state=delivered')).length === 3)
    t.same((await readdir(sshd.root)).sort(), ['after.txt', 'next.txt', 'order.txt'])
  })

  await t.test(
    'a file that is overwritten while it waits goes out as it was and as it is, in that order; what is downloaded does not',
    async (t) => {
      await gateway.api('POST', '/destinations/hq/disable')
      await gateway.api('PATCH', '/rules/all', { deliver: [{ to: 'hq', path: '/{counter:6}-{filename}' }] })
      for (const content of ['as it was', 'as it is now']) {
        await writeFile(join(folder, 'same.txt'), content)
        const twice = [`put ${join(folder, 'same.txt')}`, `get same.txt ${join(folder, 'back.txt')}`]
        t.equal((await sftp(gateway, 'customer1', PASSWORD, twice)).code, 0)
      }
      t.equal((await lftp(gateway, 'customer1', PASSWORD, [`get same.txt -o ${join(folder, 'again.txt')}`])).code, 0)
      t.equal(await readFile(join(folder, 'again.txt'), 'utf8'), 'as it is now')
      await gateway.api('POST', '/destinations/hq/enable')
      const sent = await until('both', async () => {
        const found = await gateway.deliveries('&q=same.txt')
        return found.length > 0 && found.every(({ state }) => state === 'delivered') && found
      })
      t.equal(sent.length, 2)
      const names = (await readdir(sshd.root)).filter((name) => name.endsWith('-same.txt')).sort()
      t.same(await Promise.all(names.map((name) => readFile(join(sshd.root, name), 'utf8'))), ['as it was', 'as it is now'])
      t.equal((await gateway.deliveries()).length, 5, 'nothing else was sent')
    },
  )
})

test('a wrong password at the destination is dead at once, keeps the content, and goes out after the operator mends it', async (t) => {
  const gateway = await startGateway(t)
  const vsftpd = await startFarVsftpd({ t })
  await gateway.apply({
    users: [{ username: 'customer1', password: PASSWORD }],
    destinations: [
      { name: 'hq', type: 'ftp', host: vsftpd.host, port: vsftpd.port, username: vsftpd.username, password: 'wrong-password-of-hq' },
    ],
    rules: [{ name: 'all', source: { path: '/**' }, deliver: [{ to: 'hq' }], after: 'delete' }],
  })
  const put = await lftp(gateway, 'customer1', PASSWORD, ['put /etc/hostname -o name.txt'])
  t.equal(put.code, 0, put.stderr)
  const dead = await until('a dead delivery', async () => (await gateway.deliveries('&state=dead'))[0])
  t.equal(dead.error?.code, 'remote.auth')
  t.notMatch(JSON.stringify([dead, gateway.log]), /wrong-password-of-hq/, 'the password is in no answer and no log')
  t.same(await readdir(join(gateway.files, 'customer1')), ['name.txt'], 'the file stays while anything is owed')
  await gateway.api('PATCH', '/destinations/hq', { password: vsftpd.password })
  t.match(await gateway.api('POST', '/deliveries/retry', { destination: 'hq' }), { retried: 1 })
  await until('the delivery', async () => (await gateway.deliveries('&state=delivered'))[0])
  t.same(await readFile(join(vsftpd.root, 'name.txt')), await readFile('/etc/hostname'))
  await until('after: delete', async () => (await readdir(join(gateway.files, 'customer1'))).length === 0)
})
