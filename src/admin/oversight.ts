// What those who watch over the gateway ask and do: audit log, bans, settings and their reload.
// Must not act without an audit row.
import type { Readable } from 'node:stream'
import type { Ban, LoginGuard } from '../accounts/login-guard.ts'
import { FileFlowError } from '../core/errors.ts'
import type { Actor, AuditView, BanView, KeyView, Page, PageRequest, ReloadView, SettingView } from '../core/views.ts'
import type { Store } from '../store/store.ts'
import type { AuditFilter } from './control-plane.ts'
import type { EventHub } from './event-hub.ts'

export interface OversightOptions {
  readonly store: Store
  readonly guard: LoginGuard
  readonly events: EventHub
  readonly note: (actor: Actor, action: string, object: string) => void
  readonly settings: () => readonly SettingView[]
  readonly keys: () => Promise<readonly KeyView[]>
  readonly makeBackup: () => Promise<Readable>
}

const EXPORT_ROWS = 500

const banView = (ban: Ban): BanView => ({
  address: ban.address,
  since: new Date(ban.since).toISOString(),
  until: new Date(ban.until).toISOString(),
  failures: ban.failures,
  reason: `${ban.failures} failed logins`,
})

export function createOversight({ store, guard, events, note, settings, keys, makeBackup }: OversightOptions) {
  let backingUp = false
  let rereads: (() => Promise<ReloadView>) | null = null
  return {
    audit: {
      async list({ limit = 50, cursor, ...filter }: AuditFilter): Promise<Page<AuditView>> {
        const before = cursor === undefined ? undefined : auditCursor(cursor)
        const rows = await store.audit.search({ ...filter, before, limit: limit + 1 })
        return { items: rows.slice(0, limit), next: rows.length > limit ? String(rows[limit - 1]!.seq) : null }
      },
      verify: store.audit.verifyInSteps,
      async *export(actor: Actor): AsyncIterable<string> {
        note(actor, 'audit.export', 'audit')
        for (let seq = 0; ; ) {
          const rows = store.audit.after(seq, EXPORT_ROWS)
          if (rows.length === 0) return
          yield `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`
          seq = rows.at(-1)!.seq
        }
      },
    },
    bans: {
      list({ limit = 50, cursor = '', q = '' }: PageRequest): Page<BanView> {
        const found = guard
          .bans()
          .filter((ban) => ban.address > cursor && ban.address.includes(q.toLowerCase()))
          .sort((a, b) => (a.address < b.address ? -1 : 1))
        const items = found.slice(0, limit)
        return { items: items.map(banView), next: found.length > limit ? items.at(-1)!.address : null }
      },
      lift(actor: Actor, address: string): void {
        if (!guard.lift(address)) throw new FileFlowError('resource.not_found', `${address} is not banned.`)
        note(actor, 'ban.lift', address)
        events.emit('ban.changed', () => ({ name: address }))
      },
    },
    settings: {
      list: settings,
      keys,
      async reload(actor: Actor): Promise<ReloadView> {
        if (!rereads) throw new FileFlowError('service.unavailable', 'No gateway runs: the configuration is read at its start.')
        note(actor, 'config.reload_asked', 'configuration')
        return rereads()
      },
    },
    async backup(actor: Actor): Promise<Readable> {
      if (backingUp) throw new FileFlowError('limit.rate', 'Another backup is being made.')
      backingUp = true
      const done = (): void => {
        backingUp = false
      }
      try {
        note(actor, 'backup', 'gateway')
        const stream = await makeBackup()
        stream.once('close', done)
        return stream
      } catch (error) {
        done()
        throw error
      }
    },
    /** What a reload does; a running gateway gives it. */
    setReload(run: () => Promise<ReloadView>): void {
      rereads = run
    },
  }
}

function auditCursor(cursor: string): number {
  if (!/^\d{1,15}$/.test(cursor)) throw new FileFlowError('request.invalid', 'cursor: the `next` of the answer before')
  return Number(cursor)
}
