// What rules would do, and why: for one file, for a recorded transfer, or for all of the last days, also with rules that are only a draft.
// Must not write anything: it asks the same rules and templates as a real arrival does.
import { type Clock, monotonic } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import {
  type CompiledRule,
  DEFAULT_REMOTE_PATH,
  folderOfOwner,
  ownerOfWatched,
  ownsWatched,
  type RuleSpec,
  watchedFolder,
} from '../core/rule.ts'
import { renderPath } from '../core/template.ts'
import type { HistoryChange, HistoryResult, SimulateResult } from '../core/views.ts'
import { ROOT, toVirtualPath, type VirtualPath } from '../core/virtual-path.ts'
import { pathOf } from '../store/row-path.ts'
import type { Store } from '../store/store.ts'
import type { TransferRow } from '../store/transfers.ts'

export interface SimulatorOptions {
  readonly store: Store
  readonly clock: Clock
  readonly partnerOf: (username: string) => string
  /** The live rules, or these instead. */
  readonly compiled: (rules?: readonly RuleSpec[]) => readonly CompiledRule[]
}

interface Subject {
  readonly user: string
  readonly partner: string
  readonly path: VirtualPath
  readonly watch?: string
  readonly transfer: string
  readonly at: number
  readonly counter: number
}

interface Sending {
  readonly rule: string
  readonly destination: string
  readonly remote_path: string
}

const NO_ID = '0'.repeat(20)
const DAY_MS = 24 * 3600_000
/** Rows read at once. */
const STEP = 1000
/** Work in one turn of the event loop, ms: with thousands of rules a single upload may take as long. */
const TURN_MS = 10
/** The newest so many uploads of the time that is asked about. */
const MOST_LOOKED_AT = 200_000
/** Entries of each list in the answer; the counts are of all. */
const MOST_LISTED = 1000

