// Rules: which finished file goes where. Pure matching; says why a rule does not match, in words.
// Must not know queues, connectors or disks.
import Type, { type Static } from 'typebox'
import { FileFlowError } from './errors.ts'
import { globMatcher } from './glob.ts'
import { oneOf, PathText, ResourceName } from './schema.ts'
import { checkTemplate } from './template.ts'
import { parseDuration } from './units.ts'
import { baseOf, ROOT, toVirtualPath, type VirtualPath } from './virtual-path.ts'

export const ON_CONFLICT = ['overwrite', 'fail', 'rename', 'skip'] as const
export type OnConflict = (typeof ON_CONFLICT)[number]
export const RULE_MODES = ['live', 'shadow'] as const
export const AFTER = ['keep', 'delete', 'archive'] as const
export const BASELINES = ['skip', 'send'] as const

export const RuleFields = {
  enabled: Type.Optional(Type.Boolean()),
  source: Type.Object(
    {
      users: Type.Optional(
        Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
          maxItems: 10_000,
          description: 'usernames; absent or empty means every user',
        }),
      ),
      path: Type.String({ minLength: 1, maxLength: 4096, description: 'a pattern: * is one level, ** any depth' }),
      watch: Type.Optional(
        Type.String({
          pattern: '^/',
          maxLength: 4096,
          description: 'an absolute folder on the server: files dropped there are sent; path is seen from it',
        }),
      ),
      baseline: Type.Optional(
        oneOf(BASELINES, {
          description: 'what of the files that lay in the watched folder before it was watched; absent: they wait for this word',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  exclude: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { maxItems: 1000 })),
  deliver: Type.Array(
    Type.Object(
      { to: ResourceName, path: Type.Optional(PathText), on_conflict: Type.Optional(oneOf(ON_CONFLICT)) },
      { additionalProperties: false },
    ),
    { minItems: 1, maxItems: 20 },
  ),
  after: Type.Optional(oneOf(AFTER)),
  mode: Type.Optional(oneOf(RULE_MODES, { description: 'shadow records what it would send and sends nothing' })),
  dedupe: Type.Optional(
    Type.String({
      pattern: '^[0-9]+ ?(ms|s|m|h|d)$',
      maxLength: 20,
      description: 'the same content by the same user under the same name is sent once within this time, as in 24h',
    }),
  ),
}

export const RuleSpec = Type.Object({ name: ResourceName, ...RuleFields }, { additionalProperties: false })
export type RuleSpec = Static<typeof RuleSpec>

export const RulePatch = Type.Object(
  Object.fromEntries(Object.entries(RuleFields).map(([key, schema]) => [key, Type.Optional(Type.Union([schema, Type.Null()]))])),
  { additionalProperties: false },
)

const LONGEST_DEDUPE_MS = 400 * 24 * 3600_000
export const DEFAULT_REMOTE_PATH = '/{path}'

/** What a rule is asked about. */
export interface Candidate {
  readonly user: string
  /** For a file in a watched folder: seen from that folder. */
  readonly path: VirtualPath
  /** The watched folder it was dropped in, as {@link watchedFolder} spells it; absent for uploads. */
  readonly watch?: string
}

export type MatchResult =
  | { readonly matched: true /** The part below the pattern's fixed part. */; readonly rest: string }
  | ({ readonly matched: false } & NoMatch)

/** The first condition that a file does not meet. */
export interface NoMatch {
  /** In English, for the commands and the log. */
  readonly reason: string
  /** Which condition it is, and what it asks for: for pages in other languages. */
  readonly because: { readonly kind: MissKind; readonly what: string }
}

export const MISS_KINDS = ['disabled', 'watch', 'other_folder', 'user', 'path', 'excluded'] as const
export type MissKind = (typeof MISS_KINDS)[number]

const miss = (kind: MissKind, what: string, reason: string): MatchResult => ({ matched: false, reason, because: { kind, what } })

export interface CompiledRule {
  readonly spec: RuleSpec
  match(candidate: Candidate): MatchResult
}

/**
 * A rule ready to be asked; `alwaysExclude` is the configuration's `uploads.exclude`.
 * @throws FileFlowError `request.invalid`, `template.invalid`
 */
export function compileRule(spec: RuleSpec, alwaysExclude: readonly string[] = []): CompiledRule {
  const watch = spec.source.watch === undefined ? undefined : watchedFolder(spec.source.watch)
  const wanted = watch !== undefined && !spec.source.path.startsWith('/') ? `/${spec.source.path}` : spec.source.path
  checkSource(spec, wanted)
  if (spec.dedupe !== undefined && !((parseDuration(spec.dedupe) ?? 0) > 0 && parseDuration(spec.dedupe)! <= LONGEST_DEDUPE_MS))
    throw new FileFlowError('request.invalid', `rule ${spec.name}: dedupe is a time from 1s to 400d, as in 24h`)
  for (const target of spec.deliver) checkTemplate(target.path ?? DEFAULT_REMOTE_PATH, `rule ${spec.name}: `)
  const users = new Set(spec.source.users ?? [])
  const pattern = globMatcher(wanted)
  const excludes = [...alwaysExclude, ...(spec.exclude ?? [])].map((text) => ({ text, test: excluder(text) }))
  const fixed = fixedPart(wanted)
  return {
    spec,
    match({ user, path, watch: dropped }) {
      if (spec.enabled === false) return miss('disabled', '', 'the rule is disabled')
      if (watch !== undefined && dropped === undefined) return miss('watch', watch, `the rule watches ${watch}: no upload fires it`)
      if (dropped !== watch) return miss('other_folder', String(dropped), `the rule is not about the watched folder ${dropped}`)
      if (users.size > 0 && !users.has(user)) {
        const named = `${[...users].slice(0, 5).join(', ')}${users.size > 5 ? ', …' : ''}`
        return miss('user', named, `user ${user} is not among ${named}`)
      }
      if (!pattern(path)) return miss('path', spec.source.path, `the path does not match ${spec.source.path}`)
      const hit = excludes.find((e) => e.test(path))
      if (hit) return miss('excluded', hit.text, `the name is excluded by ${hit.text}`)
      return { matched: true, rest: path.slice(fixed.length).replace(/^\//, '') }
    },
  }
}

/** @throws FileFlowError `request.invalid` */
function checkSource({ name, source, deliver }: RuleSpec, path: string): void {
  const fail = (message: string): never => {
    throw new FileFlowError('request.invalid', `rule ${name}: ${message}`)
  }
  if (source.watch === undefined) {
    if (!path.startsWith('/')) fail('source.path begins with /')
    if (source.baseline !== undefined) fail('source.baseline is for watched folders: it needs source.watch')
    return
  }
  if (source.users !== undefined) fail('a watched folder has no users: leave source.users out')
  if (watchedFolder(source.watch) === '/') fail('source.watch: the whole machine cannot be watched')
  const nobody = deliver.map((target) => /\{(user|partner)\}/.exec(target.path ?? '')?.[0]).find((word) => word !== undefined)
  if (nobody !== undefined) fail(`a watched folder has no ${nobody}`)
}

/** One spelling for one folder: `/srv//out/` → `/srv/out`. */
export const watchedFolder = (typed: string): string => toVirtualPath(ROOT, typed)

const WATCH = 'watch:'
/** Who a file taken in from a watched folder belongs to, in lists: no user can have such a name. */
export const ownerOfWatched = (folder: string): string => WATCH + folder
export const ownsWatched = (user: string): boolean => user.startsWith(WATCH)
/** The folder of such an owner. */
export const folderOfOwner = (owner: string): string => owner.slice(WATCH.length)

/** An exclude without a slash is about the name alone; with one, about the path. */
function excluder(text: string): (path: VirtualPath) => boolean {
  const test = globMatcher(text)
  return text.includes('/') ? test : (path) => test(baseOf(path))
}

/** The folders of a pattern before its first wildcard: `/filescma/**` → `/filescma`. A pattern without one keeps its folder. */
export function fixedPart(pattern: string): string {
  const parts = pattern.split('/')
  const wild = parts.findIndex((part) => /[*?[\]{}]/.test(part))
  return parts.slice(0, wild === -1 ? parts.length - 1 : wild).join('/')
}
