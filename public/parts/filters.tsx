// The filters above a list; they live in the address, so that a view can be sent to a colleague.
// Must not hold their values anywhere else.
import { Button, Select, TextInput } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { Search } from 'lucide-react'
import { useEffect, useState } from 'react'
import { useFilters } from '../router.tsx'
import { strings } from '../strings.ts'

export interface Choice {
  readonly key: string
  readonly label: string
  /** Value → word. */
  readonly options: Readonly<Record<string, string>>
}

const TYPING_MS = 250

export function FilterBar({
  search,
  choices = [],
  texts = [],
}: {
  search?: string
  choices?: readonly Choice[]
  texts?: readonly { key: string; label: string }[]
}) {
  const [present, change] = useFilters()
  const keys = [...(search === undefined ? [] : ['q']), ...choices.map((c) => c.key), ...texts.map((c) => c.key)]
  const any = keys.some((key) => present.has(key))
  return (
    <search className="filters" aria-label={strings.table.filters}>
      {search === undefined ? null : <Typed name="q" label={search} wide />}
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
          clearButtonProps={{ 'aria-label': `${label}: ${strings.table.all}` }}
          data={Object.entries(options).map(([value, text]) => ({ value, label: text }))}
          value={present.get(key)}
          onChange={(value) => change({ [key]: value })}
        />
      ))}
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