export function createSimulator({ store, clock, partnerOf, compiled }: SimulatorOptions) {
  const remoteName = (
    rule: RuleSpec,
    template: string | undefined,
    rest: string,
    subject: Subject,
  ): { remote_path: string; error?: string } => {
    try {
      return { remote_path: renderPath(template ?? DEFAULT_REMOTE_PATH, { ...subject, rest, rule: rule.name, delivery: NO_ID }) }
    } catch (error) {
      if (error instanceof FileFlowError) return { remote_path: '', error: error.message }
      throw error
    }
  }

  const explain = (subject: Subject, rules: readonly CompiledRule[]): SimulateResult => ({
    user: subject.user,
    path: subject.path,
    rules: rules.map((rule) => {
      const result = rule.match(subject)
      return {
        rule: rule.spec.name,
        matched: result.matched,
        mode: rule.spec.mode ?? 'live',
        reason: result.matched ? null : result.reason,
        because: result.matched ? null : result.because,
        deliveries: result.matched
          ? rule.spec.deliver.map(({ to, path }) => ({ destination: to, ...remoteName(rule.spec, path, result.rest, subject) }))
          : [],
      }
    }),
  })

  const subjectOf = (row: TransferRow): Subject => ({
    user: row.username,
    partner: row.partner,
    ...(row.protocol === 'watch' ? { watch: folderOfOwner(row.username) } : {}),
    path: pathOf(row),
    transfer: row.id,
    at: row.committed_at ?? row.started_at,
    counter: row.commit_order ?? 1,
  })

  /** What would be sent: shadow rules send nothing. */
  const sendings = (subject: Subject, rules: readonly CompiledRule[]): Sending[] =>
    rules
      .filter(({ spec }) => spec.mode !== 'shadow')
      .flatMap((rule) => {
        const result = rule.match(subject)
        if (!result.matched) return []
        return rule.spec.deliver.map(({ to, path }) => ({
          rule: rule.spec.name,
          destination: to,
          remote_path: remoteName(rule.spec, path, result.rest, subject).remote_path,
        }))
      })

  return {
    /** @param user or `watch:` and a watched folder, from which `path` is seen. @throws FileFlowError `path.invalid`, `request.invalid`, `template.invalid` */
    path({ user, path, rules }: { user: string; path: string; rules?: readonly RuleSpec[] }): SimulateResult {
      const watch = ownsWatched(user) ? watchedFolder(folderOfOwner(user)) : undefined
      const subject = { user, partner: partnerOf(user), path: toVirtualPath(ROOT, path), transfer: NO_ID, at: clock.now(), counter: 1 }
      return explain(watch === undefined ? subject : { ...subject, user: ownerOfWatched(watch), watch }, compiled(rules))
    },
    /** By the rules as they are now, and the name the file has now. @throws FileFlowError `resource.not_found`, `state.conflict` */
    transfer(id: string): SimulateResult {
      const row = store.transfers.get(id)
      if (!row) throw new FileFlowError('resource.not_found', `There is no transfer ${id}.`)
      if (row.direction !== 'upload') throw new FileFlowError('state.conflict', 'Downloads never fire a rule.')
      return explain(subjectOf(row), compiled())
    },
    /** Over the uploads of the last days; with `rules`, what these would change. @throws FileFlowError `request.invalid` */
    async history({ days, rules }: { days: number; rules?: readonly RuleSpec[] }): Promise<HistoryResult> {
      const live = compiled()
      const asked = rules ? compiled(rules) : live
      const found = {
        counts: { looked_at: 0, matched: 0, added: 0, removed: 0, renamed: 0 },
        transfers: [] as HistoryResult['transfers'][number][],
        added: [] as HistoryChange[],
        removed: [] as HistoryChange[],
        renamed: [] as HistoryChange[],
      }
      const since = clock.now() - days * DAY_MS
      const list = (kind: 'added' | 'removed' | 'renamed', entry: HistoryChange): void => {
        found.counts[kind]++
        if (found[kind].length < MOST_LISTED) found[kind].push(entry)
      }
      let truncated = false
      let turn = monotonic()
      for (let before: string | undefined; ; ) {
        const rows = store.transfers.uploadsSince(since, before, STEP)
        for (const row of rows) {
          if (monotonic() - turn > TURN_MS) {
            await new Promise<void>((go) => setImmediate(go))
            turn = monotonic()
          }
          const subject = subjectOf(row)
          const about = { transfer: row.id, user: row.username, path: row.path, at: new Date(subject.at).toISOString() }
          const after = sendings(subject, asked)
          found.counts.looked_at++
          if (after.length > 0) {
            found.counts.matched++
            if (found.transfers.length < MOST_LISTED) found.transfers.push({ ...about, deliveries: after })
          }
          if (rules) for (const change of differences(sendings(subject, live), after)) list(change.kind, { ...about, ...change.entry })
        }
        if (rows.length < STEP) break
        if (found.counts.looked_at >= MOST_LOOKED_AT) {
          truncated = true
          break
        }
        before = rows.at(-1)!.id
        await new Promise<void>((go) => setImmediate(go))
      }
      return { days, truncated, ...found }
    },
  }
}

type Difference = {
  readonly kind: 'added' | 'removed' | 'renamed'
  readonly entry: Pick<HistoryChange, 'rule' | 'destination' | 'remote_path' | 'instead_of'>
}

/** Of one file: what both send is left out; what remains for one destination on both sides is a change of name. */
function differences(before: readonly Sending[], after: readonly Sending[]): Difference[] {
  const same = (a: Sending, b: Sending): boolean => a.destination === b.destination && a.remote_path === b.remote_path
  const gone = before.filter((one) => !after.some((other) => same(one, other)))
  const come = after.filter((one) => !before.some((other) => same(one, other)))
  const result: Difference[] = []
  for (const one of come) {
    const at = gone.findIndex(({ destination }) => destination === one.destination)
    const [old] = at === -1 ? [] : gone.splice(at, 1)
    result.push({ kind: old ? 'renamed' : 'added', entry: { ...one, instead_of: old?.remote_path ?? null } })
  }
  for (const one of gone) result.push({ kind: 'removed', entry: { ...one, instead_of: null } })
  return result
}
