// How a destination proves who it is: host keys fetched, shown and confirmed; or its certificate.
// Must not trust anything by itself.
import { Alert, Button, Checkbox, Group, Switch, Textarea, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { KeyRound } from 'lucide-react'
import type { Page } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { Copy } from '../../parts/copy.tsx'
import { Lines, Refusal } from '../../parts/form.tsx'
import { strings } from '../../strings.ts'
import { type DestinationDraft, USUAL_PORT } from './draft.ts'

const words = strings.destinations

interface HostKey {
  readonly type: string
  readonly fingerprint: string
}

export interface Fields {
  readonly draft: DestinationDraft
  readonly set: <K extends keyof DestinationDraft>(key: K, value: DestinationDraft[K]) => void
}

export function HostKeys({ draft, set }: Fields) {
  const host = draft.host.trim()
  const fetched = useMutation({
    mutationFn: () =>
      api<Page<HostKey>>('POST', '/destinations/host-key', { host, port: Number(draft.port.trim() || USUAL_PORT[draft.type]) }),
  })
  const trust = (fingerprint: string) => {
    set('insecure', false)
    set('host_keys', [...draft.host_keys.filter((key) => key.trim() !== ''), fingerprint])
  }
  const shown = fetched.data?.items ?? []
  const strange = shown.length > 0 && draft.host_keys.length > 0 && !shown.some(({ fingerprint }) => draft.host_keys.includes(fingerprint))
  return (
    <>
      {draft.insecure ? null : (
        <>
          <Lines
            label={words.hostKeys}
            value={draft.host_keys}
            onChange={(value) => set('host_keys', value)}
            placeholder="SHA256:…"
            add={words.addHostKey}
          />
          <Group>
            <Button variant="default" loading={fetched.isPending} disabled={host === ''} onClick={() => fetched.mutate()}>
              {words.fetch}
            </Button>
          </Group>
          <Refusal error={fetched.error} />
          {fetched.data ? (
            <div className="stack" role="status">
              <p className="quiet">{shown.length === 0 ? words.fetchedNone : words.fetched(host)}</p>
              {strange ? (
                <Alert color="red" variant="light">
                  {words.changedKey}
                </Alert>
              ) : null}
              {shown.map(({ type, fingerprint }) => (
                <div className="key-row" key={fingerprint}>
                  <KeyRound size={16} aria-hidden="true" />
                  <div className="grow">
                    <div className="copyable">
                      <span className="mono">{fingerprint}</span>
                      <Copy text={fingerprint} what={words.theFingerprint} />
                    </div>
                    <div className="quiet">{type}</div>
                  </div>
                  {draft.host_keys.includes(fingerprint) ? (
                    <span className="badge" data-tone="good">
                      {words.trusted}
                    </span>
                  ) : (
                    <Button variant="default" size="xs" aria-label={`${words.trustKey}: ${fingerprint}`} onClick={() => trust(fingerprint)}>
                      {words.trustKey}
                    </Button>
                  )}
                </div>
              ))}
            </div>
          ) : null}
        </>
      )}
      <Checkbox
        label={words.insecure}
        description={words.insecureNote}
        checked={draft.insecure}
        onChange={({ currentTarget }) => set('insecure', currentTarget.checked)}
      />
    </>
  )
}

export function Certificate({ draft, set }: Fields) {
  return (
    <>
      <Switch
        label={words.tlsVerify}
        description={draft.tls_verify ? undefined : words.tlsVerifyNote}
        checked={draft.tls_verify}
        onChange={({ currentTarget }) => set('tls_verify', currentTarget.checked)}
      />
      <TextInput
        label={words.fingerprint}
        description={words.fingerprintNote}
        spellCheck={false}
        value={draft.tls_fingerprint}
        onChange={({ currentTarget }) => set('tls_fingerprint', currentTarget.value)}
      />
      <Textarea
        label={words.ca}
        placeholder="-----BEGIN CERTIFICATE-----"
        autosize
        minRows={2}
        maxRows={8}
        spellCheck={false}
        value={draft.tls_ca}
        onChange={({ currentTarget }) => set('tls_ca', currentTarget.value)}
      />
    </>
  )
}
