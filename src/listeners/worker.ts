// The entry of a listener's worker thread: wires one listener to the gatekeeper's door and to its sessions' files.
// Must not decide anything; and lets an unexpected error end the thread, so that the service starts a clean one.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Config } from '../config/schema.ts'
import { createLogger, errorFields } from '../core/log.ts'
import { AuditedFilesystem } from '../files/audited-filesystem.ts'
import { Hasher } from '../files/hasher.ts'
import { JournalWriter } from '../files/journal-writer.ts'
import { Vaults } from '../files/vaults.ts'
import type { ToControl, ToWorker } from '../gatekeeper/messages.ts'
import { createGatekeeperClient } from '../gatekeeper/worker-side.ts'
import type { CreateListener, ListenerContext } from './listener.ts'

export interface ListenerWorkerData {
  readonly kind: 'ftp' | 'sftp'
  readonly config: Config
  readonly credentials: ListenerContext['credentials']
  /** Where it writes its journal of finished uploads. */
  readonly journal: string
  readonly askers: 'all' | readonly string[]
  readonly port: number
  readonly implicitPort?: number | null
}

const CREATE = {
  ftp: async (): Promise<CreateListener> => (await import('./ftp/listener.ts')).createFtpListener,
  sftp: async (): Promise<CreateListener> => (await import('./sftp/listener.ts')).createSftpListener,
} as const

const port = parentPort
if (!port) throw new Error('this file is the entry of a worker thread')
const send = (message: ToControl): void => port.postMessage(message)
const { kind, config, credentials, journal: place, askers, port: wanted, implicitPort = null } = workerData as ListenerWorkerData
const { gatekeeper, settle, flush } = createGatekeeperClient(port)
const journal = new JournalWriter(place)
let asked = whoIsAsked(askers)
const vaults = new Vaults(config.data_dir, config.storage_root)
const filesystems = new Map<string, AuditedFilesystem>()

const log = createLogger(kind, (line) => send({ type: 'log', line }))
const hasher = new Hasher((error) =>
  log.error('hasher.failed', 'The thread that hashes large uploads failed: they are read again.', errorFields(error)),
)

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
  log,
  credentials,
  port: wanted,
  implicitPort,
  openFilesystem(session) {
    const filesystem = new AuditedFilesystem({
      session,
      ledger: gatekeeper,
      vaults,
      durable: config.uploads.durability === 'power',
      arrivals: {
        peer: session.peer,
        hear,
        mayOwe: (username) => asked(username),
        write: (record, durable) => journal.append(record, durable),
        written(owes) {
          gatekeeper.journaled()
          // somebody waits for what follows from it
          if (owes) flush()
        },
      },
      hasher,
    })
    filesystems.set(session.id, filesystem)
    return filesystem
  },
})

port.on('message', take)

/** What the control plane has said until now: an account that was ended, or a rule that was made, before an upload's last byte counts for it. */
function hear(): void {
  for (let next = receiveMessageOnPort(port!); next; next = receiveMessageOnPort(port!)) take(next.message as ToWorker)
}

function whoIsAsked(users: 'all' | readonly string[]): (username: string) => boolean {
  if (users === 'all') return () => true
  const names = new Set(users)
  return (username) => names.has(username)
}

function take(message: ToWorker): unknown {
  switch (message.type) {
    case 'replies':
      return settle(message)
    case 'revoked':
      return listener.revoke(message.sessionId, message.reason)
    case 'abandon':
      return filesystems.get(message.sessionId)?.abandon(message.transferId)
    case 'hanging':
      return filesystems.get(message.sessionId)?.setHanging(message.uploads)
    case 'principal':
      filesystems.get(message.sessionId)?.setPrincipal(message.principal)
      return listener.principalChanged(message.sessionId, message.principal)
    case 'askers':
      asked = whoIsAsked(message.users)
      return
    case 'reload':
      return listener.reload(message.config as Config, message.credentials as ListenerContext['credentials'])
    case 'stop':
      listener.stop(message.deadlineMs).then(() => {
        flush()
        send({ type: 'stopped' })
      })
  }
}

send({ type: 'ready', port: await listener.start(), implicitPort: listener.implicitPort?.() ?? null })
