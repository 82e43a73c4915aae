// The fields of a rule, in sections.
// Must not send anything; its owner does.
import { Button, NativeSelect, SegmentedControl, Switch, TextInput } from '@mantine/core'
import { useRef } from 'react'
import { Add, Lines, Remove, SaveBar, Section } from '../../parts/form.tsx'
import type { Save } from '../../parts/save.ts'
import { strings } from '../../strings.ts'
import type { After, Conflict, RuleDraft } from './draft.ts'

const words = strings.rules

const TEMPLATE_WORDS = [
  '{path}',
  '{filename}',
  '{stem}',
  '{ext}',
  '{dir}',
  '{user}',
  '{partner}',
  '{rule}',
  '{date}',
  '{time}',
  '{counter}',
]

interface Fields {
  readonly draft: RuleDraft
  readonly set: <K extends keyof RuleDraft>(key: K, value: RuleDraft[K]) => void
}

export function RuleForm({
  draft,
  set,
  fresh,
  users,
  destinations,
  readOnly,
  dirty,
  save,
  verb,
  onDiscard,
}: Fields & {
  /** Not stored yet. */
  fresh: boolean
  users: readonly string[]
  destinations: readonly string[]
  readOnly: boolean
  dirty: boolean
  save: Save
  verb: string
  onDiscard?: () => void
}) {
  const text = (key: 'name' | 'watch' | 'path' | 'dedupe') => ({
    value: draft[key],
    spellCheck: false,
    onChange: ({ currentTarget }: { currentTarget: HTMLInputElement }) => set(key, currentTarget.value),
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        save.run()
      }}
    >
      <fieldset disabled={readOnly} className="bare">
        {readOnly ? <p className="quiet">{strings.form.readOnly}</p> : null}
        <Section title={words.identity}>
          {fresh ? (
            <TextInput
              label={words.name}
              description={strings.form.nameRule}
              required
              maxLength={64}
              pattern="[A-Za-z0-9][A-Za-z0-9._@+\-]*"
              autoComplete="off"
              {...text('name')}
            />
          ) : null}
          <Switch label={words.enabled} checked={draft.enabled} onChange={({ currentTarget }) => set('enabled', currentTarget.checked)} />
          <Switch
            label={words.mode}
            description={words.modeNote}
            checked={draft.shadow}
            onChange={({ currentTarget }) => set('shadow', currentTarget.checked)}
          />
        </Section>
        <Section title={words.source} note={words.sourceNote}>
          <SegmentedControl
            aria-label={words.from}
            className="segments"
            value={draft.kind}
            data={[
              { value: 'users', label: words.fromUsers },
              { value: 'watch', label: words.fromWatch },
            ]}
            onChange={(kind) => set('kind', kind as RuleDraft['kind'])}
          />
          {draft.kind === 'watch' ? (
            <TextInput label={words.watch} description={words.watchNote} required placeholder="/srv/outbox" {...text('watch')} />
          ) : (
            <Lines
              label={words.usersLabel}
              description={words.usersNote}
              value={draft.users}
              onChange={(value) => set('users', value)}
              add={words.addUser}
              list={users}
            />
          )}
          <TextInput label={words.path} required placeholder="/invoices/**" {...text('path')} />
          <Lines
            label={words.exclude}
            description={words.excludeNote}
            value={draft.exclude}
            onChange={(value) => set('exclude', value)}
            placeholder="draft-*"
            add={words.addExclude}
          />
        </Section>
        <Section title={words.deliver} note={words.deliverNote}>
          <Targets draft={draft} set={set} destinations={destinations} />
        </Section>
        <Section title={words.after} note={words.afterNote}>
          <NativeSelect
            aria-label={words.after}
            value={draft.after}
            data={Object.entries(words.afters).map(([value, label]) => ({ value, label }))}
            onChange={({ currentTarget }) => set('after', currentTarget.value as After)}
          />
          <TextInput maw={320} label={words.dedupe} description={words.dedupeNote} placeholder="24h" {...text('dedupe')} />
        </Section>
        {readOnly ? null : <SaveBar dirty={dirty} busy={save.busy} verb={verb} error={save.error} {...(onDiscard ? { onDiscard } : {})} />}
      </fieldset>
    </form>
  )
}

function Targets({ draft, set, destinations }: Fields & { destinations: readonly string[] }) {
  const inputs = useRef<(HTMLInputElement | null)[]>([])
  const last = useRef(0)
  const change = (at: number, part: Partial<RuleDraft['deliver'][number]>) =>
    set('deliver', draft.deliver.with(at, { ...draft.deliver[at]!, ...part }))
  /** Where the cursor is, in the remote name that was written last. */
  const insert = (word: string) => {
    const at = Math.min(last.current, draft.deliver.length - 1)
    const input = inputs.current[at]
    const { path } = draft.deliver[at]!
    const [from, to] = [input?.selectionStart ?? path.length, input?.selectionEnd ?? path.length]
    change(at, { path: path.slice(0, from) + word + path.slice(to) })
    input?.focus()
    requestAnimationFrame(() => input?.setSelectionRange(from + word.length, from + word.length))
  }
  return (
    <div className="perms">
      {draft.deliver.map((target, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row has no identity but its place
        <div className="perm" key={at}>
          <div className="line-row">
            <NativeSelect
              className="grow"
              label={words.to}
              required
              value={target.to}
              data={[
                { value: '', label: words.choose, disabled: true },
                ...[...new Set([...destinations, ...(target.to === '' ? [] : [target.to])])].map((name) => ({ value: name, label: name })),
              ]}
              onChange={({ currentTarget }) => change(at, { to: currentTarget.value })}
            />
            <NativeSelect
              label={words.conflict}
              value={target.on_conflict}
              data={Object.entries(words.conflicts).map(([value, label]) => ({ value, label }))}
              onChange={({ currentTarget }) => change(at, { on_conflict: currentTarget.value as Conflict })}
            />
            {draft.deliver.length > 1 ? (
              <Remove label={words.removeTarget(at + 1)} onClick={() => set('deliver', draft.deliver.toSpliced(at, 1))} />
            ) : null}
          </div>
          <TextInput
            ref={(input) => {
              inputs.current[at] = input
            }}
            label={words.remotePath}
            value={target.path}
            spellCheck={false}
            placeholder="/{path}"
            onFocus={() => {
              last.current = at
            }}
            onChange={({ currentTarget }) => change(at, { path: currentTarget.value })}
          />
        </div>
      ))}
      <fieldset className="word-chips" aria-label={words.wordsTitle}>
        {TEMPLATE_WORDS.map((word) => (
          <Button key={word} variant="default" size="compact-xs" aria-label={words.insert(word)} onClick={() => insert(word)}>
            {word}
          </Button>
        ))}
      </fieldset>
      <Add
        label={words.addTarget}
        onClick={() => set('deliver', [...draft.deliver, { to: '', path: '/{path}', on_conflict: 'overwrite' }])}
      />
    </div>
  )
}
