// All that the API can do, as verbs: each one validates, acts, writes the audit row and has its live effect, whoever calls it.
// Must not be gone round by a route or a command; app.ts puts it together.

import type { Readable } from 'node:stream'
import type { AdminLogin } from '../accounts/admin-sessions.ts'
import type { AdminPatch } from '../accounts/admins.ts'
import type { DestinationSpec } from '../core/destination.ts'
import type { DeliveryState, DeliveryView, SessionView, TransferDetail, TransferView } from '../core/movement-views.ts'
import type { SignedReceipt } from '../core/receipt.ts'
import type { RemovedView } from '../core/removals.ts'
import type { RuleSpec } from '../core/rule.ts'
import type { StateFile } from '../core/state-file.ts'
import type { Direction, Origin, TransferState } from '../core/transfer.ts'
import type { UserSpec } from '../core/user.ts'
import type {
  Actor,
  AdminView,
  AuditView,
  BanView,
  DestinationView,
  HistoryResult,
  KeyView,
  LogView,
  Page,
  PageRequest,
  Patch,
  PublicKeyView,
  ReloadView,
  Role,
  RuleView,
  ServiceName,
  ServiceView,
  SettingView,
  SimulateResult,
  StateChange,
  StatsView,
  TokenView,
  UserView,
} from '../core/views.ts'
import type { ProbeReport } from '../forwarding/connector.ts'
import type { Chosen, Counted } from '../forwarding/delivery-verbs.ts'

export type { Actor, Patch }

export interface Resource<Spec, View> {
  list(page: PageRequest): Page<View>
  /** @throws FileFlowError `resource.not_found` */
  get(name: string): View
  /** @throws FileFlowError `resource.exists`, `request.invalid`, `template.invalid` */
  create(actor: Actor, spec: Spec): Promise<View>
  update(actor: Actor, name: string, patch: Patch<Spec>): Promise<View>
  /** @throws FileFlowError `resource.in_use` when a rule still names it */
  remove(actor: Actor, name: string): Promise<void>
  /** Takes a removal back, with what is write-only. @throws FileFlowError `resource.not_found`, `resource.exists` */
  restore(actor: Actor, name: string): Promise<View>
  /** What can be restored, newest first. */
  removed(): readonly RemovedView[]
  setEnabled(actor: Actor, name: string, enabled: boolean): Promise<View>
}

export interface TransferFilter extends PageRequest {
  readonly user?: string
  readonly state?: TransferState
  readonly direction?: Direction
  readonly protocol?: Origin
  /** ms; `until` excluded. */
  readonly since?: number
  readonly until?: number
  readonly session?: string
}

export interface DeliveryFilter extends PageRequest {
  readonly state?: DeliveryState
  readonly rule?: string
  readonly destination?: string
}

export interface AuditFilter extends PageRequest {
  readonly actor?: string
  readonly action?: string
  readonly outcome?: AuditView['outcome']
  /** ms, both included. */
  readonly since?: number
  readonly until?: number
}

export interface LogFilter {
  readonly service?: string
  /** This level and above. */
  readonly level?: string
  readonly q?: string
  readonly since?: number
  readonly until?: number
  readonly limit?: number
}

export interface ControlPlaneEvent {
  /** `session.opened`, `session.closed`, `transfer.*`, `delivery.*`, `service.*`, `log`, `stats` */
  readonly type: string
  readonly data: unknown
}

