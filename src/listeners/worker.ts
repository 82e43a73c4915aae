// The entry of a listener's worker thread: wires one listener to the gatekeeper's door and to its sessions' files.
// Must not decide anything; and lets an unexpected error end the thread, so that the service starts a clean one.
import v8 from 'node:v8'
import { parentPort, workerData } from 'node:worker_threads'
import type { Config } from '../config/schema.ts'
import { createLogger } from '../core/log.ts'
import { SessionFilesystem } from '../files/session-filesystem.ts'
import { Vaults } from '../files/vaults.ts'
import type { ToControl, ToWorker } from '../gatekeeper/messages.ts'
import { createGatekeeperClient } from '../gatekeeper/worker-side.ts'
import type { CreateListener, ListenerContext } from './listener.ts'

export interface ListenerWorkerData {
  readonly kind: 'ftp' | 'sftp'
  readonly config: Config
  readonly credentials: ListenerContext['credentials']
  readonly port: number
  readonly implicitPort?: number | null
}

const CREATE = {
  ftp: async (): Promise<CreateListener> => (await import('./ftp/listener.ts')).createFtpListener,
  sftp: async (): Promise<CreateListener> => (await import('./sftp/listener.ts')).createSftpListener,
} as const

v8.setFlagsFromString('--external-memory-accounted-in-global-limit')

const port = parentPort
if (!port) throw new Error('this file is the entry of a worker thread')
const send = (message: ToControl): void => port.postMessage(message)
const { kind, config, credentials, port: wanted, implicitPort = null } = workerData as ListenerWorkerData
const { gatekeeper, settle, flush } = createGatekeeperClient(port)
const vaults = new Vaults(config.data_dir, config.storage_root)
const filesystems = new Map<string, SessionFilesystem>()

const createListener = await CREATE[kind]()
const listener = createListener({
  config,
  gatekeeper: {
    ...gatekeeper,
    closeSession(sessionId, reason) {
      filesystems.delete(sessionId)
      gatekeeper.closeSession(sessionId, reason)
    },
  },
  log: createLogger(kind, (line) => send({ type: 'log', line })),
  credentials,
  port: wanted,
  implicitPort,
  openFilesystem(session) {
    const filesystem = new SessionFilesystem({ session, ledger: gatekeeper, vaults, durable: config.uploads.durability === 'power' })
    filesystems.set(session.id, filesystem)
    return filesystem
  },
})

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'replies':
      return settle(message)
    case 'revoked':
      return listener.revoke(message.sessionId, message.reason)
    case 'principal':
      filesystems.get(message.sessionId)?.setPrincipal(message.principal)
      return listener.principalChanged(message.sessionId, message.principal)
    case 'reload':
      return listener.reload(message.config as Config, message.credentials as ListenerContext['credentials'])
    case 'stop':
      listener.stop(message.deadlineMs).then(() => {
        flush()
        send({ type: 'stopped' })
      })
  }
})

send({ type: 'ready', port: await listener.start(), implicitPort: listener.implicitPort?.() ?? null })
