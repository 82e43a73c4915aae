// The permissions of a user as rows: a path, and what is ticked there.
// Must not decide what a path allows; core/permission does.
import { Checkbox, NativeSelect, TextInput } from '@mantine/core'
import { DEFAULT_PERMISSIONS, PERMISSIONS, type Permission } from '../../../src/core/permission.ts'
import { Add, Remove } from '../../parts/form.tsx'
import { same } from '../../parts/same.ts'
import { strings } from '../../strings.ts'
import type { UserDraft } from './draft.ts'

const words = strings.users

const PRESETS = {
  full: DEFAULT_PERMISSIONS[0]!.allow,
  read: ['list', 'download'],
  drop: ['upload', 'resume', 'mkdir'],
  none: [],
} as const satisfies Record<string, readonly Permission[]>
type Preset = keyof typeof PRESETS

const ordered = (allow: readonly string[]): Permission[] => PERMISSIONS.filter((verb) => allow.includes(verb))
const presetOf = (allow: readonly Permission[]): Preset | 'own' =>
  (Object.keys(PRESETS) as Preset[]).find((key) => same(ordered(PRESETS[key]), ordered(allow))) ?? 'own'

export function Permissions({ value, onChange }: { value: UserDraft['permissions']; onChange: (value: UserDraft['permissions']) => void }) {
  const change = (at: number, part: Partial<UserDraft['permissions'][number]>) => onChange(value.with(at, { ...value[at]!, ...part }))
  return (
    <div className="perms">
      {value.map((row, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row has no identity but its place
        <div className="perm" key={at}>
          <div className="line-row">
            <TextInput
              className="grow"
              label={words.permissionPath}
              value={row.path}
              spellCheck={false}
              onChange={({ currentTarget }) => change(at, { path: currentTarget.value })}
            />
            <NativeSelect
              label={words.preset}
              value={presetOf(row.allow)}
              data={Object.entries(words.presets).map(([key, label]) => ({ value: key, label, disabled: key === 'own' }))}
              onChange={({ currentTarget }) => change(at, { allow: [...(PRESETS[currentTarget.value as Preset] ?? row.allow)] })}
            />
            <Remove label={words.removePermission(row.path)} onClick={() => onChange(value.toSpliced(at, 1))} />
          </div>
          <Checkbox.Group
            aria-label={words.permissionsOf(row.path)}
            value={[...row.allow]}
            onChange={(allow) => change(at, { allow: ordered(allow) })}
          >
            <div className="verbs">
              {PERMISSIONS.map((verb) => (
                <Checkbox key={verb} value={verb} label={words.verbs[verb]} size="sm" />
              ))}
            </div>
          </Checkbox.Group>
        </div>
      ))}
      <Add label={words.addPermission} onClick={() => onChange([...value, { path: '/', allow: [...PRESETS.read] }])} />
    </div>
  )
}
