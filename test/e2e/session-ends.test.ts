// How a session ended, and what its open transfers are said to have died of: the client's own leave, a line that broke, time, or the gateway, each told apart.
// Must not ask more of the network than it tells: a killed process ends its connection as a lost one does.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from 'ssh2'
import { type Test, test } from 'tap'
import { connect, RawSftp, str, u32, u64 } from '../listeners/sftp/raw-client.ts'
import { lftp, SSH_OPTIONS, sftp } from '../support/clients.ts'
import { run, startGateway, type TestGateway, until } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const [WRITE, CREAT, TRUNC] = [2, 8, 16]

async function open(t: Test, env: NodeJS.ProcessEnv = {}) {
  const gateway = await startGateway(t, { env })
  await gateway.apply({ users: [{ username: 'partner', password: PASSWORD, require_tls: false }] })
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-ends-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return { gateway, folder }
}

async function login(t: Test, gateway: TestGateway): Promise<Client> {
  const client = await connect(gateway.ports.sftp, { password: PASSWORD })
  t.teardown(() => client.destroy())
  return client
}

/** An upload that has begun and goes on. */
async function halfUpload(client: Client, path: string): Promise<RawSftp> {
  const raw = await RawSftp.open(client)
  const handle = await raw.file(path, WRITE | CREAT | TRUNC)
  for (let at = 0; at < 4; at++) await raw.ask(6, handle, u64(at * 100_000), str(randomBytes(100_000)))
  return raw
}

/** What is on record of the one upload to this path, once it and its session have ended. */
const record = (gateway: TestGateway, path: string) =>
  until(`the end of ${path} is on record`, async () => {
    const row = (await gateway.transfers('&direction=upload')).find((one) => one.path === path && one.state !== 'open')
    if (!row) return null
    const { connection, state, error } = await gateway.transfer(row.id)
    if (!connection?.reason) return null
    return { session: connection.reason, state, error: error?.message ?? null, code: error?.code ?? null }
  })
const socketOf = (client: Client): Socket => (client as unknown as { _sock: Socket })._sock

test('what ended an upload in its middle is told apart: left open, goodbye, no goodbye, a reset, an administrator, a disabled account, a stop', async (t) => {
  const { gateway } = await open(t, { FILEFLOW_SFTP_ENABLED: 'true' })
  const ways: Record<string, readonly [how: (client: Client, raw: RawSftp) => unknown, session: string, error: string]> = {
    '/left-open': [
      async (client, raw) => {
        raw.channel.close()
        await raw.closed
        // the connection goes on: another channel works
        t.equal((await (await RawSftp.open(client)).ask(16, str('.'))).type, 104)
        client.end()
      },
      'quit',
      'The client closed its channel and left the file open.',
    ],
    '/input-ended': [
      async (client, raw) => {
        raw.channel.end()
        await raw.closed
        client.end()
      },
      'quit',
      'The client closed its channel and left the file open.',
    ],
    '/goodbye': [(client) => client.end(), 'quit', 'The client disconnected and left the file open.'],
    '/no-goodbye': [(client) => socketOf(client).destroy(), 'dropped', 'The client closed the connection without a goodbye.'],
    '/reset': [(client) => socketOf(client).resetAndDestroy(), 'lost', 'The connection was lost.'],
    '/broken': [
      (client) => {
        const protocol = (client as unknown as { _protocol: { disconnect(reason: number): void } })._protocol
        protocol.disconnect(2)
      },
      'complained',
      'The client broke off the connection with a complaint.',
    ],
    '/no-packet': [
      async (client, raw) => {
        raw.channel.write(Buffer.alloc(4, 0xff))
        await raw.closed
        client.end()
      },
      'quit',
      'The client sent what is no packet of SFTP.',
    ],
    '/administrator': [
      async () => {
        const { items } = await gateway.api<{ items: { id: string }[] }>('GET', '/sessions')
        await gateway.api('DELETE', `/sessions/${items[0]!.id}`)
      },
      'An administrator ended this session.',
      'An administrator ended this session.',
    ],
    '/disabled': [
      async () => {
        await gateway.api('POST', '/users/partner/disable')
        await gateway.api('POST', '/users/partner/enable')
      },
      'The account was changed or disabled.',
      'The account was changed or disabled.',
    ],
  }
  for (const [path, [how, session, error]] of Object.entries(ways)) {
    const client = await login(t, gateway)
    const raw = await halfUpload(client, path)
    await how(client, raw)
    t.match(await record(gateway, path), { session, error, state: 'aborted' }, path)
  }
  await halfUpload(await login(t, gateway), '/stopped')
  const closed = gateway.log.filter(({ event }) => event === 'session.closed').map(({ reason }) => reason)
  t.same(
    closed,
    Object.values(ways).map(([, session]) => session),
    'the log says the same',
  )
  gateway.kill('SIGTERM')
  await gateway.ended
  t.match(gateway.log.filter(({ event }) => event === 'session.closed').at(-1), { reason: 'drain' })
  const again = await startGateway(t, { folder: gateway.folder })
  t.match(await record(again, '/stopped'), { session: 'drain', error: 'The service is shutting down.', state: 'aborted' })
})

