// A running gateway: recovered, its services started, its admin doors open; and how it stops and reloads.
// Must not read arguments or end the process; serve.ts does.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type AdminServer, createAdminServer } from './admin/server.ts'
import { type App, createApp } from './app.ts'
import { diffConfig } from './config/diff.ts'
import { setAt, type Tree, valueAt } from './config/keys.ts'
import type { LoadedConfig } from './config/load.ts'
import type { Config } from './config/schema.ts'
import { socketPath } from './config/socket-path.ts'
import { monotonic } from './core/clock.ts'
import { errorFields } from './core/log.ts'
import type { ReloadView } from './core/views.ts'
import { emptyTrash } from './files/clear-home.ts'
import { expirePartials } from './files/spool.ts'
import { dropAbandoned, recover } from './intake/recover.ts'
import { enforceRetention } from './intake/retention.ts'
import { ensureHostKeys, ensureTlsCertificate, fingerprints, readCertificatePair } from './listeners/credentials.ts'
import { probePorts } from './listeners/port-probe.ts'
import type { LogOutput } from './logging/log-output.ts'
import { awaitDataDir } from './store/lock.ts'
import { VERSION } from './version.ts'

export interface Addresses {
  readonly ftp?: { readonly host: string; readonly port: number; readonly implicit_port?: number }
  readonly sftp?: { readonly host: string; readonly port: number }
  readonly admin?: { readonly host: string; readonly port: number }
}

export interface Gateway {
  readonly app: App
  readonly addresses: Addresses
  /** Transfers in flight may go on for `drainMs`; queued deliveries stay queued. */
  stop(drainMs: number): Promise<void>
  reload(loaded: LoadedConfig): Promise<ReloadView>
}

export interface GatewayOptions {
  readonly config: Config
  /** Where it came from. */
  readonly loaded?: LoadedConfig
  readonly output: LogOutput
  readonly publicDir: string
  /** The first admin's password, where one is given. */
  readonly adminPassword?: string | undefined
  /** Told the made-up one, once. */
  readonly showPassword: (password: string) => void
}

const MINUTE = 60_000
/** How long a start waits for a killed gateway or a command to let go of data_dir. */
const LOCK_WAIT_MS = 5000
const RETENTION_EVERY = 6 * 60 * MINUTE
const RECOUNT_EVERY = 24 * 60 * MINUTE

/** The built admin page. */
export const PUBLIC_DIR = join(import.meta.dirname, '..', 'dist', 'public')

/** @throws FileFlowError when a port is taken, the configuration cannot be used, or another gateway works in data_dir */
export async function startGateway({ config, loaded, output, publicDir, adminPassword, showPassword }: GatewayOptions): Promise<Gateway> {
  const began = monotonic()
  const unlock = await awaitDataDir(config.data_dir, LOCK_WAIT_MS)
  const ending = new AbortController()
  let app: App | undefined
  let admin: AdminServer | undefined
  try {
    await probePorts(config)
    app = await createApp({ config, loaded, output })
    await putInOrder(app)
    const made = await app.admins.ensureFirst(adminPassword)
    if (made !== null) showPassword(made)
    await app.services.start()
    admin = await createAdminServer({ config: config.admin, control: app.control, log: app.log, publicDir, tls: await adminTls(config) })
    const adminPort = config.admin.enabled ? await admin.listen() : null
    const socket = socketPath(config.data_dir)
    await rm(socket, { force: true })
    await admin.listenSocket(socket)
    const addresses = boundAddresses(app, adminPort)
    const shown = fingerprints({
      hostKeys: config.sftp.enabled ? await ensureHostKeys(config) : [],
      tls: config.ftp.enabled && config.ftp.tls.mode !== 'off' ? await ensureTlsCertificate(config) : null,
    })
    app.log.info('ready', 'FileFlow is ready.', {
      ...addresses,
      version: VERSION,
      ms: Math.round(monotonic() - began),
      host_keys: shown.hostKeys,
      tls_fingerprint: shown.tls,
    })
    const timer = setInterval(() => keepHouse(app!), MINUTE)
    timer.unref()
    const retention = setInterval(() => keepRecords(app!, ending.signal), RETENTION_EVERY)
    retention.unref()
    keepRecords(app, ending.signal)
    const recount = setInterval(() => void app!.recountAll(ending.signal), RECOUNT_EVERY)
    recount.unref()
    void app.recountAll(ending.signal)
    return running(app, admin, addresses, ending, async () => {
      clearInterval(recount)
      clearInterval(timer)
      clearInterval(retention)
      unlock()
    })
  } catch (error) {
    await admin?.close()
    await app?.services.stop(0)
    await app?.close()
    unlock()
    throw error
  }
}

