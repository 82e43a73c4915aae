// The first page: is all well, what is not and why, what moves, and the acts one needs at once.
// Must not hold what its parts show.
import { Skeleton, Stack } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { useState } from 'react'
import { may } from '../pages.ts'
import { Confirm, type Question } from '../parts/confirm.tsx'
import { PageHead } from '../parts/page-head.tsx'
import type { PageProps } from '../registry/page.ts'
import { strings } from '../strings.ts'
import '../styles/overview.css'
import { Destinations } from './overview/destinations.tsx'
import { Failures, useFailures } from './overview/failures.tsx'
import { useServices, useStats } from './overview/figures.ts'
import { FirstSteps } from './overview/first-steps.tsx'
import { Numbers } from './overview/numbers.tsx'
import { Services } from './overview/services.tsx'
import { Sessions } from './overview/sessions.tsx'
import { Throughput } from './overview/throughput.tsx'
import { Transfers } from './overview/transfers.tsx'
import { Verdict } from './overview/verdict.tsx'

export function Overview({ me }: PageProps) {
  const [question, setQuestion] = useState<Question | null>(null)
  const mayAct = may(me, 'operator')
  // shown at once when it is known how much there is to say: nothing jumps under the hand that reaches for it
  const known = [useStats(), useServices(), useFailures()].every(({ isPending }) => !isPending)
  // one column: what needs a look comes first, for the eye and the keyboard alike
  const narrow = useMediaQuery('(max-width: 960px)', false, { getInitialValueInEffect: false })
  if (!known)
    return (
      <>
        <PageHead title={strings.overview} />
        <Stack gap="md" aria-busy="true">
          <Skeleton h={80} />
          <Skeleton h={104} />
          <Skeleton h={480} />
        </Stack>
      </>
    )
  const failures = <Failures mayAct={mayAct} confirm={setQuestion} />
  const services = <Services mayAct={mayAct} confirm={setQuestion} />
  const sessions = <Sessions mayAct={mayAct} confirm={setQuestion} />
  const transfers = <Transfers mayAct={mayAct} />
  return (
    <>
      <PageHead title={strings.overview} />
      <div className="overview">
        <Verdict />
        <FirstSteps me={me} />
        <Numbers mayAct={mayAct} />
        {narrow ? (
          <>
            {failures}
            {services}
            <Destinations />
            {sessions}
            <Throughput />
            {transfers}
          </>
        ) : (
          <div className="columns">
            <div className="side">
              <Throughput />
              {failures}
              {transfers}
            </div>
            <div className="side">
              {services}
              <Destinations />
              {sessions}
            </div>
          </div>
        )}
      </div>
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </>
  )
}
