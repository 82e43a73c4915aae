// The configuration in force with its sources, its reload, the backup, and what runs here.
// Must not change a key; files and environment do.
import { Button, Switch } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Download, RefreshCw } from 'lucide-react'
import { useState } from 'react'
import type { Page, ReloadView, SettingView } from '../../src/core/views.ts'
import { api, type Me } from '../api.ts'
import { formatDuration } from '../format.ts'
import { may } from '../pages.ts'
import { Confirm, type Question } from '../parts/confirm.tsx'
import { Copy } from '../parts/copy.tsx'
import { FilterBar } from '../parts/filters.tsx'
import { Refusal, Section } from '../parts/form.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { Empty, Loaded } from '../parts/panel.tsx'
import { useSave } from '../parts/save.ts'
import { type Column, Table } from '../parts/table.tsx'
import { State, Word } from '../parts/words.tsx'
import type { PageProps } from '../registry/page.ts'
import { useFilters } from '../router.tsx'
import { strings } from '../strings.ts'
import '../manage.css'

const words = strings.settings

/** The answer has durations in ms; people read and write 15m. */
const DURATION = /(_delay|_after|_ttl|_timeout|\.settle|\.window|\.ban|\.ban_max)$|^retention\./

/** As one would write it in the file. */
const shown = ({ key, value }: SettingView): string =>
  typeof value === 'number' && DURATION.test(key) ? formatDuration(value) : written(value)

const written = (value: unknown): string =>
  value === '' || value === null || (Array.isArray(value) && value.length === 0)
    ? ''
    : typeof value === 'string'
      ? value
      : Array.isArray(value)
        ? value.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join(', ')
        : JSON.stringify(value)

/** What a key is for, in the page's language where there are words. */
const meaningOf = ({ key, description }: Pick<SettingView, 'key' | 'description'>): string => strings.keys[key] ?? description

const COLUMNS: Column<SettingView>[] = [
  {
    key: 'key',
    label: words.key,
    render: ({ key, description }) => (
      <div>
        <span className="mono">{key}</span>
        <div className="quiet">{meaningOf({ key, description })}</div>
      </div>
    ),
  },
  {
    key: 'value',
    label: words.value,
    width: '24%',
    render: (setting) => (shown(setting) === '' ? <span className="quiet">{words.empty}</span> : <Word>{shown(setting)}</Word>),
  },
  {
    key: 'source',
    label: words.source,
    width: '22.5rem',
    render: ({ source, file, line, variable, needs_restart }) => (
      <div>
        <State state={source === 'default' ? 'default' : 'running'} label={words.sources[source]} />
        <div className="quiet">
          {source === 'file' && file !== undefined && line !== undefined ? words.line(file, line) : null}
          {source === 'file' ? null : (
            <span className="copyable">
              <span className="mono">{variable}</span>
              <Copy text={variable} what={variable} />
            </span>
          )}
          {needs_restart ? <div>{words.needsRestart}</div> : null}
        </div>
      </div>
    ),
  },
]

export function Settings({ me }: PageProps) {
  return (
    <>
      <PageHead title={words.title} note={words.note} />
      <div className="form">
        <Upkeep me={me} />
        <Configuration />
      </div>
    </>
  )
}

function Upkeep({ me }: { me: Me }) {
  const [question, setQuestion] = useState<Question | null>(null)
  const [outcome, setOutcome] = useState<ReloadView | null>(null)
  const reload = useSave(() => api<ReloadView>('POST', '/settings/reload'), {
    touches: ['settings', 'keys'],
    done: (answer) => {
      setOutcome(answer)
      return words.reloaded
    },
  })
  return (
    <>
      <Section title={words.about} note={words.apiNote}>
        <dl className="fact-list">
          <div>
            <dt>{words.version}</dt>
            <dd>
              {strings.product} {me.version}
            </dd>
          </div>
          <div>
            <dt>{words.api}</dt>
            <dd>
              <a className="link" href="/api/docs" target="_blank" rel="noreferrer">
                /api/docs
              </a>
            </dd>
          </div>
          <div>
            <dt>{words.openapi}</dt>
            <dd>
              <a className="link" href="/api/openapi.json" target="_blank" rel="noreferrer">
                /api/openapi.json
              </a>
            </dd>
          </div>
        </dl>
      </Section>
      {may(me, 'admin') ? (
        <Section title={words.backup} note={words.backupNote}>
          <div className="danger-row">
            <span className="quiet">{words.restore}</span>
            <Button component="a" href="/api/v1/backup" download variant="default" leftSection={<Download size={16} aria-hidden="true" />}>
              {words.download}
            </Button>
          </div>
        </Section>
      ) : null}
      {may(me, 'admin') ? (
        <Section title={words.reload} note={words.reloadText}>
          <div className="danger-row">
            <div role="status" className="grow">
              {outcome === null ? null : (
                <>
                  {outcome.applied.length === 0 && outcome.needs_restart.length === 0 ? <p>{words.unchanged}</p> : null}
                  {outcome.applied.length === 0 ? null : <p className="good">{words.applied(outcome.applied.join(', '))}</p>}
                  {outcome.needs_restart.length === 0 ? null : <p className="trouble">{words.waits(outcome.needs_restart.join(', '))}</p>}
                </>
              )}
            </div>
            <Button
              variant="default"
              loading={reload.busy}
              leftSection={<RefreshCw size={16} aria-hidden="true" />}
              onClick={() =>
                setQuestion({ title: words.reloadTitle, text: words.reloadText, verb: words.reload, danger: false, act: reload.run })
              }
            >
              {words.reload}
            </Button>
          </div>
          <Refusal error={reload.error} />
        </Section>
      ) : null}
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </>
  )
}

function Configuration() {
  const [filters, change] = useFilters()
  const q = (filters.get('q') ?? '').toLowerCase()
  const only = filters.get('only') === 'set'
  const query = useQuery({ queryKey: ['settings'], queryFn: () => api<Page<SettingView>>('GET', '/settings') })
  return (
    <section aria-label={words.config}>
      <FilterBar search={words.search} />
      <Switch
        mb="md"
        label={words.only}
        checked={only}
        onChange={({ currentTarget }) => change({ only: currentTarget.checked ? 'set' : null })}
      />
      <div className="sheet">
        <Loaded query={query} rows={10}>
          {({ items }) => {
            const rows = items.filter(
              ({ key, description, source }) =>
                (!only || source !== 'default') &&
                (key.toLowerCase().includes(q) || meaningOf({ key, description }).toLowerCase().includes(q)),
            )
            return rows.length === 0 ? (
              <Empty title={words.none} />
            ) : (
              <Table label={words.config} columns={COLUMNS} rows={rows} keyOf={({ key }) => key} />
            )
          }}
        </Loaded>
      </div>
    </section>
  )
}
