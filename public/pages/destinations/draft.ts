// A destination as a form holds it, and back; secrets go only one way.
// Must not talk to the gateway or judge what it will refuse.
import type { DestinationSpec } from '../../../src/core/destination.ts'
import type { DestinationView, Patch } from '../../../src/core/views.ts'
import { same } from '../../parts/same.ts'

export interface DestinationDraft {
  readonly name: string
  readonly type: DestinationSpec['type']
  readonly host: string
  readonly port: string
  readonly username: string
  readonly password: string
  readonly forget_password: boolean
  readonly private_key: string
  readonly passphrase: string
  readonly forget_key: boolean
  readonly host_keys: readonly string[]
  readonly insecure: boolean
  readonly tls_verify: boolean
  readonly tls_ca: string
  readonly tls_fingerprint: string
  readonly base_path: string
  readonly max_connections: string
  readonly verify: NonNullable<DestinationSpec['verify']>
  readonly temp_name: string
}

/** What the form does not show is kept: a later version may know more keys than this page. */
const SHOWN = ['type', 'host', 'port', 'username', 'host_keys', 'tls', 'base_path', 'max_connections', 'verify', 'temp_name'] as const
type Shown = Pick<DestinationSpec, (typeof SHOWN)[number]>

export const EMPTY_DESTINATION: DestinationDraft = {
  name: '',
  type: 'sftp',
  host: '',
  port: '',
  username: '',
  password: '',
  forget_password: false,
  private_key: '',
  passphrase: '',
  forget_key: false,
  host_keys: [],
  insecure: false,
  tls_verify: true,
  tls_ca: '',
  tls_fingerprint: '',
  base_path: '/',
  max_connections: '',
  verify: 'auto',
  temp_name: '',
}

export const USUAL_PORT: Readonly<Record<DestinationSpec['type'], number>> = { sftp: 22, ftp: 21, ftps: 21, 'ftps-implicit': 990, local: 0 }

export function toDraft(view: DestinationView): DestinationDraft {
  return {
    ...EMPTY_DESTINATION,
    name: view.name,
    type: view.type,
    host: view.host ?? '',
    port: view.port === USUAL_PORT[view.type] ? '' : String(view.port),
    username: view.username ?? '',
    host_keys: Array.isArray(view.host_keys) ? view.host_keys : [],
    insecure: view.host_keys === 'insecure',
    tls_verify: view.tls?.verify ?? true,
    tls_ca: view.tls?.ca ?? '',
    tls_fingerprint: view.tls?.fingerprint ?? '',
    base_path: view.base_path ?? '/',
    max_connections: view.max_connections === undefined ? '' : String(view.max_connections),
    verify: view.verify ?? 'auto',
    temp_name: view.temp_name ?? '',
  }
}

const number = (value: string): number => (/^\d+$/.test(value.trim()) ? Number(value) : (value.trim() as unknown as number))

/** What the draft declares without its secrets; keys at their default, or without meaning for the type, are absent. */
function shown(draft: DestinationDraft): Shown {
  const { type } = draft
  const far = type !== 'local'
  const keys = draft.host_keys.map((key) => key.trim()).filter((key) => key !== '')
  const tls = {
    ...(draft.tls_verify ? {} : { verify: false }),
    ...(draft.tls_ca.trim() === '' ? {} : { ca: draft.tls_ca }),
    ...(draft.tls_fingerprint.trim() === '' ? {} : { fingerprint: draft.tls_fingerprint.trim() }),
  }
  return {
    type,
    ...(far && draft.host.trim() !== '' ? { host: draft.host.trim() } : {}),
    ...(far && draft.port.trim() !== '' ? { port: number(draft.port) } : {}),
    ...(far && draft.username.trim() !== '' ? { username: draft.username.trim() } : {}),
    ...(type === 'sftp' && draft.insecure ? { host_keys: 'insecure' as const } : {}),
    ...(type === 'sftp' && !draft.insecure && keys.length > 0 ? { host_keys: keys } : {}),
    ...((type === 'ftps' || type === 'ftps-implicit') && Object.keys(tls).length > 0 ? { tls } : {}),
    ...(draft.base_path.trim() === '' || (far && draft.base_path.trim() === '/') ? {} : { base_path: draft.base_path.trim() }),
    ...(draft.max_connections.trim() === '' ? {} : { max_connections: number(draft.max_connections) }),
    ...(draft.verify === 'auto' ? {} : { verify: draft.verify }),
    ...(draft.temp_name.trim() === '' ? {} : { temp_name: draft.temp_name.trim() }),
  }
}

const secrets = (draft: DestinationDraft): Pick<DestinationSpec, 'password' | 'private_key' | 'passphrase'> => ({
  ...(draft.type !== 'local' && draft.password !== '' ? { password: draft.password } : {}),
  ...(draft.type === 'sftp' && draft.private_key.trim() !== '' ? { private_key: draft.private_key } : {}),
  ...(draft.type === 'sftp' && draft.private_key.trim() !== '' && draft.passphrase !== '' ? { passphrase: draft.passphrase } : {}),
})

export const toSpec = (draft: DestinationDraft): DestinationSpec => ({ name: draft.name.trim(), ...shown(draft), ...secrets(draft) })

/** What changed, for PATCH: a key that went back to its default is null; a new key comes without the old one's passphrase. */
export function toPatch(before: DestinationDraft, after: DestinationDraft): Patch<DestinationSpec> {
  const [from, to] = [shown(before), shown(after)]
  const fresh = secrets(after)
  return {
    ...Object.fromEntries(SHOWN.filter((key) => !same(from[key], to[key])).map((key) => [key, to[key] ?? null])),
    ...(after.forget_password ? { password: null } : {}),
    ...(after.forget_key || fresh.private_key !== undefined ? { private_key: null, passphrase: null } : {}),
    ...fresh,
  }
}
