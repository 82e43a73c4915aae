// What a row of the audit log is about: its object, the file and destination where there are some, and the rest on request.
// Must not leave anything out that is recorded.
import type { ReactNode } from 'react'
import type { AuditView } from '../../../src/core/views.ts'
import { formatSize } from '../../format.ts'
import { Moment, Named, Path, Word } from '../../parts/words.tsx'
import { Link } from '../../router.tsx'
import { strings } from '../../strings.ts'

const TIMES: ReadonlySet<string> = new Set(['since', 'until', 'last', 'next_at', 'removed_at', 'expires_at'])
const SIZES: ReadonlySet<string> = new Set(['bytes', 'size'])
const MAPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  reason: strings.recorded.refusals,
  method: strings.recorded.methods,
  code: strings.codes,
  role: strings.account.role,
  verified: strings.deliveries.verified,
}
const LINKS: Readonly<Record<string, (value: string) => string>> = {
  transfer: (id) => `/transfers/${encodeURIComponent(id)}`,
  session: (id) => `/transfers?session=${encodeURIComponent(id)}`,
}

export function What({ object, detail }: Pick<AuditView, 'object' | 'detail'>) {
  const facts = Object.entries(detail)
  const { path, destination } = detail
  return (
    <div>
      <Word>{object}</Word>
      {typeof path === 'string' && typeof destination === 'string' ? (
        <div className="quiet about">
          <Word>{destination}</Word>: <Path path={path} />
        </div>
      ) : null}
      {facts.length === 0 ? null : (
        <details className="quiet">
          <summary>{strings.audit.detail}</summary>
          <dl className="detail">
            {facts.map(([key, value]) => (
              <div key={key}>
                <dt title={key}>
                  <Named of={strings.facts} name={key} />
                </dt>
                <dd>{said(key, value)}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </div>
  )
}

function said(key: string, value: unknown): ReactNode {
  if (typeof value === 'boolean') return value ? strings.yes : strings.no
  if (typeof value === 'number') return SIZES.has(key) ? formatSize(value) : value
  if (typeof value !== 'string')
    return <Word>{Array.isArray(value) && value.every((one) => typeof one === 'string') ? value.join(', ') : JSON.stringify(value)}</Word>
  if (TIMES.has(key) && !Number.isNaN(Date.parse(value))) return <Moment at={value} exact />
  if (MAPS[key]) return <Named of={MAPS[key]} name={value} />
  const href = LINKS[key]?.(value)
  if (href !== undefined)
    return (
      <Link href={href}>
        <Word>{value}</Word>
      </Link>
    )
  return <Word>{key === 'error' ? strings.said(value) : value}</Word>
}
