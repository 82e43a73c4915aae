// The connection sheet of a user: shown, copied, printed.
// Must not hold a secret.
import { Button, Group, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Printer } from 'lucide-react'
import { useState } from 'react'
import type { KeyView, Page, ServiceView, UserView } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { Copy } from '../../parts/copy.tsx'
import { Loaded } from '../../parts/panel.tsx'
import { strings } from '../../strings.ts'
import { sheetText } from './sheet-text.ts'

const words = strings.users.sheet
const KEY = 'fileflow-public-host'

function remembered(): string {
  try {
    return localStorage.getItem(KEY) ?? location.hostname
  } catch {
    return location.hostname // storage is blocked: it is typed each time
  }
}

export function Sheet({ user }: { user: UserView }) {
  const [host, setHost] = useState(remembered)
  const services = useQuery({ queryKey: ['services'], queryFn: () => api<Page<ServiceView>>('GET', '/services') })
  const keys = useQuery({ queryKey: ['keys'], queryFn: () => api<Page<KeyView>>('GET', '/keys') })
  const portOf = (name: string) => services.data?.items.find((service) => service.name === name)?.port ?? null
  const remember = (value: string) => {
    setHost(value)
    try {
      localStorage.setItem(KEY, value)
    } catch {
      // storage is blocked: it is typed each time
    }
  }
  return (
    <div className="stack">
      <p className="quiet no-print">{words.intro}</p>
      <TextInput
        className="no-print"
        maw={420}
        label={words.host}
        description={words.hostNote}
        value={host}
        spellCheck={false}
        onChange={({ currentTarget }) => remember(currentTarget.value)}
      />
      <Loaded query={keys} rows={6}>
        {({ items }) => {
          const text = sheetText(user, { host, sftp: portOf('sftp'), ftp: portOf('ftp'), keys: items })
          return (
            <>
              <Group className="no-print" gap="sm">
                <Copy text={text} what={words.theSheet} verb={words.copy} />
                <Button variant="default" size="xs" leftSection={<Printer size={14} aria-hidden="true" />} onClick={() => print()}>
                  {words.print}
                </Button>
              </Group>
              <pre className="sheet-text">{text}</pre>
            </>
          )
        }}
      </Loaded>
    </div>
  )
}
