// From a password to a session with files: what ftp-srv's `login` event is answered with.
// Must not decide who may come in; the control plane does.
import { FileFlowError } from '../../core/errors.ts'
import type { VirtualFilesystem } from '../../files/virtual-filesystem.ts'
import type { FtpConnection } from './connection.ts'

/** @throws FileFlowError `auth.failed`, `limit.sessions`, and whatever else the control plane refuses with */
export async function openLogin(connection: FtpConnection, username: string, password: string): Promise<VirtualFilesystem> {
  const { gatekeeper, openFilesystem } = connection.gateway.context
  const { peer, secure } = connection
  const principal = await gatekeeper.authenticate({ peer, username, credential: { kind: 'password', password }, secure })
  if (principal === null) throw new FileFlowError('auth.failed')
  const opened = await gatekeeper.openSession(principal.username, peer, 'password', connection.settings.client)
  if (connection.ended) {
    gatekeeper.closeSession(opened.id, 'lost')
    throw new FileFlowError('transfer.aborted', 'The control connection was lost.')
  }
  const files = openFilesystem(opened)
  connection.session = { id: opened.id, files }
  connection.settings.cwd = opened.principal.startDirectory
  connection.timers.loggedIn()
  return files
}
