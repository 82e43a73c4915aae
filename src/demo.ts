// `demo`: the whole way of a file, shown by itself: a gateway, a second server as the destination, uploads by FTPS and SFTP, receipts.
// Must not touch anything outside its own temporary folder.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from './cli/command.ts'
import { parse, printable } from './cli/command.ts'
import { loadConfig } from './config/load.ts'
import { monotonic, newSecret } from './core/clock.ts'
import { FileFlowError } from './core/errors.ts'
import type { TransferDetail } from './core/movement-views.ts'
import type { Actor } from './core/views.ts'
import type { Gateway } from './gateway.ts'
import { ensureHostKeys, fingerprints } from './listeners/credentials.ts'
import { createLogOutput, type LogOutput } from './logging/log-output.ts'

const ACTOR: Actor = { name: 'demo', address: 'local', role: 'admin' }
const DELIVERY_MS = 8000

export const demo: Command = {
  name: 'demo',
  summary: 'a self-contained tour: a partner, a destination server, uploads, their forwarding, their receipts',
  usage: `Usage: fileflow demo [--exit] [--config FILE]

Starts a gateway and a second server on free ports in a temporary folder, uploads a file by FTPS and by SFTP,
shows how each was forwarded, and leaves the admin page running until Ctrl-C (--exit: ends instead).
Its settings are its own: a FILE given with --config is checked, and nothing is taken from it.`,
  async run(args, io) {
    const { values } = parse(args, { exit: { type: 'boolean' } }, [0, 0])
    if (values.config !== undefined) {
      io.loadConfig(values.config)
      io.stderr.write(`note: the demo takes nothing from ${printable(values.config)}\n`)
    }
    const say = (text = ''): void => void io.stdout.write(`${text}\n`)
    const folder = await mkdtemp(join(tmpdir(), 'fileflow-demo-'))
    const ending: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
    const interrupted = new Promise<void>((resolve) => {
      process.once('SIGINT', resolve)
      process.once('SIGTERM', resolve)
      // the launcher of an older Node was killed
      process.once('disconnect', resolve)
      process.channel?.unref()
    })
    try {
      const began = monotonic()
      const adminPassword = newSecret(9)
      const far = await start(
        folder,
        'headquarters',
        { FILEFLOW_FTP_ENABLED: 'false', FILEFLOW_ADMIN_ENABLED: 'false' },
        newSecret(12),
        ending,
      )
      const near = await start(folder, 'gateway', {}, adminPassword, ending)
      const secrets = await setUp(far, near)
      const { ftp, sftp, admin } = near.addresses
      say(
        `A gateway runs: FTP with TLS on ${ftp!.port}, SFTP on ${sftp!.port}. Its destination is a server of its own, headquarters: SFTP on ${far.addresses.sftp!.port}.`,
      )
      say('The rule: whatever customer1 uploads goes to headquarters, into a folder of its own for each day.\n')
      await uploadByFtps(ftp!.port, secrets.partner)
      await uploadBySftp(sftp!.port, secrets.partner)
      for (const path of ['/orders/by ftps – Grüße.txt', '/orders/by-sftp.csv']) {
        showTimeline(await delivered(near, path), say)
      }
      say(`Done in ${((monotonic() - began) / 1000).toFixed(1)} s.`)
      if (values.exit) return 0
      say(`\nThe admin page: http://127.0.0.1:${admin!.port}/   user admin, password ${adminPassword}`)
      say(`Try it yourself: sftp -P ${sftp!.port} customer1@127.0.0.1   password ${secrets.partner}`)
      say('Ctrl-C ends the demo and removes its folder.')
      await interrupted
      return 0
    } finally {
      for (const end of ending.reverse()) await end()
    }
  },
}

