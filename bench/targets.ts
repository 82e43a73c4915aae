// The servers under measurement: our gateway as `serve` runs it, and vsftpd or OpenSSH beside it, on the same disk and with the same key.
// Must not tune one side: both keep their defaults but for limits on sessions, and what README.md names.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TearsDown } from '../test/support/far-process.ts'
import { startFarSshd } from '../test/support/far-sshd.ts'
import { startFarVsftpd } from '../test/support/far-vsftpd.ts'
import { startGateway } from '../test/support/gateway.ts'
import { sshKeyPair } from '../test/support/ssh-keys.ts'

export type Protocol = 'ftp' | 'sftp'
/** tmpfs shows the servers, the disk shows what partners get. */
export type Place = 'tmpfs' | 'disk'
export type Side = 'power' | 'process' | 'theirs'

export interface Target {
  readonly side: Side
  readonly place: Place
  readonly port: number
  readonly username: string
  readonly password: string
  /** A private key file that may log in (SFTP). */
  readonly keyFile: string
  /** The login's folder on this machine, and its path as the client names it (no slash at the end). */
  readonly root: string
  readonly remote: string
  /** First process of the server; the rest are its children. */
  readonly pid: number
  /** Empties the login's folder. */
  clear(): Promise<void>
}

const PLACES: Record<Place, string> = { tmpfs: '/dev/shm', disk: process.env.FILEFLOW_BENCH_DISK ?? '/tmp' }
const PASSWORD = 'bench password 1'

const clearing = (root: string) => async (): Promise<void> => {
  for (const name of await readdir(root)) await rm(join(root, name), { recursive: true })
}

async function startOurs(t: TearsDown, protocol: Protocol, side: 'power' | 'process', place: Place): Promise<Target> {
  const folder = await mkdtemp(join(PLACES[place], 'fileflow-bench-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const key = sshKeyPair('ed25519')
  const keyFile = join(folder, 'client-key')
  await writeFile(keyFile, key.private, { mode: 0o600 })
  const gateway = await startGateway(t, {
    folder,
    // a kernel that shares out the processor by session (autogroup) must treat both sides alike
    detached: true,
    env: {
      FILEFLOW_UPLOADS_DURABILITY: side,
      FILEFLOW_FTP_PASSIVE_PORTS: '41000-41999',
      FILEFLOW_LIMITS_MAX_SESSIONS: '5000',
      FILEFLOW_LIMITS_MAX_SESSIONS_PER_IP: '5000',
      FILEFLOW_LIMITS_MAX_SESSIONS_PER_USER: '5000',
      FILEFLOW_LOG_LEVEL: 'warn',
    },
  })
  await gateway.apply({
    users: [{ username: 'bench', password: PASSWORD, public_keys: [key.public], require_tls: false, protocols: ['ftp', 'sftp'] }],
  })
  const root = join(gateway.files, 'bench')
  const port = gateway.ports[protocol]
  return { side, place, port, username: 'bench', password: PASSWORD, keyFile, root, remote: '', pid: gateway.pid, clear: clearing(root) }
}

async function startTheirs(t: TearsDown, protocol: Protocol, place: Place): Promise<Target> {
  const parent = PLACES[place]
  if (protocol === 'ftp') {
    const far = await startFarVsftpd({
      t,
      parent,
      tls: 'explicit',
      requireSessionReuse: false,
      // one server for plain and TLS; and not a log line for each command, as ours writes none
      config: ['force_local_logins_ssl=NO', 'force_local_data_ssl=NO', 'log_ftp_protocol=NO', 'max_clients=5000'],
    })
    const { port, username, password, root } = far
    return { side: 'theirs', place, port, username, password, keyFile: '', root, remote: '', pid: far.process.pid, clear: clearing(root) }
  }
  const far = await startFarSshd(t, { parent, config: ['MaxSessions 100', 'LogLevel ERROR'] })
  const keyFile = join(far.root, '../bench-key')
  await writeFile(keyFile, far.privateKey, { mode: 0o600 })
  await mkdir(far.root, { recursive: true })
  const { port, username, root } = far
  return { side: 'theirs', place, port, username, password: '', keyFile, root, remote: root, pid: far.process.pid, clear: clearing(root) }
}

/** All servers for the protocol on these places, started. */
export async function startTargets(t: TearsDown, protocol: Protocol, places: readonly Place[]): Promise<Target[]> {
  const targets: Target[] = []
  for (const place of places) {
    // on tmpfs a sync costs nothing, so there is no second setting to look at
    for (const side of place === 'disk' ? (['power', 'process'] as const) : (['process'] as const))
      targets.push(await startOurs(t, protocol, side, place))
    targets.push(await startTheirs(t, protocol, place))
  }
  return targets
}
