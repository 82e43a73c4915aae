// What the API answers, as schemas for the OpenAPI description; core/views.ts has the same as types, and a test compares real answers with both.
// Must not be used to validate or cut answers: a view may grow before its description does.
import Type, { type TSchema } from 'typebox'
import { DESTINATION_TYPES } from '../core/destination.ts'
import { ERRORS } from '../core/errors.ts'
import { DELIVERY_STATES } from '../core/movement-views.ts'
import { REMOVED_KINDS } from '../core/removals.ts'
import { MISS_KINDS } from '../core/rule.ts'
import { oneOf } from '../core/schema.ts'
import { UPLOAD_STATES } from '../core/transfer.ts'
import { PROTOCOLS } from '../core/user.ts'
import { ROLES, SERVICE_NAMES } from '../core/views.ts'

const Text = Type.String()
const Count = Type.Integer({ minimum: 0 })
const Flag = Type.Boolean()
const Time = Type.String({ format: 'date-time', description: 'ISO 8601, UTC' })
const Texts = Type.Array(Text)
const Any = Type.Unknown()
const METHOD = Type.Optional(
  Type.String({
    description: 'how the hash at the destination was had: check-file, sha256sum, HASH, XSHA256, XMD5 …, read-back; absent without one',
  }),
)
const orNull = (schema: TSchema) => Type.Union([schema, Type.Null()])
const ref = (name: string) => Type.Unsafe<unknown>({ $ref: `${name}#` })
const object = (properties: Record<string, TSchema>, description?: string) => Type.Object(properties, description ? { description } : {})

/** A page of a list. */
export const pageOf = (name: string) =>
  object({ items: Type.Array(ref(name)), next: orNull(Type.String({ description: 'cursor of the next page' })) })
export { Count, Flag, object, orNull, ref, Text, Texts, Time }

const attempt = object({
  number: Count,
  started_at: Time,
  worker: orNull(Text),
  ended_at: orNull(Time),
  ok: orNull(Flag),
  error: orNull(ref('Failure')),
})
const delivery = {
  id: Text,
  transfer: Text,
  rule: Text,
  destination: Text,
  user: Text,
  path: Text,
  remote_path: Text,
  size: Count,
  state: oneOf(DELIVERY_STATES),
  attempts: Count,
  next_at: orNull(Time),
  error: orNull(ref('Failure')),
  created_at: Time,
  updated_at: Time,
  receipt: orNull(ref('Receipt')),
}
const transfer = {
  id: Text,
  session: Text,
  user: Text,
  protocol: Text,
  address: Text,
  direction: oneOf(['upload', 'download']),
  path: Text,
  state: oneOf(UPLOAD_STATES),
  bytes: Count,
  total: orNull(Count),
  rate: orNull(Type.Number()),
  sha256: orNull(Text),
  started_at: Time,
  ended_at: orNull(Time),
  error: orNull(ref('Failure')),
  evidence: Texts,
}

