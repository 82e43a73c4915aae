// From a credential to a session with files: what ftp-srv's `login` event is answered with, and a certificate before any password.
// Must not decide who may come in; the control plane does.
import { FileFlowError } from '../../core/errors.ts'
import type { VirtualFilesystem } from '../../files/virtual-filesystem.ts'
import type { Credential } from '../../gatekeeper/messages.ts'
import type { FtpConnection } from './connection.ts'

/** @throws FileFlowError `auth.failed`, `limit.sessions`, and whatever else the control plane refuses with */
export async function openLogin(connection: FtpConnection, username: string, credential: Credential): Promise<VirtualFilesystem> {
  const { gatekeeper, openFilesystem } = connection.gateway.context
  const { peer, secure } = connection
  const principal = await gatekeeper.authenticate({ peer, username, credential, secure })
  if (principal === null) throw new FileFlowError('auth.failed')
  const opened = await gatekeeper.openSession(principal.username, peer, credential.kind, connection.settings.client)
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
