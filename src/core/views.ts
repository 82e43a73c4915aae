// What the control plane shows of its things: the shapes that the API answers and the commands print.
// Must not hold secrets, real paths of the gateway's own folders, or behaviour.
import type { DestinationSpec } from './destination.ts'
import type { ErrorRecord } from './errors.ts'
import type { LogLevel } from './log.ts'
import type { NoMatch, RuleSpec } from './rule.ts'
import type { UserSpec } from './user.ts'

export const ROLES = ['admin', 'operator', 'auditor'] as const
export type Role = (typeof ROLES)[number]

/** Who acts, for the audit log. */
export interface Actor {
  /** An admin's name, `token:NAME`, or `console` for the unix socket. */
  readonly name: string
  readonly address: string
  readonly role: Role
}

/** A change of some keys: null takes a key back to its default. */
export type Patch<T> = { readonly [K in keyof T]?: T[K] | null }

export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

export interface PageRequest {
  /** 1 to 1000; default 50. */
  readonly limit?: number
  readonly cursor?: string
  /** Part of a name or path. */
  readonly q?: string
}

/** Every key is present; credentials appear as facts only. Times are ISO 8601 UTC. */
export type UserView = Required<Omit<UserSpec, 'password' | 'password_hash' | 'expires_at' | 'partner' | 'public_keys'>> & {
  readonly partner: string
  readonly expires_at: string | null
  readonly has_password: boolean
  readonly public_keys: readonly string[]
  readonly key_fingerprints: readonly string[]
  readonly last_login: string | null
  readonly last_login_from: { readonly address: string; readonly protocol: string } | null
  /** What counts against the quota. */
  readonly usage: { readonly bytes: number; readonly files: number }
  readonly created_at: string
  readonly updated_at: string
  readonly sessions: number
}

export type DestinationView = Omit<DestinationSpec, 'password' | 'private_key' | 'passphrase'> & {
  readonly port: number
  readonly enabled: boolean
  readonly has_password: boolean
  readonly has_private_key: boolean
  readonly used_by: readonly string[]
  readonly created_at: string
  readonly updated_at: string
}

export type RuleView = RuleSpec & { readonly enabled: boolean; readonly created_at: string; readonly updated_at: string }

export const SERVICE_NAMES = ['ftp', 'sftp', 'forwarder', 'watcher'] as const
export type ServiceName = (typeof SERVICE_NAMES)[number]
export type ServiceState = 'running' | 'stopped' | 'starting' | 'stopping' | 'failed'

export interface ServiceView {
  readonly name: ServiceName
  readonly state: ServiceState
  readonly since: string
  readonly restarts: number
  readonly error: string | null
  readonly port: number | null
}

export interface LogView {
  readonly time: string
  readonly level: LogLevel
  readonly service: string
  readonly event: string
  readonly message: string
  readonly [field: string]: unknown
}

export interface AuditView {
  readonly seq: number
  readonly at: string
  readonly actor: string
  readonly address: string
  readonly action: string
  readonly object: string
  readonly outcome: 'ok' | 'refused' | 'failed'
  readonly detail: Readonly<Record<string, unknown>>
  readonly hash: string
}

/** Bytes a second, step by step, oldest first. */
export interface ThroughputView {
  readonly step_ms: number
  readonly series: readonly { readonly at: string; readonly in: number; readonly out: number }[]
}

/** Whether a destination is spared because it fails as a whole. */
export interface BreakerView {
  readonly state: 'closed' | 'open' | 'probing'
  readonly since: string | null
  readonly next_probe_at: string | null
  /** Probes that failed in a row. */
  readonly failures: number
  readonly error: ErrorRecord | null
}

export interface DestinationHealth {
  readonly name: string
  /** `failing`: the last thing heard was a failure, or the breaker is open; `paused`: disabled. */
  readonly state: 'ok' | 'failing' | 'paused'
  readonly breaker: BreakerView
  readonly pending: number
  readonly running: number
  readonly retrying: number
  readonly delivered: number
  readonly dead: number
  /** Retrying and dead. */
  readonly failing: number
  readonly oldest_pending_at: string | null
  readonly last_error: (ErrorRecord & { readonly at: string }) | null
  readonly last_delivered_at: string | null
}

