// A user as declared (state file, API) and the principal that a session is bound to.
// Must not hold a clear password beyond the declaration that brings it.
import Type, { type Static } from 'typebox'
import { FileFlowError } from './errors.ts'
import { DEFAULT_PERMISSIONS, PERMISSIONS, type PermissionEntry } from './permission.ts'
import { oneOf, PathText, ResourceName, Size } from './schema.ts'
import { parseSize } from './units.ts'
import { ROOT, toVirtualPath, type VirtualPath } from './virtual-path.ts'

export const PROTOCOLS = ['sftp', 'ftp'] as const
export type Protocol = (typeof PROTOCOLS)[number]

/** What a user must show over SSH. `any`: a password or a key, whichever fits; the last one: first the key, then the password too. FTP takes passwords whatever stands here. */
export const SSH_AUTH = ['any', 'password', 'key', 'key+password'] as const
export type SshAuth = (typeof SSH_AUTH)[number]

/** A user without credentials; what GET answers, too. */
export const UserFields = {
  public_keys: Type.Optional(
    Type.Array(Type.String({ maxLength: 16384, description: 'a line of an OpenSSH authorized_keys file' }), { maxItems: 100 }),
  ),
  certificates: Type.Optional(
    Type.Array(
      Type.String({
        pattern: '^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$',
        description:
          'the SHA-256 fingerprint of a TLS client certificate that logs in over FTPS, as openssl x509 -fingerprint -sha256 prints it',
      }),
      { maxItems: 100 },
    ),
  ),
  ssh_auth: Type.Optional(
    oneOf(SSH_AUTH, {
      description: 'what a login over SSH needs: any (default) | password | key | key+password; `protocols` says who may use FTP',
    }),
  ),
  enabled: Type.Optional(Type.Boolean()),
  home: Type.Optional(
    Type.String({ minLength: 1, maxLength: 4096, description: 'relative to storage_root, or absolute; default: the username' }),
  ),
  start_directory: Type.Optional(PathText),
  directories: Type.Optional(Type.Array(PathText, { maxItems: 1000 })),
  protocols: Type.Optional(Type.Array(oneOf(PROTOCOLS), { uniqueItems: true, description: 'some of: sftp, ftp' })),
  require_tls: Type.Optional(Type.Boolean({ description: 'FTP only over TLS; default true' })),
  permissions: Type.Optional(
    Type.Array(
      Type.Object({ path: PathText, allow: Type.Array(oneOf(PERMISSIONS), { uniqueItems: true }) }, { additionalProperties: false }),
      { maxItems: 1000, description: 'longest matching path wins' },
    ),
  ),
  mounts: Type.Optional(
    Type.Array(
      Type.Object(
        {
          path: PathText,
          target: Type.String({ pattern: '^/', maxLength: 4096, description: 'an absolute path on the server' }),
          read_only: Type.Optional(Type.Boolean()),
        },
        { additionalProperties: false },
      ),
      { maxItems: 100 },
    ),
  ),
  allowed_ips: Type.Optional(
    Type.Array(Type.String({ maxLength: 64, description: 'an address or a network (203.0.113.0/24)' }), { maxItems: 1000 }),
  ),
  quota: Type.Optional(
    Type.Object({ bytes: Type.Optional(Size), files: Type.Optional(Type.Integer({ minimum: 0 })) }, { additionalProperties: false }),
  ),
  limits: Type.Optional(
    Type.Object(
      {
        sessions: Type.Optional(Type.Integer({ minimum: 1 })),
        upload_rate: Type.Optional(Size),
        download_rate: Type.Optional(Size),
        max_file_size: Type.Optional(Size),
      },
      { additionalProperties: false },
    ),
  ),
  expires_at: Type.Optional(
    Type.String({
      pattern: '^\\d{4}-\\d{2}-\\d{2}(T[0-9:.]+(Z|[+-]\\d{2}:\\d{2}))?$',
      description: 'a date (2027-12-31: to its end, UTC) or an ISO time',
    }),
  ),
  partner: Type.Optional(Type.String({ maxLength: 200 })),
}

