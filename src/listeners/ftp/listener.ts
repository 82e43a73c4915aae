// The FTP listener as its worker sees it.
// Must not hold behaviour: server.ts has the sockets, connection.ts the sessions.
import type { CreateListener } from '../listener.ts'
import { installCommands } from './commands/dispatch.ts'
import { FtpGateway } from './server.ts'

export const createFtpListener: CreateListener = (context) => {
  installCommands()
  const gateway = new FtpGateway(context)
  return {
    start: () => gateway.start(),
    implicitPort: () => gateway.implicitPort,
    stop: (deadlineMs) => gateway.drain(deadlineMs),
    reload: (config, credentials) => gateway.reload(config, credentials),
    revoke: (sessionId, reason) => gateway.revoke(sessionId, reason),
    principalChanged: (sessionId, principal) => gateway.principalChanged(sessionId, principal),
  }
}
