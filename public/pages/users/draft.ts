// A user as a form holds it, and back: texts and ticks to a declaration, and only what differs to a patch.
// Must not talk to the gateway or judge what it will refuse.
import { DEFAULT_PERMISSIONS, type Permission } from '../../../src/core/permission.ts'
import type { Protocol, SshAuth, UserSpec } from '../../../src/core/user.ts'
import type { Patch, UserView } from '../../../src/core/views.ts'
import { same } from '../../parts/same.ts'

export interface UserDraft {
  readonly username: string
  readonly partner: string
  readonly password: string
  readonly public_keys: readonly string[]
  readonly certificates: readonly string[]
  readonly ssh_auth: SshAuth
  readonly protocols: readonly Protocol[]
  readonly require_tls: boolean
  readonly allowed_ips: readonly string[]
  /** A date, or '' for never. */
  readonly expires_at: string
  readonly home: string
  readonly start_directory: string
  readonly directories: readonly string[]
  readonly mounts: readonly { readonly path: string; readonly target: string; readonly read_only: boolean }[]
  readonly permissions: readonly { readonly path: string; readonly allow: readonly Permission[] }[]
  readonly quota_bytes: string
  readonly quota_files: string
  readonly max_sessions: string
  readonly upload_rate: string
  readonly download_rate: string
  readonly max_file_size: string
}

const defaults = () => DEFAULT_PERMISSIONS.map(({ path, allow }) => ({ path: path as string, allow: [...allow] }))
const text = (value: string | number | undefined): string => (value === undefined ? '' : String(value))
const filled = (lines: readonly string[]): string[] => lines.map((line) => line.trim()).filter((line) => line !== '')

export const EMPTY_USER: UserDraft = {
  username: '',
  partner: '',
  password: '',
  public_keys: [],
  certificates: [],
  ssh_auth: 'any',
  protocols: ['sftp', 'ftp'],
  require_tls: true,
  allowed_ips: [],
  expires_at: '',
  home: '',
  start_directory: '/',
  directories: [],
  mounts: [],
  permissions: defaults(),
  quota_bytes: '',
  quota_files: '',
  max_sessions: '',
  upload_rate: '',
  download_rate: '',
  max_file_size: '',
}

export function toDraft(user: UserView): UserDraft {
  return {
    username: user.username,
    partner: user.partner,
    password: '',
    public_keys: user.public_keys,
    certificates: user.certificates,
    ssh_auth: user.ssh_auth,
    protocols: user.protocols,
    require_tls: user.require_tls,
    allowed_ips: user.allowed_ips,
    expires_at: user.expires_at ?? '',
    home: user.home,
    start_directory: user.start_directory,
    directories: user.directories,
    mounts: user.mounts.map(({ path, target, read_only }) => ({ path, target, read_only: read_only ?? false })),
    permissions: user.permissions,
    quota_bytes: text(user.quota.bytes),
    quota_files: text(user.quota.files),
    max_sessions: text(user.limits.sessions),
    upload_rate: text(user.limits.upload_rate),
    download_rate: text(user.limits.download_rate),
    max_file_size: text(user.limits.max_file_size),
  }
}

/** A count the form holds as text; what is no number goes as it is, so that the gateway says what is wrong with it. */
const count = (value: string): number => (/^\d+$/.test(value.trim()) ? Number(value) : (value.trim() as unknown as number))

/** What the draft declares; keys at their default are absent. */
export function toSpec(draft: UserDraft): UserSpec {
  const quota = {
    ...(draft.quota_bytes.trim() === '' ? {} : { bytes: draft.quota_bytes.trim() }),
    ...(draft.quota_files.trim() === '' ? {} : { files: count(draft.quota_files) }),
  }
  const limits = {
    ...(draft.max_sessions.trim() === '' ? {} : { sessions: count(draft.max_sessions) }),
    ...(draft.upload_rate.trim() === '' ? {} : { upload_rate: draft.upload_rate.trim() }),
    ...(draft.download_rate.trim() === '' ? {} : { download_rate: draft.download_rate.trim() }),
    ...(draft.max_file_size.trim() === '' ? {} : { max_file_size: draft.max_file_size.trim() }),
  }
  const [ips, directories, certificates] = [filled(draft.allowed_ips), filled(draft.directories), filled(draft.certificates)]
  return {
    username: draft.username.trim(),
    ...(draft.partner.trim() === '' ? {} : { partner: draft.partner.trim() }),
    ...(draft.password === '' ? {} : { password: draft.password }),
    ...(draft.public_keys.length === 0 ? {} : { public_keys: [...draft.public_keys] }),
    ...(certificates.length === 0 ? {} : { certificates }),
    ...(draft.ssh_auth === 'any' ? {} : { ssh_auth: draft.ssh_auth }),
    ...(draft.protocols.length === 2 ? {} : { protocols: [...draft.protocols] }),
    ...(draft.require_tls ? {} : { require_tls: false }),
    ...(ips.length === 0 ? {} : { allowed_ips: ips }),
    ...(draft.expires_at === '' ? {} : { expires_at: draft.expires_at }),
    ...(draft.home.trim() === '' ? {} : { home: draft.home.trim() }),
    ...(draft.start_directory.trim() === '' || draft.start_directory.trim() === '/'
      ? {}
      : { start_directory: draft.start_directory.trim() }),
    ...(directories.length === 0 ? {} : { directories }),
    ...(draft.mounts.length === 0 ? {} : { mounts: draft.mounts.map((mount) => ({ ...mount })) }),
    ...(same(draft.permissions, defaults())
      ? {}
      : { permissions: draft.permissions.map(({ path, allow }) => ({ path, allow: [...allow] })) }),
    ...(Object.keys(quota).length === 0 ? {} : { quota }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  }
}

/** What changed, for PATCH: a key that went back to its default is null. */
export function toPatch(before: UserDraft, after: UserDraft): Patch<UserSpec> {
  const [from, to] = [toSpec(before), toSpec(after)]
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])] as (keyof UserSpec)[]
  return Object.fromEntries(keys.filter((key) => key !== 'username' && !same(from[key], to[key])).map((key) => [key, to[key] ?? null]))
}
