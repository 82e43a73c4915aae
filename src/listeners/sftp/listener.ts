// The SFTP listener of one worker: its own net.Server, and the set of connections that came through it.
// Must not know SSH; connection.ts and ssh-engine.ts do.
import { createServer, type Server, type Socket } from 'node:net'
import { FileFlowError } from '../../core/errors.ts'
import { errorFields } from '../../core/log.ts'
import type { CreateListener, Listener, ListenerContext } from '../listener.ts'
import { Connection, peerOf } from './connection.ts'
import { ENDS } from './ends.ts'
import { createSshEngine, type SshEngine } from './ssh-engine.ts'
import { TUNING, type Tuning } from './tuning.ts'

export const createSftpListener: CreateListener = (context) => createTunedListener(context, TUNING)

/** As {@link createSftpListener}, with other bounds: for tests of the bounds. */
export function createTunedListener(context: ListenerContext, tuning: Tuning): Listener {
  const connections = new Set<Connection>()
  const sessions = new Map<string, Connection>()
  let { config } = context
  const makeEngine = (hostKeys: readonly string[]): SshEngine => {
    const { banner, legacy, host_keys: own } = config.sftp
    if (legacy) context.log.warn('sftp.legacy', 'sftp.legacy is on: old, weak algorithms are offered to clients that have nothing better.')
    return createSshEngine({ hostKeys, named: own.length > 0, banner, legacy, keepaliveMs: tuning.keepaliveMs })
  }
  let engine: SshEngine = makeEngine(context.credentials.hostKeys)
  let server: Server | null = null
  let stopping = false
  let whenEmpty: (() => void) | null = null

  const take = (socket: Socket): void => {
    if (stopping) return void socket.destroy()
    if (connections.size - sessions.size >= tuning.maxUnauthenticated) {
      context.gatekeeper.droppedUnheard(peerOf(socket))
      return void socket.destroy()
    }
    const connection: Connection = new Connection(socket, {
      context,
      engine,
      config,
      tuning,
      opened: (sessionId) => sessions.set(sessionId, connection),
      closed: () => {
        connections.delete(connection)
        if (connection.sessionId !== null) sessions.delete(connection.sessionId)
        if (connections.size === 0) whenEmpty?.()
      },
    })
    connections.add(connection)
    void connection.start()
  }

  return {
    start() {
      return new Promise((resolve, reject) => {
        const made = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000, pauseOnConnect: true }, take)
        made.once('error', (cause) =>
          reject(new FileFlowError('service.unavailable', `Cannot listen on ${config.sftp.host} port ${context.port}.`, { cause })),
        )
        made.listen({ host: config.sftp.host, port: context.port, reusePort: true }, () => {
          made.removeAllListeners('error')
          made.on('error', (error) => context.log.error('listener.failed', 'the SFTP socket failed', errorFields(error)))
          server = made
          const address = made.address()
          resolve(typeof address === 'object' && address !== null ? address.port : context.port)
        })
      })
    },

    async stop(deadlineMs) {
      stopping = true
      server?.close()
      server = null
      for (const connection of [...connections]) connection.drain()
      if (connections.size === 0) return
      const empty = new Promise<void>((resolve) => {
        whenEmpty = resolve
      })
      const deadline = setTimeout(() => {
        for (const connection of [...connections]) connection.end(ENDS.draining())
      }, deadlineMs)
      await empty
      clearTimeout(deadline)
    },

    reload(newConfig, credentials) {
      config = newConfig
      try {
        engine = makeEngine(credentials.hostKeys)
      } catch (error) {
        context.log.error('listener.reload_failed', 'the new host keys cannot be used, the old ones stay', errorFields(error))
      }
    },

    revoke: (sessionId, reason) => sessions.get(sessionId)?.revoke(reason),
    principalChanged: (sessionId, principal) => sessions.get(sessionId)?.principalChanged(principal),
  }
}
