// A control plane in memory for tests of the API, the page and the commands: real shapes, no disk, every act recorded.
// Must not decide more than the tests need.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Actor, ControlPlane, ControlPlaneEvent, Resource } from '../../src/admin/control-plane.ts'
import type { DestinationSpec } from '../../src/core/destination.ts'
import { FileFlowError } from '../../src/core/errors.ts'
import type { AttemptView, DeliveryView, SessionView, TransferView } from '../../src/core/movement-views.ts'
import { RECEIPT_TYPE, type ReceiptStatement } from '../../src/core/receipt.ts'
import type { RuleSpec } from '../../src/core/rule.ts'
import type { UserSpec } from '../../src/core/user.ts'
import type { DestinationView, Page, Role, RuleView, ServiceView, UserView } from '../../src/core/views.ts'
import { openReceiptKey } from '../../src/store/receipt-key.ts'

export interface Act {
  readonly actor: Actor
  readonly verb: string
  readonly object: string
}

export interface FakeControlPlane extends ControlPlane {
  readonly acts: Act[]
  /** What was asked of lists. */
  readonly asked: { list: string; filter: unknown }[]
  readonly data: {
    transfers: TransferView[]
    deliveries: DeliveryView[]
    sessions: SessionView[]
    services: ServiceView[]
  }
  emit(event: ControlPlaneEvent): void
  listeners(): number
  ready: { ready: boolean; reasons: string[] }
}

export const PASSWORDS: Readonly<Record<string, { password: string; role: Role }>> = {
  admin: { password: 'admin-password', role: 'admin' },
  olga: { password: 'olga-password', role: 'operator' },
  rita: { password: 'rita-password', role: 'auditor' },
}
export const TOKENS: Readonly<Record<string, { name: string; role: Role }>> = {
  ff_admin_token_0001: { name: 'ci', role: 'admin' },
  ff_audit_token_0001: { name: 'reader', role: 'auditor' },
}

/** Made for this run; the fake's own key. */
const keyFolder = mkdtempSync(join(tmpdir(), 'fileflow-test-'))
export const receiptKey = openReceiptKey(keyFolder)()
rmSync(keyFolder, { recursive: true })
const STATEMENT: ReceiptStatement = {
  type: RECEIPT_TYPE,
  delivery: 'd1',
  transfer: 't1',
  rule: 'r',
  user: 'u',
  partner: '',
  path: '/in/a',
  destination: 'hq',
  remote_path: '/a',
  size: 5,
  sha256: 'ab'.repeat(32),
  verified: 'size',
  algorithm: null,
  outcome: 'sent',
  server: null,
  attempts: 1,
  received_at: '2026-11-20T08:00:00.000Z',
  delivered_at: '2026-11-20T08:00:01.000Z',
}
const BORN = '2026-11-20T08:00:00.000Z'

