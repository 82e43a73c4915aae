// Pieces of long forms: titled sections, a bar that saves, lists of short texts, and what was refused.
// Must not know what is edited.
import { ActionIcon, Alert, Button, Paper, TextInput, Title, Tooltip } from '@mantine/core'
import { Plus, X } from 'lucide-react'
import { type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { ApiError } from '../api.ts'
import { visible } from '../format.ts'
import { guardLeaving } from '../router.tsx'
import { strings } from '../strings.ts'
import { Confirm, type Question } from './confirm.tsx'
import { same } from './same.ts'
import '../manage.css'

const words = strings.form

/** A draft of something: the values, one changed at a time. */
export function useDraft<T extends object>(initial: T) {
  const [draft, setDraft] = useState(initial)
  const set = <K extends keyof T>(key: K, value: T[K]) => setDraft((before) => ({ ...before, [key]: value }))
  return { draft, set, reset: setDraft }
}

/**
 * A draft of something stored. While nothing is changed here it follows what others change; unsaved changes stay.
 * `accept` takes what was stored as the new beginning.
 */
export function useEditing<View extends { readonly updated_at: string }, Draft extends object>(view: View, toDraft: (view: View) => Draft) {
  const [base, setBase] = useState(view)
  const { draft, set, reset } = useDraft(toDraft(view))
  const before = toDraft(base)
  const dirty = !same(draft, before)
  const accept = (stored: View) => {
    setBase(stored)
    reset(toDraft(stored))
  }
  if (!dirty && view.updated_at !== base.updated_at) accept(view)
  return { before, draft, set, dirty, accept, reset: () => reset(before) }
}

export function Section({ title, note, children }: { title: string; note?: ReactNode; children: ReactNode }) {
  const id = useId()
  return (
    <Paper component="section" withBorder className="form-section" aria-labelledby={id}>
      <div className="form-about">
        <Title order={2} size="h4" id={id}>
          {title}
        </Title>
        {note === undefined ? null : <p className="quiet">{note}</p>}
      </div>
      <div className="form-fields">{children}</div>
    </Paper>
  )
}

/** What the gateway refused: the words of its error code, then what exactly. */
export function Refusal({ error }: { error: unknown }) {
  if (!error) return null
  const text = error instanceof ApiError && error.code !== 'network' ? strings.codes[error.code] : undefined
  const detail =
    error instanceof ApiError && text !== undefined
      ? visible(strings.said(error.said))
      : error instanceof Error
        ? visible(error.message)
        : ''
  return (
    <Alert color="red" variant="light" role="alert" title={text ?? strings.errors.title} className="refusal">
      {detail === '' || detail === text ? null : <bdi>{detail}</bdi>}
    </Alert>
  )
}

/** The end of a form: save and put back. Leaving it with unsaved changes asks first. */
export function SaveBar({
  dirty,
  busy,
  verb,
  error,
  onDiscard,
}: {
  dirty: boolean
  busy: boolean
  verb: string
  error: unknown
  onDiscard?: () => void
}) {
  const [question, setQuestion] = useState<Question | null>(null)
  useEffect(() => {
    if (!dirty) return
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    addEventListener('beforeunload', ask)
    guardLeaving((act) => setQuestion({ title: words.leaveTitle, text: words.leaveText, verb: words.leave, danger: true, act }))
    return () => {
      removeEventListener('beforeunload', ask)
      guardLeaving(null)
    }
  }, [dirty])
  return (
    <div className="save-bar" data-dirty={dirty || undefined}>
      <Confirm question={question} onClose={() => setQuestion(null)} />
      <Refusal error={error} />
      <div className="save-acts">
        <span className="quiet" role="status">
          {dirty ? words.unsaved : ''}
        </span>
        {onDiscard ? (
          <Button variant="default" disabled={!dirty || busy} onClick={onDiscard}>
            {words.discard}
          </Button>
        ) : null}
        <Button type="submit" loading={busy} disabled={!dirty}>
          {verb}
        </Button>
      </div>
    </div>
  )
}

/** A list of short texts, one a line, such as folders or addresses. */
export function Lines({
  label,
  description,
  value,
  onChange,
  placeholder,
  add,
  list,
}: {
  label: string
  description?: string
  value: readonly string[]
  onChange: (value: string[]) => void
  placeholder?: string
  /** The words on the button that adds a line. */
  add: string
  /** Known values to choose from. */
  list?: readonly string[]
}) {
  const id = useId()
  const box = useRef<HTMLDivElement>(null)
  const grown = useRef(false)
  useEffect(() => {
    // A new line is written at once, without reaching for the mouse.
    if (grown.current) [...(box.current?.querySelectorAll('input') ?? [])].at(-1)?.focus()
    grown.current = false
  })
  return (
    <fieldset className="lines" ref={box as never}>
      <legend>{label}</legend>
      {description === undefined ? null : <p className="quiet">{description}</p>}
      {list === undefined ? null : (
        <datalist id={id}>
          {list.map((known) => (
            <option key={known} value={known} />
          ))}
        </datalist>
      )}
      {value.map((line, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line has no identity but its place
        <div className="line-row" key={at}>
          <TextInput
            className="grow"
            aria-label={`${label}: ${at + 1}`}
            value={line}
            placeholder={placeholder}
            list={list === undefined ? undefined : id}
            spellCheck={false}
            autoCapitalize="none"
            onChange={({ currentTarget }) => onChange(value.with(at, currentTarget.value))}
          />
          <Remove label={words.removeLine(label, at + 1)} onClick={() => onChange(value.toSpliced(at, 1))} />
        </div>
      ))}
      <Add
        label={add}
        onClick={() => {
          grown.current = true
          onChange([...value, ''])
        }}
      />
    </fieldset>
  )
}

export const Add = ({ label, onClick }: { label: string; onClick: () => void }) => (
  <Button variant="default" size="xs" leftSection={<Plus size={14} aria-hidden="true" />} onClick={onClick}>
    {label}
  </Button>
)

export function Remove({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="default" size={36} aria-label={label} onClick={onClick}>
        <X size={16} aria-hidden="true" />
      </ActionIcon>
    </Tooltip>
  )
}
