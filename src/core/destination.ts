// A destination: the address files are delivered to, as declared.
// Must not speak to it; connectors do.
import Type, { type Static } from 'typebox'
import { oneOf, PathText, ResourceName } from './schema.ts'

export const DESTINATION_TYPES = ['sftp', 'ftp', 'ftps', 'ftps-implicit', 'local'] as const
export const VERIFY_LEVELS = ['size', 'hash', 'readback', 'auto'] as const
export const DEFAULT_TEMP_NAME = '.{filename}.{delivery}.part'

export const DestinationFields = {
  type: oneOf(DESTINATION_TYPES),
  host: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
  username: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  host_keys: Type.Optional(
    Type.Union(
      [
        Type.Array(
          Type.String({
            pattern: '^(SHA256:[A-Za-z0-9+/]{43}=?|insecure)$',
            description: 'a fingerprint as ssh-keygen -l prints it: SHA256:…; or insecure alone',
          }),
          { minItems: 1, maxItems: 20 },
        ),
        Type.Literal('insecure'),
      ],
      { description: 'a list of SHA256:… fingerprints, or the word insecure' },
    ),
  ),
  tls: Type.Optional(
    Type.Object(
      {
        verify: Type.Optional(Type.Boolean()),
        ca: Type.Optional(Type.Union([Type.String({ maxLength: 100_000, description: 'PEM text' }), Type.Null()])),
        fingerprint: Type.Optional(
          Type.Union([
            Type.String({ pattern: '^([0-9A-Fa-f]{2}:?){32}$', description: 'the SHA-256 fingerprint of the certificate, in hex' }),
            Type.Null(),
          ]),
        ),
      },
      { additionalProperties: false },
    ),
  ),
  base_path: Type.Optional(PathText),
  max_connections: Type.Optional(Type.Integer({ minimum: 1, maximum: 64 })),
  verify: Type.Optional(oneOf(VERIFY_LEVELS)),
  temp_name: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, pattern: '^[^/]+$', description: 'a template for one name, without /' }),
  ),
  enabled: Type.Optional(Type.Boolean()),
}

/** Write-only: never answered, never exported in clear, sealed in the database. */
export const DestinationSecrets = {
  password: Type.Optional(Type.String({ maxLength: 1024 })),
  private_key: Type.Optional(Type.String({ maxLength: 100_000, description: 'a PEM or OpenSSH private key' })),
  passphrase: Type.Optional(Type.String({ maxLength: 1024 })),
}

export const DestinationSpec = Type.Object(
  { name: ResourceName, ...DestinationFields, ...DestinationSecrets },
  { additionalProperties: false },
)
export type DestinationSpec = Static<typeof DestinationSpec>
export const SECRET_KEYS = ['password', 'private_key', 'passphrase'] as const

export const DestinationPatch = Type.Object(
  Object.fromEntries(
    Object.entries({ ...DestinationFields, ...DestinationSecrets }).map(([key, schema]) => [
      key,
      Type.Optional(Type.Union([schema, Type.Null()])),
    ]),
  ),
  { additionalProperties: false },
)
