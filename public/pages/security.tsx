// Who may use this page, who is shut out, and what the gateway proves itself with: one part under each tab.
// Must not hold the parts.
import { Tabs } from '@mantine/core'
import { useEffect, useRef } from 'react'
import { may } from '../pages.ts'
import { PageHead } from '../parts/page-head.tsx'
import type { PageProps } from '../registry/page.ts'
import { go } from '../router.tsx'
import { strings } from '../strings.ts'
import '../manage.css'
import { Admins } from './security/admins.tsx'
import { Bans } from './security/bans.tsx'
import { Failures } from './security/failures.tsx'
import { Keys } from './security/keys.tsx'
import { MyAccount } from './security/me.tsx'
import { Tokens } from './security/tokens.tsx'

const words = strings.security

type Part = keyof typeof words.parts
const PARTS = Object.keys(words.parts) as Part[]

export function Security({ me, params }: PageProps) {
  const part = PARTS.find((one) => one === params.part) ?? 'bans'
  const tabs = useRef<HTMLDivElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever another part is shown
  useEffect(() => {
    tabs.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [part])
  return (
    <>
      <PageHead title={words.title} note={words.note} />
      <Tabs value={part} onChange={(to) => go(`/security/${to}`)} keepMounted={false}>
        <Tabs.List className="tabs-gap" ref={tabs}>
          {PARTS.filter((one) => one !== 'tokens' || may(me, 'admin')).map((one) => (
            <Tabs.Tab key={one} value={one}>
              {words.parts[one]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={part}>
          {part === 'bans' ? <Bans me={me} /> : null}
          {part === 'failures' ? <Failures /> : null}
          {part === 'admins' ? <Admins me={me} /> : null}
          {part === 'tokens' ? <Tokens me={me} /> : null}
          {part === 'keys' ? <Keys /> : null}
          {part === 'me' ? <MyAccount me={me} /> : null}
        </Tabs.Panel>
      </Tabs>
    </>
  )
}
