// The fields of a destination, in sections; those without meaning for its type are not shown.
// Must not send anything; its owner does.
import { Checkbox, NativeSelect, PasswordInput, Textarea, TextInput } from '@mantine/core'
import type { DestinationView } from '../../../src/core/views.ts'
import { SaveBar, Section } from '../../parts/form.tsx'
import type { Save } from '../../parts/save.ts'
import { strings } from '../../strings.ts'
import { type DestinationDraft, USUAL_PORT } from './draft.ts'
import { Certificate, type Fields, HostKeys } from './trust.tsx'

const words = strings.destinations

type TextKey = 'name' | 'host' | 'port' | 'username' | 'password' | 'passphrase' | 'base_path' | 'max_connections' | 'temp_name'

export function DestinationForm({
  draft,
  set,
  stored,
  readOnly,
  dirty,
  save,
  verb,
  onDiscard,
}: Fields & {
  stored: DestinationView | null
  readOnly: boolean
  dirty: boolean
  save: Save
  verb: string
  onDiscard?: () => void
}) {
  const text = (key: TextKey) => ({
    value: draft[key],
    spellCheck: false,
    onChange: ({ currentTarget }: { currentTarget: HTMLInputElement }) => set(key, currentTarget.value),
  })
  const { type } = draft
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        save.run()
      }}
    >
      <fieldset disabled={readOnly} className="bare">
        {readOnly ? <p className="quiet">{strings.form.readOnly}</p> : null}
        <Section title={words.where} note={type === 'local' ? undefined : words.whereNote}>
          {stored === null ? (
            <TextInput
              label={words.name}
              description={strings.form.nameRule}
              required
              maxLength={64}
              pattern="[A-Za-z0-9][A-Za-z0-9._@+\-]*"
              autoComplete="off"
              {...text('name')}
            />
          ) : null}
          <NativeSelect
            label={words.type}
            value={type}
            data={Object.entries(words.types).map(([value, label]) => ({ value, label }))}
            onChange={({ currentTarget }) => set('type', currentTarget.value as DestinationDraft['type'])}
          />
          {type === 'local' ? null : (
            <div className="pair">
              <TextInput label={words.host} required placeholder="files.example.com" {...text('host')} />
              <TextInput label={words.port} inputMode="numeric" placeholder={String(USUAL_PORT[type])} {...text('port')} />
            </div>
          )}
        </Section>
        {type === 'local' ? null : (
          <Section title={words.login} note={words.loginNote}>
            <TextInput label={words.username} required autoComplete="off" {...text('username')} />
            <PasswordInput
              label={words.password}
              description={stored?.has_password ? words.keepSecret : undefined}
              autoComplete="new-password"
              {...text('password')}
            />
            {stored?.has_password ? (
              <Checkbox
                label={words.forgetPassword}
                checked={draft.forget_password}
                onChange={({ currentTarget }) => set('forget_password', currentTarget.checked)}
              />
            ) : null}
            {type === 'sftp' ? (
              <>
                <Textarea
                  label={words.privateKey}
                  description={stored?.has_private_key ? words.keepSecret : words.privateKeyNote}
                  placeholder="-----BEGIN OPENSSH PRIVATE KEY-----"
                  autosize
                  minRows={2}
                  maxRows={8}
                  spellCheck={false}
                  value={draft.private_key}
                  onChange={({ currentTarget }) => set('private_key', currentTarget.value)}
                />
                {draft.private_key.trim() === '' ? null : (
                  <PasswordInput label={words.passphrase} autoComplete="off" {...text('passphrase')} />
                )}
                {stored?.has_private_key ? (
                  <Checkbox
                    label={words.forgetKey}
                    checked={draft.forget_key}
                    onChange={({ currentTarget }) => set('forget_key', currentTarget.checked)}
                  />
                ) : null}
              </>
            ) : null}
          </Section>
        )}
        {type === 'sftp' ? (
          <Section title={words.trust} note={words.trustKeysNote}>
            <HostKeys draft={draft} set={set} />
          </Section>
        ) : null}
        {type === 'ftps' || type === 'ftps-implicit' ? (
          <Section title={words.trust}>
            <Certificate draft={draft} set={set} />
          </Section>
        ) : null}
        <Section title={words.delivery} note={words.deliveryNote}>
          <TextInput label={words.basePath} description={words.basePathNote} required={type === 'local'} {...text('base_path')} />
          <div className="pair">
            <NativeSelect
              label={words.verify}
              value={draft.verify}
              data={Object.entries(words.verifies).map(([value, label]) => ({ value, label }))}
              onChange={({ currentTarget }) => set('verify', currentTarget.value as DestinationDraft['verify'])}
            />
            <TextInput label={words.connections} inputMode="numeric" placeholder="4" {...text('max_connections')} />
          </div>
          <TextInput label={words.tempName} placeholder=".{filename}.{delivery}.part" {...text('temp_name')} />
        </Section>
        {readOnly ? null : <SaveBar dirty={dirty} busy={save.busy} verb={verb} error={save.error} {...(onDiscard ? { onDiscard } : {})} />}
      </fieldset>
    </form>
  )
}