/** What the last run left, before anyone may come in. */
async function putInOrder(app: App): Promise<void> {
  for (const { username, error } of await app.users.prepareHomes()) {
    app.log.error('home.failed', `The home of ${username} cannot be made; the user cannot use it.`, {
      user: username,
      ...errorFields(error),
    })
  }
  for (const vault of app.vaults()) await emptyTrash(vault.root)
  const recovered = await recover(app.recovery())
  app.recovered()
  const given = app.dispatcher.recover()
  if (recovered.published + recovered.partials + recovered.sessions + given > 0) {
    app.log.warn('recovered', 'The last run ended abruptly; what it left is in order again.', { ...recovered, attempts_given_back: given })
  }
}

function keepHouse(app: App): void {
  const fail = (error: unknown): void =>
    app.log.error('housekeeping.failed', 'Housekeeping failed; it is tried again in a minute.', errorFields(error))
  try {
    app.users.endExpired()
    app.settleRefusals()
    app.store.noteAuditHead()
    const before = app.clock.now() - app.config.uploads.partial_ttl
    Promise.all(app.vaults().map((vault) => expirePartials(vault.root, before))).catch(fail)
    dropAbandoned(app.recovery()).catch(fail)
  } catch (error) {
    fail(error)
  }
}

/** At the start and a few times a day. */
function keepRecords(app: App, stop: AbortSignal): void {
  enforceRetention({ store: app.store, clock: app.clock, keep: () => app.config.retention }, stop).then(
    (removed) => {
      if (Object.values(removed).some((n) => n > 0)) app.log.info('retention', 'Records past their time were removed.', { ...removed })
    },
    (error: unknown) => {
      if (!stop.aborted) app.log.error('retention.failed', 'Old records could not be removed.', errorFields(error))
    },
  )
}

async function adminTls(config: Config): Promise<{ cert: string; key: string } | null> {
  const { cert, key } = config.admin.tls
  return cert !== null && key !== null ? readCertificatePair(cert, key) : null
}

function boundAddresses(app: App, adminPort: number | null): Addresses {
  const { config } = app
  const { ftp, ftpImplicit, sftp } = app.services.ports()
  return {
    ...(ftp === null ? {} : { ftp: { host: config.ftp.host, port: ftp, ...(ftpImplicit === null ? {} : { implicit_port: ftpImplicit }) } }),
    ...(sftp === null ? {} : { sftp: { host: config.sftp.host, port: sftp } }),
    ...(adminPort === null ? {} : { admin: { host: config.admin.host, port: adminPort } }),
  }
}

function running(app: App, admin: AdminServer, addresses: Addresses, ending: AbortController, release: () => Promise<void>): Gateway {
  let stopping: Promise<void> | undefined
  return {
    app,
    addresses,
    stop(drainMs) {
      stopping ??= (async () => {
        ending.abort()
        app.log.info('stopping', 'FileFlow stops: no new sessions.', { drain_ms: drainMs })
        await app.services.stop(drainMs)
        await admin.close()
        app.log.info('stopped', 'FileFlow has stopped.')
        await app.close()
        await release()
      })()
      return stopping
    },
    async reload(loaded) {
      const wanted = loaded.config
      const { live, restart } = diffConfig(app.config, wanted)
      const next = structuredClone(wanted) as unknown as Tree
      for (const name of restart) setAt(next, name.split('.'), valueAt(app.config, name.split('.')))
      // whatever cannot be read keeps the whole change out
      const credentials = await app.services.credentials(next as unknown as Config)
      const tls = await adminTls(next as unknown as Config)
      app.setConfig(next as unknown as Config, loaded)
      app.services.reload(credentials)
      if (tls) admin.replaceTls(tls)
      app.audit('config.reload', 'configuration', { changed: live })
      app.log.info('reloaded', 'The configuration was read again.', { changed: live })
      if (restart.length > 0)
        app.log.warn('reload.restart_needed', `These keys change only with a restart: ${restart.join(', ')}.`, { keys: restart })
      return { applied: live, needs_restart: restart }
    },
  }
}