/** By name, as `#/components/schemas/…` has them. */
export const SHAPES: Readonly<Record<string, TSchema>> = {
  Problem: object(
    {
      type: Type.String({ description: 'urn:fileflow:error:CODE' }),
      title: Text,
      status: Count,
      code: oneOf(Object.keys(ERRORS), { description: 'stable; what scripts compare' }),
      detail: Text,
      fields: Type.Optional(Any),
    },
    'RFC 9457',
  ),
  Failure: object({ code: oneOf(Object.keys(ERRORS)), message: Text }),
  User: object({
    username: Text,
    partner: Text,
    enabled: Flag,
    has_password: Flag,
    public_keys: Texts,
    key_fingerprints: Texts,
    home: Text,
    start_directory: Text,
    directories: Texts,
    protocols: Type.Array(oneOf(PROTOCOLS)),
    require_tls: Flag,
    permissions: Type.Array(object({ path: Text, allow: Texts })),
    mounts: Type.Array(object({ path: Text, target: Text })),
    allowed_ips: Texts,
    quota: object({}),
    limits: object({}),
    expires_at: orNull(Text),
    last_login: orNull(Time),
    last_login_from: orNull(object({ address: Text, protocol: Text })),
    usage: object({ bytes: Count, files: Count }),
    created_at: Time,
    updated_at: Time,
    sessions: Count,
  }),
  Destination: object({
    name: Text,
    type: oneOf(DESTINATION_TYPES),
    enabled: Flag,
    has_password: Flag,
    has_private_key: Flag,
    used_by: Texts,
    created_at: Time,
    updated_at: Time,
  }),
  Rule: object({
    name: Text,
    enabled: Flag,
    source: object({}),
    deliver: Type.Array(object({ to: Text })),
    created_at: Time,
    updated_at: Time,
  }),
  Receipt: object({
    remote_path: Text,
    size: Count,
    sha256: Text,
    verified: Text,
    algorithm: orNull(Text),
    method: METHOD,
    outcome: Text,
    server: orNull(Text),
    at: Time,
  }),
  SignedReceipt: object({
    receipt: object({
      type: Text,
      delivery: Text,
      transfer: Text,
      remote_path: Text,
      size: Count,
      sha256: Text,
      verified: Text,
      method: METHOD,
      delivered_at: Time,
    }),
    payload: Type.String({ description: 'base64 of the very bytes that are signed' }),
    signature: Type.String({ description: 'base64, ed25519 over the bytes of payload' }),
    public_key: Type.String({ description: 'base64 of the DER' }),
    key: Text,
  }),
  Delivery: object(delivery),
  DeliveryDetail: object({ ...delivery, tries: Type.Array(attempt) }),
  Transfer: object(transfer),
  TransferDetail: object({
    ...transfer,
    deliveries: Type.Array(ref('DeliveryDetail')),
    timeline: Type.Array(object({ at: Time, event: Text, text: Text, ok: Flag })),
  }),
  Session: object({
    id: Text,
    username: Text,
    partner: Text,
    protocol: oneOf(PROTOCOLS),
    address: Text,
    method: Text,
    client: Text,
    started_at: Time,
    transfers: Type.Array(object({ id: Text, direction: Text, path: Text, bytes: Count, total: orNull(Count), rate: Type.Number() })),
  }),
  Service: object({
    name: oneOf(SERVICE_NAMES),
    state: oneOf(['running', 'stopped', 'starting', 'stopping', 'failed']),
    since: Time,
    restarts: Count,
    error: orNull(Text),
    port: orNull(Count),
  }),
  LogLine: object({ time: Time, level: oneOf(['debug', 'info', 'warn', 'error']), service: Text, event: Text, message: Text }),
  AuditRow: object({
    seq: Count,
    at: Time,
    actor: Text,
    address: Text,
    action: Text,
    object: Text,
    outcome: oneOf(['ok', 'refused', 'failed']),
    detail: object({}),
    hash: Text,
  }),
  Stats: object({
    uptime_ms: Count,
    memory_bytes: Count,
    disk: object({ free: Count, total: Count }),
    sessions: Count,
    transfers: object({ open: Count, completed_today: Count, bytes_in: Count, bytes_out: Count }),
    queue: object({ pending: Count, running: Count, retrying: Count, dead: Count, oldest_pending_ms: orNull(Count) }),
    throughput: object({ step_ms: Count, series: Type.Array(object({ at: Time, in: Count, out: Count })) }),
    destinations: Type.Array(object({ name: Text })),
  }),
  Admin: object({
    username: Text,
    role: oneOf(ROLES),
    enabled: Flag,
    totp_enabled: Flag,
    recovery_codes_left: Count,
    created_at: Time,
    last_login: orNull(Time),
  }),
  Token: object({ name: Text, role: oneOf(ROLES), created_at: Time, expires_at: orNull(Time), last_used_at: orNull(Time) }),
  Removed: object({ kind: oneOf(REMOVED_KINDS), name: Text, by: Text, removed_at: Time, until: Time }),
  Ban: object({ address: Text, since: Time, until: Time, failures: Count, reason: Text }),
  Setting: object({
    key: Text,
    value: Any,
    source: oneOf(['default', 'file', 'environment']),
    file: Type.Optional(Text),
    line: Type.Optional(Count),
    variable: Text,
    description: Text,
    needs_restart: Flag,
  }),
  Key: object({
    kind: oneOf(['ssh-host-key', 'certificate']),
    name: Text,
    type: Text,
    fingerprint: Text,
    subject: Type.Optional(Text),
    not_after: Type.Optional(Time),
    days_left: Type.Optional(Type.Integer()),
  }),
  Simulation: object({
    path: Text,
    user: Text,
    rules: Type.Array(
      object({
        rule: Text,
        matched: Flag,
        reason: orNull(Text),
        because: orNull(object({ kind: oneOf(MISS_KINDS), what: Text })),
        deliveries: Type.Array(object({ destination: Text, remote_path: Text })),
      }),
    ),
  }),
  History: object({
    days: Count,
    truncated: Flag,
    counts: object({ looked_at: Count, matched: Count, added: Count, removed: Count, renamed: Count }),
    transfers: Type.Array(object({ transfer: Text, user: Text, path: Text })),
  }),
  Change: object({
    kind: oneOf(['user', 'destination', 'rule']),
    name: Text,
    change: oneOf(['create', 'update', 'remove', 'same']),
    keys: Texts,
  }),
  Probe: object({
    ok: Flag,
    steps: Type.Array(object({ step: Text, ok: Flag, ms: Type.Number(), detail: Text })),
    fingerprint: orNull(Text),
  }),
}
