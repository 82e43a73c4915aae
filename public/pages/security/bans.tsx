// Addresses that are shut out, and lifting a ban.
// Must not ban; failed logins do.
import { Button } from '@mantine/core'
import { useState } from 'react'
import type { BanView } from '../../../src/core/views.ts'
import { api, type Me } from '../../api.ts'
import { may } from '../../pages.ts'
import { useAct } from '../../parts/act.ts'
import { Confirm, type Question } from '../../parts/confirm.tsx'
import { Copy } from '../../parts/copy.tsx'
import { Empty } from '../../parts/panel.tsx'
import { type Column, Paged, Table, usePages } from '../../parts/table.tsx'
import { Moment } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'

const words = strings.security.bans

export function Bans({ me }: { me: Me }) {
  const [question, setQuestion] = useState<Question | null>(null)
  const query = usePages<BanView>(['bans'], '/bans?limit=100')
  const lift = useAct((address: string) => api('DELETE', `/bans/${encodeURIComponent(address)}`), {
    touches: ['bans'],
    done: (_nothing, address) => words.lifted(address),
  })
  const columns: Column<BanView>[] = [
    {
      key: 'address',
      label: words.address,
      render: ({ address }) => (
        <span className="copyable">
          <span className="mono">{address}</span>
          <Copy text={address} what={strings.sessions.theAddress} />
        </span>
      ),
    },
    { key: 'failures', label: words.failures, width: '9rem', align: 'end', render: ({ failures }) => failures },
    { key: 'since', label: words.since, width: '10rem', render: ({ since }) => <Moment at={since} /> },
    { key: 'until', label: words.until, width: '10rem', render: ({ until }) => <Moment at={until} /> },
  ]
  if (may(me, 'operator')) {
    columns.push({
      key: 'lift',
      label: '',
      width: '8rem',
      render: ({ address }) => (
        <Button
          variant="default"
          size="xs"
          aria-label={words.liftOf(address)}
          onClick={() =>
            setQuestion({
              title: words.liftTitle(address),
              text: words.liftText,
              verb: words.lift,
              danger: false,
              act: () => lift.mutate(address),
            })
          }
        >
          {words.lift}
        </Button>
      ),
    })
  }
  return (
    <section className="sheet" aria-label={strings.security.parts.bans}>
      <Paged query={query} empty={<Empty title={words.empty}>{words.emptyHint}</Empty>}>
        {(rows) => <Table label={strings.security.parts.bans} columns={columns} rows={rows} keyOf={({ address }) => address} />}
      </Paged>
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </section>
  )
}
