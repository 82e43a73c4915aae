// The one catalogue of errors: a stable code, and what it means at each edge (FTP reply, SFTP status, HTTP status, retry class).
// Must not know any protocol's wire form beyond these numbers, nor carry secrets or real paths in messages.

/** SSH_FX_* status codes of draft-ietf-secsh-filexfer-02 §7. */
export const SFTP_STATUS = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  NO_CONNECTION: 6,
  CONNECTION_LOST: 7,
  OP_UNSUPPORTED: 8,
} as const

/** What a failed delivery does next: `transient` is tried again, `permanent` is dead at once, `destination` is the whole far side's trouble. */
export type RetryClass = 'transient' | 'permanent' | 'destination'

interface Edge {
  readonly ftp: number
  readonly sftp: number
  readonly http: number
  readonly retry: RetryClass
  readonly text: string
}

const edge = (ftp: number, sftp: number, http: number, retry: RetryClass, text: string): Edge => ({ ftp, sftp, http, retry, text })

export const ERRORS = {
  'path.invalid': edge(553, 5, 400, 'permanent', 'The name is not allowed.'),
  'path.not_found': edge(550, 2, 404, 'permanent', 'No such file or directory.'),
  'path.exists': edge(550, 4, 409, 'permanent', 'The name exists already.'),
  'path.not_directory': edge(550, 2, 409, 'permanent', 'Not a directory.'),
  'path.is_directory': edge(550, 4, 409, 'permanent', 'Is a directory.'),
  'path.not_empty': edge(550, 4, 409, 'permanent', 'The directory is not empty.'),
  'path.not_regular': edge(550, 3, 403, 'permanent', 'Not a plain file.'),
  'path.link_loop': edge(550, 2, 409, 'permanent', 'Too many symbolic links.'),
  'path.other_volume': edge(550, 4, 409, 'permanent', 'Cannot move between these folders.'),
  'permission.denied': edge(550, 3, 403, 'permanent', 'Permission denied.'),
  'quota.exceeded': edge(552, 4, 413, 'permanent', 'The quota is used up.'),
  'file.too_large': edge(552, 4, 413, 'permanent', 'The file is larger than allowed.'),
  'disk.full': edge(452, 4, 507, 'transient', 'No space left.'),
  'storage.failed': edge(451, 4, 500, 'transient', 'The storage failed.'),
  'upload.incomplete': edge(426, 4, 409, 'transient', 'The upload did not finish.'),
  'upload.suspect': edge(426, 4, 409, 'permanent', 'The connection was lost right after the upload: it may not be whole.'),
  'transfer.aborted': edge(426, 4, 409, 'transient', 'The transfer was aborted.'),
  'transfer.stalled': edge(426, 4, 408, 'transient', 'No data moved for too long.'),
  'data.no_connection': edge(425, 6, 502, 'transient', 'Cannot open the data connection.'),
  'auth.failed': edge(530, 3, 401, 'permanent', 'Login failed.'),
  'auth.totp_required': edge(530, 3, 401, 'permanent', 'Enter the code of your authenticator, or a recovery code.'),
  'auth.tls_required': edge(530, 3, 403, 'permanent', 'This account needs TLS: use AUTH TLS first.'),
  'auth.required': edge(530, 3, 401, 'permanent', 'Log in first.'),
  'auth.csrf': edge(530, 3, 403, 'permanent', 'The CSRF token is missing or wrong.'),
  'auth.banned': edge(421, 3, 403, 'transient', 'Too many failed logins from this address.'),
  'session.revoked': edge(421, 7, 403, 'permanent', 'The account was changed or disabled.'),
  'limit.sessions': edge(421, 4, 429, 'transient', 'Too many sessions.'),
  'limit.rate': edge(421, 4, 429, 'transient', 'Too many requests.'),
  'limit.handles': edge(450, 4, 429, 'transient', 'Too many open files.'),
  'service.draining': edge(421, 7, 503, 'transient', 'The service is shutting down.'),
  'service.unavailable': edge(421, 6, 503, 'transient', 'The service is not available.'),
  'operation.unsupported': edge(502, 8, 501, 'permanent', 'Not supported.'),
  'request.invalid': edge(501, 5, 400, 'permanent', 'The request is not valid.'),
  'resource.not_found': edge(550, 2, 404, 'permanent', 'There is no such thing.'),
  'resource.exists': edge(550, 4, 409, 'permanent', 'The name is taken.'),
  'resource.in_use': edge(550, 4, 409, 'permanent', 'It is in use.'),
  'state.conflict': edge(550, 4, 409, 'permanent', 'That cannot be done in its present state.'),
  'config.invalid': edge(451, 4, 500, 'permanent', 'The configuration is wrong.'),
  'database.newer': edge(451, 4, 500, 'permanent', 'The database is of a newer version.'),
  'spool.missing': edge(451, 4, 500, 'permanent', 'The stored content of the file is gone.'),
  'spool.changed': edge(451, 4, 500, 'permanent', 'The stored content of the file has changed.'),
  'remote.unreachable': edge(451, 4, 502, 'destination', 'The destination cannot be reached.'),
  'remote.host_key': edge(451, 4, 502, 'permanent', 'The destination shows another host key than the one on record.'),
  'remote.tls': edge(451, 4, 502, 'permanent', 'The certificate of the destination is not trusted.'),
  'remote.auth': edge(451, 4, 502, 'permanent', 'The destination refused the login.'),
  'remote.lost': edge(451, 4, 502, 'transient', 'The connection to the destination was lost.'),
  'remote.timeout': edge(451, 4, 504, 'transient', 'The destination did not answer in time.'),
  'remote.denied': edge(451, 4, 502, 'permanent', 'The destination refused the path.'),
  'remote.full': edge(451, 4, 502, 'destination', 'The destination has no space left.'),
  'remote.exists': edge(451, 4, 502, 'permanent', 'The file exists at the destination already.'),
  'remote.verify': edge(451, 4, 502, 'transient', 'The file at the destination is not what was sent.'),
  'remote.failed': edge(451, 4, 502, 'transient', 'The destination reported an error.'),
  'template.invalid': edge(451, 4, 400, 'permanent', 'The remote name cannot be made.'),
  'delivery.superseded': edge(451, 4, 409, 'permanent', 'A later version was delivered under that name already: this one would undo it.'),
  'delivery.duplicate': edge(451, 4, 409, 'permanent', 'The same content was sent under that name shortly before.'),
  'delivery.crashes': edge(
    451,
    4,
    500,
    'permanent',
    'The forwarder, or the whole gateway, ended each time this delivery ran: it is not tried again by itself.',
  ),
  'delivery.cancelled': edge(451, 4, 409, 'permanent', 'The delivery was cancelled.'),
  internal: edge(451, 4, 500, 'transient', 'Internal error.'),
} as const satisfies Record<string, Edge>