test('a session that was idle for too long is said to be that, and one that takes no answers to have stalled', async (t) => {
  const { gateway } = await open(t, {
    FILEFLOW_LIMITS_IDLE_TIMEOUT: '2s',
    FILEFLOW_LIMITS_TRANSFER_STALL_TIMEOUT: '1s',
  })
  await writeFile(join(gateway.files, 'partner', 'big'), randomBytes(2 ** 20))
  await halfUpload(await login(t, gateway), '/idle')
  t.match(await record(gateway, '/idle'), { session: 'timeout', code: 'transfer.stalled', error: 'The session was idle for too long.' })
  const client = await login(t, gateway)
  const raw = await halfUpload(client, '/stalled')
  const handle = await raw.file('/big', 1)
  socketOf(client).pause()
  for (let i = 0; i < 2000; i++) raw.send(5, handle, u64(0), u32(2 ** 18))
  t.match(await record(gateway, '/stalled'), {
    session: 'stalled',
    code: 'transfer.stalled',
    error: 'The client took no data for too long.',
  })
})

/** Of a process: the one of this name below it. */
async function descendant(pid: number, name: string): Promise<number | null> {
  const rows = (await run('ps', ['-eo', 'pid=,ppid=,comm='])).stdout.split('\n').map((line) => line.trim().split(/\s+/))
  const below = rows.filter((row) => row[1] === String(pid))
  for (const [child, , command] of below) {
    const found = command === name ? Number(child) : await descendant(Number(child), name)
    if (found !== null) return found
  }
  return null
}

const PARAMIKO = `
import paramiko, sys, time
t = paramiko.Transport(('127.0.0.1', int(sys.argv[1]))); t.connect(username='partner', password=sys.argv[2])
s = paramiko.SFTPClient.from_transport(t)
if sys.argv[3] == 'whole':
    with s.open('/p', 'w') as f: f.write(b'x' * 100000)
    s.close()
else:
    f = s.open('/paramiko-left', 'w'); f.write(b'x' * 300000); f.stat()
    c = s.get_channel(); s.close()
    while not c.eof_received: time.sleep(0.01)
    f.close = lambda *a, **k: None; f._close = f.close
t.close()
`