async function start(
  folder: string,
  name: string,
  env: NodeJS.ProcessEnv,
  adminPassword: string,
  ending: (() => Promise<unknown>)[],
): Promise<Gateway> {
  const { config } = loadConfig({
    cwd: folder,
    env: {
      FILEFLOW_DATA_DIR: join(folder, name),
      FILEFLOW_STORAGE_ROOT: join(folder, name, 'files'),
      FILEFLOW_FTP_HOST: '127.0.0.1',
      FILEFLOW_FTP_PORT: '0',
      FILEFLOW_SFTP_HOST: '127.0.0.1',
      FILEFLOW_SFTP_PORT: '0',
      FILEFLOW_ADMIN_PORT: '0',
      FILEFLOW_THREADS_FTP: '1',
      FILEFLOW_THREADS_SFTP: '1',
      ...env,
    },
  })
  const output: LogOutput = createLogOutput({
    log: config.log,
    keepMs: config.retention.logs,
    dataDir: config.data_dir,
    stdout: new PassThrough().resume(),
    isTTY: false,
  })
  ending.push(() => output.close())
  // here and below: no other command needs it
  const { PUBLIC_DIR, startGateway } = await import('./gateway.ts')
  const gateway = await startGateway({ config, output, publicDir: PUBLIC_DIR, adminPassword, showPassword: () => {} })
  ending.push(() => gateway.stop(1000))
  return gateway
}

async function setUp(far: Gateway, near: Gateway): Promise<{ partner: string }> {
  const partner = newSecret(9)
  const courier = newSecret(18)
  const options = { dryRun: false, prune: false }
  await far.app.control.state.apply(ACTOR, { users: [{ username: 'courier', password: courier, directories: ['/incoming'] }] }, options)
  const shown = fingerprints({ hostKeys: await ensureHostKeys(far.app.config), tls: null })
  await near.app.control.state.apply(
    ACTOR,
    {
      users: [{ username: 'customer1', password: partner, partner: 'Customer One', directories: ['/orders'], start_directory: '/orders' }],
      destinations: [
        {
          name: 'headquarters',
          type: 'sftp',
          host: '127.0.0.1',
          port: far.addresses.sftp!.port,
          username: 'courier',
          password: courier,
          host_keys: shown.hostKeys.map((key) => key.fingerprint),
          base_path: '/incoming',
        },
      ],
      rules: [
        {
          name: 'orders-to-headquarters',
          source: { users: ['customer1'], path: '/orders/**' },
          deliver: [{ to: 'headquarters', path: '/{date}/{path}' }],
        },
      ],
    },
    options,
  )
  return { partner }
}

async function uploadByFtps(port: number, password: string): Promise<void> {
  const { Client: FtpClient } = await import('basic-ftp')
  const client = new FtpClient()
  try {
    await client.access({
      host: '127.0.0.1',
      port,
      user: 'customer1',
      password,
      secure: true,
      secureOptions: { rejectUnauthorized: false },
    })
    await client.uploadFrom(Readable.from([Buffer.from('Grüße aus dem Demo.\n')]), 'by ftps – Grüße.txt')
  } finally {
    client.close()
  }
}

async function uploadBySftp(port: number, password: string): Promise<void> {
  const { default: SftpClient } = await import('ssh2-sftp-client')
  const client = new SftpClient()
  try {
    await client.connect({ host: '127.0.0.1', port, username: 'customer1', password })
    await client.put(Buffer.from('order;amount\n4711;12\n'), '/orders/by-sftp.csv')
  } finally {
    await client.end()
  }
}

/** The transfer of that path once all it owes is delivered. */
async function delivered(gateway: Gateway, path: string): Promise<TransferDetail> {
  const { transfers } = gateway.app.control
  for (const began = monotonic(); monotonic() - began < DELIVERY_MS; await sleep(20)) {
    const found = (await transfers.list({ q: path, limit: 1 })).items[0]
    const detail = found && transfers.get(found.id)
    if (detail && detail.deliveries.length > 0 && detail.deliveries.every((delivery) => delivery.state === 'delivered')) return detail
  }
  throw new FileFlowError(
    'remote.timeout',
    `${path} was not delivered within ${DELIVERY_MS / 1000} s; the log is in ${gateway.app.config.data_dir}/logs.`,
  )
}

function showTimeline(transfer: TransferDetail, say: (text?: string) => void): void {
  say(`${transfer.path}   transfer ${transfer.id}`)
  const first = Date.parse(transfer.timeline[0]!.at)
  for (const { at, text } of transfer.timeline) say(`  ${`+${Date.parse(at) - first} ms`.padStart(9)}  ${text}`)
  say()
}