export type ErrorCode = keyof typeof ERRORS

/** Failures that every other delivery to the same destination would meet: after one of them nothing is sent there but one probe at a time. */
export const DESTINATION_WIDE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(Object.keys(ERRORS) as ErrorCode[]).filter((code) => ERRORS[code].retry === 'destination'),
  'remote.auth',
  'remote.host_key',
  'remote.tls',
])

/** An expected failure with a stable code. `message` may be shown to anyone: it holds no secret and no real path. */
export class FileFlowError extends Error {
  readonly code: ErrorCode
  readonly detail: Readonly<Record<string, string | number>> | undefined

  constructor(code: ErrorCode, message?: string, options?: { cause?: unknown; detail?: Record<string, string | number> }) {
    super(message ?? ERRORS[code].text, options?.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'FileFlowError'
    this.code = code
    this.detail = options?.detail
  }
}

/** The code of any thrown value; anything that is not ours is `internal`. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof FileFlowError ? error.code : 'internal'
}

/** An error in the form that crosses a thread or lands in a row. */
export interface ErrorRecord {
  readonly code: ErrorCode
  readonly message: string
  readonly detail?: Readonly<Record<string, string | number>> | undefined
}

export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof FileFlowError) {
    return error.detail ? { code: error.code, message: error.message, detail: error.detail } : { code: error.code, message: error.message }
  }
  return { code: 'internal', message: ERRORS.internal.text }
}

export function fromErrorRecord(record: ErrorRecord): FileFlowError {
  return new FileFlowError(record.code, record.message, record.detail ? { detail: { ...record.detail } } : undefined)
}
