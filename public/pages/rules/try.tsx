// Which rule takes a file, as one types: the simulator's answer, for stored rules or a draft among them.
// Must not send a file.
import { TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useId, useState } from 'react'
import type { RuleSpec } from '../../../src/core/rule.ts'
import type { SimulateResult } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { Copy } from '../../parts/copy.tsx'
import { Refusal } from '../../parts/form.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Path, Word } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'
import { UNCHOSEN } from './draft.ts'

const words = strings.rules
const TYPING_MS = 250

type Answer = SimulateResult['rules'][number]

/**
 * @param rules instead of the stored ones; with `draft` naming the one that is edited
 * @param users known names, to choose from
 */
export function TryOut({
  rules,
  draft,
  users,
  first,
}: {
  rules?: readonly RuleSpec[]
  draft?: string
  users: readonly string[]
  first: { readonly user: string; readonly path: string }
}) {
  const known = useId()
  const [user, setUser] = useState(first.user)
  const [path, setPath] = useState(first.path)
  const [question] = useDebouncedValue(JSON.stringify({ user: user.trim(), path: path.trim(), rules }), TYPING_MS)
  const complete = user.trim() !== '' && path.trim().startsWith('/')
  const answer = useQuery({
    queryKey: ['rules', 'simulate', question],
    queryFn: () => api<SimulateResult>('POST', '/rules/simulate', JSON.parse(question)),
    enabled: complete,
    placeholderData: keepPreviousData,
    retry: false,
  })
  const all = answer.data?.rules ?? []
  const here = draft === undefined ? undefined : all.find(({ rule }) => rule === draft)
  const others = all.filter((one) => one !== here)
  return (
    <Panel title={words.preview}>
      <div className="row">
        <div className="grow stack">
          <p className="quiet">{words.previewNote}</p>
          <div className="pair">
            <TextInput
              label={words.tryUser}
              value={user}
              list={known}
              spellCheck={false}
              autoCapitalize="none"
              onChange={({ currentTarget }) => setUser(currentTarget.value)}
            />
            <TextInput
              label={words.tryPath}
              value={path}
              placeholder="/invoices/2026-11.xml"
              spellCheck={false}
              autoCapitalize="none"
              onChange={({ currentTarget }) => setPath(currentTarget.value)}
            />
          </div>
          <datalist id={known}>
            {users.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
          <div aria-live="polite" className="stack">
            {complete && answer.isError ? <Refusal error={answer.error} /> : null}
            {complete && answer.data && !answer.isError ? (
              <>
                {here ? <One answer={here} /> : null}
                {here && others.length > 0 ? <p className="quiet">{words.others}</p> : null}
                {!all.some(({ matched }) => matched) ? <p className="quiet">{words.nobody}</p> : null}
                <div>
                  {others.map((one) => (
                    <One key={one.rule} answer={one} />
                  ))}
                </div>
              </>
            ) : null}
          </div>
        </div>
      </div>
    </Panel>
  )
}

function One({ answer: { rule, matched, because, deliveries } }: { answer: Answer }) {
  return (
    <div className={`preview-row ${matched ? 'preview-hit' : 'preview-miss'}`}>
      <strong>
        <bdi>{rule}</bdi>
      </strong>{' '}
      <span className={matched ? 'good' : 'quiet'}>{matched ? words.takesIt : words.takesNot}</span>
      {because === null ? null : (
        <div className="quiet">
          <Word>{strings.recorded.misses[because.kind](because.what)}</Word>
        </div>
      )}
      {deliveries.map(({ destination, remote_path }) => (
        <div className="copyable" key={destination + remote_path}>
          <span>
            → <bdi>{destination === UNCHOSEN ? words.choose : destination}</bdi>: <Path path={remote_path} />
          </span>
          <Copy text={remote_path} what={words.theRemotePath} />
        </div>
      ))}
    </div>
  )
}
