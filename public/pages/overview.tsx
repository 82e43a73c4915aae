// The first page: how the gateway is doing at a glance, and the acts one needs at once.
// Must not hold what its parts show.
import { Title, VisuallyHidden } from '@mantine/core'
import { useState } from 'react'
import type { Me } from '../api.ts'
import { Confirm, type Question } from '../parts/confirm.tsx'
import { strings } from '../strings.ts'
import { Numbers } from './overview/numbers.tsx'
import { Services } from './overview/services.tsx'
import { Sessions } from './overview/sessions.tsx'
import { Transfers } from './overview/transfers.tsx'

export function Overview({ me }: { me: Me }) {
  const [question, setQuestion] = useState<Question | null>(null)
  const mayAct = me.role !== 'auditor'
  return (
    <>
      <VisuallyHidden>
        <Title order={1}>{strings.overview}</Title>
      </VisuallyHidden>
      <div className="overview">
        <Numbers mayAct={mayAct} />
        <div className="columns">
          <Transfers mayAct={mayAct} />
          <div className="side">
            <Services mayAct={mayAct} confirm={setQuestion} />
            <Sessions mayAct={mayAct} confirm={setQuestion} />
          </div>
        </div>
      </div>
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </>
  )
}
