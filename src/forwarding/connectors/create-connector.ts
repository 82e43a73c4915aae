// Which code speaks to which kind of destination.
// Must not hold more than that.
import type { DestinationSpec } from '../../core/destination.ts'
import { checkDestination } from '../../core/destination-check.ts'
import type { Connector } from '../connector.ts'
import { openFtp } from './ftp.ts'
import { openLocal } from './local.ts'
import { createRemoteConnector } from './remote-connector.ts'
import type { OpenSession } from './remote-session.ts'
import { openSftp } from './sftp.ts'

const OPENERS = {
  sftp: openSftp,
  ftp: openFtp,
  ftps: openFtp,
  'ftps-implicit': openFtp,
  local: openLocal,
} as const satisfies Record<DestinationSpec['type'], (destination: DestinationSpec) => OpenSession>

/** @throws FileFlowError `request.invalid` when the declaration lacks what its type needs */
export function createConnector(destination: DestinationSpec): Connector {
  checkDestination(destination)
  return createRemoteConnector(destination, OPENERS[destination.type](destination))
}
