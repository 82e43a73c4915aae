// The answer first: all clear, or what is not.
// Must not say "all clear" while it does not know.
import { AlertTriangle, CheckCircle2, HelpCircle } from 'lucide-react'
import { useContext, useSyncExternalStore } from 'react'
import { localTime } from '../../format.ts'
import { LiveContext, type LiveState } from '../../live.ts'
import { Link } from '../../router.tsx'
import { strings } from '../../strings.ts'
import { useServices, useStats } from './figures.ts'
import { findings } from './findings.ts'

const words = strings.verdict
const CONNECTING: LiveState = { state: 'connecting' }

export function Verdict() {
  const live = useContext(LiveContext)
  const line = useSyncExternalStore(live?.subscribe ?? (() => () => {}), live?.get ?? (() => CONNECTING))
  const stats = useStats()
  const services = useServices()
  const known = stats.data !== undefined && services.data !== undefined && !stats.isError && !services.isError
  const found = known ? findings(stats.data, services.data.items) : []
  const stale = line.state === 'stale'
  const tone = !known || stale ? 'unknown' : found.length === 0 ? 'good' : found[0]!.tone
  const Icon = tone === 'unknown' ? HelpCircle : tone === 'good' ? CheckCircle2 : AlertTriangle
  return (
    <section className="verdict" data-tone={tone} aria-label={words.label}>
      <Icon size={26} aria-hidden="true" />
      <div className="grow">
        <p className="verdict-title" role="status">
          {stale
            ? words.stale(localTime(new Date(line.since).toISOString()))
            : !known
              ? words.looking
              : found.length === 0
                ? words.clear
                : words.notClear(found.length)}
        </p>
        {found.length === 0 ? (
          <p className="quiet">{known && !stale ? words.clearHint : ' '}</p>
        ) : (
          <ul>
            {found.map(({ text, href, tone: how }) => (
              <li key={text} data-tone={how}>
                {href.startsWith('#') ? <a href={href}>{text}</a> : <Link href={href}>{text}</Link>}
              </li>
            ))}
          </ul>
        )}
      </div>
    </section>
  )
}