export interface ControlPlane {
  readonly users: Resource<UserSpec, UserView> & {
    /** Empties the home; mounts stay. Ends the user's sessions. */
    deleteFiles(actor: Actor, username: string): Promise<{ files: number; bytes: number }>
    /** Counts on the disk what counts for the quota. */
    recount(actor: Actor, username: string): Promise<{ files: number; bytes: number }>
  }
  readonly destinations: Resource<DestinationSpec, DestinationView> & {
    test(actor: Actor, name: string, signal: AbortSignal): Promise<ProbeReport>
    /** What an SSH server shows; nothing is trusted by it. @throws `remote.*` */
    hostKeys(actor: Actor, host: string, port: number, signal: AbortSignal): Promise<readonly { type: string; fingerprint: string }[]>
  }
  readonly rules: Resource<RuleSpec, RuleView> & {
    simulate(question: { user: string; path: string; rules?: readonly RuleSpec[] }): SimulateResult
    /** Over the uploads of the last days; `rules` are a draft to compare with the live ones. */
    simulateHistory(question: { days: number; rules?: readonly RuleSpec[] }): Promise<HistoryResult>
    /** @throws FileFlowError `request.invalid` unless each rule is named once */
    order(actor: Actor, names: readonly string[]): Promise<void>
  }
  readonly transfers: {
    list(filter: TransferFilter): Promise<Page<TransferView>>
    get(id: string): TransferDetail
    why(id: string): SimulateResult
  }
  readonly deliveries: {
    list(filter: DeliveryFilter): Promise<Page<DeliveryView>>
    get(id: string): DeliveryView & { readonly tries: TransferDetail['deliveries'][number]['tries'] }
    /** @throws `state.conflict` when it is not delivered */
    receipt(id: string): SignedReceipt
    /** PEM, and SHA256:… of its DER. */
    receiptKey(): { readonly public_key: string; readonly fingerprint: string }
    /** Of a dead, cancelled or retrying delivery. @throws `state.conflict` */
    retry(actor: Actor, id: string): DeliveryView
    cancel(actor: Actor, id: string): DeliveryView
    /** What the next two would be asked about, up to 10,000. */
    count(chosen: Chosen & { readonly state: DeliveryState }): Promise<Counted>
    /** All that fit; the dead when no state is named. @returns how many were put back. */
    retryAll(actor: Actor, chosen: Chosen): Promise<number>
    /** @returns how many were given up. */
    cancelAll(actor: Actor, chosen: Chosen): Promise<number>
  }
  readonly sessions: { list(page: PageRequest): Page<SessionView>; get(id: string): SessionView; end(actor: Actor, id: string): void }
  readonly services: {
    list(): readonly ServiceView[]
    act(actor: Actor, name: ServiceName, verb: 'start' | 'stop' | 'restart'): Promise<ServiceView>
  }
  readonly logs: {
    recent(filter: LogFilter): readonly LogView[]
    /** Everything kept, oldest first, as JSON lines. */
    download(): AsyncIterable<Uint8Array | string>
  }
  readonly audit: {
    list(filter: AuditFilter): Promise<Page<AuditView>>
    /** `broken` is the first row that does not fit; rows before `first` were removed by retention. */
    verify(): Promise<{ ok: boolean; rows: number; broken: number | null; first: number }>
    /** Everything kept, oldest first, as JSON lines. */
    export(actor: Actor): AsyncIterable<string>
  }
  stats(): Promise<StatsView>
  /** The text form of Prometheus. */
  metrics(): Promise<string>
  readonly admins: {
    list(page: PageRequest): Page<AdminView>
    get(username: string): AdminView
    create(actor: Actor, admin: { username: string; password: string; role: Role }): Promise<AdminView>
    /** Acts on live sessions at once. @throws `state.conflict` for the last admin */
    update(actor: Actor, username: string, patch: AdminPatch): Promise<AdminView>
    /** @throws `state.conflict` for the last admin */
    remove(actor: Actor, username: string): Promise<void>
    resetSecondFactor(actor: Actor, username: string): AdminView
    /** Rate-limited and constant in cost. @throws `auth.failed`, `auth.banned`, `auth.totp_required` */
    login(username: string, password: string, address: string, totp?: string): Promise<AdminLogin>
    /** A login was refused unseen: too many came from there. */
    tooFast(address: string): Promise<void>
    logout(session: string, address: string): void
    /** The admin behind a session cookie; slides its end; null when over. */
    /** @param acted false where no person did anything: then its idle time goes on; default true */
    bySession(session: string, acted?: boolean): { username: string; role: Role; csrf: string; totp_enabled: boolean } | null
    /** @throws `permission.denied` when the present password is wrong */
    changePassword(session: string, present: string, next: string, address: string): Promise<void>
    beginTotp(session: string, password: string, address: string): Promise<{ secret: string; uri: string }>
    confirmTotp(session: string, code: string, address: string): { recovery_codes: string[] }
    removeTotp(session: string, password: string, address: string): Promise<void>
  }
  readonly tokens: {
    list(): readonly TokenView[]
    /** The token is shown this once. */
    create(actor: Actor, token: { name: string; role: Role; expiresAt: number | null }): TokenView & { token: string }
    remove(actor: Actor, name: string): void
    byToken(token: string, address: string): { name: string; role: Role } | null
  }
  readonly bans: {
    list(page: PageRequest): Page<BanView>
    /** @throws `resource.not_found` */
    lift(actor: Actor, address: string): void
  }
  readonly settings: {
    list(): readonly SettingView[]
    /** Reads the configuration again, as SIGHUP does. @throws `config.invalid`, `service.unavailable` where no gateway runs */
    reload(actor: Actor): Promise<ReloadView>
    keys(): Promise<readonly KeyView[]>
  }
  /** One at a time. @throws `limit.rate` while another one is under way */
  backup(actor: Actor): Promise<Readable>
  /** @throws `request.invalid` */
  inspectPublicKey(line: string): PublicKeyView
  readonly state: {
    export(actor: Actor): StateFile
    /** With the secrets of destinations sealed. @throws `request.invalid` for a short passphrase */
    exportSealed(actor: Actor, passphrase: string): Promise<StateFile>
    /** One transaction. `prune` removes what the file does not name. */
    apply(actor: Actor, state: StateFile, options: { dryRun: boolean; prune: boolean }): Promise<readonly StateChange[]>
  }
  readonly events: { subscribe(listener: (event: ControlPlaneEvent) => void): () => void }
  readonly health: { ready(): { ready: boolean; reasons: readonly string[] } }
  readonly version: string
}
