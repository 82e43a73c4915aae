// What holds for every destination beyond its schema: default ports, and which parts belong together.
// Must not load the schema library: the forwarder's thread needs this and nothing else of a declaration.
import type { DestinationSpec } from './destination.ts'
import { FileFlowError } from './errors.ts'

export const DEFAULT_PORT = { sftp: 22, ftp: 21, ftps: 21, 'ftps-implicit': 990, local: 0 } as const satisfies Record<
  DestinationSpec['type'],
  number
>

/** What the schema alone cannot say. @throws FileFlowError `request.invalid` */
export function checkDestination(spec: DestinationSpec): void {
  const fail = (message: string): never => {
    throw new FileFlowError('request.invalid', `destination ${spec.name}: ${message}`)
  }
  if (spec.type === 'local') {
    if (!spec.base_path) fail('base_path is missing: the folder to deliver to')
    return
  }
  if (!spec.host) fail('host is missing')
  if (!spec.username) fail('username is missing')
  if (spec.type === 'sftp' && spec.host_keys === undefined) {
    fail('host_keys is missing: the SHA256:… fingerprint of the server (ssh-keyscan HOST | ssh-keygen -lf -), or the word insecure')
  }
  if (spec.type !== 'sftp' && spec.private_key) fail('private_key is for sftp only')
}
