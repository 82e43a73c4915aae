// What holds for every destination beyond its schema: default ports, and which parts belong together.
// Must not load the schema library: the forwarder's thread needs this and nothing else of a declaration.
import type { DestinationSpec } from './destination.ts'
import { FileFlowError } from './errors.ts'

export const DEFAULT_PORT = { sftp: 22, ftp: 21, ftps: 21, 'ftps-implicit': 990, local: 0 } as const satisfies Record<
  DestinationSpec['type'],
  number
>

const INSECURE = 'insecure'

/** The declaration as it is kept: `host_keys: [insecure]` means the word itself. */
export function normalDestination(spec: DestinationSpec): DestinationSpec {
  const { host_keys } = spec
  return Array.isArray(host_keys) && host_keys.length === 1 && host_keys[0] === INSECURE ? { ...spec, host_keys: INSECURE } : spec
}

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
  if (Array.isArray(spec.host_keys) && spec.host_keys.includes(INSECURE)) {
    fail('host_keys: insecure accepts any key, so it stands alone')
  }
  if (spec.tls?.ca && !spec.tls.ca.includes('-----BEGIN CERTIFICATE-----')) {
    fail('tls.ca: PEM text is wanted, from -----BEGIN CERTIFICATE----- on (a state file may name a file)')
  }
  if (spec.type !== 'sftp' && spec.private_key) fail('private_key is for sftp only')
}
