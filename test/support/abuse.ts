// A gateway under abuse: what must still be true after whatever a test throws at it. An honest partner is served, no service restarts, memory and descriptors are bounded.
// Must not be gentle, nor look into the process: only at /proc, the API, the log and the partner's folder.
import { readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { lftp, sftp } from './clients.ts'
import { startGateway, type TestGateway, until } from './gateway.ts'

export const PASSWORD = 'correct-horse-battery'
export const MiB = 2 ** 20
/** What all the abuse of one test may add to the resident memory, garbage not yet collected included. */
export const MOST_GROWTH = 320 * MiB
/** Limits that are out of the attacker's way, so that the listeners themselves stand the test. */
export const OPEN_LIMITS = {
  FILEFLOW_LIMITS_MAX_SESSIONS_PER_IP: '5000',
  FILEFLOW_LIMITS_MAX_SESSIONS: '5000',
  FILEFLOW_LIMITS_MAX_SESSIONS_PER_USER: '200',
}

export async function gatewayUnderTest(t: Test, env: NodeJS.ProcessEnv = {}): Promise<TestGateway> {
  const gateway = await startGateway(t, { env: { ...OPEN_LIMITS, ...env } })
  await gateway.apply({ users: [{ username: 'partner', password: PASSWORD, require_tls: false }] })
  await serves(t, gateway, 'before')
  return gateway
}

export async function serves(t: Test, gateway: TestGateway, when: string): Promise<void> {
  for (const [name, ran] of [
    ['ftp', await lftp(gateway, 'partner', PASSWORD, [`put /etc/hostname -o ftp-${when}`])],
    ['sftp', await sftp(gateway, 'partner', PASSWORD, [`put /etc/hostname sftp-${when}`])],
  ] as const) {
    t.equal(ran.code, 0, `an honest partner is served over ${name} ${when} ${ran.stderr}`)
    t.same(await readFile(join(gateway.files, 'partner', `${name}-${when}`)), await readFile('/etc/hostname'))
  }
}

export const descriptors = (gateway: TestGateway): number => readdirSync(`/proc/${gateway.pid}/fd`).length
export const resident = (gateway: TestGateway): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))![1]) * 1024

/** Runs the abuse and then asks of the gateway all that must still be true. */
export async function survives(t: Test, gateway: TestGateway, abuse: () => Promise<void>): Promise<void> {
  const before = await until('no session of the honest partner', async () => {
    const { items } = await gateway.api<{ items: unknown[] }>('GET', '/sessions')
    return items.length === 0 && { descriptors: descriptors(gateway), resident: resident(gateway) }
  })
  let peak = 0
  const watch = setInterval(() => {
    peak = Math.max(peak, resident(gateway))
  }, 50)
  try {
    await abuse()
  } finally {
    clearInterval(watch)
  }
  t.ok(peak - before.resident < MOST_GROWTH, `memory grew by ${Math.round((peak - before.resident) / MiB)} MiB at most`)
  await until(`the descriptors are back at ${before.descriptors}`, () => descriptors(gateway) <= before.descriptors + 3)
  const { items } = await gateway.api<{ items: { name: string; state: string; restarts: number }[] }>('GET', '/services')
  for (const service of items.filter(({ name }) => name === 'ftp' || name === 'sftp'))
    t.match(service, { state: 'running', restarts: 0 }, `${service.name} runs and never restarted`)
  t.same(
    gateway.log.filter((line) => line.level === 'error' || line.level === 'fatal'),
    [],
    'nothing unexpected is in the log',
  )
  await serves(t, gateway, 'after')
}

export function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => socket.destroy())
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(socket))
    socket.once('close', () => resolve(socket))
  })
}

/** Unlike events.once it does not mind an error on the way. */
export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve()
    else socket.once('close', () => resolve())
  })
