// The filters above a list; they live in the address, so that a view can be sent to a colleague.
// Must not hold their values anywhere else.
import { Button, Select, TextInput } from '@mantine/core'
import { useDebouncedCallback, useDisclosure } from '@mantine/hooks'
import { Search, X } from 'lucide-react'
import { useEffect, useState } from 'react'
import { visible } from '../format.ts'
import { useFilters } from '../router.tsx'
import { strings } from '../strings.ts'

interface Field {
  readonly key: string
  readonly label: string
}

export interface Choice extends Field {
  /** Value → word. */
  readonly options: Readonly<Record<string, string>>
}

const TYPING_MS = 250
const NONE: readonly never[] = []

export interface FilterBarProps {
  /** The label of the search field `q`. */
  readonly search?: string
  readonly texts?: readonly Field[]
  readonly choices?: readonly Choice[]
  readonly dates?: readonly Field[]
  /** Filters that a link may set: shown as words, with a way to take them off. */
  readonly hidden?: readonly Field[]
}

export function FilterBar({ search, texts = NONE, choices = NONE, dates = NONE, hidden = NONE }: FilterBarProps) {
  const [present, change] = useFilters()
  const keys = [...(search === undefined ? [] : ['q']), ...[...texts, ...choices, ...hidden, ...dates].map(({ key }) => key)]
  const [open, { toggle }] = useDisclosure(false)
  const any = keys.some((key) => present.has(key))
  return (
    <search className="filters" aria-label={strings.table.filters} data-open={open || undefined}>
      {search === undefined ? null : <Typed name="q" label={search} wide />}
      {texts.length + choices.length === 0 ? null : (
        <Button variant="default" size="sm" className="filters-toggle" aria-expanded={open} onClick={toggle}>
          {strings.table.filters}
        </Button>
      )}
      {texts.map(({ key, label }) => (
        <Typed key={key} name={key} label={label} />
      ))}
      {choices.map(({ key, label, options }) => (
        <Select
          key={key}
          label={label}
          size="sm"
          className="filter"
          placeholder={strings.table.all}
          clearable
          clearButtonProps={{ 'aria-label': `${label}: ${strings.table.all}`, tabIndex: 0 }}
          data={Object.entries(options).map(([value, text]) => ({ value, label: text }))}
          value={present.get(key)}
          onChange={(value) => change({ [key]: value })}
        />
      ))}
      {dates.map(({ key, label }) => (
        <TextInput
          key={key}
          type="date"
          label={label}
          size="sm"
          className="filter date"
          value={present.get(key) ?? ''}
          onChange={(event) => change({ [key]: event.currentTarget.value })}
        />
      ))}
      {hidden.map(({ key, label }) =>
        present.has(key) ? (
          <Button
            key={key}
            variant="light"
            size="sm"
            rightSection={<X size={14} aria-hidden="true" />}
            onClick={() => change({ [key]: null })}
          >
            {label} {visible(present.get(key) ?? '')}
          </Button>
        ) : null,
      )}
      {any ? (
        <Button variant="subtle" size="sm" onClick={() => change(Object.fromEntries(keys.map((key) => [key, null])))}>
          {strings.table.clear}
        </Button>
      ) : null}
    </search>
  )
}

function Typed({ name, label, wide = false }: { name: string; label: string; wide?: boolean }) {
  const [present, change] = useFilters()
  const value = present.get(name) ?? ''
  const [typed, setTyped] = useState(value)
  const settle = useDebouncedCallback((text: string) => change({ [name]: text }), TYPING_MS)
  useEffect(() => setTyped(value), [value])
  return (
    <TextInput
      label={label}
      size="sm"
      className={wide ? 'filter wide' : 'filter'}
      type="search"
      leftSection={wide ? <Search size={16} aria-hidden="true" /> : undefined}
      value={typed}
      onChange={(event) => {
        setTyped(event.currentTarget.value)
        settle(event.currentTarget.value)
      }}
    />
  )
}
