// The way from an empty gateway to the first delivered file, step by step, each ticked off by what is really there.
// Must not stay once a file was delivered, or when it was put away.
import { Button, CloseButton, Code } from '@mantine/core'
import { useLocalStorage } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { Check } from 'lucide-react'
import type { ReactNode } from 'react'
import type { DeliveryView, TransferView } from '../../../src/core/movement-views.ts'
import type { Page, ServiceView } from '../../../src/core/views.ts'
import { api, type Me } from '../../api.ts'
import { may } from '../../pages.ts'
import { Link } from '../../router.tsx'
import { strings } from '../../strings.ts'
import { useServices } from './figures.ts'

const words = strings.firstSteps

interface Present {
  readonly user: string | null
  readonly destination: boolean
  readonly rule: boolean
  readonly upload: boolean
  readonly delivered: boolean
}

async function look(): Promise<Present> {
  const first = async <T,>(path: string): Promise<T | undefined> => (await api<Page<T>>('GET', path)).items[0]
  const [user, destination, rule, upload, delivered] = await Promise.all([
    first<{ username: string }>('/users?limit=1'),
    first('/destinations?limit=1'),
    first('/rules?limit=1'),
    first<TransferView>('/transfers?limit=1&direction=upload'),
    first<DeliveryView>('/deliveries?limit=1&state=delivered'),
  ])
  return {
    user: user?.username ?? null,
    destination: destination !== undefined,
    rule: rule !== undefined,
    upload: upload !== undefined,
    delivered: delivered !== undefined,
  }
}

export function FirstSteps({ me }: { me: Me }) {
  const [away, setAway] = useLocalStorage({ key: 'fileflow-first-steps-away', defaultValue: false, getInitialValueInEffect: false })
  // Under the key of transfers, so that the first upload and its delivery tick off their steps live.
  const present = useQuery({ queryKey: ['transfers', 'first-steps'], queryFn: look, enabled: !away, staleTime: 0 })
  const services = useServices()
  if (away || present.data === undefined || present.data.delivered) return null
  const { user, destination, rule, upload } = present.data
  const mayMake = may(me, 'admin')
  return (
    <section className="first-steps" aria-label={words.title}>
      <div className="line spread">
        <div>
          <h2>{words.title}</h2>
          <p className="quiet">{words.hint}</p>
        </div>
        <CloseButton aria-label={words.away} onClick={() => setAway(true)} />
      </div>
      <ol>
        <Step done={user !== null} title={words.user} text={words.userText} href={mayMake ? '/users/+new' : null} verb={words.makeUser} />
        <Step
          done={destination}
          title={words.destination}
          text={words.destinationText}
          href={mayMake ? '/destinations/+new' : null}
          verb={words.makeDestination}
        />
        <Step done={rule} title={words.rule} text={words.ruleText} href={mayMake ? '/rules/+new' : null} verb={words.makeRule} />
        <Step done={upload} title={words.upload} text={words.uploadText}>
          {user === null ? null : <Code block>{sample(user, services.data?.items)}</Code>}
        </Step>
        <Step done={false} title={words.delivered} text={upload ? words.waitingText : words.deliveredText} />
      </ol>
    </section>
  )
}

function Step({
  done,
  title,
  text,
  href = null,
  verb,
  children,
}: {
  done: boolean
  title: string
  text: string
  href?: string | null
  verb?: string
  children?: ReactNode
}) {
  return (
    <li data-done={done || undefined}>
      <span className="tick" role="img" aria-label={done ? words.done : words.todo}>
        {done ? <Check size={14} /> : null}
      </span>
      <div className="grow">
        <p className="step-title">{title}</p>
        {done ? null : (
          <>
            <p className="quiet">{text}</p>
            {children}
          </>
        )}
      </div>
      {done || href === null ? null : (
        <Button component="a" href={href} size="xs" variant="light" renderRoot={(props) => <Link {...(props as { href: string })} />}>
          {verb}
        </Button>
      )}
    </li>
  )
}

/** The command that uploads a file, for this gateway and this user. */
function sample(user: string, services: readonly ServiceView[] | undefined): string {
  const port = services?.find(({ name }) => name === 'sftp')?.port ?? 2222
  return `sftp -P ${port} ${user}@${location.hostname}\nput hello.txt`
}
