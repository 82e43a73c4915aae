// The fields of a user, in sections.
// Must not send anything; its owner does.
import { Checkbox, Group, NativeSelect, Switch, TextInput } from '@mantine/core'
import type { UserView } from '../../../src/core/views.ts'
import { Add, Lines, Remove, SaveBar, Section } from '../../parts/form.tsx'
import type { Save } from '../../parts/save.ts'
import { strings } from '../../strings.ts'
import { Credentials } from './credentials.tsx'
import type { UserDraft } from './draft.ts'
import { Permissions } from './permissions.tsx'

const words = strings.users

export interface Fields {
  readonly draft: UserDraft
  readonly set: <K extends keyof UserDraft>(key: K, value: UserDraft[K]) => void
}

export function UserForm({
  draft,
  set,
  user,
  readOnly,
  dirty,
  save,
  verb,
  onDiscard,
}: Fields & {
  user: UserView | null
  readOnly: boolean
  dirty: boolean
  save: Save
  verb: string
  onDiscard?: () => void
}) {
  const text = (key: keyof UserDraft) => ({
    value: draft[key] as string,
    onChange: ({ currentTarget }: { currentTarget: HTMLInputElement }) => set(key, currentTarget.value as never),
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        save.run()
      }}
    >
      <fieldset disabled={readOnly} className="bare">
        {readOnly ? <p className="quiet">{strings.form.readOnly}</p> : null}
        <Section title={words.identity} note={words.identityNote}>
          {user === null ? (
            <TextInput
              label={words.username}
              description={strings.form.nameRule}
              required
              maxLength={64}
              pattern="[A-Za-z0-9][A-Za-z0-9._@+\-]*"
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              {...text('username')}
            />
          ) : null}
          <TextInput label={words.partnerField} maxLength={200} {...text('partner')} />
        </Section>

        <Section title={words.access} note={words.accessNote}>
          <Credentials draft={draft} set={set} user={user} />
          <NativeSelect
            label={words.sshAuth}
            value={draft.ssh_auth}
            data={Object.entries(words.sshAuths).map(([value, label]) => ({ value, label }))}
            onChange={({ currentTarget }) => set('ssh_auth', currentTarget.value as UserDraft['ssh_auth'])}
          />
          <Lines
            label={words.certificates}
            description={words.certificatesNote}
            value={draft.certificates}
            onChange={(value) => set('certificates', value)}
            placeholder="AA:BB:CC:…"
            add={words.addCertificate}
          />
        </Section>

        <Section title={words.permissions} note={words.permissionsNote}>
          <Permissions value={draft.permissions} onChange={(value) => set('permissions', value)} />
        </Section>

        <Section title={words.folders} note={words.foldersNote}>
          <div className="pair">
            <TextInput label={words.home} description={words.homeNote} spellCheck={false} placeholder={draft.username} {...text('home')} />
            <TextInput label={words.start} spellCheck={false} placeholder="/" {...text('start_directory')} />
          </div>
          <Lines
            label={words.directories}
            value={draft.directories}
            onChange={(value) => set('directories', value)}
            placeholder="/inbox"
            add={words.addDirectory}
          />
          <Mounts draft={draft} set={set} />
        </Section>

        <Section title={words.where} note={words.whereNote}>
          <Checkbox.Group
            label={words.protocols}
            value={[...draft.protocols]}
            onChange={(value) =>
              set(
                'protocols',
                (['sftp', 'ftp'] as const).filter((protocol) => value.includes(protocol)),
              )
            }
          >
            <Group mt={6}>
              <Checkbox value="sftp" label="SFTP" />
              <Checkbox value="ftp" label="FTP" />
            </Group>
          </Checkbox.Group>
          <Switch
            label={words.requireTls}
            description={draft.require_tls ? undefined : words.requireTlsNote}
            checked={draft.require_tls}
            onChange={({ currentTarget }) => set('require_tls', currentTarget.checked)}
          />
          <Lines
            label={words.allowedIps}
            description={words.allowedIpsNote}
            value={draft.allowed_ips}
            onChange={(value) => set('allowed_ips', value)}
            placeholder="203.0.113.0/24"
            add={words.addIp}
          />
          <TextInput
            maw={240}
            label={words.expires}
            description={words.expiresNote}
            type={draft.expires_at.length > 10 ? 'text' : 'date'}
            {...text('expires_at')}
          />
        </Section>

        <Section title={words.limits} note={words.limitsNote}>
          <div className="pair">
            <TextInput
              label={words.quotaBytes}
              placeholder={strings.form.unlimited}
              description={strings.form.sizeRule}
              {...text('quota_bytes')}
            />
            <TextInput label={words.quotaFiles} placeholder={strings.form.unlimited} inputMode="numeric" {...text('quota_files')} />
            <TextInput label={words.maxSessions} placeholder={strings.form.unlimited} inputMode="numeric" {...text('max_sessions')} />
            <TextInput label={words.maxFile} placeholder={strings.form.unlimited} {...text('max_file_size')} />
            <TextInput label={words.uploadRate} placeholder={strings.form.unlimited} {...text('upload_rate')} />
            <TextInput label={words.downloadRate} placeholder={strings.form.unlimited} {...text('download_rate')} />
          </div>
        </Section>
        {readOnly ? null : <SaveBar dirty={dirty} busy={save.busy} verb={verb} error={save.error} {...(onDiscard ? { onDiscard } : {})} />}
      </fieldset>
    </form>
  )
}

function Mounts({ draft, set }: Fields) {
  const change = (at: number, part: Partial<UserDraft['mounts'][number]>) =>
    set('mounts', draft.mounts.with(at, { ...draft.mounts[at]!, ...part }))
  return (
    <fieldset className="lines">
      <legend>{words.mounts}</legend>
      <p className="quiet">{words.mountsNote}</p>
      {draft.mounts.map((mount, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row has no identity but its place
        <div className="perm" key={at}>
          <div className="pair">
            <TextInput
              label={words.mountPath}
              placeholder="/shared"
              value={mount.path}
              onChange={({ currentTarget }) => change(at, { path: currentTarget.value })}
            />
            <TextInput
              label={words.mountTarget}
              placeholder="/srv/shared"
              value={mount.target}
              onChange={({ currentTarget }) => change(at, { target: currentTarget.value })}
            />
          </div>
          <Group justify="space-between">
            <Checkbox
              label={words.readOnly}
              checked={mount.read_only}
              onChange={({ currentTarget }) => change(at, { read_only: currentTarget.checked })}
            />
            <Remove label={words.removeMount(mount.path)} onClick={() => set('mounts', draft.mounts.toSpliced(at, 1))} />
          </Group>
        </div>
      ))}
      <Add label={words.addMount} onClick={() => set('mounts', [...draft.mounts, { path: '', target: '', read_only: true }])} />
    </fieldset>
  )
}
