// The log as it is written: live, filtered, paused; each line leads to its transfer or session.
// Must not keep more lines than one can read; the whole log is a download.
import { Button } from '@mantine/core'
import { Download, Pause, Play } from 'lucide-react'
import { useState } from 'react'
import type { LogView } from '../../src/core/views.ts'
import { visible } from '../format.ts'
import { Failure } from '../parts/failure.tsx'
import { FilterBar } from '../parts/filters.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { Empty } from '../parts/panel.tsx'
import { Moment, State, Word } from '../parts/words.tsx'
import { Link, useFilters } from '../router.tsx'
import { strings } from '../strings.ts'
import { LEVELS, useTail } from './logs/tail.ts'
import '../styles/logs.css'

const words = strings.logs
const SERVICES = ['gateway', 'ftp', 'sftp', 'forwarder', 'watcher', 'admin', 'log'] as const
const TONE: Readonly<Record<string, string>> = { error: 'dead', warn: 'retrying', info: 'none', debug: 'none' }

export function Logs() {
  const [filters] = useFilters()
  const [paused, setPaused] = useState(false)
  const tail = useTail(filters, paused)
  const { lines, held } = tail
  return (
    <>
      <PageHead title={strings.nav.logs} note={paused ? words.held(held) : words.note}>
        <Button
          variant="default"
          size="sm"
          leftSection={paused ? <Play size={15} aria-hidden="true" /> : <Pause size={15} aria-hidden="true" />}
          onClick={() => setPaused(!paused)}
        >
          {paused ? words.goOn : words.pause}
        </Button>
        <Button
          variant="default"
          size="sm"
          component="a"
          href="/api/v1/logs/download"
          download
          leftSection={<Download size={15} aria-hidden="true" />}
        >
          {words.download}
        </Button>
      </PageHead>
      <FilterBar
        search={words.search}
        choices={[
          {
            key: 'service',
            label: words.service,
            options: Object.fromEntries(SERVICES.map((name) => [name, words.services[name] ?? name])),
          },
          { key: 'level', label: words.level, options: words.levels },
        ]}
      />
      <section className="sheet" aria-label={strings.nav.logs}>
        {tail.error ? (
          <div className="row">
            <Failure error={tail.error} retry={tail.again} />
          </div>
        ) : lines.length === 0 ? (
          tail.loading ? null : (
            <Empty title={filters.size === 0 ? words.empty : strings.table.nothing}>{words.emptyHint}</Empty>
          )
        ) : (
          <ul className="log" aria-label={words.lines}>
            {lines.map((line) => (
              <Line key={line.key} line={line.view} />
            ))}
          </ul>
        )}
      </section>
    </>
  )
}

/** Fields that every line has; the rest is shown as `name=value`. */
const COMMON: ReadonlySet<string> = new Set(['time', 'level', 'service', 'event', 'message', 'stack'])

function Line({ line }: { line: LogView }) {
  const { stack } = line
  const fields = Object.entries(line).filter(([name]) => !COMMON.has(name))
  return (
    <li className="log-line" data-level={LEVELS.includes(line.level) ? line.level : undefined}>
      <span className="log-time">
        <Moment at={line.time} exact />
      </span>
      <State state={TONE[line.level] ?? 'none'} label={words.short[line.level] ?? line.level} />
      <span className="log-service">{line.service}</span>
      <div className="grow">
        <Word>{line.message}</Word>
        {fields.length === 0 ? null : (
          <span className="log-fields">
            {fields.map(([name, value]) => (
              <Field key={name} name={name} value={typeof value === 'string' ? value : JSON.stringify(value)} />
            ))}
          </span>
        )}
        {typeof stack === 'string' ? (
          <details>
            <summary>{words.stack}</summary>
            <pre>{stack.split('\n').map(visible).join('\n')}</pre>
          </details>
        ) : null}
      </div>
    </li>
  )
}

const LINKS: Readonly<Record<string, (value: string) => string>> = {
  transfer: (id) => `/transfers/${encodeURIComponent(id)}`,
  session: (id) => `/transfers?session=${encodeURIComponent(id)}`,
  user: (name) => `/users/${encodeURIComponent(name)}`,
  destination: (name) => `/destinations/${encodeURIComponent(name)}`,
  rule: (name) => `/rules/${encodeURIComponent(name)}`,
  delivery: (id) => `/logs?q=${encodeURIComponent(id)}`,
}

function Field({ name, value }: { name: string; value: string }) {
  const href = LINKS[name]?.(value)
  return (
    <span>
      {name}=
      {href === undefined ? (
        <Word>{value}</Word>
      ) : (
        <Link href={href}>
          <Word>{value}</Word>
        </Link>
      )}
    </span>
  )
}