export function fakeControlPlane(data: Partial<FakeControlPlane['data']> = {}): FakeControlPlane {
  const acts: Act[] = []
  const asked: FakeControlPlane['asked'] = []
  const listeners = new Set<(event: ControlPlaneEvent) => void>()
  const sessions = new Map<string, { username: string; role: Role; csrf: string; totp_enabled: boolean }>()
  const rows = {
    transfers: data.transfers ?? [],
    deliveries: data.deliveries ?? [],
    sessions: data.sessions ?? [],
    services: data.services ?? defaultServices(),
  }
  const did = (actor: Actor, verb: string, object: string) => void acts.push({ actor, verb, object })
  const page = <T>(list: string, filter: unknown, items: readonly T[]): Page<T> => {
    asked.push({ list, filter })
    const { limit = 50, cursor } = filter as { limit?: number; cursor?: string }
    const from = Number(cursor ?? 0)
    return { items: items.slice(from, from + limit), next: from + limit < items.length ? String(from + limit) : null }
  }
  const oneOfId = <T extends { id: string }>(items: readonly T[], id: string): T => {
    const found = items.find((item) => item.id === id)
    if (!found) throw new FileFlowError('resource.not_found', `There is no ${id}.`)
    return found
  }

  function resource<Spec extends object, View>(
    kind: string,
    nameOf: (spec: Spec) => string,
    view: (spec: Spec) => View,
  ): Resource<Spec, View> {
    const specs = new Map<string, Spec>()
    const gone = new Map<string, Spec>()
    const need = (name: string): Spec => {
      const spec = specs.get(name)
      if (!spec) throw new FileFlowError('resource.not_found', `There is no ${kind} ${name}.`)
      return spec
    }
    const put = (spec: Spec): View => {
      specs.set(nameOf(spec), spec)
      return view(spec)
    }
    return {
      list: (filter) => page(`${kind}s`, filter, [...specs.values()].map(view)),
      get: (name) => view(need(name)),
      async create(actor, spec) {
        if (specs.has(nameOf(spec))) throw new FileFlowError('resource.exists', `There is a ${kind} ${nameOf(spec)} already.`)
        did(actor, `${kind}.create`, nameOf(spec))
        return put(spec)
      },
      async update(actor, name, patch) {
        did(actor, `${kind}.update`, name)
        const merged = Object.entries({ ...need(name), ...patch }).filter(([, value]) => value !== null)
        return put(Object.fromEntries(merged) as Spec)
      },
      async remove(actor, name) {
        gone.set(name, need(name))
        did(actor, `${kind}.remove`, name)
        specs.delete(name)
      },
      async restore(actor, name) {
        const spec = gone.get(name)
        if (!spec) throw new FileFlowError('resource.not_found', `There is no removed ${kind} ${name}.`)
        did(actor, `${kind}.restore`, name)
        return put(spec)
      },
      removed: () => [],
      async setEnabled(actor, name, enabled) {
        did(actor, `${kind}.${enabled ? 'enable' : 'disable'}`, name)
        return put({ ...need(name), enabled })
      },
    }
  }

  const withTries = (delivery: DeliveryView): DeliveryView & { tries: AttemptView[] } => ({ ...delivery, tries: [] })
  const setDelivery = (actor: Actor, verb: string, id: string, allowed: readonly string[], state: DeliveryView['state']) => {
    const found = oneOfId(rows.deliveries, id)
    if (!allowed.includes(found.state)) throw new FileFlowError('state.conflict', `The delivery is ${found.state}.`)
    did(actor, verb, id)
    const next = { ...found, state }
    rows.deliveries[rows.deliveries.indexOf(found)] = next
    return next
  }
  let explode = false

  const plane: FakeControlPlane = {
    acts,
    asked,
    data: rows,
    ready: { ready: true, reasons: [] },
    emit: (event) => {
      for (const listener of listeners) listener(event)
    },
    listeners: () => listeners.size,
    users: {
      ...resource<UserSpec, UserView>(
        'user',
        (s) => s.username,
        ({ password, password_hash, ...spec }) =>
          ({
            enabled: true,
            protocols: ['sftp', 'ftp'],
            partner: '',
            has_password: !!(password ?? password_hash),
            sessions: 0,
            ...spec,
          }) as unknown as UserView,
      ),
      async deleteFiles(actor, username) {
        did(actor, 'user.files_delete', username)
        return { files: 3, bytes: 300 }
      },
      async recount(actor, username) {
        did(actor, 'user.recount', username)
        return { files: 3, bytes: 300 }
      },
    },
    destinations: {
      ...resource<DestinationSpec, DestinationView>(
        'destination',
        (s) => s.name,
        ({ password, private_key, passphrase: _passphrase, ...spec }) =>
          ({ ...spec, has_password: !!password, has_private_key: !!private_key, used_by: [] }) as unknown as DestinationView,
      ),
      test: async (actor, name) => {
        did(actor, 'destination.test', name)
        return { ok: true, steps: [{ step: 'connect', ok: true, ms: 3, detail: 'connected' }], fingerprint: 'SHA256:x' }
      },
      hostKeys: async () => [{ type: 'ssh-ed25519', fingerprint: 'SHA256:x' }],
    },
    rules: {
      ...resource<RuleSpec, RuleView>(
        'rule',
        (s) => s.name,
        (spec) => ({ enabled: true, created_at: BORN, updated_at: BORN, ...spec }),
      ),
      order: async (actor, names) => did(actor, 'rule.order', names.join(' ')),
      simulate: ({ user, path, rules }) => ({
        user,
        path,
        rules: (rules ?? []).map((rule) => ({
          rule: rule.name,
          matched: true,
          mode: rule.mode ?? 'live',
          reason: null,
          because: null,
          deliveries: rule.deliver.map((d) => ({ destination: d.to, remote_path: path })),
        })),
      }),
      simulateHistory: async ({ days }) => ({
        days,
        truncated: false,
        counts: { looked_at: 3, matched: 1, added: 1, removed: 0, renamed: 0 },
        transfers: [],
        added: [
          { transfer: 't1', user: 'u', path: '/in/a', at: BORN, rule: 'draft', destination: 'hq', remote_path: 'a', instead_of: null },
        ],
        removed: [],
        renamed: [],
      }),
    },
    transfers: {
      list: async (filter) => page('transfers', filter, rows.transfers),
      get: (id) => ({
        ...oneOfId(rows.transfers, id),
        deliveries: rows.deliveries.filter((d) => d.transfer === id).map(withTries),
        timeline: [],
        partner: '',
        start_offset: 0,
        committed_at: null,
        connection: null,
      }),
      why: (id) => ({ user: 'u', path: oneOfId(rows.transfers, id).path, rules: [] }),
    },
    deliveries: {
      list: async (filter) =>
        page(
          'deliveries',
          filter,
          rows.deliveries.filter((d) => !filter.state || d.state === filter.state),
        ),
      get: (id) => withTries(oneOfId(rows.deliveries, id)),
      receipt: (id) => receiptKey.sign({ ...STATEMENT, delivery: oneOfId(rows.deliveries, id).id }),
      receiptKey: () => ({ public_key: receiptKey.publicKey, fingerprint: receiptKey.fingerprint }),
      retry: (actor, id) => setDelivery(actor, 'delivery.retry', id, ['dead', 'cancelled', 'retrying'], 'pending'),
      cancel: (actor, id) => setDelivery(actor, 'delivery.cancel', id, ['pending', 'retrying', 'dead', 'running'], 'cancelled'),
      count: async ({ state }) => ({ count: rows.deliveries.filter((d) => d.state === state).length, more: false, suspect: 0 }),
      async retryAll(actor) {
        const dead = rows.deliveries.filter((d) => d.state === 'dead')
        for (const { id } of dead) setDelivery(actor, 'delivery.retry', id, ['dead'], 'pending')
        return dead.length
      },
      async cancelAll(actor, { state = 'pending' }) {
        const fit = rows.deliveries.filter((d) => d.state === state)
        for (const { id } of fit) setDelivery(actor, 'delivery.cancel', id, [state], 'cancelled')
        return fit.length
      },
    },
    sessions: {
      list: (filter) => page('sessions', filter, rows.sessions),
      get: (id) => oneOfId(rows.sessions, id),
      end(actor, id) {
        rows.sessions.splice(rows.sessions.indexOf(oneOfId(rows.sessions, id)), 1)
        did(actor, 'session.end', id)
      },
    },
    services: {
      list: () => rows.services,
      async act(actor, name, verb) {
        did(actor, `service.${verb}`, name)
        const at = rows.services.findIndex((s) => s.name === name)
        rows.services[at] = { ...rows.services[at]!, state: verb === 'stop' ? 'stopped' : 'running' }
        return rows.services[at]!
      },
    },
    logs: {
      recent: (filter) => {
        asked.push({ list: 'logs', filter })
        return [{ time: BORN, level: 'info', service: 'ftp', event: 'session.opened', message: 'hello' }]
      },
      async *download() {
        yield '{"event":"a"}\n'
        yield '{"event":"b"}\n'
      },
    },
    audit: {
      list: async (filter) => page('audit', filter, []),
      verify: async () => ({ ok: true, rows: 3, broken: null, first: 1 }),
      async *export() {
        yield '{"seq":1}\n'
      },
    },
    metrics: async () => 'fileflow_ready 1\n',
    async stats() {
      if (explode) throw new Error('secret inner detail at /srv/private/path')
      const count = (state: string) => rows.deliveries.filter((d) => d.state === state).length
      return {
        uptime_ms: 93_784_000,
        memory_bytes: 120 * 2 ** 20,
        disk: { free: 40 * 2 ** 30, total: 100 * 2 ** 30 },
        sessions: rows.sessions.length,
        transfers: { open: 1, completed_today: rows.transfers.length, bytes_in: 3_400_000_000, bytes_out: 120_000_000 },
        queue: {
          pending: count('pending'),
          running: count('running'),
          retrying: count('retrying'),
          dead: count('dead'),
          oldest_pending_ms: count('pending') > 0 ? 4000 : null,
        },
        throughput: { step_ms: 5000, series: [] },
        destinations: [],
      }
    },
    admins: {
      list: (filter) =>
        page(
          'admins',
          filter,
          Object.entries(PASSWORDS).map(([username, { role }]) => adminView(username, role)),
        ),
      get: (username) => adminView(username, PASSWORDS[username]!.role),
      async create(actor, admin) {
        did(actor, 'admin.create', admin.username)
        return adminView(admin.username, admin.role)
      },
      async update(actor, username, patch) {
        did(actor, 'admin.update', username)
        return { ...adminView(username, patch.role ?? PASSWORDS[username]!.role), enabled: patch.enabled ?? true }
      },
      tooFast: async () => undefined,
      resetSecondFactor(actor, username) {
        did(actor, 'admin.reset_2fa', username)
        return adminView(username, PASSWORDS[username]!.role)
      },
      async changePassword() {},
      beginTotp: async () => ({ secret: 'JBSWY3DPEHPK3PXP', uri: 'otpauth://totp/FileFlow:admin?secret=JBSWY3DPEHPK3PXP&issuer=FileFlow' }),
      confirmTotp: () => ({ recovery_codes: ['AAAA-BBBB-CCCC-DDDD'] }),
      async removeTotp() {},
      async remove(actor, username) {
        did(actor, 'admin.remove', username)
      },
      async login(username, password) {
        const known = PASSWORDS[username]
        if (known?.password !== password) throw new FileFlowError('auth.failed')
        const session = `session-of-${username}-${sessions.size}`
        const login = { username, role: known.role, csrf: `csrf-${session}`, totp_enabled: false }
        sessions.set(session, login)
        return { ...login, session, expiresAt: Date.now() + 60_000 }
      },
      logout: (session) => void sessions.delete(session),
      bySession: (session) => sessions.get(session) ?? null,
    },
    tokens: {
      list: () => Object.values(TOKENS).map((t) => ({ ...t, created_at: BORN, expires_at: null, last_used_at: null })),
      create(actor, token) {
        did(actor, 'token.create', token.name)
        const { name, role, expiresAt } = token
        return {
          name,
          role,
          created_at: BORN,
          expires_at: expiresAt === null ? null : new Date(expiresAt).toISOString(),
          last_used_at: null,
          token: 'ff_new_token_0001',
        }
      },
      remove: (actor, name) => did(actor, 'token.remove', name),
      byToken: (token) => TOKENS[token] ?? null,
    },
    bans: {
      list: (filter) =>
        page('bans', filter, [{ address: '198.51.100.9', since: BORN, until: BORN, failures: 8, reason: '8 failed logins' }]),
      lift: (actor, address) => did(actor, 'ban.lift', address),
    },
    settings: {
      list: () => [
        {
          key: 'sftp.port',
          value: 2222,
          source: 'default',
          variable: 'FILEFLOW_SFTP_PORT',
          description: 'the port',
          needs_restart: true,
        },
      ],
      async reload(actor) {
        did(actor, 'config.reload', 'configuration')
        return { applied: [], needs_restart: [] }
      },
      keys: async () => [{ kind: 'ssh-host-key', name: 'sftp', type: 'ssh-ed25519', fingerprint: 'SHA256:x' }],
    },
    backup: async () => Readable.from([Buffer.from('backup')]),
    inspectPublicKey: () => ({ type: 'ssh-ed25519', bits: 256, fingerprint: 'SHA256:x', comment: '' }),
    state: {
      export: () => ({ users: [], destinations: [], rules: [] }),
      exportSealed: async () => ({ users: [], destinations: [], rules: [], secrets: 'ffseal1.AAAA' }),
      async apply(actor, state, options) {
        did(actor, options.dryRun ? 'state.dry-run' : options.prune ? 'state.prune' : 'state.apply', String(state.users?.length ?? 0))
        if (state.users?.[0]?.username === 'explode') explode = true
        return (state.users ?? []).map((u) => ({
          kind: 'user' as const,
          name: u.username,
          change: 'create' as const,
          keys: Object.keys(u),
        }))
      },
    },
    events: {
      subscribe(listener) {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
    },
    health: { ready: () => plane.ready },
    version: '0.1.0',
  }
  return plane
}

const adminView = (username: string, role: Role) => ({
  username,
  role,
  enabled: true,
  totp_enabled: false,
  recovery_codes_left: 0,
  created_at: BORN,
  last_login: null,
})

function defaultServices(): ServiceView[] {
  return [
    { name: 'ftp', state: 'running', since: BORN, restarts: 0, error: null, port: 2121 },
    { name: 'sftp', state: 'running', since: BORN, restarts: 1, error: null, port: 2222 },
    { name: 'forwarder', state: 'running', since: BORN, restarts: 0, error: null, port: null },
    { name: 'watcher', state: 'stopped', since: BORN, restarts: 0, error: null, port: null },
  ]
}

/** A day in the life of a gateway: what the overview has to show, hostile names included. */
export function busyDay(now: number): FakeControlPlane['data'] {
  const ago = (s: number) => new Date(now - s * 1000).toISOString()
  const transfer = (id: string, over: Partial<TransferView>): TransferView => ({
    id,
    session: 's1',
    user: 'customer1',
    protocol: 'sftp',
    address: '203.0.113.7',
    direction: 'upload',
    path: '/filescma/invoice-2026-11.xml',
    state: 'completed',
    bytes: 48_213,
    total: null,
    rate: null,
    deliveries: [],
    sha256: 'ab'.repeat(32),
    started_at: ago(62),
    ended_at: ago(60),
    error: null,
    evidence: ['sftp close'],
    ...over,
  })
  const delivery = (id: string, of: string, over: Partial<DeliveryView>): DeliveryView => ({
    id,
    transfer: of,
    rule: 'customer1-to-hq',
    shadow: false,
    destination: 'hq',
    user: 'customer1',
    path: '/filescma/invoice-2026-11.xml',
    remote_path: '/filescma/invoice-2026-11.xml',
    size: 48_213,
    state: 'delivered',
    attempts: 1,
    next_at: null,
    error: null,
    created_at: ago(60),
    updated_at: ago(58),
    receipt: {
      remote_path: '/incoming/filescma/invoice-2026-11.xml',
      size: 48_213,
      sha256: 'ab'.repeat(32),
      verified: 'hash',
      algorithm: 'sha256',
      method: 'sha256sum',
      outcome: 'sent',
      server: 'OpenSSH_9.2',
      at: ago(58),
    },
    ...over,
  })
  const hostile = '/filescma/\u202Egpj.exe\u0007<img src=x onerror=alert(1)>.xml'
  return {
    services: defaultServices().map((s) =>
      s.name === 'watcher' ? { ...s, state: 'failed' as const, restarts: 4, error: 'The watched folder /srv/outbox is gone.' } : s,
    ),
    sessions: [
      {
        id: 's1',
        username: 'customer1',
        partner: 'Customer One',
        protocol: 'sftp',
        address: '203.0.113.7',
        method: 'publickey',
        client: 'SSH-2.0-OpenSSH_9.2',
        started_at: ago(340),
        doing: null,
        transfers: [
          { id: 't9', direction: 'upload', path: '/filescma/archive-2026.tar', bytes: 734_003_200, total: 1_073_741_824, rate: 41_000_000 },
        ],
      },
      {
        id: 's2',
        username: 'acme',
        partner: 'ACME GmbH',
        protocol: 'ftp',
        address: '2001:db8::17',
        method: 'password',
        client: '',
        started_at: ago(12),
        doing: 'LIST',
        transfers: [],
      },
    ],
    transfers: [
      transfer('t9', {
        path: '/filescma/archive-2026.tar',
        state: 'open',
        bytes: 734_003_200,
        sha256: null,
        started_at: ago(18),
        ended_at: null,
      }),
      transfer('t8', {}),
      transfer('t7', { path: hostile, bytes: 12, user: 'acme', protocol: 'ftp', address: '2001:db8::17', started_at: ago(130) }),
      transfer('t6', {
        path: '/out/report.pdf',
        direction: 'download',
        bytes: 2_400_000,
        user: 'acme',
        started_at: ago(900),
        ended_at: ago(899),
      }),
      transfer('t5', {
        path: '/filescma/orders.csv',
        state: 'suspect',
        started_at: ago(1900),
        error: { code: 'upload.suspect', message: 'The connection was lost right after the upload: it may not be whole.' },
      }),
      transfer('t4', { path: '/filescma/stock-levels.csv', started_at: ago(4000) }),
    ],
    deliveries: [
      delivery('d8', 't8', {}),
      delivery('d8b', 't8', {
        destination: 'archive',
        state: 'retrying',
        attempts: 3,
        next_at: new Date(now + 42_000).toISOString(),
        error: { code: 'remote.unreachable', message: 'The destination cannot be reached.' },
        receipt: null,
      }),
      delivery('d7', 't7', {
        path: hostile,
        remote_path: hostile,
        state: 'dead',
        attempts: 20,
        error: { code: 'remote.denied', message: 'The destination refused the path.' },
        receipt: null,
      }),
      delivery('d4', 't4', {
        path: '/filescma/stock-levels.csv',
        remote_path: '/filescma/stock-levels.csv',
        state: 'pending',
        attempts: 0,
        receipt: null,
      }),
    ],
  }
}