export const UserSpec = Type.Object(
  {
    username: ResourceName,
    password: Type.Optional(Type.String({ minLength: 1, maxLength: 1024, description: 'a password of 1 to 1024 characters' })),
    password_hash: Type.Optional(
      Type.String({
        maxLength: 512,
        pattern: '^\\$argon2id\\$v=19\\$m=\\d{1,7},t=\\d{1,2},p=\\d{1,2}\\$[A-Za-z0-9+/]{11,128}\\$[A-Za-z0-9+/]{22,256}$',
        description: 'an argon2id hash as `export` prints it',
      }),
    ),
    ...UserFields,
  },
  { additionalProperties: false },
)
export type UserSpec = Static<typeof UserSpec>

/** What may be changed of a user (PATCH): everything but the name; null takes a key back to its default. */
export const UserPatch = Type.Object(
  Object.fromEntries(
    Object.entries({ ...UserSpec.properties }).flatMap(([key, schema]) =>
      key === 'username' ? [] : [[key, Type.Optional(Type.Union([schema, Type.Null()]))]],
    ),
  ),
  { additionalProperties: false },
)

export interface Mount {
  readonly path: VirtualPath
  /** Absolute real path. */
  readonly target: string
  readonly readOnly: boolean
}

/** Who a session acts as, and all that binds it. Made by the control plane from the user's row; workers only read it. */
export interface Principal {
  readonly username: string
  readonly partner: string
  /** Absolute real path of the virtual root. */
  readonly home: string
  readonly startDirectory: VirtualPath
  readonly permissions: readonly PermissionEntry[]
  readonly mounts: readonly Mount[]
  readonly protocols: readonly Protocol[]
  readonly requireTls: boolean
  readonly sshAuth: SshAuth
  readonly quota: { readonly bytes: number | null; readonly files: number | null }
  readonly limits: {
    readonly sessions: number | null
    /** Bytes a second. */
    readonly uploadRate: number | null
    readonly downloadRate: number | null
    readonly maxFileSize: number | null
  }
}

/**
 * A declaration as a principal; `home` is resolved by the caller.
 * @throws FileFlowError `path.invalid` or `request.invalid`
 */
export function toPrincipal(spec: UserSpec, home: string): Principal {
  return {
    username: spec.username,
    partner: spec.partner ?? '',
    home,
    startDirectory: toVirtualPath(ROOT, spec.start_directory ?? '/'),
    permissions: spec.permissions
      ? spec.permissions.map((p) => ({ path: toVirtualPath(ROOT, p.path), allow: p.allow }))
      : DEFAULT_PERMISSIONS,
    mounts: (spec.mounts ?? []).map((m) => ({ path: toVirtualPath(ROOT, m.path), target: m.target, readOnly: m.read_only ?? false })),
    protocols: spec.protocols ?? PROTOCOLS,
    requireTls: spec.require_tls ?? true,
    sshAuth: spec.ssh_auth ?? 'any',
    quota: { bytes: size(spec.quota?.bytes, 'quota.bytes'), files: spec.quota?.files ?? null },
    limits: {
      sessions: spec.limits?.sessions ?? null,
      uploadRate: size(spec.limits?.upload_rate, 'limits.upload_rate'),
      downloadRate: size(spec.limits?.download_rate, 'limits.download_rate'),
      maxFileSize: size(spec.limits?.max_file_size, 'limits.max_file_size'),
    },
  }
}

function size(value: string | number | undefined, key: string): number | null {
  if (value === undefined) return null
  const bytes = parseSize(value)
  if (bytes === undefined) throw new FileFlowError('request.invalid', `${key}: not a size`)
  return bytes
}

/** The moment an account ends, in ms; a bare date ends with that day (UTC). */
export function expiryOf(spec: Pick<UserSpec, 'expires_at'>): number | null {
  if (!spec.expires_at) return null
  const at = Date.parse(spec.expires_at.length === 10 ? `${spec.expires_at}T23:59:59.999Z` : spec.expires_at)
  if (Number.isNaN(at)) throw new FileFlowError('request.invalid', 'expires_at: not a date')
  return at
}
