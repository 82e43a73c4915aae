// Password and public keys of a user.
// Must not show a password that is stored; nobody can.
import { Button, FileButton, Group, PasswordInput, Textarea } from '@mantine/core'
import { useQueries } from '@tanstack/react-query'
import { KeyRound } from 'lucide-react'
import { useState } from 'react'
import type { PublicKeyView, UserView } from '../../../src/core/views.ts'
import { api } from '../../api.ts'
import { Copy } from '../../parts/copy.tsx'
import { Refusal, Remove } from '../../parts/form.tsx'
import { Word } from '../../parts/words.tsx'
import { strings } from '../../strings.ts'
import type { Fields } from './user-form.tsx'

const words = strings.users

const inspect = (line: string): Promise<PublicKeyView> => api<PublicKeyView>('POST', '/public-keys/inspect', { public_key: line })

/** 24 characters that nobody confuses when reading them aloud: more than 130 bits. */
function newPassword(): string {
  const letters = 'abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789'
  // 216 = 4 × 54: every letter is as likely
  const bytes: number[] = []
  while (bytes.length < 24) bytes.push(...crypto.getRandomValues(new Uint8Array(24)).filter((byte) => byte < letters.length * 4))
  return bytes
    .slice(0, 24)
    .map((byte) => letters[byte % letters.length])
    .join('')
}

export function Credentials({ draft, set, user }: Fields & { user: UserView | null }) {
  const [made, setMade] = useState('')
  return (
    <>
      <div className="line-row">
        <PasswordInput
          className="grow"
          label={user?.has_password ? words.setPassword : words.newPassword}
          description={user?.has_password ? words.keepPassword : words.noPassword}
          autoComplete="new-password"
          maxLength={1024}
          value={draft.password}
          onChange={({ currentTarget }) => {
            setMade('')
            set('password', currentTarget.value)
          }}
        />
        <Button
          variant="default"
          onClick={() => {
            const password = newPassword()
            setMade(password)
            set('password', password)
          }}
        >
          {words.generate}
        </Button>
      </div>
      {made === '' || made !== draft.password ? null : (
        <div role="status" className="stack">
          <p className="quiet">{words.generated}</p>
          <div className="once">
            <span className="mono grow">{made}</span>
            <Copy text={made} what={words.thePassword} />
          </div>
        </div>
      )}
      <Keys keys={draft.public_keys} onChange={(keys) => set('public_keys', keys)} />
    </>
  )
}

function Keys({ keys, onChange }: { keys: readonly string[]; onChange: (keys: string[]) => void }) {
  const [line, setLine] = useState('')
  const [error, setError] = useState<unknown>(null)
  const facts = useQueries({
    queries: keys.map((key) => ({
      queryKey: ['public-key', key],
      queryFn: () => inspect(key),
      staleTime: Number.POSITIVE_INFINITY,
    })),
  })
  const add = async (text: string) => {
    const wanted = text.split('\n').map((one) => one.trim())
    const fresh = wanted.filter((one) => one !== '' && !one.startsWith('#'))
    try {
      const known = new Set(facts.map(({ data }) => data?.fingerprint))
      for (const one of fresh) {
        const { fingerprint } = await inspect(one)
        if (known.has(fingerprint)) throw new Error(words.keyThere)
        known.add(fingerprint)
      }
      setError(null)
      setLine('')
      onChange([...keys, ...fresh])
    } catch (refused) {
      setError(refused)
    }
  }
  return (
    <fieldset className="lines">
      <legend>{words.publicKeys}</legend>
      {keys.length === 0 ? <p className="quiet">{words.noKeys}</p> : null}
      {keys.map((key, at) => {
        const fact = facts[at]?.data
        const [type = '', , ...comment] = key.trim().split(/\s+/)
        const shown = fact?.fingerprint ?? `${key.slice(0, 60)}…`
        return (
          <div className="key-row" key={key}>
            <KeyRound size={16} aria-hidden="true" />
            <div className="grow">
              <div className="copyable">
                <span className="mono">{shown}</span>
                <Copy text={shown} what={words.theFingerprint} />
              </div>
              <div className="quiet">
                {type}
                {fact ? ` ${fact.bits}` : ''} <Word>{comment.join(' ')}</Word>
              </div>
            </div>
            <Remove label={words.removeKey(shown)} onClick={() => onChange(keys.toSpliced(at, 1))} />
          </div>
        )
      })}
      <Textarea
        w="100%"
        label={words.addKey}
        description={words.keyText}
        placeholder="ssh-ed25519 AAAA…"
        autosize
        minRows={2}
        maxRows={6}
        spellCheck={false}
        value={line}
        onChange={({ currentTarget }) => setLine(currentTarget.value)}
      />
      <Refusal error={error} />
      <Group gap="sm">
        <Button variant="default" size="xs" disabled={line.trim() === ''} onClick={() => void add(line)}>
          {words.addKey}
        </Button>
        <FileButton
          accept=".pub,text/plain"
          inputProps={{ 'aria-label': words.keyFilePick }}
          onChange={(file) => void file?.text().then((text) => add(text.slice(0, 100_000)))}
        >
          {(props) => (
            <Button {...props} variant="default" size="xs">
              {words.keyFile}
            </Button>
          )}
        </FileButton>
      </Group>
    </fieldset>
  )
}