export interface StatsView {
  readonly uptime_ms: number
  readonly memory_bytes: number
  readonly disk: { readonly free: number; readonly total: number }
  readonly sessions: number
  readonly transfers: { readonly open: number; readonly completed_today: number; readonly bytes_in: number; readonly bytes_out: number }
  readonly queue: {
    readonly pending: number
    readonly running: number
    readonly retrying: number
    readonly dead: number
    readonly oldest_pending_ms: number | null
  }
  readonly throughput: ThroughputView
  readonly destinations: readonly DestinationHealth[]
}

export interface AdminView {
  readonly username: string
  readonly role: Role
  readonly enabled: boolean
  readonly totp_enabled: boolean
  readonly recovery_codes_left: number
  readonly created_at: string
  readonly last_login: string | null
}

/** An API token; the token itself is shown once, when it is made. */
export interface TokenView {
  readonly name: string
  readonly role: Role
  readonly created_at: string
  readonly expires_at: string | null
  readonly last_used_at: string | null
}

/** An address that may not try to log in for now. */
export interface BanView {
  /** An IPv4 address, or the /64 network of an IPv6 one. */
  readonly address: string
  readonly since: string
  readonly until: string
  /** Failed logins that led to it. */
  readonly failures: number
  readonly reason: string
}

export interface SettingView {
  /** `ftp.tls.mode` */
  readonly key: string
  /** As in force now; durations in ms. */
  readonly value: unknown
  readonly source: 'default' | 'file' | 'environment'
  /** Only where the source is a file: its path and the key's line. */
  readonly file?: string
  readonly line?: number
  /** The variable that would override it. */
  readonly variable: string
  readonly description: string
  /** Whether a change of it waits for a restart. */
  readonly needs_restart: boolean
}

export interface ReloadView {
  /** Keys that changed and act now. */
  readonly applied: readonly string[]
  /** Keys that changed and wait for a restart. */
  readonly needs_restart: readonly string[]
}

export interface KeyView {
  readonly kind: 'ssh-host-key' | 'certificate'
  /** What it is for: `sftp`, `ftp`, `admin`. */
  readonly name: string
  /** `ssh-ed25519`, `EC P-256` … */
  readonly type: string
  /** `SHA256:…` of host keys, hex with colons of certificates. */
  readonly fingerprint: string
  readonly subject?: string
  readonly not_after?: string
  readonly days_left?: number
}

export interface PublicKeyView {
  readonly type: string
  readonly bits: number
  readonly fingerprint: string
  readonly comment: string
}

export interface SimulateResult {
  readonly path: string
  readonly user: string
  readonly rules: readonly {
    readonly rule: string
    readonly matched: boolean
    readonly mode: 'live' | 'shadow'
    /** The first condition that failed; null when it matched. */
    readonly reason: string | null
    readonly because: NoMatch['because'] | null
    readonly deliveries: readonly {
      readonly destination: string
      readonly remote_path: string
      /** Why there is no remote name. */
      readonly error?: string
    }[]
  }[]
}

/** One file that a draft of rules treats otherwise than the live ones. */
export interface HistoryChange {
  readonly transfer: string
  readonly user: string
  readonly path: string
  readonly at: string
  readonly rule: string
  readonly destination: string
  readonly remote_path: string
  /** The remote name under the live rules, of one that is named differently. */
  readonly instead_of: string | null
}

/** What rules make of the uploads of the last days. Lists hold the newest 1000, counts all. */
export interface HistoryResult {
  readonly days: number
  /** There were more uploads than are looked at. */
  readonly truncated: boolean
  readonly counts: {
    readonly looked_at: number
    readonly matched: number
    readonly added: number
    readonly removed: number
    readonly renamed: number
  }
  readonly transfers: readonly {
    readonly transfer: string
    readonly user: string
    readonly path: string
    readonly at: string
    readonly deliveries: readonly { readonly rule: string; readonly destination: string; readonly remote_path: string }[]
  }[]
  readonly added: readonly HistoryChange[]
  readonly removed: readonly HistoryChange[]
  readonly renamed: readonly HistoryChange[]
}

export interface StateChange {
  readonly kind: 'user' | 'destination' | 'rule'
  readonly name: string
  readonly change: 'create' | 'update' | 'remove' | 'same'
  /** Names of the keys that differ. */
  readonly keys: readonly string[]
}