test('real clients that are done are recorded as having left by themselves; those that are killed are not', async (t) => {
  const { gateway, folder } = await open(t)
  const port = String(gateway.ports.sftp)
  const reasons: unknown[] = []
  /** How the one session ended that the client has had. */
  const ended = async (): Promise<unknown> => {
    await until('the session has ended', () => gateway.log.filter(({ event }) => event === 'session.closed').length > reasons.length)
    reasons.push(gateway.log.filter(({ event }) => event === 'session.closed').at(-1)!.reason)
    return reasons.at(-1)
  }
  const file = join(folder, 'large.bin')
  await writeFile(file, randomBytes(3_000_000))
  const env = { SSHPASS: PASSWORD }
  const config = join(folder, 'rclone.conf')
  const obscured = (await run('rclone', ['obscure', PASSWORD])).stdout.trim()
  await writeFile(config, `[far]\ntype = sftp\nhost = 127.0.0.1\nport = ${port}\nuser = partner\npass = ${obscured}\nconcurrency = 1\n`)
  const away = join(folder, 'away')
  await mkdir(away)
  const clients: Record<string, () => Promise<{ code: number; stderr: string }>> = {
    sftp: () => sftp(gateway, 'partner', PASSWORD, [`put ${file} /sftp.bin`]),
    scp: () => run('sshpass', ['-e', 'scp', ...SSH_OPTIONS, '-P', port, file, 'partner@127.0.0.1:/scp.bin'], { env }),
    'scp -O': () => run('sshpass', ['-e', 'scp', '-O', ...SSH_OPTIONS, '-P', port, file, 'partner@127.0.0.1:/old-scp.bin'], { env }),
    lftp: () => lftp(gateway, 'partner', PASSWORD, [`put ${file} -o /lftp.bin`], { protocol: 'sftp' }),
    curl: () => run('curl', ['-sS', '-k', '-u', `partner:${PASSWORD}`, '-T', file, `sftp://127.0.0.1:${port}/curl.bin`]),
    paramiko: () => run('/usr/bin/python3', ['-c', PARAMIKO, port, PASSWORD, 'whole']),
  }
  for (const [name, client] of Object.entries(clients)) {
    const ran = await client()
    t.equal(ran.code, 0, `${name}: ${ran.stderr}`)
    t.equal(await ended(), 'quit', name)
  }
  t.equal((await run('rclone', ['--config', config, 'copyto', file, 'far:/rclone.bin'])).code, 0)
  await until('rclone has left', async () => (await gateway.api<{ items: unknown[] }>('GET', '/sessions')).items.length === 0)
  const all = gateway.log.filter(({ event }) => event === 'session.closed').map(({ reason }) => reason)
  t.ok(
    all.slice(reasons.length).every((reason) => reason === 'quit'),
    `rclone: ${all}`,
  )
  reasons.splice(0, reasons.length, ...all)

  t.equal((await run('/usr/bin/python3', ['-c', PARAMIKO, port, PASSWORD, 'channel'])).code, 0)
  t.match(await record(gateway, '/paramiko-left'), { session: 'quit', error: 'The client closed its channel and left the file open.' })
  await ended()

  for (const [name, signal, program] of [
    ['terminated', 'SIGTERM', ['sftp', `put ${file}`]],
    ['killed', 'SIGKILL', ['sftp', `put ${file}`]],
    ['old-terminated', 'SIGTERM', ['scp', '-O']],
  ] as const) {
    const args =
      program[0] === 'sftp'
        ? ['sftp', ...SSH_OPTIONS, '-l', '4000', '-P', port, 'partner@127.0.0.1']
        : ['scp', '-O', '-l', '4000', ...SSH_OPTIONS, '-P', port, file, `partner@127.0.0.1:/${name}`]
    const child = spawn('sshpass', ['-e', ...args], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    child.stdin!.on('error', () => {})
    if (program[0] === 'sftp') child.stdin!.write(`${program[1]} /${name}\n`)
    await until(`${name} runs`, async () => (await gateway.transfers()).find((one) => one.path === `/${name}` && one.state === 'open'))
    // the ssh below it alone: that is what holds the connection
    const ssh = await until('its ssh runs', () => descendant(child.pid!, 'ssh'))
    process.kill(ssh, signal)
    const end = await record(gateway, `/${name}`)
    t.match(end, { state: 'aborted', session: signal === 'SIGTERM' ? /^(quit|lost)$/ : /^(dropped|lost)$/ }, name)
    t.match(end.error, { quit: /disconnected and left/, lost: /was lost/, dropped: /without a goodbye/ }[end.session]!, name)
    await ended()
    child.kill('SIGKILL')
  }
})

test('the log of a service is found by its filter: logins, refusals and ends of sessions, FTP and SFTP', async (t) => {
  const { gateway } = await open(t)
  await sftp(gateway, 'partner', PASSWORD, ['pwd'])
  await sftp(gateway, 'partner', 'wrong', ['pwd'])
  await run('curl', ['-sS', '-u', `partner:${PASSWORD}`, `ftp://127.0.0.1:${gateway.ports.ftp}/`])
  await run('curl', ['-sS', '-u', 'partner:wrong', `ftp://127.0.0.1:${gateway.ports.ftp}/`])
  for (const service of ['ftp', 'sftp']) {
    const events = await until(`the log of ${service}`, async () => {
      const { items } = await gateway.api<{ items: { event: string; service: string }[] }>('GET', `/logs?service=${service}&limit=500`)
      const found = items.map(({ event }) => event)
      return found.includes('session.closed') && found
    })
    for (const event of ['session.opened', 'session.closed', 'login.refused', 'service.running'])
      t.ok(events.includes(event), `${service}: ${event}`)
  }
  const { items } = await gateway.api<{ items: { event: string }[] }>('GET', '/logs?service=gateway&limit=500')
  t.notOk(
    items.some(({ event }) => /^(session|login)\./.test(event)),
    'and not under another name',
  )
})
